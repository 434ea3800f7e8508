-- How often something happened in an hour, a day, a week or a month (services/tallies.rs).
CREATE TABLE tallies (
    period     text NOT NULL CHECK (period IN ('hour', 'day', 'week', 'month')),
    -- When the period begins, in UTC.
    starts_at  timestamptz NOT NULL,
    metric     text NOT NULL CHECK (metric IN ('registrations', 'active_users', 'sign_ins', 'failed_sign_ins')),
    count      bigint NOT NULL CHECK (count > 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (period, starts_at, metric)
);

-- When a user was active, to the hour, and the time before: so each is counted once in each period.
CREATE TABLE user_activity (
    user_id     uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    active_at   timestamptz NOT NULL,
    previous_at timestamptz,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);

-- What is known of the time before: who is still there.
INSERT INTO tallies (period, starts_at, metric, count, created_at, updated_at)
    SELECT period, date_trunc(period, created_at, 'UTC') AS starts_at, 'registrations', count(*), now(), now()
    FROM users, unnest(ARRAY['hour', 'day', 'week', 'month']) AS period
    GROUP BY period, starts_at;
INSERT INTO user_activity (user_id, active_at, created_at, updated_at)
    SELECT id, last_login_at, last_login_at, last_login_at FROM users WHERE last_login_at IS NOT NULL;
