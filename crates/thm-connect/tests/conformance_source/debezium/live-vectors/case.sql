-- ### schemas

CREATE TABLE t (id int PRIMARY KEY, i int2vector, o oidvector, a int2vector[]);
ALTER TABLE t REPLICA IDENTITY FULL;
INSERT INTO t VALUES (1, '1 2', '3 4', NULL), (2, NULL, NULL, NULL);
-- ### connector create
-- ### step more
INSERT INTO t SELECT id + 10, i, o, a FROM t ORDER BY id;
DELETE FROM t WHERE id > 10;
