CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE debezium_signal (id text PRIMARY KEY, type text, data text);
INSERT INTO t VALUES (1, 'a');
CREATE TABLE other (id int PRIMARY KEY);
INSERT INTO debezium_signal VALUES ('old', 'log', '{"message": "from before"}');
-- ### connector create
-- ### step log
INSERT INTO debezium_signal VALUES ('s1', 'log', '{"message": "here"}');
INSERT INTO other VALUES (1);
INSERT INTO t VALUES (2, 'b');
