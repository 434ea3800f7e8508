-- Who likes what.
CREATE TABLE post_likes (
    post_id    uuid NOT NULL REFERENCES posts ON DELETE CASCADE,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (post_id, user_id)
);
CREATE INDEX post_likes_user_id ON post_likes (user_id);

-- What users say to posts: Markdown, and the harmless HTML that is made of it.
CREATE TABLE post_comments (
    id         uuid PRIMARY KEY,
    post_id    uuid NOT NULL REFERENCES posts ON DELETE CASCADE,
    author_id  uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    body       text NOT NULL,
    html       text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX post_comments_post_id ON post_comments (post_id, created_at, id);
CREATE INDEX post_comments_author_id ON post_comments (author_id);

-- What a post was before it was changed.
CREATE TABLE post_revisions (
    id         uuid PRIMARY KEY,
    post_id    uuid NOT NULL REFERENCES posts ON DELETE CASCADE,
    title      text NOT NULL,
    body       text NOT NULL,
    tags       text[] NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX post_revisions_post_id ON post_revisions (post_id, created_at, id);

-- The words that published posts are found by.
CREATE TABLE tags (
    name       text PRIMARY KEY,
    post_count bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX tags_name ON tags (name text_pattern_ops);
CREATE INDEX tags_post_count ON tags (post_count DESC, name);

-- Counts that many change at once: each change is a row, and a job adds them up. So nobody waits for anybody.
ALTER TABLE posts
    ADD COLUMN like_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN comment_count bigint NOT NULL DEFAULT 0,
    -- Room for the counts to change in place.
    SET (fillfactor = 90);

CREATE TABLE post_count_changes (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    post_id    uuid NOT NULL,
    likes      bigint NOT NULL DEFAULT 0,
    comments   bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX post_count_changes_post_id ON post_count_changes (post_id);

CREATE TABLE tag_count_changes (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name       text NOT NULL,
    posts      bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

-- Whoever likes, says and deletes, also by deleting an account.
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

CREATE FUNCTION note_tag_counts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.state = 'published' THEN
        INSERT INTO tag_count_changes (name, posts, created_at, updated_at)
            SELECT name, -1, OLD.updated_at, OLD.updated_at FROM unnest(OLD.tags) AS name;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.state = 'published' THEN
        INSERT INTO tag_count_changes (name, posts, created_at, updated_at)
            SELECT name, 1, NEW.updated_at, NEW.updated_at FROM unnest(NEW.tags) AS name;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER note_made AFTER INSERT OR DELETE ON posts
    FOR EACH ROW EXECUTE FUNCTION note_tag_counts();
CREATE TRIGGER note_changed AFTER UPDATE ON posts FOR EACH ROW
    WHEN (OLD.state <> NEW.state OR OLD.tags <> NEW.tags)
    EXECUTE FUNCTION note_tag_counts();

INSERT INTO tag_count_changes (name, posts, created_at, updated_at)
    SELECT name, 1, updated_at, updated_at FROM posts, unnest(tags) AS name WHERE state = 'published';
