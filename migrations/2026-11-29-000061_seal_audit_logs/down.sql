DROP FUNCTION grant_to_application;
DROP FUNCTION drop_audit_partitions;
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
END
$$;
DROP TABLE audit_seals;
DROP TABLE audit_unsealed;
