DROP TABLE invitation_roles;
DROP TABLE invitations;
DROP TRIGGER tell_ended ON admins;
DROP INDEX admins_listed;
ALTER TABLE admins DROP COLUMN status, DROP COLUMN status_changed_at;
