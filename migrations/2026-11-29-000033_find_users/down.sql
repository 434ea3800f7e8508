DROP INDEX users_with_second_factor, users_unverified, users_not_active, users_last_login_at, users_name;
DROP TRIGGER note_deleted ON user_totp;
DROP TRIGGER note_confirmed ON user_totp;
DROP FUNCTION note_second_factor();
ALTER TABLE users DROP COLUMN has_second_factor;
DROP INDEX users_search;
DROP FUNCTION search_terms(text);
DROP FUNCTION search_grams(text);
