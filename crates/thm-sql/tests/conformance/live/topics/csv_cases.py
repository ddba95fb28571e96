"""`csv`: each type with each value, lines under each option, and what is written."""
from cases import read, rows_of, write
from values import COLUMNS

VALUES = {
    "INT": ['1', ' 1 ', '"1"', '1.5', 'x', '', '+1', '2147483648', '1e2', '" 1"'], "BIGINT": ['9223372036854775807', '1.0', '9223372036854775808'], "TINYINT": ['127', '128', '-129'], "SMALLINT": ['32768', '1'],
    "FLOAT": ['1.5', 'NaN', 'Infinity', '1e400', '1.5f', ' 1 ', '', '-0.0'], "DOUBLE": ['1.5', 'nan', '1d', '0x1p3', '1e-400', ''],
    "DECIMAL(5,2)": ['1.005', '1e2', '12345', ' 1.5', '', 'x', '-0.001', '99.995'], "BOOLEAN": ['true', 'TRUE', '1', 'yes', '', ' true ', 'x'],
    "STRING": ['abc', ' a b ', '"a,b"', '"a""b"', '"a\nb"', '', '""', 'é', "'q'", 'a"b', '"a" ', '\\', 'null', 'NULL', 'a\tb', '"x"y'], "VARCHAR(2)": ['abcdef', ''], "CHAR(4)": ['ab', 'abcdef'],
    "DATE": ['2020-02-29', '2019-02-29', '2020-2-9', '', ' 2020-02-29', '2020-02-29 00:00:00', '0', '10000-01-01'], "TIME": ['01:02:03', '01:02', '1:2:3', '01:02:03.456', '24:00:00', '', '01:02:60'],
    "TIMESTAMP(3)": ['2020-02-29 12:34:56', '2020-02-29 12:34:56.789', '2020-02-29T12:34:56', '2020-02-29 12:34:56.123456', '2020-02-29', '', '2019-02-29 00:00:00', '2020-02-29 12:34', '2020-2-9 1:2:3'], "TIMESTAMP(0)": ['2020-02-29 12:34:56.789'],
    "TIMESTAMP_LTZ(3)": ['2020-02-29 12:34:56Z', '2020-02-29 12:34:56.789Z', '2020-02-29T12:34:56Z', '2020-02-29 12:34:56', ''], "BYTES": ['AAEC', 'AAE', 'x', '', 'A A', '%'],
    "ARRAY<INT>": ['1;2', '1', '', '1;;2', 'x', '1;x', ';', '"1;2"', ' 1 ; 2 '], "ARRAY<STRING>": ['a;b', '', ';', '"a;b"', '"a,b;c"', 'a; b'],
    "ROW<x INT, y STRING>": ['1;a', '1', '1;a;2', '', 'x;a', ';'], "ROW<x INT>": ['1', '', 'x'], "ARRAY<DATE>": ['2020-01-01;2020-02-02', '2020-01-01;x'],
}
LINES = ['1,a', '1,', ',a', ',', '1', '', ' ', '1,a,b', '1,a,', '"1","a"', '"1,a"', '1,"a', '1,a"b', '1,"a"b', '1,"a" ', '1, "a"', ' 1 , a ', '# comment', '#1,a', ' #1,a', '1,#a', '1,a\n2,b', '1,a\n', '1,a\r\n', '\n1,a', '\n', '\r\n1,a', '1,"a\nb"',
         '1,\\,', '1,a\\,b', '1,\\', '1;a', '1\ta', '1|a', "1,'a,b'", '\ufeff1,a', '1,a\x00', '"1"",a', '1,""', '1,""""', '1,"""a"""', 'x,a', '1,n/a', 'n/a,a', 'N/A,N/A', 'null,null', '1,é', '"",""', '1,"a"\n', '1,"a",', '"1" ,"a"']
OPTIONS = [{}, {"field-delimiter": ";"}, {"field-delimiter": "|"}, {"field-delimiter": "\\t"}, {"field-delimiter": "\t"}, {"quote-character": "''"}, {"quote-character": "|"}, {"disable-quote-character": "true"}, {"allow-comments": "true"},
           {"escape-character": "\\"}, {"escape-character": "a"}, {"null-literal": "n/a"}, {"null-literal": ""}, {"null-literal": "null"}]
TEXTS = ['a', '', ' a ', 'a,b', 'a"b', 'a;b', "a''b", 'a\tb', 'a\nb', 'é', 'a\\b', '#a', 'a|b', 'n/a', 'abcdefghijklmnopqrstuvwx', 'abcdefghijklmnopqrstuvwxy', 'null', '-', 'a-b', '😀', 'a b', '~', '"', "''"]


def with_options(options):
    return {"format": "csv", **{f"csv.{name}": text for name, text in options.items()}}


def reads():
    ignore = {"ignore-parse-errors": "true"}
    for kind, values in VALUES.items():
        read("csv_each", f"csv {kind} each, ignore-parse-errors", f"i INT, v {kind}", [f"{at},{text}" for at, text in enumerate(values)], with_options(ignore))
        for text in values[:5]:
            read("csv_strict", f"csv strict {kind} {text}", f"v {kind}, i INT", [f"{text},7"], with_options({}))
    for options in OPTIONS:
        delimiter = options.get("field-delimiter", ",").replace("\\t", "\t")
        # Behind each line one that can be read, so that the rows tell which of them gave none.
        records = [each for at, line in enumerate(LINES) for each in (line.replace(",", delimiter), f"{1000 + at}{delimiter}{at}")]
        read("csv_lines", f"csv lines {options}", "i INT, s STRING", records, with_options({**ignore, **options}))
        read("csv_lines", f"csv lines of three {options}", "i INT, s STRING, t STRING", records, with_options({**ignore, **options}))
    for line in ['1', '1,a,b', '1,"a', '', '#x', '1,a\n2,b', '"1"', 'x,a', '1,"a"b']:
        read("csv_strict", f"csv strict line {line}", "i INT, s STRING", [line, '2,z'], with_options({}))
    read("csv_strict", "csv null value", "i INT, s STRING", [{"value": None}, {"value": "1,a"}], with_options({}))
    read("csv_strict", "csv bad utf8", "i INT, s STRING", [b"1,\xff", b"2,\xe9"], with_options({}))
    read("csv_strict", "csv projection", "i INT, s STRING, t STRING", ["1,a,b", "2,,c"], with_options({}), sql="SELECT t, i FROM t")
    read("csv_strict", "csv array delimiter", "a ARRAY<INT>, r ROW<x INT, y INT>", ["1:2,3:4", ",5:6"], with_options({"array-element-delimiter": ":"}))
    read("csv_strict", "csv array delimiter of several", "a ARRAY<INT>", ["1||2"], with_options({"array-element-delimiter": "||"}))
    read("csv_strict", "csv array delimiter is the field's", "a ARRAY<INT>, b INT", ['"1,2",3'], with_options({"array-element-delimiter": ","}))
    read("csv_strict", "csv null literal in array", "a ARRAY<INT>, b ARRAY<STRING>", ["1;n;2,x;n"], with_options({"null-literal": "n"}))
    for kind in ["MAP<STRING,INT>", "MULTISET<INT>", "ARRAY<ARRAY<INT>>", "ROW<a ARRAY<INT>>", "ROW<a ROW<b INT>>"]:
        read("csv_strict", f"csv type {kind}", f"v {kind}", ["1"], with_options({}))
    for name, text in [("field-delimiter", ",,"), ("field-delimiter", ""), ("quote-character", "ab"), ("escape-character", "ab"), ("allow-comments", "maybe"), ("nope", "1"), ("field-delimiter", "\\u0001"), ("field-delimiter", "\\n"), ("line-delimiter", "x"), ("array-element-delimiter", "")]:
        read("csv_strict", f"csv option {name} {text}", "i INT, s STRING", ["1,a"], with_options({name: text}))
    read("csv_strict", "csv both quote options", "i INT", ["1"], with_options({"quote-character": "x", "disable-quote-character": "true"}))


def writes():
    for kind, values in COLUMNS.items():
        write("csv_write", f"csv i INT, v {kind}", f"i INT, v {kind}", rows_of(kind, values), with_options({}))
    texts = "INSERT INTO t VALUES " + ",".join(f"({at},'{text}')" for at, text in enumerate(TEXTS)) + ",(99,CAST(NULL AS STRING))"
    more = [{"escape-character": "\\", "disable-quote-character": "true"}, {"escape-character": "\\", "quote-character": "''"}, {"null-literal": "n/a", "quote-character": "''"}, {"field-delimiter": "~"}, {"quote-character": "-"}, {"field-delimiter": "é"}]
    for options in OPTIONS + more:
        write("csv_write", f"csv texts {options}", "i INT, s STRING", texts, with_options(options))
    nested = ("INSERT INTO t SELECT 1, ARRAY['a', CAST(NULL AS STRING), 'b;c', 'd\"e'], CAST(ROW(1, 'x y', CAST(NULL AS INT)) AS ROW<a INT, b STRING, c INT>), ARRAY[1.50, 2.00] "
              "UNION ALL SELECT 2, CAST(NULL AS ARRAY<STRING>), CAST(NULL AS ROW<a INT, b STRING, c INT>), CAST(NULL AS ARRAY<DECIMAL(5,2)>)")
    for options in [{}, {"array-element-delimiter": "|"}, {"array-element-delimiter": ","}, {"array-element-delimiter": " - "}, {"null-literal": "N"}, {"disable-quote-character": "true"}, {"write-bigdecimal-in-scientific-notation": "false"}]:
        write("csv_write", f"csv nested {options}", "i INT, l ARRAY<STRING>, r ROW<a INT, b STRING, c INT>, d ARRAY<DECIMAL(5,2)>", nested, with_options(options))
    decimals = ("INSERT INTO t VALUES (CAST('0.0000001' AS DECIMAL(20,8)), CAST('100000000000000000000' AS DECIMAL(38,0)), CAST('100' AS DECIMAL(10,2))), "
                "(CAST('0' AS DECIMAL(20,8)), CAST('-10' AS DECIMAL(38,0)), CAST('1.50' AS DECIMAL(10,2)))")
    for flag in ["true", "false"]:
        write("csv_write", f"csv decimals, scientific {flag}", "a DECIMAL(20,8), b DECIMAL(38,0), c DECIMAL(10,2)", decimals, with_options({"write-bigdecimal-in-scientific-notation": flag}))
    write("csv_write", "csv one column null", "s STRING", "INSERT INTO t VALUES (CAST(NULL AS STRING)), (''), ('a')", with_options({}))
    write("csv_write", "csv empty rows", "s STRING, u STRING", "INSERT INTO t VALUES (CAST(NULL AS STRING), ''), ('', CAST(NULL AS STRING))", with_options({"null-literal": "0"}))


def make():
    reads()
    writes()
