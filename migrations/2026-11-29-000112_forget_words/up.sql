-- Words that have not been looked at for long: those that no post has any more are forgotten.
CREATE INDEX words_updated_at ON words (updated_at, name);
