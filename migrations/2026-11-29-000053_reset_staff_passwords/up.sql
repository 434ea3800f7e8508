-- Tokens by which staff choose another password, as hashes; a used one is gone.
CREATE TABLE admin_password_resets (
    admin_id   uuid PRIMARY KEY REFERENCES admins (id) ON DELETE CASCADE,
    token_hash bytea NOT NULL UNIQUE,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- Sessions are listed newest first.
CREATE INDEX admin_sessions_listed ON admin_sessions (account_id, created_at, id);
DROP INDEX admin_sessions_account_id;
