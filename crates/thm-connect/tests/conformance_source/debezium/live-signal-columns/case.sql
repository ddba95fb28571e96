CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE debezium_signal (id text PRIMARY KEY, type text, data text);
INSERT INTO t VALUES (1, 'a');

-- ### connector create
-- ### step log
INSERT INTO debezium_signal VALUES ('s1', 'log', '{"message": "masked"}');
INSERT INTO t VALUES (2, 'b');
