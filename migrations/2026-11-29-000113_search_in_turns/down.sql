DROP FUNCTION search_turns, last_slot;
DROP INDEX posts_search;

-- The two slots that a number is in: one of 1,024 numbers, which is even, and one of 65,536, which is odd.
CREATE OR REPLACE FUNCTION post_slots(number bigint) RETURNS integer[]
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

CREATE INDEX posts_search ON posts USING gin (post_slots(number), search) WITH (fastupdate = off);
