-- As for users (2026-11-28-000020_add_second_factors).
CREATE TABLE admin_totp (
    admin_id      uuid PRIMARY KEY REFERENCES admins (id) ON DELETE CASCADE,
    sealed_secret bytea NOT NULL,
    confirmed_at  timestamptz,
    last_step     bigint,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);

CREATE TABLE admin_recovery_codes (
    admin_id   uuid NOT NULL REFERENCES admins (id) ON DELETE CASCADE,
    code_hash  bytea NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (admin_id, code_hash)
);

CREATE TABLE admin_login_challenges (
    id            uuid PRIMARY KEY,
    admin_id      uuid NOT NULL REFERENCES admins (id) ON DELETE CASCADE,
    attempts_left integer NOT NULL,
    device_id     uuid,
    device_name   text,
    expires_at    timestamptz NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);

CREATE INDEX admin_login_challenges_admin_id ON admin_login_challenges (admin_id);

-- Whether there is a factor decides what a session may do.
CREATE FUNCTION tell_changed_factor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('twofold_sessions', OLD.admin_id::text);
    RETURN NULL;
END
$$;

CREATE TRIGGER tell_changed AFTER UPDATE OF confirmed_at OR DELETE ON admin_totp FOR EACH ROW
    EXECUTE FUNCTION tell_changed_factor();
