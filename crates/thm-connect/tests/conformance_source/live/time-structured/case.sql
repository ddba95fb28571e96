-- ### schemas
CREATE TABLE t (
    d date, dn date NOT NULL, dd date DEFAULT '2020-02-29', PRIMARY KEY (dn, ts0),
    t time, t0 time(0), t3 time(3), t4 time(4), td time DEFAULT '12:34:56.789', tn time NOT NULL,
    ts timestamp, ts0 timestamp(0), ts3 timestamp(3), ts5 timestamp(5), tsd timestamp DEFAULT '2001-02-03 04:05:06.789', tsn timestamp(2) NOT NULL,
    tz timestamptz, tz0 timestamptz(0), tz3 timestamptz(3), tzd timestamptz DEFAULT '2001-02-03 04:05:06+02', tzn timestamptz NOT NULL,
    tt timetz, tt3 timetz(3), ttn timetz NOT NULL,
    i interval, idf interval DEFAULT '1 day', inn interval NOT NULL
);
CREATE TABLE a (
    id int PRIMARY KEY,
    d date[], t time[], t3 time(3)[], ts timestamp[], ts3 timestamp(3)[], tz timestamptz[], tz0 timestamptz(0)[], tt timetz[],
    dn date[] NOT NULL, tsn timestamp[] NOT NULL, dd date[] DEFAULT '{2020-01-01}'
);
INSERT INTO t (d, dn, t, t0, t3, t4, tn, ts, ts0, ts3, ts5, tsn, tz, tz0, tz3, tzn, tt, tt3, ttn, i, inn) VALUES
    ('2024-02-29', '1969-12-31', '13:14:15.678901', '13:14:15', '13:14:15.678', '13:14:15.6789', '00:00', '2024-02-29 13:14:15.678901',
     '2024-02-29 13:14:15', '2024-02-29 13:14:15.678', '2024-02-29 13:14:15.67890', '1969-12-31 23:59:59.99', '2024-02-29 13:14:15.678901+03',
     '2024-02-29 13:14:15+03', '2024-02-29 13:14:15.678+03', '1969-12-31 23:59:59.5+00', '13:14:15.678901+05:30', '13:14:15.678-08', '00:00+00', '1 year 2 mons 3 days 04:05:06.789', '-1 mon');
INSERT INTO a VALUES
    (1, '{2024-02-29,NULL,1969-12-31}', '{13:14:15.678901,NULL,00:00}', '{13:14:15.678,24:00}', '{2024-02-29 13:14:15.678901,NULL}', '{2024-02-29 13:14:15.678}',
     '{2024-02-29 13:14:15.678901+03,NULL}', '{2024-02-29 13:14:15+03}', '{13:14:15.678901+05:30,NULL}', '{}', '{1969-12-31 23:59:59.999999}');
-- ### connector create
-- ### step stream
INSERT INTO t (d, dn, t, t0, t3, t4, tn, ts, ts0, ts3, ts5, tsn, tz, tz0, tz3, tzn, tt, tt3, ttn, i, inn) VALUES
    (NULL, '1900-01-01', '24:00', '24:00', '24:00', '23:59:59.9999', '23:59:59.999999', '1900-01-01 00:00:00.000001',
     '1900-01-01', '1900-01-01 00:00:00.001', '1900-01-01 00:00:00.00001', '2262-01-01', '1900-01-01 00:00:00.000001+00',
     '1900-01-01+00', '1900-01-01 00:00:00.001+00', '2262-01-01+00', '24:00+00', '23:59:59.999+14', '12:00-14', '-1 year -2 mons +3 days -04:05:06.789', '100 years');
INSERT INTO a VALUES (2, NULL, '{24:00}', '{}', '{1900-01-01 00:00:00.000001}', NULL, '{1900-01-01 00:00:00.1+00}', NULL, '{23:59:59-14}', '{1900-01-01,2262-04-11}', '{}', NULL);
UPDATE t SET d = '2025-01-01', t = NULL WHERE dn = '1900-01-01';
UPDATE a SET d = '{2025-01-01}', tz = '{2025-01-01 12:00:00.123+00}';
UPDATE t SET dn = '1901-01-01' WHERE dn = '1900-01-01';
DELETE FROM t;
DELETE FROM a;
