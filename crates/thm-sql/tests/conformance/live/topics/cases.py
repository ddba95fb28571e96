"""How a case is put together. It has the form of `tests/golden/flink-formats`: `setup`, `sql`, `input` by topic."""
import base64

SERVERS = "'properties.bootstrap.servers'='127.0.0.1:9092'"
BOUNDED = "'scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset'"


# Cases by the name of the file that they go to.
FILES = {}


def told(kind, case):
    FILES.setdefault(kind, []).append(case)


def value(data):
    """A record's bytes as the recordings have them."""
    if isinstance(data, bytes):
        return {"base64": base64.b64encode(data).decode()}
    return data


def table(name, columns, *options):
    return f"CREATE TABLE {name} ({columns}) WITH ({','.join(options)})"


def kafka(topic, *options):
    return ("'connector'='kafka'", f"'topic'='{topic}'", SERVERS) + options


def upsert(topic, *options):
    return ("'connector'='upsert-kafka'", f"'topic'='{topic}'", SERVERS) + options


def quoted(options):
    """('json', ['a'='b', …]) -> 'json.a'='b' as SQL has it."""
    return tuple(f"'{name}'='{text}'" for name, text in options.items())


def read(kind, name, columns, records, options, sql="SELECT * FROM t", connector=None):
    """Records that a table reads; a record is its value, or (key, value, headers, timestamp)."""
    topic = []
    for record in records:
        if isinstance(record, dict):
            topic.append(record)
        else:
            topic.append({"value": value(record)})
    options = quoted(options)
    made = connector or table("t", columns, *kafka("in", *options, BOUNDED))
    told(kind, {"name": name, "setup": [made], "sql": sql, "mode": "streaming", "input": {"in": topic}})


def write(kind, name, columns, sql, options, connector=kafka, config=None, partitions=None):
    case = {"name": name, "setup": [table("t", columns, *connector("out", *quoted(options)))], "sql": sql, "mode": "streaming"}
    if config:
        case["config"] = config
    if partitions:
        case["partitions"] = partitions
    case["output"] = {"out": []}
    told(kind, case)


def rows_of(kind, values):
    # Constants of one SELECT each would be folded to the widest type of all: each is cast.
    parts = [f"SELECT {at} AS i, {text} AS v" for at, text in enumerate(list(values) + [f"CAST(NULL AS {kind})"])]
    return f"INSERT INTO t SELECT * FROM ({' UNION ALL '.join(parts)})"
