-- Lists take NULL for the lowest value, so that what is behind a row is one range of an index, whichever way it goes.
DROP INDEX users_name, users_last_login_at, posts_published_at;
CREATE INDEX users_name ON users (coalesce(name, ''), id);
CREATE INDEX users_last_login_at ON users (coalesce(last_login_at, '-infinity'), id);
CREATE INDEX posts_published_at ON posts (coalesce(published_at, '-infinity'), id);

-- There may be as many mails as users.
CREATE INDEX mails_sent_at ON mails (coalesce(sent_at, '-infinity'), id);
CREATE INDEX mails_recipient ON mails (recipient, id);
