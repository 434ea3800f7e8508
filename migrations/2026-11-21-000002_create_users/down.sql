DROP TABLE user_one_time_codes;
DROP TABLE user_sessions;
DROP TABLE users;
