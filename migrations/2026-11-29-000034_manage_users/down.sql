DROP TABLE user_notes;
UPDATE users SET status = 'suspended' WHERE status = 'deleted';
ALTER TABLE users
    DROP COLUMN suspended_until,
    DROP CONSTRAINT users_status_check,
    ADD CONSTRAINT users_status_check CHECK (status IN ('active', 'suspended'));
