CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree;
CREATE TYPE mood AS ENUM ('sad', 'very sad');
CREATE TABLE t (id int PRIMARY KEY, n int, t text, v varchar, b bytea, j json, jb jsonb, x xml, ta text[], va varchar[], ia int[], la bigint[], ba bytea[], ua uuid[], da date[], tsa timestamp[], tza timestamptz[], na numeric[], fa float8[], boa bool[], ja jsonb[], ma mood[], h hstore, c citext, bi varbit, num numeric, ca citext[], ra int4range, tv tsvector);
ALTER TABLE t ALTER t SET STORAGE EXTERNAL, ALTER v SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL, ALTER j SET STORAGE EXTERNAL, ALTER jb SET STORAGE EXTERNAL, ALTER x SET STORAGE EXTERNAL,
 ALTER ta SET STORAGE EXTERNAL, ALTER va SET STORAGE EXTERNAL, ALTER ia SET STORAGE EXTERNAL, ALTER la SET STORAGE EXTERNAL, ALTER ba SET STORAGE EXTERNAL, ALTER ua SET STORAGE EXTERNAL, ALTER da SET STORAGE EXTERNAL,
 ALTER tsa SET STORAGE EXTERNAL, ALTER tza SET STORAGE EXTERNAL, ALTER na SET STORAGE EXTERNAL, ALTER fa SET STORAGE EXTERNAL, ALTER boa SET STORAGE EXTERNAL, ALTER ja SET STORAGE EXTERNAL, ALTER ma SET STORAGE EXTERNAL,
 ALTER h SET STORAGE EXTERNAL, ALTER c SET STORAGE EXTERNAL, ALTER bi SET STORAGE EXTERNAL, ALTER num SET STORAGE EXTERNAL, ALTER ca SET STORAGE EXTERNAL, ALTER tv SET STORAGE EXTERNAL;
-- ### connector create
-- ### step a
INSERT INTO t SELECT 1, 1, s, s, convert_to(s, 'UTF8'), to_json(s), to_jsonb(s), ('<a>' || s || '</a>')::xml, ARRAY[s], ARRAY[s], i, i::bigint[], ARRAY[convert_to(s, 'UTF8')], u, d, d::timestamp[], d::timestamptz[], i::numeric[], i::float8[], b, ARRAY[to_jsonb(s)], m, hstore('a', s), s, repeat('10', 20000)::varbit, repeat('7', 20000)::numeric, ARRAY[s::citext], NULL, to_tsvector('simple', (SELECT string_agg('w' || n, ' ') FROM generate_series(1, 2000) n))
 FROM (SELECT repeat('x', 9000) s, (SELECT array_agg(n) FROM generate_series(1, 3000) n) i, (SELECT array_agg('00112233-4455-6677-8899-aabbccddeeff'::uuid) FROM generate_series(1, 700)) u,
  (SELECT array_agg('2020-01-01'::date + n) FROM generate_series(1, 3000) n) d, (SELECT array_agg(n % 2 = 0) FROM generate_series(1, 9000) n) b, (SELECT array_agg('sad'::mood) FROM generate_series(1, 3000) n) m) q;
-- ### step b
UPDATE t SET n = 2;
