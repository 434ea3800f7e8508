-- What users are told within the apps.
CREATE TABLE notifications (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    -- What has happened; the apps have the words for it.
    kind       text NOT NULL,
    data       jsonb NOT NULL,
    read_at    timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX notifications_user_id ON notifications (user_id, created_at, id);
