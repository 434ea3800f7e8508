DROP TABLE post_reports;
DROP INDEX posts_not_published, posts_published_at, posts_updated_at, posts_created_at;
ALTER TABLE posts DROP COLUMN search;
DROP FUNCTION search_prefixes(text);
DROP FUNCTION search_words(text);
