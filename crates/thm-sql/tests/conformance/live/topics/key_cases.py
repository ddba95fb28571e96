"""`kafka`: keys, what is in them and in the value, headers, timestamps, partitions."""
from cases import read, write

RECORDS = [{"key": '{"id":1,"k":"a"}', "value": '{"id":2,"name":"x","k":"b"}'}, {"key": None, "value": '{"id":3,"name":"y"}'}, {"key": '{"id":4}', "value": None}, {"key": "", "value": '{"id":5}'}, {"key": "junk", "value": '{"id":6}'}, {"key": "{}", "value": '{"id":7}'}, {"key": '{"id":null}', "value": '{"id":8}'}, {"key": "[]", "value": '{"id":9}'},
           {"key": "null", "value": '{"id":10}'}, {"key": '{"id":"x"}', "value": '{"id":11}'}, {"key": '{"id":12}', "value": "junk"}, {"key": '{"id":13}', "value": ""}, {"key": '{"id":14}{', "value": '{"id":15} x'}]
BASE = {"key.format": "json", "key.fields": "id", "value.format": "json"}
EXCEPT = {"value.fields-include": "EXCEPT_KEY"}
TABLES = [("prefix", {"key.format": "json", "key.fields": "k_id;k_k", "key.fields-prefix": "k_", "value.format": "json", **EXCEPT}, "k_id BIGINT, id BIGINT, k_k STRING, k STRING, name STRING"), ("prefix without EXCEPT_KEY", {"key.format": "json", "key.fields": "k_id", "key.fields-prefix": "k_", "value.format": "json"}, "k_id BIGINT, id BIGINT"),
          ("prefix that does not fit", {"key.format": "json", "key.fields": "id", "key.fields-prefix": "k_", "value.format": "json", **EXCEPT}, "id BIGINT"), ("two keys in another order", {"key.format": "json", "key.fields": "k;id", "value.format": "json", **EXCEPT}, "id BIGINT, name STRING, k STRING"), ("raw key", {"key.format": "raw", "key.fields": "k", "value.format": "json", **EXCEPT}, "k STRING, id BIGINT"),
          ("raw key in both", {"key.format": "raw", "key.fields": "k", "value.format": "json"}, "k STRING, id BIGINT"), ("raw bytes key", {"key.format": "raw", "key.fields": "k", "value.format": "json", **EXCEPT}, "k BYTES, id BIGINT"), ("unknown key field", {"key.format": "json", "key.fields": "zz", "value.format": "json"}, "id BIGINT"), ("no fields", {"key.format": "json", "value.format": "json"}, "id BIGINT"),
          ("fields without format", {"key.fields": "id", "value.format": "json"}, "id BIGINT"), ("format and value.format", {"format": "json", "value.format": "json"}, "id BIGINT"), ("no format", {}, "id BIGINT"), ("all fields in the key", {"key.format": "json", "key.fields": "id;k", "value.format": "json", **EXCEPT}, "id BIGINT, k STRING"),
          ("metadata beside", BASE, "h MAP<STRING,BYTES> METADATA FROM 'headers' VIRTUAL, id BIGINT, o BIGINT METADATA FROM 'offset' VIRTUAL, name STRING, x AS id + 1"), ("key field is computed", {"key.format": "json", "key.fields": "x", "value.format": "json"}, "id BIGINT, x AS id + 1"), ("key csv", {"key.format": "csv", "key.fields": "k;id", "value.format": "json", **EXCEPT}, "id BIGINT, k STRING, name STRING"),
          ("debezium with key", {"key.format": "json", "key.fields": "id", "value.format": "debezium-json"}, "id BIGINT, name STRING"), ("key fields twice", {"key.format": "json", "key.fields": "id;id", "value.format": "json"}, "id BIGINT"), ("key fields with blanks", {"key.format": "json", "key.fields": "id; k", "value.format": "json"}, "id BIGINT, k STRING")]
METADATA = [("headers", "id BIGINT, h MAP<STRING,BYTES> METADATA FROM 'headers'", "(1, MAP['a', x'01', 'b', x'']), (2, MAP['é', x'ff'])"), ("timestamp", "id BIGINT, ts TIMESTAMP(3) METADATA FROM 'timestamp'", "(1, TIMESTAMP '2001-02-03 04:05:06.789'), (2, TIMESTAMP '1970-01-01 00:00:00')"), ("timestamp before 1970", "id BIGINT, ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp'", "(1, TO_TIMESTAMP_LTZ(-1, 3))"),
            ("timestamp(6)", "id BIGINT, ts TIMESTAMP_LTZ(6) METADATA FROM 'timestamp'", "(1, TO_TIMESTAMP_LTZ(1600000000123, 3))"), ("timestamp named", "id BIGINT, `timestamp` TIMESTAMP_LTZ(3) METADATA", "(1, TO_TIMESTAMP_LTZ(1600000000123, 3))"), ("headers null value", "id BIGINT, h MAP<STRING,BYTES> METADATA FROM 'headers'", "(1, MAP['a', CAST(NULL AS BYTES)])"),
            ("headers null", "id BIGINT, h MAP<STRING,BYTES> METADATA FROM 'headers'", "(1, CAST(NULL AS MAP<STRING,BYTES>))"), ("headers of strings", "id BIGINT, h MAP<STRING,STRING> METADATA FROM 'headers'", "(1, MAP['a', 'b'])"), ("partition not virtual", "id BIGINT, p INT METADATA FROM 'partition'", "(1, 0)"), ("metadata first", "ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', id BIGINT", "(TO_TIMESTAMP_LTZ(1600000000123, 3), 1)")]


def make():
    for include in ["ALL", "EXCEPT_KEY"]:
        options = {**BASE, "value.fields-include": include}
        key, both = {"key.json.ignore-parse-errors": "true"}, {"key.json.ignore-parse-errors": "true", "value.json.ignore-parse-errors": "true"}
        read("keys_read", f"keys {include} ignore both", "id BIGINT, name STRING", RECORDS, {**options, **both})
        for at, record in enumerate(RECORDS):
            read("keys_read", f"key {at} {include}", "id BIGINT, name STRING", [record], options)
            read("keys_read", f"key {at} {include} ignore key", "id BIGINT, name STRING", [record], {**options, **key})
    for name, options, columns in TABLES:
        chosen = [{"key": '1,a' if "csv" in name else "plain" if "raw" in name else '{"id":1,"k":"a"}', "value": '{"after":{"id":2,"name":"x"},"op":"c"}' if "debezium" in name else '{"id":2,"name":"x","k":"b"}', "headers": [["b", "1"], ["a", "2"], ["b", None]]}]
        read("keys_read", f"read {name}", columns, chosen, options)
        if "metadata" not in name:
            physical = [part for part in columns.split(", ") if " AS " not in part]
            row = ",".join("1" if "BIGINT" in part else "x'6162'" if "BYTES" in part else "'v'" for part in physical)
            write("keys_write", f"write {name}", columns, f"INSERT INTO t VALUES ({row})", options)
            nulls = ",".join(f"CAST(NULL AS {part.split()[1]})" for part in physical)
            write("keys_write", f"write {name}, nulls", columns, f"INSERT INTO t SELECT {nulls}", options)
    for name, columns, rows in METADATA:
        write("keys_write", f"metadata {name}", columns, f"INSERT INTO t VALUES {rows}", {"format": "json"})
    for partitioner in ["default", "fixed", "round-robin"]:
        write("keys_write", f"partitioner {partitioner} with key", "id BIGINT, name STRING", "INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c'),(17,'d'),(-5,'e'),(100000,'f')", {**BASE, "sink.partitioner": partitioner}, partitions=3)
        write("keys_write", f"partitioner {partitioner} without key", "id BIGINT, name STRING", "INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c')", {"value.format": "json", "sink.partitioner": partitioner}, partitions=1)
    write("keys_write", "partitioner by raw key", "k STRING, v INT", "INSERT INTO t VALUES ('a',1),('bb',2),('',3),('é',5)", {"key.format": "raw", "key.fields": "k", "value.format": "json", "sink.partitioner": "default"}, partitions=4)
    write("keys_write", "partitioner unknown", "id BIGINT", "INSERT INTO t VALUES (1)", {"value.format": "json", "sink.partitioner": "nope"})
