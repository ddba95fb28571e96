-- What happens while the source streams. The last event ends the comparison: its record comes after all others.

-- Times: fractions that must be cut and not rounded, before the epoch, other zones, the far ends and beyond.
INSERT INTO engagement_events (content_id, event_type, event_ts, duration_ms, device)
SELECT '33333333-3333-3333-3333-333333333333', 'pause', ts::timestamptz, 1, ts
FROM unnest(ARRAY['2026-03-01 00:00:00+00', '2026-03-01 00:00:00.1+00', '2026-03-01 00:00:00.12+00',
                  '2026-03-01 00:00:00.123+00', '2026-03-01 00:00:00.1239+00', '2026-03-01 00:00:00.999999+00',
                  '2026-03-01 00:00:00.000001+00', '2026-03-01 03:00:00+03', '2026-03-29 01:30:00 Europe/Berlin',
                  '2024-02-29 12:00:00+00', '1970-01-01 00:00:00+00', '1969-12-31 23:59:59.999+00',
                  '1969-12-31 23:59:59.9995+00', '1900-01-01 00:00:00+00', '1582-10-15 00:00:00+00',
                  '1582-10-14 00:00:00+00', '0001-01-01 00:00:00+00', '9999-12-31 23:59:59.999999+00',
                  '0044-03-15 10:00:00+00 BC', '4713-01-01 00:00:00+00 BC', '10000-01-01 00:00:00+00',
                  '294246-12-31 23:59:59.999999+00', 'infinity', '-infinity']) AS ts;

-- Texts as a device, and the same inside of a payload: escapes, controls, both planes of Unicode, long ones.
INSERT INTO engagement_events (content_id, event_type, event_ts, duration_ms, device, raw_payload)
SELECT 'abcdef00-abcd-4bcd-8bcd-abcdefabcdef', 'click', '2026-03-02 00:00:00+00', 86399, t,
       jsonb_build_object('t', t, t || '!', ARRAY[t])
FROM unnest(ARRAY['', ' ', 'null', 'true', '1.50', '"', '\', '/', '</script>', 'a"b\c', E'\b\f\n\r\t', E'\x01\x1f\x7f', E'\u0080\u009f',
                  E'\u2028\u2029', 'قهوة', 'ثمانية — ٨', 'é', E'e\u0301', E'\U0001F600', E'\U0001F468\u200D\U0001F469\u200D\U0001F467',
                  E'\uFEFFbom', E'\uFFFD\uFFFE', E'\U0010FFFF', repeat('x', 70000), repeat(E'\U0001F600"', 500)]) AS t;

-- Payloads: every kind of JSON, numbers in the forms that jsonb keeps.
INSERT INTO engagement_events (content_id, event_type, event_ts, duration_ms, raw_payload)
SELECT '11111111-1111-1111-1111-111111111111', 'finish', '2026-03-03 00:00:00+00', 10, p::jsonb
FROM unnest(ARRAY['null', 'true', '0', '-0.0', '1.50', '1e3', '12345678901234567890.0123456789', '"text"', '""', '[]', '{}',
                  '[null, [], {}]', '{"b": 1, "a": {"z": [1, 2.0]}}', '{"\"\\": "\u0001\ud83d\ude00"}']) AS p;

-- Many in one transaction, then changes: a row changed twice, one that leaves the filter and one that enters it, a new key,
-- deletes, and a row that comes and goes in one transaction.
INSERT INTO engagement_events (content_id, user_id, event_type, event_ts, duration_ms, device, raw_payload)
SELECT c.id, md5(n::text)::uuid, (ARRAY['play', 'pause', 'finish', 'click'])[1 + n % 4],
       timestamptz '2026-03-04 00:00:00.005+00' + n * interval '999 milliseconds', n * 7919,
       (ARRAY['ios', 'android', 'web-chrome', 'web-safari'])[1 + n % 4], jsonb_build_object('session', n / 8)
FROM generate_series(1, 100) AS n
JOIN (SELECT id, row_number() OVER (ORDER BY slug) AS place FROM content WHERE slug NOT LIKE 'n%') AS c ON c.place = 1 + n % 20;

CREATE TEMPORARY TABLE many AS
  SELECT id, row_number() OVER (ORDER BY id) AS n FROM engagement_events
  WHERE event_ts BETWEEN '2026-03-04 00:00:00+00' AND '2026-03-04 23:59:59+00';
UPDATE engagement_events SET duration_ms = 1 WHERE id IN (SELECT id FROM many WHERE n <= 5);
UPDATE engagement_events SET duration_ms = NULL, device = NULL WHERE id IN (SELECT id FROM many WHERE n BETWEEN 3 AND 8);
UPDATE engagement_events SET event_type = NULL WHERE id IN (SELECT id FROM many WHERE n BETWEEN 9 AND 11);
UPDATE engagement_events SET event_type = 'play' WHERE id IN (SELECT id FROM many WHERE n = 11);
UPDATE engagement_events SET content_id = '55555555-5555-5555-5555-555555555555' WHERE id IN (SELECT id FROM many WHERE n = 12);
UPDATE engagement_events SET event_ts = event_ts + interval '1 day' WHERE id IN (SELECT id FROM many WHERE n = 13);
UPDATE engagement_events SET id = id + 1000000 WHERE id IN (SELECT id FROM many WHERE n = 14);
DELETE FROM engagement_events WHERE id IN (SELECT id FROM many WHERE n BETWEEN 15 AND 20);
BEGIN;
INSERT INTO engagement_events (id, event_type) VALUES (2000000, 'play');
UPDATE engagement_events SET duration_ms = 1 WHERE id = 2000000;
DELETE FROM engagement_events WHERE id = 2000000;
COMMIT;
UPDATE engagement_events SET event_type = event_type WHERE id IN (SELECT id FROM many WHERE n = 21);

INSERT INTO engagement_events (id, content_id, event_type, event_ts, duration_ms, device)
VALUES (9223372036854775807, '11111111-1111-1111-1111-111111111111', 'play', '2026-03-05 00:00:00+00', 1234, 'the last');
