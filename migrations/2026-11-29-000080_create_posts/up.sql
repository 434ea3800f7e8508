-- What users write.
CREATE TABLE posts (
    id            uuid PRIMARY KEY,
    author_id     uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    slug          text NOT NULL UNIQUE,
    title         text NOT NULL,
    -- Markdown, and what is made of it: harmless HTML, and the beginning as plain text.
    body          text NOT NULL,
    html          text NOT NULL,
    excerpt       text NOT NULL,
    tags          text[] NOT NULL,
    -- What the author wants. Beside it staff may hide a post, and the author delete it: each is taken back by itself.
    stage         text NOT NULL CHECK (stage IN ('draft', 'scheduled', 'published')),
    -- When it was published, or is to be.
    published_at  timestamptz CHECK ((stage = 'draft') = (published_at IS NULL)),
    hidden_at     timestamptz,
    hidden_reason text CHECK ((hidden_reason IS NULL) = (hidden_at IS NULL)),
    deleted_at    timestamptz,
    -- What comes of all that: only what is 'published' is for everybody.
    state         text NOT NULL GENERATED ALWAYS AS (CASE
                      WHEN deleted_at IS NOT NULL THEN 'deleted'
                      WHEN hidden_at IS NOT NULL THEN 'hidden'
                      ELSE stage
                  END) STORED,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
);

CREATE INDEX posts_feed ON posts (published_at, id) WHERE state = 'published';
CREATE INDEX posts_feed_of_author ON posts (author_id, published_at, id) WHERE state = 'published';
CREATE INDEX posts_tags ON posts USING gin (tags);
CREATE INDEX posts_of_author ON posts (author_id, created_at, id);
CREATE INDEX posts_of_author_in_state ON posts (author_id, state, created_at, id);
CREATE INDEX posts_deleted_at ON posts (deleted_at) WHERE deleted_at IS NOT NULL;
