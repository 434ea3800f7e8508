CREATE OR REPLACE FUNCTION search_grams(document text) RETURNS text[]
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE sql AS $$
    SELECT array_agg(DISTINCT substr(folded, at, size))
    FROM (SELECT lower(document) AS folded) AS text,
         generate_series(1, 3) AS size,
         generate_series(1, length(folded) - size + 1) AS at
$$;
