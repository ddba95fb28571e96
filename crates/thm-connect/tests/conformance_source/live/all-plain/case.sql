CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'very sad');
CREATE DOMAIN ints AS int[];
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE DOMAIN moods AS mood;
CREATE TABLE t (id serial PRIMARY KEY, i2 smallserial, i8 bigserial, c "char", na name, tx text, vc varchar(7), bc char(3), vu varchar, j json, x xml, o oid, nu numeric(9,3), nn numeric, m money, f4 real, f8 float8, b bool, by bytea, u uuid,
 d date, t time(2), tt timetz, ts timestamp(4), tz timestamptz, i interval, i3 interval(3), ids interval day to second, bi bit(3), vb varbit(9), inet inet, cidr cidr, mac macaddr, mac8 macaddr8, p point, l line, bx box,
 h hstore, lt ltree, ci citext, e mood, dm posint, di ints, de moods, r4 int4range, rn numrange, rt tstzrange, rd daterange,
 tv tsvector, tq tsquery, lsn pg_lsn, xi xid, x8 xid8, ti tid, ci2 cid, jp jsonpath, rc regclass, rtp regtype, sn pg_snapshot,
 ia int[], va varchar(4)[], ca char(2)[], oa oid[], cia citext[], lta ltree[], ha hstore[], ea mood[], r4a int4range[], rta tstzrange[], ineta inet[], maca macaddr[], lsna pg_lsn[], xia xid[], jpa jsonpath[], tva tsvector[], cida cidr[], mac8a macaddr8[], bia bit(3)[], bxa box[], na2 name[], cha "char"[], rca regclass[], lqa lquery);
INSERT INTO t VALUES (DEFAULT, DEFAULT, DEFAULT, 'q', 'nm', 'tx', 'vc', 'bc', 'vu', '{"a": 1}', '<a/>', 4294967295, 1.5, 2.5, 3, 4, 5, true, '\x01', '00112233-4455-6677-8899-aabbccddeeff',
 '2024-01-02', '01:02:03.45', '01:02:03+01', '2024-01-02 03:04:05.6789', '2024-01-02 03:04:05+00', '1 day 2 hours', '1.2345 sec', '3 days 04:05:06', '101', '1011', '10.0.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '(1,2)', '{1,2,3}', '(1,2),(3,4)',
 'a=>1', 'Top.x', 'MiX', 'very sad', 7, '{1,2}', 'sad', '[1,5]', '(1.5,)', '[2024-01-01 00:00+00,2024-01-02 00:00+00)', '[2024-01-01,2024-01-05]',
 'a:1 b:2', 'a & b', '16/B374D848', '123', '456', '(1,2)', '7', '$.a', 'pg_class', 'integer', '10:20:10,14',
 '{1,NULL}', '{ab,NULL}', '{a}', '{1,4294967295}', '{MiX,NULL}', '{Top.x}', '{"a=>1"}', '{sad}', '{"[1,5)"}', '{"[2024-01-01 00:00+00,)"}', '{10.0.0.1}', '{08:00:2b:01:02:03}', '{16/B}', '{1}', '{$.a}', '{a}', '{10.0.0.0/8}', '{08:00:2b:01:02:03:04:05}', '{101,NULL}', '{(1,2),(3,4)}', '{nm}', '{q}', '{pg_class}', 'a.*');
-- ### connector create
-- ### step a
INSERT INTO t (id, tx) SELECT id + 100, 'only' FROM t;
UPDATE t SET tx = 'both' WHERE id = 1;
