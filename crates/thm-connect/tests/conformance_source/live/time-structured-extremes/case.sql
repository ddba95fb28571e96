-- ### schemas
CREATE TABLE t (id int PRIMARY KEY, d date, ts timestamp, tz timestamptz, tt timetz, t time, i interval, da date[], tsa timestamp[], tza timestamptz[]);
INSERT INTO t VALUES (1, '0044-03-15 BC', '0044-03-15 10:00 BC', '0044-03-15 10:00+00 BC', '00:00+14', '24:00', '-178000000 years', '{0044-03-15 BC}', '{0044-03-15 BC}', '{0044-03-15 BC}'),
 (2, 'infinity', 'infinity', 'infinity', NULL, NULL, '178000000 years', '{infinity}', '{infinity}', '{-infinity}'),
 (3, '-infinity', '-infinity', '-infinity', NULL, NULL, '0', '{-infinity}', '{-infinity}', '{infinity}'),
 (4, '5874897-12-31', '294276-12-31 23:59:59.999999', '294270-12-31 23:59:59.999999+00', NULL, NULL, NULL, NULL, NULL, NULL),
 (5, '1582-10-10', '1582-10-10 01:02:03.000004', '1500-02-28 01:02:03+00', NULL, NULL, NULL, NULL, NULL, NULL);
-- ### connector create
-- ### step stream
INSERT INTO t SELECT id + 10, d, ts, tz, tt, t, i, da, tsa, tza FROM t;
