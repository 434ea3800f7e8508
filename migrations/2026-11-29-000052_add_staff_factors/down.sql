DROP TABLE admin_login_challenges;
DROP TABLE admin_recovery_codes;
DROP TABLE admin_totp;
DROP FUNCTION tell_changed_factor;
