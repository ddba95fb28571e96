DO $$
DECLARE
  contents uuid[] := ARRAY(SELECT id FROM content ORDER BY publish_ts);
BEGIN
  FOR number IN 1..TRANSACTIONS LOOP
    INSERT INTO engagement_events (content_id, user_id, event_type, duration_ms, device, raw_payload)
    SELECT contents[place],
           gen_random_uuid(),
           (ARRAY['play', 'play', 'finish', 'pause', 'click'])[kind],
           CASE WHEN kind <= 3 THEN (random() * 600000)::int END,
           (ARRAY['ios', 'android', 'web-chrome', 'web-safari'])[device],
           jsonb_build_object('session', session, 'app', '4.2')
    FROM (
      SELECT 1 + floor(20 * power(random(), 2))::int AS place,
             1 + floor(random() * 5)::int AS kind,
             1 + floor(random() * 4)::int AS device,
             floor(random() * 4000000000)::bigint AS session
      FROM generate_series(1, ROWS_PER_TRANSACTION)
    ) AS drawn;
    COMMIT;
  END LOOP;
END $$
