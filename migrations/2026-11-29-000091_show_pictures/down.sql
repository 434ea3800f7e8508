ALTER TABLE file_spaces DROP CONSTRAINT file_spaces_pkey;
ALTER TABLE file_spaces RENAME COLUMN id TO folder;
ALTER TABLE file_spaces
    DROP CONSTRAINT file_spaces_user_id_key,
    ADD UNIQUE (folder),
    ADD PRIMARY KEY (user_id);
ALTER TABLE users DROP COLUMN avatar_id;
ALTER TABLE files
    DROP COLUMN width,
    DROP COLUMN height,
    DROP CONSTRAINT files_expire,
    ADD CONSTRAINT files_check CHECK ((state = 'pending') = (expires_at IS NOT NULL));
