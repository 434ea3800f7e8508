-- Of a file that is uploaded in parts: what the storage calls the upload, and how large each part but the last is.
ALTER TABLE files
    ADD COLUMN upload_id text,
    ADD COLUMN part_size bigint,
    ADD CHECK ((upload_id IS NULL) = (part_size IS NULL));

-- Parts are deleted by ending their upload, not by a key.
ALTER TABLE doomed_objects ADD COLUMN upload_id text;

-- Lists of staff.
CREATE INDEX files_created_at ON files (created_at, id);
CREATE INDEX files_size ON files (size, id);
CREATE INDEX files_content_type ON files (content_type, created_at, id);
CREATE INDEX files_state ON files (state, created_at, id);
CREATE INDEX file_spaces_bytes ON file_spaces (bytes, id);
CREATE INDEX file_spaces_files ON file_spaces (files, id);
