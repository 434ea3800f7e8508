-- Staff of the backoffice. Never mixed with the users of the client API.
CREATE TABLE admins (
    id             uuid PRIMARY KEY,
    email          text NOT NULL UNIQUE CHECK (email = lower(email)),
    name           text NOT NULL,
    password_hash  text NOT NULL,
    is_super_admin boolean NOT NULL,
    last_login_at  timestamptz,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL
);

-- One row per sign-in: the family of its refresh tokens (RFC 9700, 4.14.2). Of the tokens
-- only hashes are kept, and what is needed to sign the current one again.
CREATE TABLE admin_sessions (
    id                          uuid PRIMARY KEY,
    account_id                  uuid NOT NULL REFERENCES admins (id) ON DELETE CASCADE,
    refresh_token_id            uuid NOT NULL,
    refresh_token_hash          bytea NOT NULL,
    refresh_issued_at           timestamptz NOT NULL,
    refresh_expires_at          timestamptz NOT NULL,
    previous_refresh_token_hash bytea,
    -- However often it is refreshed, the session ends then.
    expires_at                  timestamptz NOT NULL,
    revoked_at                  timestamptz,
    user_agent                  text,
    ip_address                  text,
    created_at                  timestamptz NOT NULL,
    updated_at                  timestamptz NOT NULL
);

CREATE INDEX admin_sessions_account_id ON admin_sessions (account_id);
