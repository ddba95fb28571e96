CREATE TABLE t (id int PRIMARY KEY, a numeric(9,2), b numeric, c text, d bytea, e timestamptz, f int[], g date);
ALTER TABLE t REPLICA IDENTITY FULL;
INSERT INTO t VALUES (1, 1.50, 2.25, 'x', '\x01ff', '2024-01-02 03:04:05.5+00', '{1,NULL}', '2024-01-02'); INSERT INTO t (id) VALUES (2);
-- ### connector create
-- ### step more
INSERT INTO t VALUES (11, -1.50, 1e10, 'ü', '', 'infinity', '{}', 'infinity'); INSERT INTO t (id) VALUES (12);
UPDATE t SET c = 'y' WHERE id = 11;
DELETE FROM t WHERE id = 11;
