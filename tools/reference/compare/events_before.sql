-- What the tables hold before the first record: content and events with every NULL and edge that fits their types.
-- To be run by a superuser: one event points at content that does not exist.

ALTER TABLE engagement_events REPLICA IDENTITY FULL; -- Flink loses updates and deletes under any other

INSERT INTO content (id, slug, title, content_type, length_seconds) VALUES
  ('00000000-0000-0000-0000-000000000000', 'zero-length',  'Zero',          'video',      0),
  ('11111111-1111-1111-1111-111111111111', 'one-second',   'One',           'podcast',    1),
  ('22222222-2222-2222-2222-222222222222', 'negative',     'Negative',      'video',      -7),
  ('33333333-3333-3333-3333-333333333333', 'longest',      'Longest',       'video',      2147483647),
  ('44444444-4444-4444-4444-444444444444', 'no-length',    'No length',     'newsletter', NULL),
  ('55555555-5555-5555-5555-555555555555', 'no-type',      'No type',       NULL,         3),
  ('66666666-6666-6666-6666-666666666666', 'nothing',      'Nothing known', NULL,         NULL),
  ('ABCDEF00-ABCD-4BCD-8BCD-ABCDEFABCDEF', 'upper-case',   'Upper case',    'podcast',    86399);

-- Every duration meets every odd length: rounding at half, the sign, and percentages that do not fit DECIMAL(5, 2).
INSERT INTO engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device, raw_payload)
SELECT c.id, md5(c.slug || d.ms::text)::uuid, 'play', timestamptz '2026-01-31 23:59:59.999+00' + n * interval '1 second 1 millisecond',
       d.ms, 'ios', jsonb_build_object('duration', d.ms)
FROM unnest(ARRAY[NULL, 0, 1, 4, 5, 6, 14, 15, 994, 995, 1005, 9999, 10000, 29985, 29986, 123456, 2147483647,
                  -1, -4, -5, -15, -1005, -2147483648]::int[]) WITH ORDINALITY AS d (ms, n)
CROSS JOIN content AS c
WHERE c.length_seconds IS NULL OR c.length_seconds < 4 OR c.length_seconds IN (620, 3480, 86399, 2147483647)
ORDER BY d.n, c.slug;

-- NULL in each column, and in all.
INSERT INTO engagement_events (content_id, user_id, event_type, duration_ms, device, raw_payload, event_ts)
SELECT CASE WHEN n <> 1 THEN uuid '11111111-1111-1111-1111-111111111111' END,
       CASE WHEN n <> 2 THEN uuid '99999999-9999-4999-8999-999999999999' END,
       CASE WHEN n <> 3 THEN 'finish' END,
       CASE WHEN n <> 4 THEN 5000 END,
       CASE WHEN n <> 5 THEN 'android' END,
       CASE WHEN n <> 6 THEN '{"n": 1}'::jsonb END,
       timestamptz '2026-02-01 00:00:00+00' + n * interval '1 hour'
FROM generate_series(1, 6) AS n;
INSERT INTO engagement_events (event_type, event_ts) VALUES ('click', '2026-02-01 12:00:00+00'), (NULL, '2026-02-01 12:00:01+00');

-- Content that is not there: only possible without the foreign key's check.
SET session_replication_role = replica;
INSERT INTO engagement_events (content_id, event_type, event_ts, duration_ms)
VALUES ('77777777-7777-4777-8777-777777777777', 'play', '2026-02-01 12:00:02+00', 1500);
RESET session_replication_role;
