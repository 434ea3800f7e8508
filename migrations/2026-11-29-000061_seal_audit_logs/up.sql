-- The audit log is sealed after the commit, in segments that form a chain (services/audit/seals.rs): a chain
-- within the transactions would have them wait for each other.

-- What waits for that, by whatever order transactions have committed.
CREATE TABLE audit_unsealed (
    id         uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
INSERT INTO audit_unsealed SELECT id, created_at, updated_at FROM audit_logs;

CREATE TABLE audit_seals (
    number         bigint PRIMARY KEY,
    -- The rows, in the order in which they are sealed.
    ids            uuid[] NOT NULL,
    -- Of each, a keyed digest of what may be erased later, and a digest of the rest and that one.
    details        bytea[] NOT NULL,
    leaves         bytea[] NOT NULL,
    -- The newest of the rows.
    last_at        timestamptz,
    -- Of a segment that has no rows: those of before this time were dropped, and with them the segments up to this
    -- one, whose seal is what the chain begins with now.
    dropped_before timestamptz,
    anchor_number  bigint,
    anchor_seal    bytea,
    -- A keyed digest of the seal before and of all this.
    seal           bytea NOT NULL,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    CHECK (cardinality(ids) = cardinality(details) AND cardinality(ids) = cardinality(leaves)),
    CHECK ((last_at IS NULL) = (dropped_before IS NOT NULL) AND (last_at IS NULL) = (anchor_number IS NOT NULL)
           AND (last_at IS NULL) = (anchor_seal IS NOT NULL))
);

CREATE TRIGGER insert_only BEFORE UPDATE OR DELETE ON audit_seals
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER insert_only_as_a_whole BEFORE TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

CREATE OR REPLACE FUNCTION record_audit_log(
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
    INSERT INTO audit_unsealed (id, created_at, updated_at) VALUES ($1, $2, $2);
END
$$;

-- Drops the partitions of months that had ended by then, and the segments at the beginning of the chain that
-- have no other rows. Returns what the caller has to seal; nothing when there is nothing to drop.
CREATE FUNCTION drop_audit_partitions(
    moment timestamptz, OUT dropped_before timestamptz, OUT anchor_number bigint, OUT anchor_seal bytea
) RETURNS SETOF record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '1s' AS $$
#variable_conflict use_column
DECLARE
    first date := date_trunc('month', moment AT TIME ZONE 'UTC');
    start timestamptz := first::timestamp AT TIME ZONE 'UTC';
    parts regclass[] := ARRAY(
        SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'audit_logs'::regclass AND to_date(right(relname, 7), 'YYYY_MM') < first);
    one   regclass;
    keep  bigint;
BEGIN
    IF cardinality(parts) = 0 THEN
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM audit_unsealed WHERE created_at < start) THEN
        RAISE EXCEPTION 'rows of before % are not sealed yet', start;
    END IF;
    FOREACH one IN ARRAY parts LOOP
        EXECUTE format('DROP TABLE %s', one);
    END LOOP;
    SELECT coalesce(min(number), (SELECT max(number) + 1 FROM audit_seals)) INTO keep
    FROM audit_seals WHERE last_at >= start;
    SELECT number, seal INTO anchor_number, anchor_seal FROM audit_seals WHERE number < keep
    ORDER BY number DESC LIMIT 1;
    IF anchor_number IS NULL THEN
        -- Nothing goes from the chain: it begins where it has begun.
        SELECT mark.anchor_number, mark.anchor_seal INTO anchor_number, anchor_seal
        FROM audit_seals AS mark WHERE mark.dropped_before IS NOT NULL ORDER BY mark.number DESC LIMIT 1;
    END IF;
    PERFORM set_config('twofold.changes_audit', 'on', true);
    DELETE FROM audit_seals WHERE number < keep;
    PERFORM set_config('twofold.changes_audit', 'off', true);
    dropped_before := start;
    anchor_number := coalesce(anchor_number, 0);
    anchor_seal := coalesce(anchor_seal, '');
    RETURN NEXT;
END
$$;

-- Lets a role do what the application needs, and no more: to be called by the owner of the tables.
CREATE FUNCTION grant_to_application(role text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', role);
    FOR one IN SELECT oid::regclass AS name, relname FROM pg_class
               WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %I', one.name, role);
        EXECUTE format('GRANT %s ON %s TO %I',
                       CASE one.relname WHEN 'audit_logs' THEN 'SELECT'
                                        WHEN 'audit_seals' THEN 'SELECT, INSERT'
                                        WHEN 'audit_unsealed' THEN 'SELECT, DELETE'
                                        WHEN '__diesel_schema_migrations' THEN 'SELECT'
                                        ELSE 'SELECT, INSERT, UPDATE, DELETE' END,
                       one.name, role);
    END LOOP;
    EXECUTE format('GRANT EXECUTE ON FUNCTION make_audit_partition, record_audit_log, erase_audit_details, '
                   'drop_audit_partitions TO %I', role);
END
$$;

REVOKE EXECUTE ON FUNCTION drop_audit_partitions, grant_to_application FROM PUBLIC;
