#!/usr/bin/env python3
"""Records what the real Debezium writes for cases, in the form that `make conformance-source` replays.

record_debezium.py CASES OUT        CASES: a folder of cases, or one case; OUT gets a folder for each, with the case's files

A case is a folder with case.sql and connector.json (options beyond BASE; null takes one away). Lines `-- ### WORD …` cut
case.sql into steps:

    step [NAME]                 the statements below run once the connector has caught up
    connector create            and waits until it streams; also delete, restart, pause, resume, stop, put JSON
    sleep SECONDS, quiet SECONDS, background COMMAND
    expect failed|break|rejected|quiet
    schemas                     the case runs a second time with schemas.enable=true

Written: records.raw.jsonl and schema.raw.jsonl, each record's text as it stood in the topic, in the order in which the
connector sent them, and error.txt. The worker's log tells the order across topics, so its level is raised.

Needs kafka-python and psql, and from the environment CONNECT_URL, CONNECT_LOG, KAFKA_BOOTSTRAP, PG_PORT.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

from kafka import KafkaConsumer, TopicPartition

CONNECT, BOOTSTRAP, PG_PORT = os.environ["CONNECT_URL"], os.environ["KAFKA_BOOTSTRAP"], os.environ["PG_PORT"]
BASE = {
    "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "tasks.max": "1",
    "database.hostname": "127.0.0.1",
    "database.port": PG_PORT,
    "database.user": "thm",
    "database.password": "thm",
    "database.dbname": "thm",
    "topic.prefix": "pg",
    "plugin.name": "pgoutput",
    "slot.name": "debezium",
    "poll.interval.ms": "50",
}
JSON_WITH_SCHEMAS = {
    f"{side}.converter{option}": value
    for side in ("key", "value")
    for option, value in (("", "org.apache.kafka.connect.json.JsonConverter"), (".schemas.enable", "true"))
}
# How long the connector may take for anything, and how long silence means that it has caught up.
PATIENCE, SILENCE = 60, 0.8
# Content of the message that ends a case; none is emitted earlier, as it would show in `source.sequence`.
LAST = "__last_of_case"


def rest(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(CONNECT + path, data, {"Content-Type": "application/json"}, method=method)
    limit = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            if error.code != 409 or "rebalance" not in text or time.monotonic() > limit:
                return error.code, text
            time.sleep(0.3)


def psql(sql, database="thm"):
    command = ["psql", "-XqAt", "-h", "127.0.0.1", "-p", PG_PORT, "-U", "thm", "-d", database, "-v", "ON_ERROR_STOP=1", "-f", "-"]
    environment = {**os.environ, "PGPASSWORD": "thm"}
    done = subprocess.run(command, input=sql, text=True, capture_output=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"psql: {done.stderr.strip()}")


def fresh_database():
    limit = time.monotonic() + PATIENCE
    while True:
        try:
            psql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active", "postgres")
            psql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots", "postgres")
            break
        except RuntimeError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.2)
    psql("DROP DATABASE IF EXISTS thm WITH (FORCE);\nCREATE DATABASE thm", "postgres")


class Sent:
    """Which topics the worker sent one connector's records to, in order, and what else its log says since the start."""

    def __init__(self, connector):
        self.pattern = re.compile(rf"WorkerSourceTask\{{id={re.escape(connector)}-0\}} Appending record to the topic (\S+) with key")
        self.file = open(os.environ["CONNECT_LOG"], errors="replace")
        self.file.seek(0, os.SEEK_END)
        self.text, self.topics, self.partial = "", [], ""

    def read(self):
        *lines, self.partial = (self.partial + self.file.read()).split("\n")
        for line in lines:
            if found := self.pattern.search(line):
                self.topics.append(found[1])
            elif "Processing messages" in line:
                self.text += line
        return self


class Reader:
    """Reads the connector's records from where the topics ended when the case began."""

    def __init__(self, sent, config):
        self.sent, self.records, self.last = sent, [], time.monotonic()
        # Heartbeats go on for ever, and are no sign of work.
        former = config.get("heartbeat.topics.prefix", "__debezium-heartbeat")
        self.heartbeats = config.get("topic.heartbeat.prefix", former)
        self.consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, enable_auto_commit=False, auto_offset_reset="earliest")
        self.starts = {}
        for topic in self.consumer.topics():
            partitions = [TopicPartition(topic, number) for number in self.consumer.partitions_for_topic(topic) or ()]
            self.starts.update(self.consumer.end_offsets(partitions))
        self.assigned = set()

    def poll(self):
        new = set(self.sent.read().topics) - {partition.topic for partition in self.assigned}
        if new:
            # A topic may have been sent to before the client has heard of it.
            self.consumer.topics()
            added = {TopicPartition(topic, n) for topic in new for n in self.consumer.partitions_for_topic(topic) or ()}
            places = {partition: self.consumer.position(partition) for partition in self.assigned}
            self.assigned |= added
            self.consumer.assign(sorted(self.assigned))
            for partition in self.assigned:
                self.consumer.seek(partition, places.get(partition, self.starts.get(partition, 0)))
        if not self.assigned:
            time.sleep(0.1)
            return
        for batch in self.consumer.poll(timeout_ms=200).values():
            self.records += batch
            if not all(record.topic.startswith(self.heartbeats) for record in batch):
                self.last = time.monotonic()

    def wait_for_silence(self, seconds=SILENCE):
        self.last = time.monotonic()
        limit = self.last + PATIENCE
        while time.monotonic() - self.last < seconds:
            if time.monotonic() > limit:
                raise RuntimeError(f"records never cease to come, the last ones in {self.records[-1].topic}")
            self.poll()

    def in_order(self):
        """All records in the order of the worker's log."""
        limit = time.monotonic() + PATIENCE
        while len(self.records) < len(self.sent.read().topics) and time.monotonic() < limit:
            self.poll()
        queues = {}
        for record in self.records:
            queues.setdefault(record.topic, []).append(record)
        counts = {topic: self.sent.topics.count(topic) for topic in self.sent.topics}
        if counts != {topic: len(queue) for topic, queue in queues.items()}:
            raise RuntimeError(f"sent {counts}, read { {topic: len(queue) for topic, queue in queues.items()} }")
        ordered = [queues[topic].pop(0) for topic in self.sent.topics]
        return [record for record in ordered if LAST.encode() not in (record.value or b"") + (record.key or b"")]


class Run:
    """One run of one case."""

    def __init__(self, case, schemas):
        self.text = (case / "case.sql").read_text()
        options = BASE | json.loads((case / "connector.json").read_text()) | (JSON_WITH_SCHEMAS if schemas else {})
        self.config = {option: value for option, value in options.items() if value is not None}
        # A name that no offsets are kept for.
        self.name = f"live-{case.name}-{time.time_ns()}"
        self.expect = set(re.findall(r"^-- ### expect (\w+)", self.text, re.M))
        self.errors, self.starts, self.streams, self.background = [], 0, False, []

    def records(self):
        fresh_database()
        self.sent = Sent(self.name)
        self.reader = Reader(self.sent, self.config)
        try:
            self.steps()
            self.finish()
            return self.reader.in_order()
        finally:
            rest("DELETE", f"/connectors/{self.name}")
            self.reader.consumer.close()
            for process in self.background:
                process.kill()
                process.wait()

    def steps(self):
        before, *parts = re.split(r"^-- ### (.*)$", self.text, flags=re.M)
        if before.strip():
            psql(before)
        for directive, sql in zip(parts[::2], parts[1::2]):
            word, _, argument = directive.strip().partition(" ")
            if word == "connector":
                self.connector(*argument.split(" ", 1))
            elif word == "sleep":
                time.sleep(float(argument))
            elif word == "quiet":
                self.reader.wait_for_silence(float(argument))
            elif word == "background":
                command = argument.replace("$PG_PORT", PG_PORT).replace("5432", PG_PORT).split()
                environment = {**os.environ, "PGPASSWORD": "thm"}
                self.background.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment))
                time.sleep(1)
            if sql.strip():
                psql(sql)
                if self.streams:
                    self.reader.wait_for_silence(4 if "quiet" in self.expect else SILENCE)

    def connector(self, action, argument=None):
        path = f"/connectors/{self.name}"
        if action == "create":
            status, body = rest("POST", "/connectors", {"name": self.name, "config": self.config})
            if "rejected" in self.expect:
                self.errors.append(f"{status}\n{body}")
                return
            if status >= 300:
                raise RuntimeError(f"{status} {body}")
        elif action == "delete":
            rest("DELETE", path)
        elif action == "restart":
            rest("POST", path + "/restart?includeTasks=true")
        elif action == "put":
            self.config |= json.loads(argument)
            rest("PUT", path + "/config", self.config)
        else:
            rest("PUT", f"{path}/{action}")
        if action != "create":
            time.sleep(1.5)
        self.streams = action in ("create", "restart", "put", "resume")
        if self.streams:
            self.await_stream()

    def await_stream(self):
        self.starts += 1
        if "failed" in self.expect:
            self.await_failure()
        elif "quiet" in self.expect:
            self.reader.wait_for_silence(6)
        else:
            self.until(lambda: self.sent.read().text.count("Processing messages") >= self.starts, "it does not stream")
            self.reader.wait_for_silence()

    def failures(self):
        status = json.loads(rest("GET", f"/connectors/{self.name}/status")[1])
        parts = [status.get("connector", {}), *status.get("tasks", [])]
        return [part["trace"] for part in parts if part.get("state") == "FAILED"]

    def await_failure(self):
        limit = time.monotonic() + PATIENCE
        while not (found := self.failures()):
            if time.monotonic() > limit:
                raise RuntimeError("the task did not fail")
            time.sleep(0.2)
        self.errors += found
        self.streams = False

    def until(self, holds, otherwise):
        limit = time.monotonic() + PATIENCE
        while not holds():
            if found := self.failures():
                raise RuntimeError(found[0][:2000])
            if time.monotonic() > limit:
                raise RuntimeError(otherwise)
            self.reader.poll()

    def finish(self):
        if not self.streams or {"failed", "rejected"} & self.expect:
            return
        if "break" in self.expect:
            self.await_failure()
        elif "quiet" in self.expect:
            self.reader.wait_for_silence(4)
        else:
            psql(f"SELECT pg_logical_emit_message(false, '{LAST}', 'x')")
            seen = lambda: any(LAST.encode() in (r.value or b"") + (r.key or b"") for r in self.reader.records)
            self.until(seen, "the last message did not come")


def exact(data):
    """A key's or value's JSON as it stands; other bytes as a JSON string."""
    if data is None:
        return "null"
    text = data.decode(errors="replace")
    try:
        json.loads(text)
        return text
    except ValueError:
        return json.dumps(text, ensure_ascii=False)


def write(path, records):
    with open(path, "w") as out:
        for record in records:
            text = lambda value: None if value is None else value.decode(errors="replace")
            headers = json.dumps([{"key": name, "value": text(value)} for name, value in record.headers], ensure_ascii=False)
            out.write(
                f'{{"topic":{json.dumps(record.topic)},"partition":{record.partition},"offset":{record.offset},'
                f'"timestamp":{record.timestamp},"key":{exact(record.key)},"value":{exact(record.value)},"headers":{headers}}}\n'
            )


def record(case, out):
    out.mkdir(parents=True)
    for file in ("case.sql", "connector.json"):
        shutil.copyfile(case / file, out / file)
    run = Run(case, schemas=False)
    records = run.records()
    write(out / "records.raw.jsonl", records)
    if run.errors:
        (out / "error.txt").write_text("\n".join(run.errors) + "\n")
    if re.search(r"^-- ### schemas", run.text, re.M):
        write(out / "schema.raw.jsonl", Run(case, schemas=True).records())
    return len(records)


def main(cases, out):
    rest("PUT", "/admin/loggers/org.apache.kafka.connect.runtime.AbstractWorkerSourceTask", {"level": "TRACE"})
    cases = pathlib.Path(cases)
    folders = [cases] if (cases / "case.sql").exists() else sorted(path.parent for path in cases.glob("*/case.sql"))
    failed = not folders
    for folder in folders:
        start = time.monotonic()
        try:
            count = record(folder, pathlib.Path(out) / folder.name)
            print(f"{folder.name}: recorded, {count} records ({time.monotonic() - start:.1f} s)", flush=True)
        except RuntimeError as error:
            failed = True
            shutil.rmtree(pathlib.Path(out) / folder.name, ignore_errors=True)
            print(f"{folder.name}: NOT RECORDED: {error}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
