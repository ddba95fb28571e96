CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE debezium_signal (id text PRIMARY KEY, type text, data text);
INSERT INTO t VALUES (1, 'a');
INSERT INTO debezium_signal VALUES ('old', 'log', '{"message": "from before"}');
-- ### connector create
-- ### step log
INSERT INTO debezium_signal VALUES ('s1', 'log', '{"message": "here {} and {}"}');
-- ### step odd
INSERT INTO debezium_signal VALUES ('s2', 'log', '{"other": 1}');
INSERT INTO debezium_signal VALUES ('s3', 'log', '{"message": ');
INSERT INTO debezium_signal VALUES ('s4', 'no-such', '{}');
INSERT INTO debezium_signal VALUES ('s5', 'log', NULL);
INSERT INTO debezium_signal VALUES ('s6', NULL, '{}');
INSERT INTO debezium_signal VALUES ('s7', 'log', '');
INSERT INTO debezium_signal VALUES ('s8', 'log', '[1]');
INSERT INTO debezium_signal VALUES ('s9', 'log', '{"message": 7}');
INSERT INTO debezium_signal VALUES ('s10', 'log', '"text"');
INSERT INTO debezium_signal VALUES ('s11', 'set-binlog-position', '{"binlog_filename": "a", "binlog_position": 4}');
INSERT INTO debezium_signal VALUES ('s12', 'schema-changes', '{"database": "thm", "changes": []}');
INSERT INTO debezium_signal VALUES ('s13', 'schema-changes', '{"database": "thm", "schema": "public", "changes": [{"type": "ALTER", "id": "\"public\".\"t\"", "table": {"defaultCharsetName": null, "primaryKeyColumnNames": ["id"], "columns": []}}]}');
INSERT INTO debezium_signal VALUES ('s14', 'snapshot-window-open', '{}');
INSERT INTO debezium_signal VALUES ('s15', 'snapshot-window-close', '{}');
INSERT INTO debezium_signal VALUES ('s16', 'LOG', '{"message": "upper"}');
-- ### step change
UPDATE debezium_signal SET type = 'log', data = '{"message": "updated"}' WHERE id = 's4';
DELETE FROM debezium_signal WHERE id = 's2';
INSERT INTO t VALUES (2, 'b');
