-- A ready file of the author's that is shown with a post.
ALTER TABLE posts ADD COLUMN cover_id uuid REFERENCES files ON DELETE SET NULL;
CREATE INDEX posts_cover_id ON posts (cover_id) WHERE cover_id IS NOT NULL;

-- Ready files of the author's that come with a post.
CREATE TABLE post_attachments (
    post_id    uuid NOT NULL REFERENCES posts ON DELETE CASCADE,
    file_id    uuid NOT NULL REFERENCES files ON DELETE CASCADE,
    -- The order in which the author has them.
    position   integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (post_id, file_id)
);
CREATE INDEX post_attachments_file_id ON post_attachments (file_id);
