-- Work that no request waits for: written in the transaction that asks for it.
CREATE TABLE jobs (
    id               uuid PRIMARY KEY,
    queue            text NOT NULL,
    kind             text NOT NULL,
    payload          jsonb NOT NULL,
    -- 0 is taken first, 2 last.
    priority         smallint NOT NULL CHECK (priority BETWEEN 0 AND 2),
    state            text NOT NULL
                     CHECK (state IN ('waiting', 'running', 'succeeded', 'failed', 'cancelled')),
    run_at           timestamptz NOT NULL,
    -- Of this key only one job waits or runs.
    unique_key       text,
    -- Tries that count, the one under way included. One that its worker's death or end has cut short
    -- doesn't.
    attempts         integer NOT NULL,
    max_attempts     integer NOT NULL,
    -- How often it was taken. A worker that names another number has lost the job.
    lease            integer NOT NULL,
    -- Deaths of workers that ran this job and no other.
    crashes          integer NOT NULL,
    -- It ran when a worker died: it runs alone until it has ended once.
    is_suspect       boolean NOT NULL,
    worker_id        uuid,
    cancel_requested boolean NOT NULL,
    -- In per cent, and in words.
    progress         smallint NOT NULL CHECK (progress BETWEEN 0 AND 100),
    message          text,
    result           jsonb,
    last_error       text,
    -- Who asked for it: nobody else of their kind may look at it.
    user_id          uuid,
    admin_id         uuid,
    request_id       text NOT NULL,
    started_at       timestamptz,
    finished_at      timestamptz,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL
) WITH (
    fillfactor = 80,
    -- Each job leaves two dead rows: they are cleaned up early, and without pauses.
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX jobs_due ON jobs (queue, priority, run_at, id) WHERE state = 'waiting' AND NOT is_suspect;
CREATE INDEX jobs_suspects ON jobs (run_at, id) WHERE state = 'waiting' AND is_suspect;
CREATE INDEX jobs_running ON jobs (worker_id) WHERE state = 'running';
CREATE INDEX jobs_finished ON jobs (finished_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_failed ON jobs (finished_at, id) WHERE state = 'failed';
CREATE INDEX jobs_created ON jobs (created_at, id);
CREATE INDEX jobs_kind ON jobs (kind, created_at, id);
CREATE UNIQUE INDEX jobs_unique ON jobs (unique_key)
    WHERE unique_key IS NOT NULL AND state IN ('waiting', 'running');

-- How tries ended that did not succeed.
CREATE TABLE job_attempts (
    job_id     uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
    lease      integer NOT NULL,
    -- Which try it was, of those that count.
    attempt    integer NOT NULL,
    outcome    text NOT NULL CHECK (outcome IN ('failed', 'timed_out', 'crashed', 'cancelled')),
    error      text,
    worker_id  uuid,
    started_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (job_id, lease)
);

-- Processes that work on jobs: one row from each start to its end.
CREATE TABLE job_workers (
    id           uuid PRIMARY KEY,
    host         text NOT NULL,
    pid          integer NOT NULL,
    slots        integer NOT NULL,
    busy         integer NOT NULL,
    -- By the database's own clock, as those of the workers' machines may differ.
    heartbeat_at timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL
);

-- Queues that staff have paused or resumed.
CREATE TABLE job_queues (
    name       text PRIMARY KEY,
    paused_at  timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- What recurs: the last tick that has been seen to.
CREATE TABLE job_schedules (
    name        text PRIMARY KEY,
    is_enabled  boolean NOT NULL,
    last_tick   timestamptz NOT NULL,
    last_job_id uuid,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
