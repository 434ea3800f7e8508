ALTER TABLE users
    DROP CONSTRAINT users_status_check,
    -- A deleted user can be restored until deletion_due_at.
    ADD CONSTRAINT users_status_check CHECK (status IN ('active', 'suspended', 'deleted')),
    -- When a suspended user is reactivated; NULL: when somebody does it.
    ADD COLUMN suspended_until timestamptz;

-- What staff write down about a user, for each other.
CREATE TABLE user_notes (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    admin_id   uuid REFERENCES admins (id) ON DELETE SET NULL,
    text       text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX user_notes_listed ON user_notes (user_id, created_at, id);
CREATE INDEX user_notes_admin_id ON user_notes (admin_id);
