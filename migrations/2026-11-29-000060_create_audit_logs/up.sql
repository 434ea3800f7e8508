-- What was done, by whom and to what, in a partition for each month (by UTC). record_audit_log alone inserts
-- rows; nobody changes or deletes one.
CREATE TABLE audit_logs (
    id              uuid NOT NULL,
    actor_kind      text NOT NULL CHECK (actor_kind IN ('anonymous', 'user', 'admin', 'system')),
    actor_id        uuid,
    -- The admin who acts as that user.
    impersonator_id uuid,
    session_id      uuid,
    request_id      text NOT NULL,
    action          text NOT NULL,
    subject_kind    text,
    subject_id      text,
    -- What may tell of persons: erased with their account.
    ip_address      text,
    user_agent      text,
    reason          text,
    before          jsonb,
    after           jsonb,
    erased_at       timestamptz,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (created_at, id),
    CHECK ((subject_kind IS NULL) = (subject_id IS NULL))
) PARTITION BY RANGE (created_at);

CREATE INDEX audit_logs_subject ON audit_logs (subject_kind, subject_id, created_at, id);
CREATE INDEX audit_logs_actor ON audit_logs (actor_id, created_at, id);
CREATE INDEX audit_logs_action ON audit_logs (action, created_at, id);
CREATE INDEX audit_logs_request ON audit_logs (request_id, created_at, id);

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Set by functions of the owner alone; other roles may do neither, whatever they set.
    IF current_setting('twofold.changes_audit', true) = 'on' THEN
        RETURN coalesce(NEW, OLD);
    END IF;
    RAISE EXCEPTION 'rows of % stay as they are', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER insert_only_as_a_whole BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- Makes the partition of a time, unless it is there. Who may only insert rows may do so by this.
CREATE FUNCTION make_audit_partition(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    month timestamp := date_trunc('month', moment AT TIME ZONE 'UTC');
    name  text := 'audit_logs_' || to_char(month, 'YYYY_MM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    -- Of several at once one makes it. Others insert meanwhile.
    LOCK TABLE audit_logs IN SHARE UPDATE EXCLUSIVE MODE;
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE audit_logs INCLUDING ALL)', name);
    -- Unlike CREATE TABLE … PARTITION OF, this doesn't wait for those who read or insert.
    EXECUTE format('ALTER TABLE audit_logs ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
                   month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
    EXECUTE format('CREATE TRIGGER insert_only_as_a_whole BEFORE TRUNCATE ON %I '
                   'FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()', name);
END
$$;

-- Inserts a row; its parameters are the columns that it has then.
CREATE FUNCTION record_audit_log(
    id uuid, created_at timestamptz, actor_kind text, actor_id uuid, impersonator_id uuid, session_id uuid,
    request_id text, action text, subject_kind text, subject_id text, ip_address text, user_agent text,
    reason text, before jsonb, after jsonb
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    PERFORM make_audit_partition($2);
    INSERT INTO audit_logs (id, created_at, updated_at, actor_kind, actor_id, impersonator_id, session_id,
                            request_id, action, subject_kind, subject_id, ip_address, user_agent, reason,
                            before, after)
    VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);
END
$$;

-- Erases what rows tell of users who are no more: of what they did, and of what was done to them.
CREATE FUNCTION erase_audit_details(accounts uuid[], moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone uuid[] := ARRAY(SELECT account FROM unnest(accounts) AS account
                         WHERE NOT EXISTS (SELECT FROM users WHERE users.id = account));
BEGIN
    PERFORM set_config('twofold.changes_audit', 'on', true);
    UPDATE audit_logs SET ip_address = NULL, user_agent = NULL, reason = NULL, before = NULL, after = NULL,
                          erased_at = moment, updated_at = moment
    WHERE erased_at IS NULL AND actor_kind = 'user' AND actor_id = ANY(gone);
    UPDATE audit_logs SET ip_address = NULL, user_agent = NULL, reason = NULL, before = NULL, after = NULL,
                          erased_at = moment, updated_at = moment
    WHERE erased_at IS NULL AND subject_kind = 'user' AND subject_id = ANY(gone::text[]);
    PERFORM set_config('twofold.changes_audit', 'off', true);
END
$$;

REVOKE EXECUTE ON FUNCTION make_audit_partition, record_audit_log, erase_audit_details FROM PUBLIC;

SELECT make_audit_partition(now() + make_interval(months => ahead)) FROM generate_series(0, 3) AS ahead;
