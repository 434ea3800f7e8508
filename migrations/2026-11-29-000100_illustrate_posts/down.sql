DROP TABLE post_attachments;
ALTER TABLE posts DROP COLUMN cover_id;
