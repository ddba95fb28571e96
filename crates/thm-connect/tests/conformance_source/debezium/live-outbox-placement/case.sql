-- ### schemas
CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text NOT NULL, aggregateid text NOT NULL, type text, payload jsonb, kind text, num int, at timestamptz, ms bigint, ver int, part int);
-- ### connector create
-- ### step insert
INSERT INTO outbox VALUES ('11111111-1111-1111-1111-111111111111', 'order', 'a-1', 'Created', '{"a":1,"b":[1,2],"c":null,"d":{"e":"x"},"f":[],"g":1.5,"h":true,"i":10000000000,"j":[{"k":1},{"l":2}]}', 'k', 5, '2024-01-02 03:04:05.678+00', 1704164645678, 3, 0);
INSERT INTO outbox VALUES ('22222222-2222-2222-2222-222222222222', 'user', 'a-1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
-- ### step more
UPDATE outbox SET kind = 'x' WHERE num = 5;
DELETE FROM outbox;
