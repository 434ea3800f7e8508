-- Who has waited for the one who makes a partition, and finds it made, gives the lock back at once. Kept until the end of the
-- transaction, as it was, it had all others wait one after another.
CREATE OR REPLACE FUNCTION make_audit_partition(moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    month timestamp := date_trunc('month', moment AT TIME ZONE 'UTC');
    name  text := 'audit_logs_' || to_char(month, 'YYYY_MM');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    BEGIN
        -- Of several at once one makes it. Others insert meanwhile.
        LOCK TABLE audit_logs IN SHARE UPDATE EXCLUSIVE MODE;
        IF to_regclass(name) IS NOT NULL THEN
            -- Takes back what was done in this block: the lock.
            RAISE EXCEPTION USING ERRCODE = 'TF001';
        END IF;
        EXECUTE format('CREATE TABLE %I (LIKE audit_logs INCLUDING ALL)', name);
        -- Unlike CREATE TABLE … PARTITION OF, this doesn't wait for those who read or insert.
        EXECUTE format('ALTER TABLE audit_logs ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
                       month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
        EXECUTE format('CREATE TRIGGER insert_only_as_a_whole BEFORE TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()', name);
    EXCEPTION
        WHEN SQLSTATE 'TF001' THEN
            NULL;
    END;
END
$$;
