-- :count users: of 100 each one is suspended, unverified, deleted or has a second factor; half have signed in.
-- Names have nothing to do with that.
INSERT INTO users (id, email, name, password_hash, status, email_verified_at, has_second_factor,
                   last_login_at, created_at, updated_at)
SELECT gen_random_uuid(), 'user' || n || '@' || md5(n::text) || '.example',
       (ARRAY['Ada', 'Bob', 'Carol', NULL])[1 + abs(hashint4(n) % 4)] || ' '
           || (ARRAY['Allen', 'Berezin', 'Clarke', 'Dijkstra', 'Engelbart', 'Fang', 'Goldberg'])[1 + n % 7],
       'x', CASE n % 100 WHEN 0 THEN 'suspended' WHEN 1 THEN 'deleted' ELSE 'active' END,
       CASE WHEN n % 100 <> 2 THEN timestamptz '2026-01-01' END, n % 100 = 3,
       CASE WHEN n % 2 = 0 THEN timestamptz '2026-01-01' + make_interval(secs => n * 7919::bigint % 100000) END,
       timestamptz '2026-01-01' + make_interval(secs => n * 17), timestamptz '2026-01-01'
FROM generate_series(1, :count) n;
