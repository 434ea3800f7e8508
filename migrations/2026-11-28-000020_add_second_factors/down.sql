CREATE INDEX user_sessions_account_id ON user_sessions (account_id);
DROP INDEX user_sessions_listed;
DROP TABLE user_login_challenges;
DROP TABLE user_recovery_codes;
DROP TABLE user_totp;
ALTER TABLE admin_sessions DROP COLUMN device_name;
ALTER TABLE user_sessions DROP COLUMN device_name;
ALTER TABLE admin_sessions DROP COLUMN authenticated_at;
ALTER TABLE user_sessions DROP COLUMN authenticated_at;
