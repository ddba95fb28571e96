-- Types without a form of their own, as the bytes of their text: composites, multiranges, ranges that users define, arrays of them.
-- ### schemas
CREATE TYPE pair AS (a int, b text);
CREATE TYPE outer_pair AS (p pair, ns int[], at timestamptz);
CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE DOMAIN small_pair AS pair CHECK ((VALUE).a > 0);
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE TABLE t (id int PRIMARY KEY, p pair, ps pair[], o outer_pair, m int4multirange, ms int4multirange[], tm tstzmultirange, r floatrange, rs floatrange[], fm floatmultirange, d small_pair, ds posint[], nn pair NOT NULL DEFAULT '(7,"a b")', vec int2vector, lq tsquery[], lsn pg_lsn[], v text);
ALTER TABLE t REPLICA IDENTITY FULL;
INSERT INTO t VALUES (1, '(1,x)', ARRAY['(1,"x, y")'::pair, NULL], ROW('(1,"q""r")'::pair, '{1,2}', '2024-01-02 03:04:05+00'), '{[1,5),[7,9)}', ARRAY['{[1,5)}'::int4multirange], '{[2024-01-01 00:00+00,2024-01-02 00:00+00)}', '[1.5,2.5]', ARRAY['[1.5,2.5]'::floatrange], '{[1.5,2.5]}', '(3,z)', '{1,2}', '(8,ü)', '1 2', '{a & b}', '{16/B}', 'v');
INSERT INTO t (id, v) VALUES (2, 'nulls');
-- ### connector create
-- ### step insert
INSERT INTO t SELECT id + 10, p, ps, o, m, ms, tm, r, rs, fm, d, ds, nn, vec, lq, lsn, v FROM t ORDER BY id;
-- ### step update
UPDATE t SET v = 'w' WHERE id > 10;
-- ### step delete
DELETE FROM t WHERE id > 10;
