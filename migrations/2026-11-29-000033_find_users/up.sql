-- Parts of texts are found by an index over all their parts of up to three characters (db/search.rs); pg_trgm would do
-- the same, for three, and is not part of every server.
CREATE FUNCTION search_grams(document text) RETURNS text[]
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT array_agg(DISTINCT substr(folded, at, size))
    FROM (SELECT lower(document) AS folded) AS text,
         generate_series(1, 3) AS size,
         generate_series(1, length(folded) - size + 1) AS at
$$;

-- Those that a text has if it contains `wanted`.
CREATE FUNCTION search_terms(wanted text) RETURNS text[]
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT array_agg(DISTINCT substr(folded, at, size))
    FROM (SELECT lower(wanted) AS folded) AS text,
         least(3, length(folded)) AS size,
         generate_series(1, length(folded) - size + 1) AS at
$$;

CREATE INDEX users_search ON users USING gin (search_grams(email || ' ' || coalesce(name, '')));

-- Kept by a trigger, so that a list can be narrowed by it.
ALTER TABLE users ADD COLUMN has_second_factor boolean NOT NULL DEFAULT false;
UPDATE users SET has_second_factor = true
    FROM user_totp WHERE user_totp.user_id = users.id AND confirmed_at IS NOT NULL;

CREATE FUNCTION note_second_factor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE users
        SET has_second_factor = EXISTS (
            SELECT FROM user_totp WHERE user_id = users.id AND confirmed_at IS NOT NULL)
        WHERE id = coalesce(NEW.user_id, OLD.user_id);
    RETURN NULL;
END
$$;

CREATE TRIGGER note_confirmed AFTER UPDATE OF confirmed_at ON user_totp FOR EACH ROW
    WHEN (OLD.confirmed_at IS DISTINCT FROM NEW.confirmed_at)
    EXECUTE FUNCTION note_second_factor();
CREATE TRIGGER note_deleted AFTER DELETE ON user_totp FOR EACH ROW
    WHEN (OLD.confirmed_at IS NOT NULL)
    EXECUTE FUNCTION note_second_factor();

-- One for each column that a list can be sorted by.
CREATE INDEX users_name ON users (name NULLS FIRST, id);
CREATE INDEX users_last_login_at ON users (last_login_at NULLS FIRST, id);
-- And for those of whom there are few.
CREATE INDEX users_not_active ON users (status, created_at, id) WHERE status <> 'active';
CREATE INDEX users_unverified ON users (created_at, id) WHERE email_verified_at IS NULL;
CREATE INDEX users_with_second_factor ON users (created_at, id) WHERE has_second_factor;
