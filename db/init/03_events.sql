-- Four thousand events over the last ten minutes, as the generator makes them: every content row gets some, a few get
-- many; only play and finish have a duration; a NULL stands in each column that may hold one.

WITH ranked AS (
  SELECT id, length_seconds, row_number() OVER (ORDER BY publish_ts) - 1 AS place FROM content
), drawn AS (
  SELECT n,
         floor(20 * power(random(), 1.6))::int AS place,
         random() AS kind,
         random() AS share,
         random() AS device
  FROM generate_series(1, 4000) AS n
)
INSERT INTO engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device, raw_payload)
SELECT CASE WHEN n % 500 = 0 THEN NULL ELSE ranked.id END,
       CASE WHEN n % 400 = 0 THEN NULL ELSE gen_random_uuid() END,
       CASE WHEN kind < 0.45 THEN 'play' WHEN kind < 0.65 THEN 'pause' WHEN kind < 0.80 THEN 'finish' ELSE 'click' END,
       now() - (4000 - n) * interval '150 milliseconds',
       CASE
         WHEN kind < 0.45 THEN (share * 1000 * coalesce(length_seconds, 300))::int
         WHEN kind >= 0.65 AND kind < 0.80 THEN ((0.9 + share / 10) * 1000 * coalesce(length_seconds, 300))::int
       END,
       CASE
         WHEN n % 250 = 0 THEN NULL
         WHEN device < 0.40 THEN 'ios' WHEN device < 0.75 THEN 'android' WHEN device < 0.92 THEN 'web-chrome'
         ELSE 'web-safari'
       END,
       CASE WHEN n % 100 = 0 THEN NULL ELSE jsonb_build_object('session', n / 8, 'seeded', true) END
FROM drawn JOIN ranked USING (place)
ORDER BY n;
