-- What a user may fill with files, and how much of it is taken: counted here, so that of two uploads at once only those
-- that fit find a place.
CREATE TABLE file_spaces (
    user_id    uuid PRIMARY KEY REFERENCES users,
    -- Where the user's uploads arrive in the storage; random, so that no key of an object names anybody.
    folder     uuid NOT NULL UNIQUE,
    files      bigint NOT NULL CHECK (files >= 0),
    bytes      bigint NOT NULL CHECK (bytes >= 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- Files of users. Their bytes are objects in the storage, which somebody has to delete: so nothing cascades here.
CREATE TABLE files (
    id           uuid PRIMARY KEY,
    owner_id     uuid NOT NULL REFERENCES users,
    purpose      text NOT NULL CHECK (purpose IN ('avatar', 'post_cover', 'attachment')),
    -- What its owner calls it. No key of an object is made of it.
    name         text NOT NULL,
    content_type text NOT NULL,
    size         bigint NOT NULL CHECK (size > 0),
    sha256       bytea CHECK (length(sha256) = 32),
    state        text NOT NULL CHECK (state IN ('pending', 'processing', 'ready', 'failed')),
    -- The object that the upload makes, as long as it is pending.
    upload_key   text NOT NULL,
    -- The object of the file, which only the server writes.
    key          text UNIQUE,
    -- When it is given up, while it is pending.
    expires_at   timestamptz,
    completed_at timestamptz,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    CHECK ((state = 'pending') = (expires_at IS NOT NULL)),
    CHECK ((state = 'pending') = (key IS NULL))
);

CREATE INDEX files_owned ON files (owner_id, created_at, id);
CREATE INDEX files_expiring ON files (expires_at) WHERE expires_at IS NOT NULL;

-- Objects that nothing names any more: those whose keys begin so are deleted.
CREATE TABLE doomed_objects (
    prefix     text PRIMARY KEY,
    -- Not before then: until an upload that is allowed to has made it.
    due_at     timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE INDEX doomed_objects_due_at ON doomed_objects (due_at);
