DROP INDEX files_purpose;
