-- What staff may do. What a shipped role gives the program knows (services/permissions.rs), by the role's name.
CREATE TABLE roles (
    id          uuid PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (name ~ '^[a-z][a-z0-9-]*$'),
    description text NOT NULL,
    -- Such as users:read.
    permissions text[] NOT NULL,
    is_shipped  boolean NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    CHECK (NOT is_shipped OR permissions = '{}')
);

CREATE TABLE admin_roles (
    admin_id   uuid NOT NULL REFERENCES admins (id) ON DELETE CASCADE,
    role_id    uuid NOT NULL REFERENCES roles (id),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (admin_id, role_id)
);

CREATE INDEX admin_roles_role_id ON admin_roles (role_id);

INSERT INTO roles (id, name, description, permissions, is_shipped, created_at, updated_at)
SELECT id::uuid, name, description, '{}', true, now(), now()
FROM (VALUES
    ('00000000-0000-7000-8000-000000000001', 'super-admin', 'Everything, also what later versions add.'),
    ('00000000-0000-7000-8000-000000000002', 'admin', 'Runs the product: all but what makes others more powerful.'),
    ('00000000-0000-7000-8000-000000000003', 'support', 'Helps users with their accounts.'),
    ('00000000-0000-7000-8000-000000000004', 'moderator', 'Keeps out who misbehaves.'),
    ('00000000-0000-7000-8000-000000000005', 'auditor', 'Reads everything and changes nothing.')
) AS shipped (id, name, description);

INSERT INTO admin_roles (admin_id, role_id, created_at, updated_at)
SELECT admins.id, roles.id, now(), now()
FROM admins
JOIN roles ON roles.name = CASE WHEN admins.is_super_admin THEN 'super-admin' ELSE 'admin' END;

-- Read by the version before this one only, which may still run.
ALTER TABLE admins ALTER COLUMN is_super_admin SET DEFAULT false;

-- What a session may do is kept with it: see 2026-11-29-000031_tell_ended_sessions.
CREATE FUNCTION tell_changed_roles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'roles' THEN
        PERFORM pg_notify('twofold_sessions', admin_id::text) FROM admin_roles WHERE role_id = OLD.id;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM pg_notify('twofold_sessions', OLD.admin_id::text);
    ELSE
        PERFORM pg_notify('twofold_sessions', NEW.admin_id::text);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER tell_changed AFTER UPDATE OF permissions ON roles FOR EACH ROW
    EXECUTE FUNCTION tell_changed_roles();
CREATE TRIGGER tell_changed AFTER INSERT OR UPDATE OR DELETE ON admin_roles FOR EACH ROW
    EXECUTE FUNCTION tell_changed_roles();
