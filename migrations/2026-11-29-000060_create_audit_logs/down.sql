DROP FUNCTION erase_audit_details;
DROP FUNCTION record_audit_log;
DROP FUNCTION make_audit_partition;
DROP TABLE audit_logs;
DROP FUNCTION refuse_audit_change;
