"""`debezium-json`: envelopes of every sort, metadata, each type with each value, and what is written."""
import json

from cases import BOUNDED, kafka, read, table, told, value, write
from values import KINDS, STRICT

COLUMNS = "id BIGINT, name STRING, v DECIMAL(10,2)"
NEW, OLD = '{"id":1,"name":"b","v":2.5}', '{"id":1,"name":"a","v":1.5}'
SOURCE = '{"version":"3.7.0.Final","connector":"postgresql","name":"pg","ts_ms":1700000000500,"snapshot":"false","db":"thm","sequence":"[\\"1\\",\\"2\\"]","schema":"public","table":"t","txId":756,"lsn":35593360,"xmin":null}'
IGNORE = {"debezium-json.ignore-parse-errors": "true"}


def envelope(op, before, after, **more):
    """An envelope; what is None is left out."""
    parts = [f'"before":{before}' if before is not None else None, f'"after":{after}' if after is not None else None]
    parts += [f'"{name}":{text}' for name, text in more.items()] + [f'"op":{json.dumps(op)}' if op is not None else None]
    return "{" + ",".join(part for part in parts if part) + "}"


C = envelope("c", "null", NEW)
RECORDS = {
    "c": C, "r": envelope("r", "null", NEW), "u": envelope("u", OLD, NEW), "d": envelope("d", OLD, "null"), "C": envelope("C", "null", NEW), "create": envelope("create", "null", NEW), "empty op": envelope("", "null", NEW), "op number": '{"before":null,"after":' + NEW + ',"op":1}', "op twice": '{"op":"d","before":null,"after":' + NEW + ',"op":"c"}',
    "op first": '{"op":"c","after":' + NEW + '}', "after twice": '{"after":' + OLD + ',"after":' + NEW + ',"op":"c"}', "after array": '{"after":[],"op":"c"}', "after text": '{"after":"x","op":"c"}', "after number": '{"after":5,"op":"c"}', "after empty": '{"after":{},"op":"c"}', "after true": '{"after":true,"op":"c"}', "after text of json": '{"after":"{\\"id\\":1}","op":"c"}',
    "before empty": envelope("u", "{}", NEW), "before array": envelope("u", "[]", NEW), "before text": envelope("d", '"x"', "null"), "u same": envelope("u", NEW, NEW), "d with after": envelope("d", OLD, NEW), "d without after": envelope("d", OLD, None), "u without before": envelope("u", None, NEW), "d empty before": envelope("d", "{}", None), "d before null": envelope("d", "null", "null"), "c with before": envelope("c", OLD, NEW),
    "source text": envelope("c", "null", NEW, source='"x"'), "source null": envelope("c", "null", NEW, source="null"), "source": envelope("c", "null", NEW, source=SOURCE, ts_ms="1700000000600", transaction="null"), "ts text": envelope("c", "null", NEW, ts_ms='"x"'), "extra": envelope("c", "null", NEW, extra='{"a":[1]}'), "trailing": C + " x", "two": C + envelope("d", OLD, "null"), "bom": "\ufeff" + C, "cut": C[:-3],
    "upper names": '{"BEFORE":null,"AFTER":' + NEW + ',"OP":"c"}', "escaped names": '{"\\u0061fter":' + NEW + ',"\\u006fp":"\\u0063"}', "array": "[" + C + "]", "null": "null", "number": "5", "text": '"x"', "empty": "", "blank": " ", "empty object": "{}", "missing field": envelope("c", "null", '{"id":1}'), "other case": envelope("c", "null", '{"ID":1}'), "bad field": envelope("c", "null", '{"id":"x","name":"b","v":1}'),
    "bad field of before": envelope("u", '{"id":"x"}', NEW), "id twice": envelope("c", "null", '{"id":1,"id":2}'), "message": envelope("m", None, None, message='{"prefix":"p","content":"AAE="}'), "truncate": envelope("t", "null", "null"), "schema beside": '{"schema":{},"payload":' + C + '}', "heartbeat": '{"ts_ms":1}', "tombstone": None,
    "lone surrogate": envelope("c", "null", '{"id":1,"name":"\\ud83d"}'), "control": envelope("c", "null", '{"id":1,"name":"a\tb"}'), "utf16": C.encode("utf-16-le"),
}
METADATA = ("id BIGINT, s STRING METADATA FROM 'value.schema' VIRTUAL, it TIMESTAMP_LTZ(3) METADATA FROM 'value.ingestion-timestamp' VIRTUAL, st TIMESTAMP_LTZ(3) METADATA FROM 'value.source.timestamp' VIRTUAL, db STRING METADATA FROM 'value.source.database' VIRTUAL, "
            "sc STRING METADATA FROM 'value.source.schema' VIRTUAL, tb STRING METADATA FROM 'value.source.table' VIRTUAL, p MAP<STRING,STRING> METADATA FROM 'value.source.properties' VIRTUAL, ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, o BIGINT METADATA FROM 'offset' VIRTUAL")


def with_options(more):
    return {"format": "debezium-json", **more}


def envelopes():
    for name, record in RECORDS.items():
        read("debezium_records", name, COLUMNS, [{"value": value(record)}], with_options({}))
        read("debezium_records", f"{name} ignore, then c", COLUMNS, [{"value": value(record)}, {"value": envelope("c", "null", '{"id":9,"name":"z","v":0}')}], with_options(IGNORE))
    for name in ["c", "u", "d", "two", "cut", "null", "tombstone", "array", "bad field", "op twice"]:
        wrapped = '{"schema":{"type":"struct"},"payload":' + RECORDS[name] + '}' if RECORDS[name] is not None else None
        for more in [{}, IGNORE]:
            read("debezium_records", f"schema-include {name}{' ignore' if more else ''}", COLUMNS, [{"value": wrapped}], with_options({"debezium-json.schema-include": "true", **more}))


def metadata():
    odd = ['{"ts_ms":1700000000500,"db":null,"table":"t"}', '{"ts_ms":"1700000000500","db":5,"schema":true,"table":{"a":1}}', '{"ts_ms":1.5}', '{}', 'null', '{"a":[1,2],"b":{"c":1.50},"d":1e3}']
    for op in ["c", "u", "d"]:
        for text in [SOURCE] + (odd if op == "c" else []):
            read("debezium_metadata", f"metadata {op} {text[:60]}", METADATA, [{"value": envelope(op, OLD, NEW, source=text, ts_ms="1700000000600"), "timestamp": 1700000000700}], with_options({}))
    read("debezium_metadata", "metadata without source", METADATA, [{"value": C}], with_options({}))
    read("debezium_metadata", "metadata of schema-include", METADATA, [{"value": '{"schema":{"type":"struct","fields":[]},"payload":' + envelope("c", "null", NEW, source=SOURCE) + '}'}], with_options({"debezium-json.schema-include": "true"}))
    other = "id BIGINT, it BIGINT METADATA FROM 'value.ingestion-timestamp' VIRTUAL, st TIMESTAMP(3) METADATA FROM 'value.source.timestamp' VIRTUAL, db VARCHAR(2) METADATA FROM 'value.source.database' VIRTUAL"
    read("debezium_metadata", "metadata of other types", other, [{"value": envelope("c", "null", NEW, source=SOURCE, ts_ms="5")}], with_options({}))
    read("debezium_metadata", "metadata of unknown key", "id BIGINT, it BIGINT METADATA FROM 'value.nope' VIRTUAL", [{"value": C}], with_options({}))


def types():
    for kind, values in KINDS:
        records = [{"value": envelope("c", "null", f'{{"i":{at},"v":{text}}}')} for at, text in enumerate(values)]
        for iso in ([False, True] if "TIMESTAMP" in kind else [True]):
            more = {"debezium-json.timestamp-format.standard": "ISO-8601"} if iso else {}
            read("debezium_each", f"debezium {kind} ignore{' ISO' if iso else ''}", f"i INT, v {kind}", records, with_options({**IGNORE, **more}))
    for kind, values in STRICT:
        for text in values[:6]:
            iso = {"debezium-json.timestamp-format.standard": "ISO-8601"} if "TIMESTAMP" in kind else {}
            given = text.replace(" ", "T", 1) if iso else text
            read("debezium_strict", f"debezium strict {kind} {given}", f"i INT, v {kind}", [envelope("c", "null", f'{{"i":0,"v":{given}}}')], with_options(iso))
    for name, text in [("fail-on-missing-field", "true"), ("schema-include", "maybe"), ("encode.decimal-as-plain-number", "true"), ("map-null-key.mode", "DROP"), ("timestamp-format.standard", "x"), ("nope", "1")]:
        read("debezium_strict", f"debezium option {name} {text}", "id BIGINT", [C], with_options({f"debezium-json.{name}": text}))


def writes():
    for name, columns, rows in [("decimals", "v DECIMAL(10,2)", "VALUES (CAST(100 AS DECIMAL(10,2))), (CAST(1.50 AS DECIMAL(10,2)))"), ("timestamps", "a TIMESTAMP(3), b TIMESTAMP_LTZ(3), c DATE, d TIME", "SELECT TIMESTAMP '2020-01-01 00:00:00.120', TO_TIMESTAMP_LTZ(0,3), DATE '2020-01-01', TIME '01:02:03'"),
                                ("nested", "r ROW<x INT, y STRING>, l ARRAY<INT>, m MAP<STRING,INT>", "SELECT CAST(ROW(1, CAST(NULL AS STRING)) AS ROW<x INT, y STRING>), ARRAY[1], MAP['a', 1]"), ("nulls", "a INT, b STRING", "SELECT CAST(NULL AS INT), CAST(NULL AS STRING)"), ("null key", "m MAP<STRING,INT>", "SELECT MAP[CAST(NULL AS STRING), 1]"), ("bytes", "b BYTES, f FLOAT, x DOUBLE", "SELECT x'00ff', CAST(1.5 AS FLOAT), 1e10")]:
        for more in [{}, {"encode.decimal-as-plain-number": "true"}, {"timestamp-format.standard": "ISO-8601"}, {"map-null-key.mode": "LITERAL"}, {"map-null-key.mode": "DROP"}, {"encode.ignore-null-fields": "true"}]:
            write("debezium_write", f"debezium {name} {more}", columns, "INSERT INTO t " + rows, with_options({f"debezium-json.{option}": text for option, text in more.items()}))
    changes = [{"value": envelope("c", "null", OLD)}, {"value": envelope("u", OLD, NEW)}, {"value": envelope("c", "null", '{"id":2,"name":null,"v":null}')}, {"value": None}, {"value": envelope("d", NEW, "null")}]
    for name, sql in [("projection", "SELECT id, UPPER(name) FROM t"), ("filter", "SELECT id, name FROM t WHERE v > 2"), ("filter on null", "SELECT id, name FROM t WHERE name IS NULL"), ("union", "SELECT id, name FROM t UNION ALL SELECT id + 10, name FROM t WHERE id = 2")]:
        for target in [kafka("out", "'format'='debezium-json'"), kafka("out", "'format'='json'")]:
            told("debezium_changes", {"name": f"debezium to {target[-1]}, {name}", "setup": [table("t", COLUMNS, *kafka("in", "'format'='debezium-json'", BOUNDED)), table("o", "id BIGINT, name STRING", *target)], "sql": f"INSERT INTO o {sql}", "mode": "streaming", "input": {"in": changes}, "output": {"out": []}})


def make():
    envelopes()
    metadata()
    types()
    writes()
