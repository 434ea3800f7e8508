DROP TABLE user_activity, tallies;
