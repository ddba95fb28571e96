-- Twenty pieces of content. Newsletters are read, so they have no length: their percentage stays NULL all the way.

INSERT INTO content (slug, title, content_type, length_seconds, publish_ts)
SELECT slug, title, content_type, length_seconds, now() - age
FROM (VALUES
  ('morning-coffee-market',    'Morning Coffee: The Market in Ten Minutes', 'podcast',     620,  interval '20 days'),
  ('founders-at-night',        'Founders at Night',                         'podcast',    3480,  interval '19 days'),
  ('the-long-read-desert',     'The Long Read: Crossing the Desert',        'podcast',    2715,  interval '18 days'),
  ('science-in-plain-words',   'Science in Plain Words',                    'podcast',    1860,  interval '17 days'),
  ('history-of-a-street',      'History of a Street',                       'podcast',    2400,  interval '16 days'),
  ('money-and-habit',          'Money and Habit',                           'podcast',    1995,  interval '15 days'),
  ('two-voices-one-book',      'Two Voices, One Book',                      'podcast',    4210,  interval '14 days'),
  ('kitchen-table-politics',   'Kitchen Table Politics',                    'podcast',    3015,  interval '13 days'),
  ('weekly-brief-technology',  'Weekly Brief: Technology',                  'newsletter', NULL,  interval '12 days'),
  ('weekly-brief-culture',     'Weekly Brief: Culture',                     'newsletter', NULL,  interval '11 days'),
  ('numbers-of-the-week',      'Numbers of the Week',                       'newsletter', NULL,  interval '10 days'),
  ('letters-from-the-coast',   'Letters from the Coast',                    'newsletter', NULL,  interval '9 days'),
  ('inside-the-newsroom',      'Inside the Newsroom',                       'newsletter', NULL,  interval '8 days'),
  ('explained-inflation',      'Explained: Inflation',                      'video',       480,  interval '7 days'),
  ('explained-black-holes',    'Explained: Black Holes',                    'video',       555,  interval '6 days'),
  ('street-food-riyadh',       'Street Food: Riyadh',                       'video',      1320,  interval '5 days'),
  ('street-food-jeddah',       'Street Food: Jeddah',                       'video',      1275,  interval '4 days'),
  ('documentary-the-pearl',    'Documentary: The Pearl Divers',             'video',      5400,  interval '3 days'),
  ('documentary-old-railway',  'Documentary: The Old Railway',              'video',      4980,  interval '2 days'),
  ('trailer-season-two',       'Trailer: Season Two',                       'video',        95,  interval '1 day')
) AS seed (slug, title, content_type, length_seconds, age);
