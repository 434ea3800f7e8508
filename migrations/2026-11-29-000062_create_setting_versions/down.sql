DROP TABLE setting_versions;
DROP FUNCTION tell_changed_setting;
