DROP INDEX notifications_unread;
ALTER TABLE mails DROP COLUMN user_id;
DELETE FROM user_one_time_codes WHERE purpose = 'change_email';
ALTER TABLE user_one_time_codes
    DROP CONSTRAINT user_one_time_codes_purpose_check,
    DROP COLUMN new_email,
    ADD CONSTRAINT user_one_time_codes_purpose_check CHECK (purpose IN ('verify_email', 'reset_password'));
ALTER TABLE users DROP COLUMN locale, DROP COLUMN time_zone, DROP COLUMN deletion_due_at;
