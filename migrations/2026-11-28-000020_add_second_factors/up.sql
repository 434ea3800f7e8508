-- When the account last proved who it is within the session; where NULL, at its beginning.
ALTER TABLE user_sessions ADD COLUMN authenticated_at timestamptz;
ALTER TABLE admin_sessions ADD COLUMN authenticated_at timestamptz;
-- What the app calls the device.
ALTER TABLE user_sessions ADD COLUMN device_name text;
ALTER TABLE admin_sessions ADD COLUMN device_name text;

-- One-time codes by time (RFC 6238). The secret is sealed under a key of the realm.
CREATE TABLE user_totp (
    user_id       uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed_secret bytea NOT NULL,
    -- Unset until the first right code: only then is it asked for.
    confirmed_at  timestamptz,
    -- Of the last code that was taken: each works once.
    last_step     bigint,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);

-- Codes for who has lost the device, as hashes; a used one is gone.
CREATE TABLE user_recovery_codes (
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code_hash  bytea NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, code_hash)
);

-- Sign-ins whose password was right, and which wait for the second factor.
CREATE TABLE user_login_challenges (
    id            uuid PRIMARY KEY,
    user_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    attempts_left integer NOT NULL,
    -- The device, if it has signed in before.
    device_id     uuid,
    device_name   text,
    expires_at    timestamptz NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);

CREATE INDEX user_login_challenges_user_id ON user_login_challenges (user_id);

-- One's own sessions are listed newest first.
CREATE INDEX user_sessions_listed ON user_sessions (account_id, created_at, id);
DROP INDEX user_sessions_account_id;
