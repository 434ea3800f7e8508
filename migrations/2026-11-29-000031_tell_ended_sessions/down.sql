DROP TRIGGER tell_ended ON users;
DROP TRIGGER tell_deleted ON admin_sessions;
DROP TRIGGER tell_deleted ON user_sessions;
DROP TRIGGER tell_ended ON admin_sessions;
DROP TRIGGER tell_ended ON user_sessions;
DROP FUNCTION tell_ended_session();
