-- Each job has three row versions, each in every index. Identifiers sort by time of creation as well, and
-- whoever looks for a kind also has its rows counted, which no index makes cheap.
DROP INDEX jobs_created;
DROP INDEX jobs_kind;
