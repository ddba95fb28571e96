-- ### schemas
CREATE SCHEMA "Sch-1";
CREATE TABLE "Sch-1"."1 Tab_le ü😀" ("1 id_x" int PRIMARY KEY, "a b" text, "ß.c" int, "😀" int);
INSERT INTO "Sch-1"."1 Tab_le ü😀" VALUES (1, 'x', 2, 3);
-- ### connector create
-- ### step a
UPDATE "Sch-1"."1 Tab_le ü😀" SET "1 id_x" = 2;
