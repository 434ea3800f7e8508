-- Requests that came with an Idempotency-Key, and what was answered, for a day.
CREATE TABLE idempotency_keys (
    -- Of the caller and the key, hashed under a key of the realm.
    key_hash     bytea PRIMARY KEY,
    -- Of the request, hashed likewise, for bodies hold passwords.
    fingerprint  bytea NOT NULL,
    -- The request that works on it. Another may take over at the end of the lease.
    claim_id     uuid NOT NULL,
    leased_until timestamptz NOT NULL,
    -- As JSON; written by the transaction that has the effect.
    answer       text,
    expires_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL
);

CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);
