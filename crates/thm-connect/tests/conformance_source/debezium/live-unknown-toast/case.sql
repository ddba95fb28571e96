CREATE TYPE pair AS (a int, b text);
CREATE TABLE t (id int PRIMARY KEY, p pair, m text[], mr int4multirange, v text);
ALTER TABLE t ALTER p SET STORAGE EXTERNAL, ALTER mr SET STORAGE EXTERNAL;
-- ### connector create
-- ### step more
INSERT INTO t VALUES (1, ROW(1, repeat('abc', 3000)), NULL, (SELECT range_agg(int4range(i*3, i*3+1)) FROM generate_series(1, 500) i), 'a');
UPDATE t SET v = 'b';
