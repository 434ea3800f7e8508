-- Text as words: whatever of ASCII isn't a letter or a digit divides them. What a parser would take for one thing, such
-- as an address, is found by its parts, too.
CREATE FUNCTION search_words(document text) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT regexp_replace(document, '[\u0001-/:-@\[-`{-\u007f]+', ' ', 'g')
$$;

-- What has all these words, the last of which may be the beginning of one. NULL, which nothing has, without a word.
CREATE FUNCTION search_prefixes(wanted text) RETURNS tsquery
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT to_tsquery('simple', string_agg('''' || word || '''', ' & ') || ':*')
    FROM regexp_split_to_table(search_words(wanted), ' ') AS word
    WHERE word <> ''
$$;

-- Words as they are, for there are posts in many languages; those of the title count for more.
ALTER TABLE posts ADD COLUMN search tsvector NOT NULL GENERATED ALWAYS AS (
    setweight(to_tsvector('simple', search_words(title)), 'A') ||
    setweight(to_tsvector('simple', search_words(body)), 'D')) STORED;
CREATE INDEX posts_search ON posts USING gin (search);

-- One for each column by which staff sort, and for those of which there are few.
CREATE INDEX posts_created_at ON posts (created_at, id);
CREATE INDEX posts_updated_at ON posts (updated_at, id);
CREATE INDEX posts_published_at ON posts (published_at NULLS FIRST, id);
CREATE INDEX posts_not_published ON posts (state, created_at, id) WHERE state <> 'published';

-- What users hold against posts, until staff have looked at it.
CREATE TABLE post_reports (
    id          uuid PRIMARY KEY,
    post_id     uuid NOT NULL REFERENCES posts ON DELETE CASCADE,
    reporter_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    reason      text NOT NULL CHECK (reason IN ('spam', 'abuse', 'illegal', 'other')),
    comment     text,
    state       text NOT NULL CHECK (state IN ('open', 'resolved', 'dismissed')),
    -- The admin; none when the account is no more.
    decided_by  uuid REFERENCES admins ON DELETE SET NULL,
    decided_at  timestamptz CHECK ((state = 'open') = (decided_at IS NULL)),
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);
CREATE UNIQUE INDEX post_reports_open ON post_reports (post_id, reporter_id) WHERE state = 'open';
CREATE INDEX post_reports_listed ON post_reports (state, created_at, id);
CREATE INDEX post_reports_created_at ON post_reports (created_at, id);
CREATE INDEX post_reports_post_id ON post_reports (post_id);
CREATE INDEX post_reports_reporter_id ON post_reports (reporter_id);
CREATE INDEX post_reports_decided_by ON post_reports (decided_by);
