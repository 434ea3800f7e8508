-- People who use the client API.
CREATE TABLE users (
    id                uuid PRIMARY KEY,
    email             text NOT NULL UNIQUE CHECK (email = lower(email)),
    name              text,
    password_hash     text NOT NULL,
    email_verified_at timestamptz,
    status            text NOT NULL CHECK (status IN ('active', 'suspended')),
    -- Why, when and by whom the status was last changed.
    status_reason     text,
    status_changed_at timestamptz,
    status_changed_by uuid REFERENCES admins (id) ON DELETE SET NULL,
    last_login_at     timestamptz,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL
);

CREATE INDEX users_created_at ON users (created_at, id);
CREATE INDEX users_status_changed_by ON users (status_changed_by);

-- See admin_sessions.
CREATE TABLE user_sessions (
    id                          uuid PRIMARY KEY,
    account_id                  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    refresh_token_id            uuid NOT NULL,
    refresh_token_hash          bytea NOT NULL,
    refresh_issued_at           timestamptz NOT NULL,
    refresh_expires_at          timestamptz NOT NULL,
    previous_refresh_token_hash bytea,
    expires_at                  timestamptz NOT NULL,
    revoked_at                  timestamptz,
    user_agent                  text,
    ip_address                  text,
    created_at                  timestamptz NOT NULL,
    updated_at                  timestamptz NOT NULL
);

CREATE INDEX user_sessions_account_id ON user_sessions (account_id);

-- Codes and tokens that are used once. A newer one for the same purpose replaces the older.
CREATE TABLE user_one_time_codes (
    user_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    purpose       text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password')),
    code_hash     bytea NOT NULL,
    attempts_left integer NOT NULL,
    expires_at    timestamptz NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (user_id, purpose)
);

CREATE INDEX user_one_time_codes_code_hash ON user_one_time_codes (code_hash);
