-- Of pictures that were made into others; a file that is of no use is given up as one that never came.
ALTER TABLE files
    DROP CONSTRAINT files_check,
    ADD CONSTRAINT files_expire CHECK ((state IN ('pending', 'failed')) = (expires_at IS NOT NULL)),
    ADD COLUMN width integer,
    ADD COLUMN height integer;

-- A ready file that is a picture of the user.
ALTER TABLE users ADD COLUMN avatar_id uuid UNIQUE REFERENCES files ON DELETE SET NULL;
