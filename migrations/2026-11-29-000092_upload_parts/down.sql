DROP INDEX file_spaces_files, file_spaces_bytes, files_state, files_content_type, files_size, files_created_at;
ALTER TABLE doomed_objects DROP COLUMN upload_id;
ALTER TABLE files DROP COLUMN part_size, DROP COLUMN upload_id;
