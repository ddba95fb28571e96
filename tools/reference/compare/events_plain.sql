-- `rows` events as the generator makes them, over the content of db/init; the same at every run.

INSERT INTO engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device, raw_payload)
SELECT c.ids[1 + n % cardinality(c.ids)],
       md5(n::text)::uuid,
       t.kind,
       timestamptz '2026-01-31 12:00:00+00' + n * interval '7 milliseconds',
       CASE WHEN t.kind IN ('play', 'finish') THEN (n::bigint * 7919 % 3600000)::int END,
       (ARRAY['ios', 'android', 'web-chrome', 'web-safari'])[1 + n % 4],
       jsonb_build_object('session', md5((n / 10)::text), 'app', '4.2', 'sequence', n)
FROM generate_series(1, :rows) AS n
CROSS JOIN LATERAL (SELECT (ARRAY['play', 'pause', 'finish', 'click'])[1 + n * 31 % 4] AS kind) AS t
CROSS JOIN (SELECT array_agg(id ORDER BY slug) AS ids FROM content) AS c
ORDER BY n;
