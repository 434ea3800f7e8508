CREATE INDEX admin_sessions_account_id ON admin_sessions (account_id);
DROP INDEX admin_sessions_listed;
DROP TABLE admin_password_resets;
