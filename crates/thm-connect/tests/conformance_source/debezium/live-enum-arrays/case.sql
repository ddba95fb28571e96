-- ### schemas
CREATE TYPE mood AS ENUM ('sad', 'very sad');
CREATE TABLE t (id int PRIMARY KEY, e mood, es mood[], ms mood[] NOT NULL DEFAULT '{sad}');
ALTER TABLE t REPLICA IDENTITY FULL;
INSERT INTO t VALUES (1, 'sad', '{sad,NULL}', '{sad}'), (2, NULL, NULL, '{sad,sad}'), (3, 'sad', '{}', '{}');
-- ### connector create
-- ### step more
INSERT INTO t SELECT id + 10, e, es, ms FROM t ORDER BY id;
DELETE FROM t WHERE id > 10;
