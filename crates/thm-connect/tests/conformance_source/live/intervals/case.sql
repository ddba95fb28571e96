-- ### schemas
CREATE TABLE t (id int PRIMARY KEY, i interval, i3 interval(3), ids interval day to second, idh interval day to second(2), iy interval year, ia interval[]);
INSERT INTO t VALUES (1, '1 year 2 mons 3 days 04:05:06.789123', '1.234567 sec', '3 days 04:05:06.5', '04:05:06.789', '7 years', '{1 day}');
-- ### connector create
-- ### step a
INSERT INTO t SELECT 2, -i, -i3, -ids, -idh, -iy, ia FROM t;
