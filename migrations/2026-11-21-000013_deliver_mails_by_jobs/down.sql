ALTER TABLE mails ADD COLUMN next_attempt_at timestamptz;
UPDATE mails SET next_attempt_at = updated_at;
ALTER TABLE mails ALTER COLUMN next_attempt_at SET NOT NULL;
CREATE INDEX mails_pending ON mails (next_attempt_at, id) WHERE state = 'pending';
