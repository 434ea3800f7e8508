DROP INDEX words_updated_at;
