DROP TABLE doomed_objects;
DROP TABLE files;
DROP TABLE file_spaces;
