CREATE TABLE t (id int PRIMARY KEY, n int, b bytea, bn bytea, ba bytea[], t text);
ALTER TABLE t ALTER b SET STORAGE EXTERNAL, ALTER bn SET STORAGE EXTERNAL, ALTER ba SET STORAGE EXTERNAL, ALTER t SET STORAGE EXTERNAL;
-- ### connector create
-- ### step a
INSERT INTO t SELECT 1, 1, convert_to(s, 'UTF8'), convert_to(s, 'UTF8'), ARRAY[convert_to(s, 'UTF8')], s FROM (SELECT repeat('x', 9000) s) q;
-- ### step b
UPDATE t SET n = 2;
