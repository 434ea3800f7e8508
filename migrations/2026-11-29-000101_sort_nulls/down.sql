DROP INDEX mails_recipient, mails_sent_at, users_name, users_last_login_at, posts_published_at;
CREATE INDEX users_name ON users (name NULLS FIRST, id);
CREATE INDEX users_last_login_at ON users (last_login_at NULLS FIRST, id);
CREATE INDEX posts_published_at ON posts (published_at NULLS FIRST, id);
