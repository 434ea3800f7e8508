UPDATE admins SET is_super_admin = EXISTS (
    SELECT FROM admin_roles JOIN roles ON roles.id = admin_roles.role_id
    WHERE admin_roles.admin_id = admins.id AND roles.name = 'super-admin'
);
ALTER TABLE admins ALTER COLUMN is_super_admin DROP DEFAULT;
DROP TABLE admin_roles;
DROP TABLE roles;
DROP FUNCTION tell_changed_roles;
