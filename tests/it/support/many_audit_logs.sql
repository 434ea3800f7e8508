-- :count entries, spread over the 166 days from 2026-01-01 on: of 20 admins, about 200 users.
SELECT make_audit_partition(timestamptz '2026-01-15' + make_interval(months => n))
FROM generate_series(0, 5) n;
INSERT INTO audit_logs (id, created_at, updated_at, actor_kind, actor_id, request_id, action,
                        subject_kind, subject_id)
SELECT overlay(overlay(gen_random_uuid()::text
               PLACING '7' FROM 15 FOR 1)
               PLACING substr(millis, 1, 8) || '-' || substr(millis, 9, 4) FROM 1 FOR 13)::uuid,
       moment, moment, 'admin', lpad((n % 20)::text, 32, '0')::uuid, 'request ' || n,
       CASE n % 10 WHEN 0 THEN 'user.reactivated' ELSE 'user.suspended' END,
       'user', 'user ' || n % 200
FROM (SELECT n, timestamptz '2026-01-01' + make_interval(secs => n * 14400000.0 / :count) AS moment
      FROM generate_series(1, :count) n) AS one,
     LATERAL (SELECT lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')) AS two (millis);
ANALYZE audit_logs;
