CREATE INDEX jobs_created ON jobs (created_at, id);
CREATE INDEX jobs_kind ON jobs (kind, created_at, id);
