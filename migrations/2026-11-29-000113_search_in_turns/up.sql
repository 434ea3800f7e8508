-- How a search goes back depends on how frequent its words are: what many posts have is found in the latest slot, and what
-- few have without any slots.
DROP INDEX posts_search;
DROP FUNCTION search_slots;

-- The slots that a number is in, of four sizes: of 2^10 numbers, 2^13, 2^16 and 2^19. What is left of a slot that is divided
-- by four is its size, from 0.
CREATE OR REPLACE FUNCTION post_slots(number bigint) RETURNS integer[]
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT ARRAY[(number >> 10)::integer * 4, (number >> 13)::integer * 4 + 1,
                 (number >> 16)::integer * 4 + 2, (number >> 19)::integer * 4 + 3]
$$;
CREATE INDEX posts_search ON posts USING gin (post_slots(number), search) WITH (fastupdate = off);

-- The last slot, without what divides it by four, of those of a size that are looked at from `top` back: of each size but
-- the largest eight to sixteen, for the next larger ones go on from there; of that all, or two where the rest has no slots.
CREATE FUNCTION last_slot(size integer, top integer, are_few boolean) RETURNS integer
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT CASE WHEN size < 3 THEN greatest((top >> 3) - 1, 0) * 8 WHEN are_few THEN greatest(top - 1, 0) ELSE 0 END
$$;

-- In which turns a search for all words of a text, instead of the last of them also for one of others, looks at the numbers
-- up to the last one: at a slot each, and in the end without one at all that are before a number. How many posts have each
-- word tells how many have all, most likely and at most. The first slots are as large as it takes to find 200, unless 5,000
-- might have to be read of one. Those that few posts have are not looked for in slots any longer, once the latest million
-- has told that words are not had together more often than that.
CREATE FUNCTION search_turns(wanted text, others text[], last bigint) RETURNS TABLE (turn bigint, slot integer, before bigint)
    STABLE STRICT PARALLEL SAFE ROWS 20 LANGUAGE sql AS $$
    WITH RECURSIVE shares (share) AS (
        SELECT greatest(least(coalesce(sum(post_count), 0)::float8 / last, 1), 1e-9)
        FROM words_of(wanted) AS all_words, cardinality(all_words) AS count, generate_series(1, count) AS place,
             LATERAL unnest(CASE WHEN place = count THEN others ELSE '{}' END || all_words[place]) AS one (name)
             LEFT JOIN words USING (name)
        GROUP BY place
    ), estimate (most, likely) AS (
        SELECT coalesce(min(share), 0), coalesce(exp(sum(ln(share))), 0) FROM shares
    ), start (size, are_few) AS (
        SELECT least(coalesce(min(size) FILTER (WHERE likely * (1024 << (3 * size)) >= 200), 3),
                     coalesce(max(size) FILTER (WHERE most * (1024 << (3 * size)) <= 5000), 0)),
               bool_and(likely * last <= 1000 AND most * last <= 60000)
        FROM estimate, generate_series(0, 3) AS size
    ), sizes (size, are_few, top, bottom) AS (
        SELECT size, are_few, top, last_slot(size, top, are_few)
        FROM start, LATERAL (SELECT (last >> (10 + 3 * size))::integer) AS latest (top)
        UNION ALL
        SELECT size + 1, are_few, top, last_slot(size + 1, top, are_few)
        FROM (SELECT size, are_few, (bottom >> 3) - 1 FROM sizes WHERE size < 3) AS behind (size, are_few, top)
    )
    SELECT row_number() OVER (ORDER BY size, number DESC), number * 4 + size, NULL
    FROM sizes, generate_series(top, bottom, -1) AS number
    UNION ALL
    SELECT 1000, NULL, bottom::bigint << 19 FROM sizes WHERE size = 3 AND bottom > 0
$$;
