-- Enriches every engagement event with the content it belongs to.
--
-- Runs unchanged on thm and on Apache Flink 1.20 (with the Kafka and JDBC connectors on its class path).
-- On thm the look-up is fed by the changes of the table itself: every event meets its content as of the
-- event's own commit, nothing is cached, and the database is not asked.

SET 'execution.checkpointing.interval' = '10s';
SET 'table.local-time-zone' = 'UTC';

-- The changes of public.engagement_events, as Debezium writes them.
DROP TABLE IF EXISTS engagement_src;
CREATE TABLE engagement_src (
  id          BIGINT,
  content_id  STRING,
  user_id     STRING,
  event_type  STRING,
  event_ts    TIMESTAMP_LTZ(3),
  duration_ms INT,
  device      STRING,
  raw_payload STRING,
  proc_time AS PROCTIME()
) WITH (
  'connector' = 'kafka',
  'topic' = 'pg.public.engagement_events',
  'properties.bootstrap.servers' = 'redpanda:9092',
  'properties.group.id' = 'flink-enrich',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'debezium-json',
  'debezium-json.ignore-parse-errors' = 'true',
  'debezium-json.timestamp-format.standard' = 'ISO-8601'
);

-- public.content; the subquery makes the uuid a text, which is what the events carry.
DROP TABLE IF EXISTS dim_content;
CREATE TABLE dim_content (
  id             STRING,
  slug           STRING,
  title          STRING,
  content_type   STRING,
  length_seconds INT,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'jdbc',
  'url' = 'jdbc:postgresql://postgres:5432/thm',
  'table-name' = '(SELECT CAST(id AS VARCHAR) AS id, slug, title, content_type, length_seconds FROM content) AS c',
  'username' = 'app',
  'password' = 'app',
  'lookup.cache.max-rows' = '5000',
  'lookup.cache.ttl' = '10min',
  'lookup.max-retries' = '3'
);

DROP TABLE IF EXISTS enriched_out;
CREATE TABLE enriched_out (
  id                 BIGINT,
  content_id         STRING,
  user_id            STRING,
  event_type         STRING,
  event_ts           STRING,
  device             STRING,
  content_type       STRING,
  length_seconds     INT,
  engagement_seconds DECIMAL(10, 2),
  engagement_pct     DECIMAL(5, 2),
  raw_payload        STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'thm.enriched.events',
  'properties.bootstrap.servers' = 'redpanda:9092',
  'key.format' = 'json',
  'value.format' = 'json',
  'value.json.encode.decimal-as-plain-number' = 'true'
);

INSERT INTO enriched_out
SELECT
  e.id,
  e.content_id,
  e.user_id,
  e.event_type,
  DATE_FORMAT(e.event_ts, 'yyyy-MM-dd HH:mm:ss.SSS') AS event_ts,
  e.device,
  c.content_type,
  c.length_seconds,
  CASE
    WHEN e.duration_ms IS NULL THEN NULL
    ELSE ROUND(CAST(e.duration_ms AS DECIMAL(18, 2)) / 1000.0, 2)
  END AS engagement_seconds,
  CASE
    WHEN e.duration_ms IS NULL OR c.length_seconds IS NULL OR c.length_seconds = 0 THEN NULL
    ELSE ROUND((CAST(e.duration_ms AS DECIMAL(18, 2)) / 1000.0) / CAST(c.length_seconds AS DECIMAL(18, 2)) * 100, 2)
  END AS engagement_pct,
  e.raw_payload
FROM engagement_src AS e
LEFT JOIN dim_content FOR SYSTEM_TIME AS OF e.proc_time AS c
  ON c.id = e.content_id
WHERE e.event_type IS NOT NULL;
