-- Processes keep what they have read of a session for a while (services/session_check.rs). Whatever ends one, in
-- whatever version of the program or by hand, tells them all, if and when it commits.
CREATE FUNCTION tell_ended_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('twofold_sessions', OLD.id::text);
    RETURN NULL;
END
$$;

CREATE TRIGGER tell_ended AFTER UPDATE ON user_sessions FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL OR NEW.expires_at < OLD.expires_at)
    EXECUTE FUNCTION tell_ended_session();
CREATE TRIGGER tell_ended AFTER UPDATE ON admin_sessions FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND NEW.revoked_at IS NOT NULL OR NEW.expires_at < OLD.expires_at)
    EXECUTE FUNCTION tell_ended_session();

-- Those that had ended before are removed by the clean-up, in large numbers.
CREATE TRIGGER tell_deleted AFTER DELETE ON user_sessions FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND OLD.expires_at > now())
    EXECUTE FUNCTION tell_ended_session();
CREATE TRIGGER tell_deleted AFTER DELETE ON admin_sessions FOR EACH ROW
    WHEN (OLD.revoked_at IS NULL AND OLD.expires_at > now())
    EXECUTE FUNCTION tell_ended_session();

-- All sessions of the user.
CREATE TRIGGER tell_ended AFTER UPDATE OF status ON users FOR EACH ROW
    WHEN (OLD.status = 'active' AND NEW.status <> 'active')
    EXECUTE FUNCTION tell_ended_session();
