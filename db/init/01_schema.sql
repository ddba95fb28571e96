-- The two tables of the pipeline. Applied once, on the first start of a database, as the user app.

CREATE TABLE content (
  id             uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
  slug           text        NOT NULL UNIQUE,
  title          text        NOT NULL,
  content_type   text        CHECK (content_type IN ('podcast', 'newsletter', 'video')),
  length_seconds integer,
  publish_ts     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE engagement_events (
  id          bigserial   PRIMARY KEY,
  content_id  uuid        REFERENCES content (id),
  user_id     uuid,
  event_type  text        CHECK (event_type IN ('play', 'pause', 'finish', 'click')),
  event_ts    timestamptz NOT NULL DEFAULT now(),
  duration_ms integer,
  device      text,
  raw_payload jsonb
);

CREATE INDEX engagement_events_event_ts_idx ON engagement_events (event_ts);
