"""`upsert-kafka`: what is read of keys, values and tombstones, what is written, and changes that go into it."""
from cases import BOUNDED, kafka, quoted, read, table, told, upsert, write
from debezium_cases import envelope

BASE = {"key.format": "json", "value.format": "json"}
EXCEPT = {**BASE, "value.fields-include": "EXCEPT_KEY"}
STOP = "'scan.bounded.mode'='latest-offset'"
ONE = "id BIGINT, name STRING, PRIMARY KEY (id) NOT ENFORCED"
TWO = "a INT, v DOUBLE, b STRING, PRIMARY KEY (b, a) NOT ENFORCED"


def record(key, value, **more):
    return {"key": key, "value": value, **more}


CHAIN = [record('{"id":1}', '{"id":1,"name":"a"}'), record('{"id":2}', '{"id":2,"name":"b"}'), record('{"id":1}', '{"id":1,"name":"c"}'), record('{"id":2}', None), record('{"id":2}', None), record('{"id":1}', '{"id":1,"name":null}'), record('{"id":1}', '{"id":1}'), record('{"id":2}', '{"id":2,"name":"d"}')]
A = record('{"id":1}', '{"id":1,"name":"a"}')
LENIENT = {**BASE, "value.json.ignore-parse-errors": "true"}
READS = [("chain", CHAIN, BASE), ("chain EXCEPT_KEY", CHAIN, EXCEPT), ("value without the key", [record('{"id":1}', '{"name":"a"}'), record('{"id":1}', '{"name":"b"}')], BASE), ("value of another key", [record('{"id":1}', '{"id":9,"name":"a"}'), record('{"id":9}', '{"id":9,"name":"b"}'), record('{"id":1}', None)], BASE), ("value of another key EXCEPT_KEY", [record('{"id":1}', '{"id":9,"name":"a"}'), record('{"id":1}', '{"name":"b"}')], EXCEPT),
         ("keys written differently", [A, record('{ "id" : 1 }', '{"id":1,"name":"b"}'), record('{"id":"1"}', '{"id":1,"name":"c"}'), record('{"x":0,"id":1}', None)], BASE), ("values written differently", [A, record('{"id":1}', '{"name":"a", "id":1,"z":0}')], BASE), ("malformed value, ignore", [A, record('{"id":1}', 'junk'), record('{"id":1}', '{"id":1,"name":"b"}')], LENIENT), ("malformed key", [record('junk', '{"id":1,"name":"a"}')], BASE),
         ("no key", [record(None, '{"id":1,"name":"a"}')], BASE), ("no key, no value", [record(None, None)], BASE), ("no key, ignore", [record(None, '{"id":1,"name":"a"}'), record('{"id":2}', '{"id":2}')], {**BASE, "key.json.ignore-parse-errors": "true"}), ("empty key", [record("", '{"id":1,"name":"a"}')], BASE), ("empty value", [A, record('{"id":1}', '')], BASE), ("empty value, ignore", [A, record('{"id":1}', '')], LENIENT),
         ("null key column", [record('{"id":null}', '{"id":null,"name":"a"}')], BASE), ("null key column in the key", [record('{"id":null}', '{"id":1,"name":"a"}')], BASE), ("missing key column", [record('{}', '{"id":1,"name":"a"}'), record('{}', None)], BASE), ("key null json", [record('null', '{"id":1}')], BASE), ("value null json", [record('{"id":1}', 'null')], BASE), ("value null json ignore", [A, record('{"id":1}', 'null')], LENIENT),
         ("values array", [record('{"id":1}', '[{"id":1,"name":"a"},{"id":1,"name":"b"}]')], BASE), ("first a tombstone", [record('{"id":1}', None), A], BASE)]
OPTIONS = [("no primary key", BASE, "id BIGINT, name STRING"), ("startup mode", {**BASE, "scan.startup.mode": "earliest-offset"}, ONE), ("key.fields", {**BASE, "key.fields": "id"}, ONE), ("format", {"format": "json", "key.format": "json"}, ONE), ("no key format", {"value.format": "json"}, ONE), ("debezium value", {"key.format": "json", "value.format": "debezium-json"}, ONE),
           ("prefix without EXCEPT_KEY", {**BASE, "key.fields-prefix": "k_"}, "k_id BIGINT, PRIMARY KEY (k_id) NOT ENFORCED"), ("enforced", BASE, "id BIGINT, name STRING, PRIMARY KEY (id)"), ("key of ARRAY", BASE, "id ARRAY<INT>, PRIMARY KEY (id) NOT ENFORCED"), ("key of ROW", BASE, "id ROW<a INT>, PRIMARY KEY (id) NOT ENFORCED"), ("key alone in table", BASE, "id BIGINT, PRIMARY KEY (id) NOT ENFORCED"),
           ("key nullable declared", BASE, "id BIGINT NULL, PRIMARY KEY (id) NOT ENFORCED")]
CHANGES = [("all", "id BIGINT, name STRING, v DECIMAL(10,2), PRIMARY KEY (id) NOT ENFORCED", "SELECT * FROM t", BASE), ("expressions", ONE, "SELECT id, name || '!' FROM t", BASE), ("filter", ONE, "SELECT id, name FROM t WHERE v < 3", BASE), ("filter on key", ONE, "SELECT id, name FROM t WHERE id <> 2", BASE), ("EXCEPT_KEY", ONE, "SELECT id, name FROM t", EXCEPT),
           ("csv", ONE, "SELECT id, name FROM t", {"key.format": "csv", "value.format": "csv"}), ("key as text", "id STRING, name STRING, PRIMARY KEY (id) NOT ENFORCED", "SELECT CAST(id AS STRING), name FROM t", BASE), ("other key", "name STRING, v DECIMAL(10,2), PRIMARY KEY (name) NOT ENFORCED", "SELECT name, v FROM t", BASE), ("constant column", ONE, "SELECT id, 'k' FROM t", BASE),
           ("union", ONE, "SELECT id, name FROM t UNION ALL SELECT id + 100, name FROM t", BASE)]


def upsert_read(name, columns, records, options=None, sql="SELECT * FROM t"):
    read("upsert_read", name, columns, records, {}, sql=sql, connector=table("t", columns, *upsert("in", STOP, *quoted(options or BASE))))


def reads():
    for name, records, options in READS:
        upsert_read(name, ONE, records, options)
        if "ignore" not in name:
            upsert_read(name + ", projected", ONE, records, options, sql="SELECT name FROM t")
    for name, sql in [("filter", "SELECT * FROM t WHERE name <> 'c'"), ("filter on key", "SELECT * FROM t WHERE id = 1"), ("key alone", "SELECT id FROM t"), ("expression", "SELECT id, UPPER(name) FROM t")]:
        upsert_read(name, ONE, CHAIN, sql=sql)
    pairs = [record('{"a":1,"b":"x"}', '{"a":1,"b":"x","v":1.5}'), record('{"b":"x","a":1}', '{"a":1,"b":"x","v":2}'), record('{"a":1,"b":"y"}', '{"a":1,"b":"y","v":3}'), record('{"a":1,"b":"x"}', None), record('{"a":1}', None)]
    upsert_read("composite key", TWO, pairs[:4])
    upsert_read("composite key EXCEPT_KEY", TWO, pairs[:4], EXCEPT)
    upsert_read("composite key with a part missing", TWO, pairs)
    metadata = "id BIGINT, n AS UPPER(name), name STRING, ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, h MAP<STRING,BYTES> METADATA FROM 'headers' VIRTUAL, o BIGINT METADATA FROM 'offset' VIRTUAL, p INT METADATA FROM 'partition' VIRTUAL, PRIMARY KEY (id) NOT ENFORCED"
    upsert_read("computed and metadata", metadata, [record('{"id":1}', '{"id":1,"name":"a"}', headers=[["x", "1"]], timestamp=1700000000001), record('{"id":1}', '{"id":1,"name":"a"}', timestamp=1700000000002), record('{"id":1}', None, timestamp=1700000000003)])
    for kind, key, other in [("STRING", '"é"', '"x"'), ("INT", '"1"', '2'), ("DECIMAL(5,2)", '1.50', '1.5'), ("DATE", '"2020-01-01"', '"2020-01-02"'), ("TIMESTAMP(3)", '"2020-01-01 00:00:00"', '"2020-01-01 00:00:00.000"'), ("DOUBLE", '1', '1.0'), ("BOOLEAN", 'true', '"true"'), ("BYTES", '"AA=="', '"AQ=="')]:
        upsert_read(f"key of {kind}", f"id {kind}, name STRING, PRIMARY KEY (id) NOT ENFORCED", [record(f'{{"id":{key}}}', f'{{"id":{key},"name":"a"}}'), record(f'{{"id":{other}}}', f'{{"id":{other},"name":"b"}}'), record(f'{{"id":{key}}}', None)])
    upsert_read("raw key", "k STRING, name STRING, PRIMARY KEY (k) NOT ENFORCED", [record("x", '{"k":"x","name":"a"}'), record("x", '{"k":"x","name":"b"}'), record("", '{"k":"","name":"b"}'), record("x", None)], {"key.format": "raw", "value.format": "json"})
    upsert_read("csv key and value", "id BIGINT, b STRING, name STRING, PRIMARY KEY (id, b) NOT ENFORCED", [record("1,x", "1,x,a"), record("1,x", "1,x,b"), record("1,x", None)], {"key.format": "csv", "value.format": "csv"})
    upsert_read("csv value EXCEPT_KEY", "id BIGINT, b STRING, name STRING, PRIMARY KEY (id) NOT ENFORCED", [record("1", "x,a"), record("1", "y,b"), record("1", None)], {"key.format": "csv", "value.format": "csv", "value.fields-include": "EXCEPT_KEY"})
    upsert_read("raw value", "id BIGINT, v STRING, PRIMARY KEY (id) NOT ENFORCED", [record('{"id":1}', "x"), record('{"id":1}', ""), record('{"id":1}', None)], {"key.format": "json", "value.format": "raw", "value.fields-include": "EXCEPT_KEY"})
    upsert_read("prefix", "k_id BIGINT, id STRING, name STRING, PRIMARY KEY (k_id) NOT ENFORCED", [record('{"id":1}', '{"id":"v","name":"a"}'), record('{"id":1}', None)], {**EXCEPT, "key.fields-prefix": "k_"})
    for name, options, columns in OPTIONS:
        upsert_read(f"option {name}", columns, [A], options)


def upsert_write(name, columns, rows, options=None, **more):
    write("upsert_write", name, columns, f"INSERT INTO t {rows}", options or BASE, connector=upsert, **more)


def writes():
    upsert_write("append", ONE, "VALUES (1,'a'),(1,'b'),(2,CAST(NULL AS STRING))")
    upsert_write("append EXCEPT_KEY", ONE, "VALUES (1,'a'),(1,'b')", EXCEPT)
    upsert_write("composite", TWO, "VALUES (1,1.5e0,'x'),(2,1e10,'y')")
    upsert_write("composite EXCEPT_KEY", TWO, "VALUES (1,1.5e0,'x'),(2,1e10,'y')", EXCEPT, partitions=3)
    upsert_write("csv", "id BIGINT, b STRING, name STRING, PRIMARY KEY (b, id) NOT ENFORCED", "VALUES (1,'x y','a')", {"key.format": "csv", "value.format": "csv"})
    upsert_write("raw key", "k STRING, name STRING, PRIMARY KEY (k) NOT ENFORCED", "VALUES ('x','a'),('','b')", {"key.format": "raw", "value.format": "json"}, partitions=3)
    upsert_write("prefix", "k_id BIGINT, id STRING, PRIMARY KEY (k_id) NOT ENFORCED", "VALUES (1,'a')", {**EXCEPT, "key.fields-prefix": "k_"})
    upsert_write("null key", ONE, "SELECT CAST(NULL AS BIGINT), 'a'")
    upsert_write("null key DROP", ONE, "SELECT id, n FROM (VALUES (1,'a'),(CAST(NULL AS INT),'b')) x(id,n)", config={"table.exec.sink.not-null-enforcer": "DROP"})
    upsert_write("metadata", "id BIGINT, ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', h MAP<STRING,BYTES> METADATA FROM 'headers', PRIMARY KEY (id) NOT ENFORCED", "VALUES (1, TO_TIMESTAMP_LTZ(1600000000123, 3), MAP['a', x'01'])")
    upsert_write("key kinds", "a DATE, b TIMESTAMP(3), c DECIMAL(5,2), d BOOLEAN, e BYTES, v INT, PRIMARY KEY (a, b, c, d, e) NOT ENFORCED", "VALUES (DATE '2020-01-01', TIMESTAMP '2020-01-01 00:00:00.100', 1.50, TRUE, x'01', 1)")
    upsert_write("key and value options", "a TIMESTAMP(3), c DECIMAL(10,2), PRIMARY KEY (a, c) NOT ENFORCED", "VALUES (TIMESTAMP '2020-01-01 00:00:00.100', 100.00)", {**BASE, "key.json.timestamp-format.standard": "ISO-8601", "value.json.encode.decimal-as-plain-number": "true"})
    upsert_write("sink of char key", "a CHAR(3), v INT, PRIMARY KEY (a) NOT ENFORCED", "VALUES ('abc',1),('de',2)")


def changes():
    first, second, third = '{"id":1,"name":"a","v":1}', '{"id":1,"name":"b","v":2}', '{"id":1,"name":"b","v":3}'
    other = '{"id":2,"name":"z","v":9}'
    records = [{"value": each} for each in [envelope("c", "null", first), envelope("u", first, second), envelope("c", "null", other), envelope("u", second, third), None, envelope("d", other, "null"), envelope("r", "null", '{"id":3,"name":"q","v":100}')]]
    for keyed in [False, True]:
        source = table("t", "id BIGINT NOT NULL, name STRING, v DECIMAL(10,2), PRIMARY KEY (id) NOT ENFORCED" if keyed else "id BIGINT, name STRING, v DECIMAL(10,2)", *kafka("in", "'format'='debezium-json'", BOUNDED))
        for name, columns, sql, options in CHANGES:
            told("upsert_changes", {"name": f"changes {name}{' of a keyed source' if keyed else ''}", "setup": [source, table("o", columns, *upsert("out", *quoted(options)))], "sql": f"INSERT INTO o {sql}", "mode": "streaming", "input": {"in": records}, "output": {"out": []}})
    source = table("t", ONE, *upsert("in", STOP, *quoted(BASE)))
    into = lambda columns: table("o", columns, *upsert("out", *quoted(BASE)))
    plain = lambda kind: table("o", "id BIGINT, name STRING", *kafka("out", f"'format'='{kind}'"))
    for name, target, sql in [("upsert to upsert", into(ONE), "SELECT * FROM t"), ("upsert to upsert, expression", into(ONE), "SELECT id, UPPER(name) FROM t"), ("upsert to upsert, filter", into(ONE), "SELECT * FROM t WHERE name <> 'c'"), ("upsert to another key", into("name STRING, id BIGINT, PRIMARY KEY (name) NOT ENFORCED"), "SELECT name, id FROM t WHERE name IS NOT NULL"),
                              ("upsert to json", plain("json"), "SELECT * FROM t"), ("upsert to debezium", plain("debezium-json"), "SELECT * FROM t")]:
        told("upsert_changes", {"name": name, "setup": [source, target], "sql": f"INSERT INTO o {sql}", "mode": "streaming", "input": {"in": CHAIN}, "output": {"out": []}})


def make():
    reads()
    writes()
    changes()
