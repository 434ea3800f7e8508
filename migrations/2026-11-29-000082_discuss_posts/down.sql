DROP TRIGGER note_changed ON posts;
DROP TRIGGER note_made ON posts;
DROP FUNCTION note_tag_counts();
DROP TABLE post_likes, post_comments, post_revisions, tags, post_count_changes, tag_count_changes;
DROP FUNCTION note_post_count();
ALTER TABLE posts DROP COLUMN like_count, DROP COLUMN comment_count, RESET (fillfactor);
