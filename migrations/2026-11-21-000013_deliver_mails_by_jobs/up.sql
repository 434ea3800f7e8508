-- When a mail is tried again is a matter of its job.
DROP INDEX mails_pending;
ALTER TABLE mails DROP COLUMN next_attempt_at;
