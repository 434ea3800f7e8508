-- There are far fewer pictures than attachments, or none.
CREATE INDEX files_purpose ON files (purpose, created_at, id);
