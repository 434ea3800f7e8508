-- Posts are numbered as they are published, so that a search goes from the latest of them back, a slot of numbers after
-- the other, until it has found enough: of a frequent word the first slots tell all that is asked for.
CREATE SEQUENCE post_numbers;
ALTER TABLE posts ADD COLUMN number bigint;
UPDATE posts SET number = numbered.number
FROM (SELECT id, row_number() OVER (ORDER BY published_at, id) AS number FROM posts WHERE stage = 'published') AS numbered
WHERE posts.id = numbered.id;
SELECT setval('post_numbers', greatest(max(number), 1)) FROM posts;

CREATE FUNCTION number_post() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR OLD.stage <> 'published' THEN
        NEW.number := nextval('post_numbers');
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER number BEFORE INSERT OR UPDATE OF stage ON posts FOR EACH ROW
    WHEN (NEW.stage = 'published') EXECUTE FUNCTION number_post();

-- The two slots that a number is in: one of 1,024 numbers, which is even, and one of 65,536, which is odd.
CREATE FUNCTION post_slots(number bigint) RETURNS integer[]
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT ARRAY[(number >> 10)::integer * 2, (number >> 16)::integer * 2 + 1]
$$;

-- Slots of all numbers up to the last one, in turn: small ones for the latest 65,536 at least, then large ones.
CREATE FUNCTION search_slots(last bigint) RETURNS TABLE (turn bigint, slot integer)
    IMMUTABLE STRICT PARALLEL SAFE ROWS 250 LANGUAGE sql AS $$
    SELECT row_number() OVER (), slot
    FROM greatest((last >> 16)::integer - 1, 0) AS large, LATERAL (
        SELECT small * 2 FROM generate_series((last >> 10)::integer, large * 64, -1) AS small
        UNION ALL
        SELECT below * 2 + 1 FROM generate_series(large - 1, 0, -1) AS below
    ) AS slots (slot)
$$;

-- A search goes to its slot first. It would read all of a list of what is pending, slot by slot: so there is none.
DROP INDEX posts_search;
CREATE INDEX posts_search ON posts USING gin (post_slots(number), search) WITH (fastupdate = off);

-- The words of published posts, and in how many they are, about: a post that changes counts again. The beginning of a
-- word stands for those of most posts.
CREATE TABLE words (
    name       text PRIMARY KEY,
    post_count bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX words_name ON words (name text_pattern_ops);
CREATE INDEX words_post_count ON words (post_count DESC, name);
INSERT INTO words (name, post_count, created_at, updated_at)
SELECT word, ndoc, '1970-01-01Z', '1970-01-01Z' FROM ts_stat('SELECT search FROM posts WHERE state = ''published''');

-- Posts whose words a job counts.
CREATE TABLE word_count_changes (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    post_id    uuid NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE FUNCTION note_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR OLD.state <> 'published' OR OLD.search <> NEW.search THEN
        INSERT INTO word_count_changes (post_id, created_at, updated_at)
            VALUES (NEW.id, NEW.updated_at, NEW.updated_at);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER note_words AFTER INSERT OR UPDATE OF title, body, stage, hidden_at, deleted_at ON posts FOR EACH ROW
    WHEN (NEW.state = 'published') EXECUTE FUNCTION note_words();

-- The words of a text, as posts have them.
CREATE FUNCTION words_of(wanted text) RETURNS text[]
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT coalesce(array_agg(word ORDER BY place), '{}')
    FROM ts_parse('default', search_words(wanted)) WITH ORDINALITY AS parts (kind, part, place),
         unnest(ts_lexize('simple', part)) AS word
    -- No blanks.
    WHERE kind <> 12
$$;

-- For LIKE: what begins as the last word of a text, of which nothing is special.
CREATE FUNCTION beginning_of(wanted text) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT all_words[cardinality(all_words)] || '%' FROM words_of(wanted) AS all_words
$$;

-- What has all words of a text, instead of the last of them also one of others. NULL, which nothing has, without a word.
CREATE FUNCTION search_query(wanted text, others text[]) RETURNS tsquery
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT concat_ws(' & ',
               (SELECT string_agg(quote_literal(word), ' & ') FROM unnest(all_words[:count - 1]) AS word),
               (SELECT '(' || string_agg(DISTINCT quote_literal(word), ' | ') || ')'
                FROM unnest(all_words[count] || others) AS word))::tsquery
    FROM words_of(wanted) AS all_words, cardinality(all_words) AS count
    WHERE count > 0
$$;
