DROP TRIGGER note_made ON post_likes;
DROP TRIGGER note_gone ON post_likes;
DROP TRIGGER note_made ON post_comments;
DROP TRIGGER note_gone ON post_comments;
DROP FUNCTION note_post_counts();

CREATE FUNCTION note_post_count() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    one record := coalesce(NEW, OLD);
    change bigint := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    IF TG_TABLE_NAME = 'post_likes' THEN
        INSERT INTO post_count_changes (post_id, likes, created_at, updated_at)
            VALUES (one.post_id, change, one.updated_at, one.updated_at);
    ELSE
        INSERT INTO post_count_changes (post_id, comments, created_at, updated_at)
            VALUES (one.post_id, change, one.updated_at, one.updated_at);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER note_count AFTER INSERT OR DELETE ON post_likes
    FOR EACH ROW EXECUTE FUNCTION note_post_count();
CREATE TRIGGER note_count AFTER INSERT OR DELETE ON post_comments
    FOR EACH ROW EXECUTE FUNCTION note_post_count();
