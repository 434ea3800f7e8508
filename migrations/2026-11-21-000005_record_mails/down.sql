DROP TABLE mail_pace;
DROP TRIGGER mails_erase_html ON mails;
DROP FUNCTION erase_html_with_body();
DROP INDEX mails_created;

ALTER TABLE mails
    DROP COLUMN template,
    DROP COLUMN locale,
    DROP COLUMN html,
    DROP COLUMN template_values,
    DROP COLUMN requested_by,
    DROP COLUMN requested_by_id,
    DROP COLUMN request_id,
    DROP COLUMN resend_of,
    DROP COLUMN transport,
    DROP COLUMN provider_id,
    DROP COLUMN sent_at;
