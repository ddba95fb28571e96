CREATE TABLE t (id int, code text, v text, PRIMARY KEY (id, code));
INSERT INTO t VALUES (1, 'a', 'x');
-- ### connector create
-- ### step more
INSERT INTO t VALUES (2, 'b', 'y');
UPDATE t SET v = 'z' WHERE id = 2;
DELETE FROM t WHERE id = 2;
