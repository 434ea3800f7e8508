ALTER TABLE users
    -- In which language, and by which clock, the user is written to (BCP 47; IANA).
    ADD COLUMN locale          text,
    ADD COLUMN time_zone       text,
    -- The user wants the account deleted: then it is erased.
    ADD COLUMN deletion_due_at timestamptz;

CREATE INDEX users_deletion_due_at ON users (deletion_due_at) WHERE deletion_due_at IS NOT NULL;

-- The address that a code was mailed to, where it is not yet the account's.
ALTER TABLE user_one_time_codes
    ADD COLUMN new_email text CHECK (new_email = lower(new_email)),
    DROP CONSTRAINT user_one_time_codes_purpose_check,
    ADD CONSTRAINT user_one_time_codes_purpose_check
        CHECK (purpose IN ('verify_email', 'reset_password', 'change_email')),
    ADD CONSTRAINT user_one_time_codes_new_email_of_change
        CHECK ((purpose = 'change_email') = (new_email IS NOT NULL));

-- Whose account a mail is about: it is erased with the account.
ALTER TABLE mails ADD COLUMN user_id uuid REFERENCES users (id) ON DELETE CASCADE;
UPDATE mails SET user_id = users.id FROM users WHERE users.email = mails.recipient;
CREATE INDEX mails_user_id ON mails (user_id) WHERE user_id IS NOT NULL;

CREATE INDEX notifications_unread ON notifications (user_id) WHERE read_at IS NULL;
