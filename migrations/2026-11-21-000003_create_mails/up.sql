-- Mail to send: written in the transaction that asks for it, handed over afterwards.
CREATE TABLE mails (
    id              uuid PRIMARY KEY,
    recipient       text NOT NULL,
    subject         text NOT NULL,
    -- Holds codes and links, so it is erased once the mail is sent or given up.
    body            text,
    state           text NOT NULL CHECK (state IN ('pending', 'sent', 'failed')),
    attempts        integer NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    last_error      text,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);

CREATE INDEX mails_pending ON mails (next_attempt_at, id) WHERE state = 'pending';
