ALTER TABLE admins
    ADD COLUMN status            text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'deactivated')),
    ADD COLUMN status_changed_at timestamptz;

CREATE INDEX admins_listed ON admins (created_at, id);

-- All sessions of the admin.
CREATE TRIGGER tell_ended AFTER UPDATE OF status ON admins FOR EACH ROW
    WHEN (OLD.status = 'active' AND NEW.status <> 'active')
    EXECUTE FUNCTION tell_ended_session();

-- People who are to become staff. Of the token that was mailed to them only a hash is kept.
CREATE TABLE invitations (
    id         uuid PRIMARY KEY,
    email      text NOT NULL CHECK (email = lower(email)),
    name       text NOT NULL,
    token_hash bytea NOT NULL,
    status     text NOT NULL CHECK (status IN ('pending', 'accepted', 'revoked')),
    expires_at timestamptz NOT NULL,
    invited_by uuid REFERENCES admins (id) ON DELETE SET NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX invitations_pending ON invitations (email) WHERE status = 'pending';
CREATE UNIQUE INDEX invitations_token_hash ON invitations (token_hash);
CREATE INDEX invitations_listed ON invitations (created_at, id);
CREATE INDEX invitations_invited_by ON invitations (invited_by);

CREATE TABLE invitation_roles (
    invitation_id uuid NOT NULL REFERENCES invitations (id) ON DELETE CASCADE,
    role_id       uuid NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (invitation_id, role_id)
);

CREATE INDEX invitation_roles_role_id ON invitation_roles (role_id);
