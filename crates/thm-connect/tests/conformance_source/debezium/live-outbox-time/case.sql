-- ### schemas
CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text, payload jsonb, ms timestamp NOT NULL, at timestamptz);
-- ### connector create
-- ### step i
INSERT INTO outbox VALUES ('11111111-1111-1111-1111-111111111111','order','1','t','{}','2024-01-02 03:04:05.678','2024-01-02');
