-- ### expect rejected
CREATE TABLE t (id int PRIMARY KEY);
-- ### connector create
