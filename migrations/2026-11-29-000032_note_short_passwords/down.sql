ALTER TABLE users DROP COLUMN password_needs_factor;
