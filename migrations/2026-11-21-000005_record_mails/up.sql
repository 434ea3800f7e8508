-- What each mail is, who asked for it and what became of it. Rows of before, and those that the version before
-- still writes, have none of it.
ALTER TABLE mails
    ADD COLUMN template        text,
    ADD COLUMN locale          text,
    -- Holds what the body holds.
    ADD COLUMN html            text,
    -- To write the mail again; none for a template that holds a secret.
    ADD COLUMN template_values jsonb,
    ADD COLUMN requested_by    text CHECK (requested_by IN ('anonymous', 'user', 'admin', 'system')),
    ADD COLUMN requested_by_id uuid,
    ADD COLUMN request_id      text,
    ADD COLUMN resend_of       uuid REFERENCES mails (id) ON DELETE SET NULL,
    ADD COLUMN transport       text,
    ADD COLUMN provider_id     text,
    ADD COLUMN sent_at         timestamptz;

CREATE INDEX mails_created ON mails (created_at, id);
CREATE INDEX mails_resend_of ON mails (resend_of) WHERE resend_of IS NOT NULL;

-- The version before erases the body alone when it has sent a mail.
CREATE FUNCTION erase_html_with_body() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.html := NULL;
    RETURN NEW;
END $$;

CREATE TRIGGER mails_erase_html BEFORE UPDATE OF body ON mails
    FOR EACH ROW WHEN (NEW.body IS NULL) EXECUTE FUNCTION erase_html_with_body();

-- When the next mail may go, over all processes; one row.
CREATE TABLE mail_pace (
    only_row   boolean PRIMARY KEY CHECK (only_row),
    next_at    timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
