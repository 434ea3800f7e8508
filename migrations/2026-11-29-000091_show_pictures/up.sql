-- Of pictures that were made into others; a file that is of no use is given up as one that never came.
ALTER TABLE files
    DROP CONSTRAINT files_check,
    ADD CONSTRAINT files_expire CHECK ((state IN ('pending', 'failed')) = (expires_at IS NOT NULL)),
    ADD COLUMN width integer,
    ADD COLUMN height integer;

-- A ready file that is a picture of the user.
ALTER TABLE users ADD COLUMN avatar_id uuid UNIQUE REFERENCES files ON DELETE SET NULL;

-- The folder is what tells a space from others, in lists as well.
ALTER TABLE file_spaces
    DROP CONSTRAINT file_spaces_pkey,
    DROP CONSTRAINT file_spaces_folder_key,
    ADD UNIQUE (user_id);
ALTER TABLE file_spaces RENAME COLUMN folder TO id;
ALTER TABLE file_spaces ADD PRIMARY KEY (id);
