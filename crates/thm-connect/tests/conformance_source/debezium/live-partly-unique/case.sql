CREATE TABLE t (id int NOT NULL, code text NOT NULL, gone bool NOT NULL DEFAULT false, v text);
CREATE UNIQUE INDEX t_code ON t (code) WHERE NOT gone;
INSERT INTO t VALUES (1, 'a', true, 'x'), (2, 'a', false, 'y');
-- ### connector create
-- ### step more
INSERT INTO t VALUES (3, 'b', true, 'z'), (4, 'b', false, 'z');
