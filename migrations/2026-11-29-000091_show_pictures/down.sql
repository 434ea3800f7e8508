ALTER TABLE users DROP COLUMN avatar_id;
ALTER TABLE files
    DROP COLUMN width,
    DROP COLUMN height,
    DROP CONSTRAINT files_expire,
    ADD CONSTRAINT files_check CHECK ((state = 'pending') = (expires_at IS NOT NULL));
