-- Jobs of every form: a WAL-fed look-up, one that asks the database, a branch, UNNEST, metadata, and a job on a job's output.
SET 'execution.checkpointing.interval' = '200ms';

CREATE TABLE events (
  id BIGINT, content_id STRING, event_type STRING, event_ts TIMESTAMP_LTZ(3), duration_ms INT, device STRING, raw_payload STRING,
  changed_at TIMESTAMP_LTZ(3) METADATA FROM 'value.source.timestamp' VIRTUAL,
  proc_time AS PROCTIME()
) WITH (
  'connector' = 'kafka', 'topic' = 'pg.public.engagement_events', 'properties.bootstrap.servers' = 'redpanda:9092',
  'scan.startup.mode' = 'earliest-offset', 'format' = 'debezium-json',
  'debezium-json.timestamp-format.standard' = 'ISO-8601'
);
CREATE TABLE content (id STRING, title STRING, content_type STRING, PRIMARY KEY (id) NOT ENFORCED) WITH (
  'connector' = 'jdbc', 'url' = 'jdbc:postgresql://postgres:5432/thm', 'username' = 'app', 'password' = 'app',
  'table-name' = '(SELECT CAST(id AS VARCHAR) AS id, title, content_type FROM content) AS c'
);
CREATE TABLE devices (device STRING, family STRING, PRIMARY KEY (device) NOT ENFORCED) WITH (
  'connector' = 'jdbc', 'url' = 'jdbc:postgresql://postgres:5432/thm', 'username' = 'app', 'password' = 'app',
  'table-name' = 'devices'
);
CREATE TABLE enriched (
  id BIGINT, title STRING, content_type STRING, seconds DECIMAL(10, 2), PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka', 'topic' = 'out.enriched', 'properties.bootstrap.servers' = 'redpanda:9092',
  'key.format' = 'json', 'value.format' = 'json'
);
CREATE TABLE families (
  id BIGINT, family STRING, what STRING, changed_at TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka', 'topic' = 'out.families', 'properties.bootstrap.servers' = 'redpanda:9092',
  'key.format' = 'json', 'value.format' = 'csv'
);
CREATE TABLE words (id BIGINT, word STRING, place INT, PRIMARY KEY (id, place) NOT ENFORCED) WITH (
  'connector' = 'upsert-kafka', 'topic' = 'out.words', 'properties.bootstrap.servers' = 'redpanda:9092',
  'key.format' = 'json', 'value.format' = 'json'
);
CREATE TABLE podcasts (id BIGINT, title STRING, seconds DECIMAL(10, 2)) WITH (
  'connector' = 'kafka', 'topic' = 'out.podcasts', 'properties.bootstrap.servers' = 'redpanda:9092', 'format' = 'debezium-json'
);

EXECUTE STATEMENT SET
BEGIN
INSERT INTO enriched
SELECT e.id, c.title, c.content_type, CAST(e.duration_ms AS DECIMAL(18, 2)) / 1000.0
FROM events AS e LEFT JOIN content FOR SYSTEM_TIME AS OF e.proc_time AS c ON c.id = e.content_id
WHERE e.event_type <> 'click';
INSERT INTO families
SELECT e.id, d.family, CONCAT_WS('|', e.event_type, JSON_VALUE(e.raw_payload, '$.n')), e.changed_at
FROM events AS e LEFT JOIN devices FOR SYSTEM_TIME AS OF e.proc_time AS d ON d.device = e.device;
INSERT INTO words
WITH texts AS (
  SELECT id, event_type AS text FROM events WHERE event_type IN ('play', 'pause')
  UNION ALL
  SELECT id, device FROM events WHERE event_type NOT IN ('play', 'pause')
)
SELECT t.id, w.word, w.place FROM texts AS t CROSS JOIN UNNEST(ARRAY[t.text, UPPER(t.text)]) WITH ORDINALITY AS w (word, place);
INSERT INTO podcasts SELECT id, title, seconds FROM enriched WHERE content_type = 'podcast';
END;
