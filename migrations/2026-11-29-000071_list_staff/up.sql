-- One for each column that invitations can be sorted by, and one for who of the staff is online.
CREATE INDEX invitations_email ON invitations (email, id);
CREATE INDEX invitations_expires_at ON invitations (expires_at, id);
CREATE INDEX admin_sessions_open ON admin_sessions (refresh_expires_at) WHERE revoked_at IS NULL;
