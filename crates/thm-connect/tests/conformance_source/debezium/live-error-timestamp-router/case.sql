-- ### expect break
CREATE TABLE t (id int PRIMARY KEY, a numeric(9,2), b numeric, c text NOT NULL, d bytea, e timestamptz);
-- ### connector create
-- ### step more
INSERT INTO t VALUES (1, 1.50, 2.25, 'x', '\x01ff', '2024-01-02 03:04:05.5+00');
