"""`json`: each type with each value, records that are none, options, and what is written."""
from cases import read, rows_of, write
from values import COLUMNS, KINDS, STRICT


def json_read():
    for kind, values in KINDS:
        for iso in ([False, True] if "TIMESTAMP" in kind else [False]):
            options = {"format": "json", "json.ignore-parse-errors": "true"}
            if iso:
                options["json.timestamp-format.standard"] = "ISO-8601"
            records = [f'{{"i":{at},"v":{text}}}' for at, text in enumerate(values)]
            read("json_each", f"parse {kind} each, ignore-parse-errors{' ISO-8601' if iso else ''}", f"i INT, v {kind}", records, options)


RECORDS = ['{"a":1,"b":"x"}', '{"b":"y"}', '{"a":2,"b":"z","c":3}', 'not json', '', ' ', '{"a":3', '{"a":3,', '{"a":3,"b"', '{"a":3,"b":', '{"a":3,"b":"x', '{"a":3,"b":"x"', '[]', '[{"a":4}]', '[{"a":4},{"a":5}]', '[[{"a":4}]]', '[null]', '[1]', '[{"a":4},"x"]', 'null', '5', '"s"', 'true', '{}', '{"A":5,"B":"up"}',
           '{"a":6,"a":7}', '{"a":"bad","a":7}', '{"a":6,"a":"bad"}', '{"b":"x","b":null}', '{"a":8} trailing', '{"a":8}}', '{"a":8},', '{"a":8}\n', '{"a":9}{"a":10}', '{"a":9}\n{"a":10}', '  {"a":11}  ', '\t\r\n{"a":11}', "{'a':12}", '{a:13}', '{"a":"14"}', '{"a":{"x":1},"b":"n"}', '{"a":[1],"b":"n"}', '{"a":null,"b":null}',
           '{"a":15,"b":"\\ud83d\\ude00"}', '{"a":15,"b":"\\ud83d"}', '{"a":15,"b":"\\ude00"}', '{"a":15,"b":"\\ud83d\\ud83d"}', '{"a":16,/*c*/"b":"x"}', '{"a":16} // c', '# c\n{"a":16}', '{"a":017}', '{"a":00}', '{"a":-}', '{"a":+1}', '{"a":.5}', '{"a":5.}', '{"a":1e}', '{"a":0x1}', '{"a":1,}', '{,"a":1}', '{"a":1 "b":"x"}', '{"a" 1}', '{"a":}',
           '\ufeff{"a":18}', ' \ufeff{"a":18}', '{"a":19,"b":"tab\there"}', '{"a":19,"b":"nl\nhere"}', '{"a":19,"b":"nul\\u0000"}', '{"a":19,"b":"\\x41"}', '{"a":19,"b":"\\u12"}', '{"\\u0061":20}', '{"a":NaN}', '{"a":Infinity}', '{"b":NaN}', '{"c":NaN,"a":1}', '{"c":-Infinity}', '{"a":nul}', '{"a":True}', '{"c":[1,2,{"d":[]}],"a":21}', '{"c":[1,2,"a":22}', '{"c":{"a":1},"a":23}',
           '{"a":24}\x00', '{"a":25,"b":"x"}]', '{"a":1,"b":"x"}{', '<a>1</a>', 'a=1', '{"a":1e400}', '{"b":1e400}', '{"a":99999999999999999999999}', '{"a":1' + '0' * 40 + '}', '{"b":1' + '0' * 40 + '.50}', '{"b":"' + 'x' * 300 + '"}', '{"":1,"a":26}', '{"a":27,"b":"\\/\\b\\f\\n\\r\\t\\"\\\\"}', '{"a":28,"b":{"c":"\\u00e9\\/"}}', 'undefined', '{"a":1;"b":2}', '{"a":"１"}', '{"a":" 1"}', '{"a":"1 "}', '{"a":true}', '{"a":"true"}', '{"a":1.5}', '{"a":-0.9}', '{"a":2147483648}', '{"b":-0}', '{"b":-0.0}', '{"b":[]}', '{"b":{}}']
BYTE_RECORDS = [b'{"a":1,"b":"\xff"}', b'{"a":1,"b":"\xc3"}', b'{"a":1,"\xff":2}', b'\xff\xfe{\x00}\x00', '{"a":1}'.encode("utf-16-le"), '{"a":1}'.encode("utf-16-be"), '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-32-le"), '{"a":1}'.encode("utf-32-be"), b'{"a":1,"b":"\xed\xa0\x80"}', b'{"a":1,"b":"\xf0\x9f\x98\x80"}', b'{"a":1,"b":"\xc0\x80"}',
                b'{"a":1}\xff', b'{"a":1,"b":"\xe9t\xe9"}', b'\x00', b'\x00\x00{"a":1}', b'{"a":1,"b":{"c":"\xff"}}']
HARD = ['', ' ', '{"a":3,"b":"x"', '[{"a":4}]', '[]', '[null]', '5', 'true', '{}', '{"a":"bad","a":7}', '{"a":8} trailing', '{"a":8}}', "{'a':12}", '{"a":"14"}', '{"a":[1],"b":"n"}', '{"a":15,"b":"\\ud83d"}', '{"a":017}', '{"a":1,}', '{"a":19,"b":"nl\nhere"}', '{"\\u0061":20}', '{"a":NaN}', '{"c":NaN,"a":1}', '{"a":21,"c":[1,2,"x":22}', '{"a":24}\x00', 'undefined', '{"a":1,"b":1e400}']


def json_records():
    for ignore in [True, False]:
        options = {"format": "json", "json.ignore-parse-errors": "true"} if ignore else {"format": "json"}
        if ignore:
            # Behind each record one that can be read, so that the rows tell which of them gave none.
            records = [each for at, record in enumerate(RECORDS + BYTE_RECORDS) for each in (record, f'{{"a":{1000 + at},"b":"{at}"}}')]
            read("json_records", "malformed records, ignore-parse-errors", "a INT, b STRING", records, options)
            read("json_records", "malformed records as texts, ignore-parse-errors", "b STRING, a STRING", records, options)
            read("json_records", "malformed records, nested, ignore-parse-errors", "a ROW<x INT>, c ARRAY<INT>, b MAP<STRING,STRING>", records, options)
            read("json_records", "malformed records, last column alone", "b STRING", records, options)
            read("json_records", "malformed records, projection", "a INT, b STRING, c ROW<a INT, d ARRAY<INT>>", records, options, sql="SELECT b FROM t")
            read("json_records", "malformed records, nested projection", "a INT, b STRING, c ROW<a INT, d ARRAY<INT>>", records, options, sql="SELECT c.a FROM t")
        else:
            for record in HARD + BYTE_RECORDS[:8]:
                name = record if isinstance(record, str) else record.hex()
                read("json_strict", f"strict record {name}", "a INT, b STRING", ['{"a":0}', record], options)
    for kind, values in STRICT:
        for text in values:
            for iso in ([False, True] if "TIMESTAMP" in kind else [False]):
                options = {"format": "json"}
                if iso:
                    text, options["json.timestamp-format.standard"] = text.replace(" ", "T", 1), "ISO-8601"
                read("json_strict", f"strict {'ISO ' if iso else ''}{kind} {text}", f"v {kind}", [f'{{"v":{text}}}'], options)
    missing = {"format": "json", "json.fail-on-missing-field": "true"}
    for name, columns, record in [("top", "a INT, b STRING", '{"a":1}'), ("nested", "a INT, r ROW<x INT, y INT>", '{"a":1,"r":{"x":1}}'), ("nested in array", "a ARRAY<ROW<x INT, y INT>>", '{"a":[{"x":1}]}'), ("all there", "a INT, r ROW<x INT>", '{"a":1,"r":{"x":null}}'),
                                  ("null row", "a INT, r ROW<x INT>", '{"a":1,"r":null}'), ("other case", "a INT", '{"A":1}')]:
        read("json_strict", f"fail on missing field, {name}", columns, [record], missing)
    read("json_strict", "fail on missing field, not selected", "a INT, b STRING", ['{"a":1}'], missing, sql="SELECT a FROM t")
    read("json_strict", "fail on missing and ignore", "a INT", ['{"a":1}'], {"format": "json", "json.fail-on-missing-field": "true", "json.ignore-parse-errors": "true"})
    read("json_strict", "NOT NULL column missing, ignore", "a INT NOT NULL, b INT", ['{"b":1}'], {"format": "json", "json.ignore-parse-errors": "true"})
    read("json_strict", "NOT NULL column bad, ignore", "a INT NOT NULL, b INT", ['{"a":"x","b":1}'], {"format": "json", "json.ignore-parse-errors": "true"})
    read("json_strict", "NOT NULL inside of a row", "r ROW<x INT NOT NULL, y INT>", ['{"r":{"x":1}}', '{"r":{"y":1}}'], {"format": "json"})
    read("json_strict", "not null column not selected", "a INT NOT NULL, b INT", ['{"b":1}'], {"format": "json"}, sql="SELECT b FROM t")
    for name, value in [("timestamp-format.standard", "iso"), ("timestamp-format.standard", "RFC"), ("ignore-parse-errors", "yes"), ("ignore-parse-errors", "TRUE"), ("map-null-key.mode", "x"), ("map-null-key.mode", "drop"), ("nope", "1"), ("encode.decimal-as-plain-number", "1"), ("decode.json-parser.enabled", "true")]:
        read("json_strict", f"option {name} {value}", "a INT", ['{"a":1}'], {"format": "json", f"json.{name}": value})
    for name, columns, sql, records in [
        ("computed column", "a INT, b AS a * 2, c AS UPPER(d), d STRING", "SELECT * FROM t", ['{"a":1,"d":"x"}', '{"a":null}']), ("nested access", "r ROW<x INT, y ROW<z STRING>>", "SELECT r.x, r.y.z, r.y FROM t", ['{"r":{"x":1,"y":{"z":"q"}}}', '{"r":null}', '{"r":{"y":null}}', '{}']),
        ("array access", "a ARRAY<ROW<x INT>>", "SELECT a[1].x, CARDINALITY(a), a[2] FROM t", ['{"a":[{"x":1}]}', '{"a":[]}', '{}']), ("map access", "m MAP<STRING,INT>", "SELECT m['a'], CARDINALITY(m), MAP_KEYS(m) FROM t", ['{"m":{"a":1}}', '{"m":{"b":1}}', '{}']),
        ("unnest array", "i INT, a ARRAY<INT>", "SELECT i, x FROM t CROSS JOIN UNNEST(a) AS u(x)", ['{"i":1,"a":[1,2]}', '{"i":2,"a":[]}', '{"i":3}']), ("unnest rows", "i INT, a ARRAY<ROW<x INT, y STRING>>", "SELECT i, x, y FROM t CROSS JOIN UNNEST(a) AS u(x, y)", ['{"i":1,"a":[{"x":1,"y":"a"},{"x":2}]}']),
        ("unnest map", "i INT, m MAP<STRING,INT>", "SELECT i, k, v FROM t CROSS JOIN UNNEST(m) AS u(k, v)", ['{"i":1,"m":{"b":1,"a":2}}', '{"i":2}']), ("filter", "a INT, b STRING", "SELECT * FROM t WHERE a > 1 AND b IS NOT NULL", ['{"a":1,"b":"x"}', '{"a":2,"b":"y"}', '{"a":3}']), ("quoted names", "`a b` INT, `é` STRING, `x.y` INT, `\"q\"` INT", "SELECT * FROM t", ['{"a b":1,"é":"x","x.y":2,"\\"q\\"":3}']),
        ("union", "a INT", "SELECT a FROM t UNION ALL SELECT a + 10 FROM t", ['{"a":1}']), ("no column used", "a INT", "SELECT 1 FROM t", ['{"a":1}', '{}']), ("same column twice", "a INT", "SELECT a, a AS b, a + a FROM t", ['{"a":1}']), ("cast", "a STRING", "SELECT CAST(a AS INT), TRY_CAST(a AS DATE) FROM t", ['{"a":"1"}', '{"a":2}']),
        ("json functions on objects", "j STRING", "SELECT JSON_VALUE(j, '$.a'), JSON_QUERY(j, '$.b'), JSON_EXISTS(j, '$.c') FROM t", ['{"j":{"a":1.50,"b":[1, 2]}}', '{"j":"{\\"a\\": true}"}', '{"j":5}'])]:
        read("json_queries", name, columns, records, {"format": "json"}, sql=sql)


def json_write():
    for kind, values in COLUMNS.items():
        variants = [{}]
        if kind.startswith("DECIMAL") or "DECIMAL" in kind:
            variants.append({"json.encode.decimal-as-plain-number": "true"})
        if "TIMESTAMP" in kind:
            variants.append({"json.timestamp-format.standard": "ISO-8601"})
        if kind.startswith(("ROW", "ARRAY", "MAP<STRING,STRING")) or kind == "INT":
            variants.append({"json.encode.ignore-null-fields": "true"})
        for more in variants:
            write("json_write", f"i INT, v {kind} {' '.join(more)}", f"i INT, v {kind}", rows_of(kind, values), {"format": "json", **more})
    nulls = "INSERT INTO t SELECT 1, CAST(NULL AS STRING), CAST(ROW(CAST(NULL AS INT), 'x') AS ROW<x INT, y STRING>), ARRAY[1, CAST(NULL AS INT)], MAP['k', CAST(NULL AS INT)], CAST(NULL AS ROW<x INT>)"
    write("json_write", "ignore null fields, nested", "a INT, b STRING, r ROW<x INT, y STRING>, l ARRAY<INT>, m MAP<STRING,INT>, q ROW<x INT>", nulls, {"format": "json", "json.encode.ignore-null-fields": "true"})
    write("json_write", "null fields, nested", "a INT, b STRING, r ROW<x INT, y STRING>, l ARRAY<INT>, m MAP<STRING,INT>, q ROW<x INT>", nulls, {"format": "json"})
    for mode in ["FAIL", "DROP", "LITERAL", "drop"]:
        for literal in [None, "NK", "a"]:
            if mode != "LITERAL" and literal:
                continue
            options = {"format": "json", "json.map-null-key.mode": mode}
            if literal:
                options["json.map-null-key.literal"] = literal
            write("json_write", f"null key of a map, {mode} {literal}", "m MAP<STRING,INT>", "INSERT INTO t SELECT MAP[CAST(NULL AS STRING),1,'a',2]", options)
            write("json_write", f"null key inside of a row, {mode} {literal}", "r ROW<m MAP<STRING,INT>>", "INSERT INTO t SELECT CAST(ROW(MAP[CAST(NULL AS STRING),1,'b',2]) AS ROW<m MAP<STRING,INT>>)", options)
    names = "INSERT INTO t SELECT 1, 2, 3, 4"
    write("json_write", "odd names", "`a b` INT, `é\"q` INT, `x.y` INT, `\\b` INT", names, {"format": "json"})
    enforced = [("not-null DROP", "a INT NOT NULL", "INSERT INTO t SELECT a FROM (VALUES (1),(CAST(NULL AS INT)),(2)) t(a)", {"table.exec.sink.not-null-enforcer": "DROP"}), ("not-null ERROR", "a INT NOT NULL, b INT", "INSERT INTO t SELECT a, b FROM (VALUES (1,CAST(NULL AS INT)),(CAST(NULL AS INT),2)) t(a,b)", {"table.exec.sink.not-null-enforcer": "ERROR"}),
                ("nested not null ERROR", "r ROW<x INT NOT NULL>", "INSERT INTO t SELECT CAST(ROW(CAST(NULL AS INT)) AS ROW<x INT>)", {}), ("char TRIM_PAD", "a CHAR(4), b VARCHAR(2)", "INSERT INTO t VALUES ('ab','abc'),('abcdef','a')", {"table.exec.sink.type-length-enforcer": "TRIM_PAD"}), ("char IGNORE", "a CHAR(4), b VARCHAR(2)", "INSERT INTO t VALUES ('ab','abc'),('abcdef','a')", {"table.exec.sink.type-length-enforcer": "IGNORE"}),
                ("binary TRIM_PAD", "a BINARY(4), b VARBINARY(2)", "INSERT INTO t VALUES (x'0102',x'010203')", {"table.exec.sink.type-length-enforcer": "TRIM_PAD"}), ("nested TRIM_PAD", "r ROW<a VARCHAR(2)>, l ARRAY<VARCHAR(2)>", "INSERT INTO t SELECT CAST(ROW('abcdef') AS ROW<a STRING>), ARRAY['abcdef']", {"table.exec.sink.type-length-enforcer": "TRIM_PAD"}),
                ("legacy cast", "a STRING, b INT", "INSERT INTO t VALUES (1, '2')", {"table.exec.legacy-cast-behaviour": "ENABLED"}), ("zone", "a TIMESTAMP_LTZ(3), b TIMESTAMP(3)", "INSERT INTO t SELECT CAST(TIMESTAMP '2020-07-01 00:00:00' AS TIMESTAMP_LTZ(3)), CAST(TO_TIMESTAMP_LTZ(0,3) AS TIMESTAMP(3))", {"table.local-time-zone": "Europe/Berlin"})]
    for name, columns, sql, config in enforced:
        write("json_write", name, columns, sql, {"format": "json"}, config=config)
    for name, columns, sql in [
        ("column list", "a INT, b STRING, c DOUBLE", "INSERT INTO t (b, a) VALUES ('x', 1)"), ("column list of unknown", "a INT", "INSERT INTO t (z) VALUES (1)"), ("too few", "a INT, b INT", "INSERT INTO t SELECT 1"), ("too many", "a INT", "INSERT INTO t SELECT 1, 2"), ("date into timestamp", "a TIMESTAMP(3)", "INSERT INTO t SELECT DATE '2020-01-01'"),
        ("timestamp into date", "a DATE", "INSERT INTO t SELECT TIMESTAMP '2020-01-01 12:00:00'"), ("decimal into int", "a INT", "INSERT INTO t SELECT CAST(1.9 AS DECIMAL(5,2))"), ("double into decimal", "a DECIMAL(5,2)", "INSERT INTO t SELECT 1.005e0"), ("int into boolean", "a BOOLEAN", "INSERT INTO t SELECT 1"), ("bytes into string", "a STRING", "INSERT INTO t SELECT x'41'"), ("ltz into timestamp", "a TIMESTAMP(3)", "INSERT INTO t SELECT TO_TIMESTAMP_LTZ(0,3)"),
        ("row into row with other names", "r ROW<a INT, b STRING>", "INSERT INTO t SELECT ROW(1, 'x')"), ("array of wider", "a ARRAY<BIGINT>", "INSERT INTO t SELECT ARRAY[1, 2]"), ("map of wider", "m MAP<STRING,DOUBLE>", "INSERT INTO t SELECT MAP['a', 1]"), ("null into all", "a INT, b STRING, c ROW<x INT>, d ARRAY<INT>", "INSERT INTO t VALUES (NULL, NULL, NULL, NULL)"), ("decimal overflow into sink", "a DECIMAL(3,1)", "INSERT INTO t SELECT CAST(123.4 AS DECIMAL(5,1))"),
        ("computed column of a sink", "a INT, b AS a + 1", "INSERT INTO t SELECT 1"), ("computed column written", "a INT, b AS a + 1", "INSERT INTO t SELECT 1, 2"), ("time precision", "a TIME(3), b TIME(0)", "INSERT INTO t SELECT CAST('01:02:03.456' AS TIME(3)), CAST('01:02:03.456' AS TIME(3))"), ("timestamp(3) into (9)", "a TIMESTAMP(9)", "INSERT INTO t SELECT TIMESTAMP '2020-01-01 00:00:00.123'"), ("timestamp(9) into (0)", "a TIMESTAMP(0)", "INSERT INTO t SELECT TIMESTAMP '2020-01-01 00:00:00.999999999'"),
        ("float into double", "a DOUBLE", "INSERT INTO t SELECT CAST(1.1 AS FLOAT)"), ("double into float", "a FLOAT", "INSERT INTO t SELECT 1.1e0"), ("bigint into double", "a DOUBLE", "INSERT INTO t SELECT 9007199254740993"), ("tinyint into bigint", "a BIGINT", "INSERT INTO t SELECT CAST(1 AS TINYINT)"), ("char into varchar", "a VARCHAR(10)", "INSERT INTO t SELECT CAST('a' AS CHAR(5))"), ("boolean into string", "a STRING", "INSERT INTO t SELECT TRUE"), ("date into string", "a STRING", "INSERT INTO t SELECT DATE '2020-01-01'")]:
        write("json_write", name, columns, sql, {"format": "json"})


def make():
    json_read()
    json_records()
    json_write()
