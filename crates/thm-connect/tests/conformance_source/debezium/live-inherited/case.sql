CREATE TABLE base (id int PRIMARY KEY, v text);
CREATE TABLE child (extra int, PRIMARY KEY (id)) INHERITS (base);
INSERT INTO base VALUES (1, 'a'); INSERT INTO child VALUES (2, 'b', 3);
-- ### connector create
-- ### step more
INSERT INTO base VALUES (4, 'c'); INSERT INTO child VALUES (5, 'd', 6);
UPDATE base SET v = 'x' WHERE id = 2;
