-- The password is too short to be the only factor.
ALTER TABLE users ADD COLUMN password_needs_factor boolean NOT NULL DEFAULT false;
