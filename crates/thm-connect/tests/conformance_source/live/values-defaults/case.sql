-- ### schemas
CREATE EXTENSION hstore;
CREATE DOMAIN price AS numeric(8,2) CHECK (VALUE >= -100);
CREATE DOMAIN name_of AS varchar(5);
CREATE TABLE t (id numeric(6,0) PRIMARY KEY, n numeric, n2 numeric(10,2), nn numeric NOT NULL, nn2 numeric(10,2) NOT NULL, nd numeric(10,3) DEFAULT 1.5, ndv numeric DEFAULT 2.50,
  na numeric[], n2a numeric(10,2)[], p price, pn price NOT NULL DEFAULT 3, nm name_of DEFAULT 'abc', m money, mn money NOT NULL DEFAULT 1.5,
  b bytea, bn bytea NOT NULL, ba bytea[], bd bytea DEFAULT '\x0102', h hstore, hn hstore NOT NULL DEFAULT 'a=>1', i interval, inn interval NOT NULL DEFAULT '1 mon',
  f4 real, f8 double precision, f4a real[], f8a double precision[], bo boolean[], u uuid[], i2 int2[], i8 int8[], bits bit(10), vb varbit, bit1 bit, c char(4), ca char(4)[], va varchar(3)[], j json[], jb jsonb[]);
INSERT INTO t VALUES (1, 123.4500, 123.45, 0, -1.01, DEFAULT, DEFAULT, '{1.5,NULL,-2}', '{1.5,NULL,100}', 7.25, DEFAULT, DEFAULT, 1234.56, DEFAULT,
  '\x00ff10fb', '\xfbff', '{"\\x00ff",NULL}', DEFAULT, 'a=>1,b=>NULL,"c d"=>"x\"y"', DEFAULT, '1 year 2 mons -3 days 04:05:06.7', DEFAULT,
  1.5, 1e100, '{1.5,NaN,NULL}', '{-0,Infinity}', '{t,NULL,f}', '{00112233-4455-6677-8899-aabbccddeeff,NULL}', '{1,NULL}', '{9223372036854775807}', '1010101010', '101', '1', 'ab', '{ab,NULL}', '{abc,NULL,""}', '{"{\"a\":1}"}', '{"{\"a\": 1}"}');
-- ### connector create
-- ### step stream
INSERT INTO t SELECT id + 1, -n, -n2, 1e-5, 99999999.99, 0.001, 1e10, '{}', '{0.01}', -p, 0, NULL, '-0.01', '92233720368547758.07', '', '', '{}', NULL, '', 'x=>NULL', '-1 sec', '0', 'NaN', '-Infinity', NULL, NULL, '{}', '{}', '{}', '{}', '0000000000', '', '0', '', '{}', '{}', '{}', '{}' FROM t;
INSERT INTO t (id, nn, nn2, bn) VALUES (3, 1, 2, '\x61');
UPDATE t SET n = 1000000000000000000000000000000.000000000000000000001 WHERE id = 1;
ALTER TABLE t REPLICA IDENTITY FULL;
UPDATE t SET id = id + 100;
DELETE FROM t WHERE id = 101;
ALTER TABLE t REPLICA IDENTITY DEFAULT;
DELETE FROM t;
