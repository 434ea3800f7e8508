DROP INDEX admin_sessions_open, invitations_expires_at, invitations_email;
