-- The member of the staff who acts as the user in this session. As in audit_logs this names who did something, which stays
-- true when their account is gone, so it refers to nothing.
ALTER TABLE user_sessions ADD COLUMN impersonator_id uuid;
