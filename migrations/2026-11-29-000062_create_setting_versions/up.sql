-- What staff set while the program runs: each change is a version, and the newest one counts.
CREATE TABLE setting_versions (
    id         uuid PRIMARY KEY,
    name       text NOT NULL CHECK (name IN ('release', 'maintenance')),
    version    integer NOT NULL CHECK (version > 0),
    value      jsonb NOT NULL,
    -- The admin; none at the command line.
    changed_by uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (name, version)
);
CREATE INDEX setting_versions_history ON setting_versions (name, created_at, id);

-- Processes keep what counts (services/live_settings.rs): they are told of a change when it commits.
CREATE FUNCTION tell_changed_setting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('twofold_settings', NEW.name);
    RETURN NULL;
END
$$;
CREATE TRIGGER tell_changed AFTER INSERT ON setting_versions
    FOR EACH ROW EXECUTE FUNCTION tell_changed_setting();
