DROP TABLE job_schedules;
DROP TABLE job_queues;
DROP TABLE job_workers;
DROP TABLE job_attempts;
DROP TABLE jobs;
