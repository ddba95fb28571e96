-- The shape of the published file: jars, a plain jdbc table with a text key over a uuid, TIMESTAMP(3).
ADD JAR 'file:///opt/flink/lib/flink-sql-connector-kafka-3.0.1-1.18.jar';
ADD JAR 'file:///opt/flink/lib/flink-connector-jdbc-3.1.1-1.17.jar';
ADD JAR 'file:///opt/flink/lib/postgresql-42.7.1.jar';
ADD JAR 'file:///opt/flink/lib/flink-json-1.18.1.jar';

DROP TABLE IF EXISTS engagement_src;
CREATE TABLE engagement_src (
  id BIGINT,
  content_id STRING,
  user_id STRING,
  event_type STRING,
  event_ts TIMESTAMP(3),
  duration_ms INT,
  device STRING,
  raw_payload STRING,
  proc_time AS PROCTIME()
) WITH (
  'connector' = 'kafka',
  'topic' = 'pg.public.engagement_events',
  'properties.bootstrap.servers' = 'redpanda:9092',
  'properties.group.id' = 'flink-engagement',
  'scan.startup.mode' = 'earliest-offset',
  'value.format' = 'debezium-json',
  'value.debezium-json.ignore-parse-errors' = 'true',
  'value.debezium-json.timestamp-format.standard' = 'ISO-8601'
);

DROP TABLE IF EXISTS dim_content;
CREATE TABLE dim_content (
  id STRING,
  slug STRING,
  title STRING,
  content_type STRING,
  length_seconds INT,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'jdbc',
  'url' = 'jdbc:postgresql://postgres:5432/thm',
  'table-name' = 'content',
  'username' = 'app',
  'password' = 'app',
  'driver' = 'org.postgresql.Driver',
  'lookup.cache.max-rows' = '5000',
  'lookup.cache.ttl' = '10min',
  'lookup.max-retries' = '3'
);

DROP TABLE IF EXISTS enriched_out;
CREATE TABLE enriched_out (
  id BIGINT,
  content_id STRING,
  user_id STRING,
  event_type STRING,
  event_ts STRING,
  device STRING,
  content_type STRING,
  length_seconds INT,
  engagement_seconds DECIMAL(10,2),
  engagement_pct DECIMAL(5,2),
  raw_payload STRING,
  PRIMARY KEY (id) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'thm.enriched.events',
  'properties.bootstrap.servers' = 'redpanda:9092',
  'key.format' = 'json',
  'value.format' = 'json'
);

INSERT INTO enriched_out
SELECT
  e.id,
  e.content_id,
  e.user_id,
  e.event_type,
  CAST(e.event_ts AS STRING) AS event_ts,
  e.device,
  d.content_type,
  d.length_seconds,
  CASE WHEN e.duration_ms IS NOT NULL
       THEN ROUND(CAST(e.duration_ms AS DECIMAL(18,2)) / 1000.0, 2)
       ELSE CAST(NULL AS DECIMAL(10,2)) END AS engagement_seconds,
  CASE WHEN e.duration_ms IS NOT NULL AND d.length_seconds IS NOT NULL AND d.length_seconds <> 0
       THEN ROUND((CAST(e.duration_ms AS DECIMAL(18,2)) / 1000.0) / CAST(d.length_seconds AS DECIMAL(18,2)) * 100, 2)
       ELSE CAST(NULL AS DECIMAL(5,2)) END AS engagement_pct,
  e.raw_payload
FROM engagement_src AS e
LEFT JOIN dim_content FOR SYSTEM_TIME AS OF e.proc_time AS d
  ON e.content_id = d.id
WHERE e.event_type IS NOT NULL;
