-- A row for each post that a statement changes the counts of, not for each like: with a post go as many as it has.
DROP TRIGGER note_count ON post_likes;
DROP TRIGGER note_count ON post_comments;
DROP FUNCTION note_post_count();

CREATE FUNCTION note_post_counts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    one bigint := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
    is_like boolean := TG_TABLE_NAME = 'post_likes';
BEGIN
    INSERT INTO post_count_changes (post_id, likes, comments, created_at, updated_at)
        SELECT post_id,
               CASE WHEN is_like THEN one * count(*) ELSE 0 END,
               CASE WHEN is_like THEN 0 ELSE one * count(*) END,
               max(updated_at), max(updated_at)
        FROM changed GROUP BY post_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER note_made AFTER INSERT ON post_likes REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_post_counts();
CREATE TRIGGER note_gone AFTER DELETE ON post_likes REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_post_counts();
CREATE TRIGGER note_made AFTER INSERT ON post_comments REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_post_counts();
CREATE TRIGGER note_gone AFTER DELETE ON post_comments REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION note_post_counts();
