CREATE TYPE mood AS ENUM ('sad', 'very sad');
CREATE TABLE k_num (id numeric(30,9) PRIMARY KEY, v int);
CREATE TABLE k_var (id numeric PRIMARY KEY, v int);
CREATE TABLE k_txt (id text, c char(3), m mood, v int, PRIMARY KEY (id, c, m));
CREATE TABLE k_flt (id float8, r real, b bool, v int, PRIMARY KEY (id, r, b));
CREATE TABLE k_bin (id bytea, u uuid, bi bit(5), v int, PRIMARY KEY (id, u, bi));
CREATE TABLE k_tim (d date, t time(3), ts timestamp(3), tz timestamptz, tt timetz, i interval, v int, PRIMARY KEY (d, t, ts, tz, tt, i));
CREATE TABLE k_arr (id int[], x text[], mo money, v int, PRIMARY KEY (id, x, mo));
-- ### connector create
-- ### step a
INSERT INTO k_num VALUES (0.000000001, 1), (12345678901234567890.5, 2), (0, 3), (-0.0001, 4);
INSERT INTO k_var VALUES (1e-9, 1), (1e20, 2), (-1.50, 3);
INSERT INTO k_txt VALUES (E'a"b\\c\n\t\u0001é😀/', 'x', 'very sad', 1);
INSERT INTO k_flt VALUES ('NaN', '-Infinity', true, 1), (1e100, 1.5, false, 2), (-0.0, 3, true, 3);
INSERT INTO k_bin VALUES ('\x00fffb', '00112233-4455-6677-8899-aabbccddeeff', '10101', 1);
INSERT INTO k_tim VALUES ('2024-02-29', '13:14:15.678', '2024-02-29 13:14:15.678', '2024-02-29 13:14:15.678901+03', '13:14:15+02', '1 day', 1),
  ('1970-01-01', '00:00', '1970-01-01 00:00:00.5', '1970-01-01+00', '00:00+00', '0', 2), ('1900-01-01', '23:59:59.999', '2024-02-29', '1900-01-01+00', '23:00-01', '-1 mon', 3);
INSERT INTO k_arr VALUES ('{1,2}', '{a,"b \"q\""}', 1.5, 1), ('{}', '{NULL}', -1, 2);
-- ### step b
UPDATE k_num SET id = id + 1;
UPDATE k_var SET id = id * 10;
UPDATE k_txt SET c = 'y';
UPDATE k_flt SET b = NOT b;
UPDATE k_bin SET bi = '00001';
UPDATE k_tim SET i = '1 mon';
UPDATE k_arr SET mo = '2';
