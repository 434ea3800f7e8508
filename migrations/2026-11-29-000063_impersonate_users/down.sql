-- What they may do, they may do for being that: without it they would pass for the user.
DELETE FROM user_sessions WHERE impersonator_id IS NOT NULL;
ALTER TABLE user_sessions DROP COLUMN impersonator_id;
