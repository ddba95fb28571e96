"""`raw`: each type with right and wrong bytes, both orders of bytes, charsets."""
from cases import read, write
from values import COLUMNS

VALUES = {"STRING": [b"abc", b"", b"\xff", "é😀".encode(), b"a\x00b"], "VARCHAR(2)": [b"abcdef"], "CHAR(4)": [b"ab"], "BYTES": [b"", b"\x00\xff"], "BINARY(2)": [b"\x01\x02\x03"], "VARBINARY(2)": [b"\x01\x02\x03"], "BOOLEAN": [b"\x01", b"\x00", b"\x02", b"", b"\x00\x01"],
          "TINYINT": [b"\x7f", b"\xff", b"", b"\x00\x01"], "SMALLINT": [b"\x01\x02", b"\xff\xff", b"\x01", b"\x01\x02\x03"], "INT": [b"\x00\x00\x00\x01", b"\xff\xff\xff\xfe", b"\x01", b"", b"\x00\x00\x00\x00\x01"], "BIGINT": [b"\x00" * 7 + b"\x01", b"\x80" + b"\x00" * 7, b"1"],
          "FLOAT": [b"\x3f\x80\x00\x00", b"\x7f\xc0\x00\x00", b"\x00"], "DOUBLE": [b"\x3f\xf0" + b"\x00" * 6, b"\xff\xf0" + b"\x00" * 6, b"\x00" * 7], "DATE": [b"1"], "DECIMAL(5,2)": [b"1"], "TIMESTAMP(3)": [b"1"], "ARRAY<INT>": [b"1"], "ROW<a INT>": [b"1"]}
CHARSETS = ["UTF-8", "utf8", "ISO-8859-1", "US-ASCII", "UTF-16", "UTF-16LE", "UTF-16BE", "windows-1252", "nope", "GBK", "latin1"]


def make():
    for kind, values in VALUES.items():
        for endianness in [None, "little-endian"]:
            options = {"format": "raw"}
            if endianness:
                options["raw.endianness"] = endianness
            good = [each for each in values if kind in ("STRING", "BYTES") or len(each) == len(values[0])]
            read("raw_read", f"raw {kind} {endianness or ''}", f"v {kind}", good + [{"value": None}], options)
            for each in values:
                if each not in good and not endianness:
                    read("raw_read", f"raw {kind} of {each.hex() or 'nothing'}", f"v {kind}", [each], options)
            constants = COLUMNS.get(kind, [])
            if constants:
                write("raw_write", f"raw {kind} {endianness or ''}", f"v {kind}", "INSERT INTO t SELECT v FROM (VALUES " + ",".join(f"({each})" for each in constants[:6]) + ") x(v)", options)
        write("raw_write", f"raw {kind} null", f"v {kind}", f"INSERT INTO t SELECT CAST(NULL AS {kind})", {"format": "raw"})
    for charset in CHARSETS:
        read("raw_read", f"raw charset {charset}", "v STRING", ["abc", "é😀", b"\xe9\x80", b"a\x00b\x00"], {"format": "raw", "raw.charset": charset})
        write("raw_write", f"raw charset {charset}", "v STRING", "INSERT INTO t VALUES ('abc'), ('é😀'), ('€')", {"format": "raw", "raw.charset": charset})
    read("raw_read", "raw two columns", "a STRING, b STRING", ["x"], {"format": "raw"})
    read("raw_read", "raw endianness wrong", "a INT", ["x"], {"format": "raw", "raw.endianness": "middle"})
    read("raw_read", "raw endianness upper", "a INT", [b"\x00\x00\x00\x01"], {"format": "raw", "raw.endianness": "BIG-ENDIAN"})
    read("raw_read", "raw with metadata", "v STRING, o BIGINT METADATA FROM 'offset' VIRTUAL, u AS UPPER(v)", ["x", {"value": None}], {"format": "raw"})
    read("raw_read", "raw not null", "v STRING NOT NULL", ["x", {"value": None}], {"format": "raw"})
