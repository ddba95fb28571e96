"""Brings an empty stack into service: ClickHouse's database and table, then the two connectors over REST.

    clickhouse_create_db > clickhouse_create_table > wait_for_clickhouse_sink_plugin
                         > register_debezium_source > register_clickhouse_sink

It talks to ClickHouse's HTTP interface and Kafka Connect's REST API only, so it works against Thamanya and against a
real ClickHouse and Kafka Connect. Every task may run again: statements say IF NOT EXISTS, connectors are PUT.

Environment (defaults are the names inside of docker-compose.yml):
    THM_CLICKHOUSE_URL       http://clickhouse:8123
    THM_CLICKHOUSE_USER      default
    THM_CLICKHOUSE_PASSWORD  (empty)
    THM_CONNECT_URL          http://connect:8083
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

try:  # Airflow 3
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task

RESOURCES = Path(__file__).resolve().parent / "resources"
SINK_PLUGIN = "com.clickhouse.kafka.connect.ClickHouseSinkConnector"
# A worker that has just been started scans its plugins for a minute or two.
PLUGIN_WAIT_SECONDS = 300
# A source that takes a snapshot is RUNNING as soon as it reads.
RUNNING_WAIT_SECONDS = 60
PAUSE_SECONDS = 2
ANSWER_SECONDS = 30


def clickhouse_url() -> str:
    return os.environ.get("THM_CLICKHOUSE_URL", "http://clickhouse:8123")


def connect_url() -> str:
    return os.environ.get("THM_CONNECT_URL", "http://connect:8083").rstrip("/")


def ask(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
    """One request; a refusal is raised with the server's own words."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return answer.read()
    except urllib.error.HTTPError as refusal:
        words = refusal.read().decode(errors="replace").strip()
        raise RuntimeError(f"{method} {url} answers {refusal.code}: {words}") from refusal


def run_statement(resource: str) -> None:
    headers = {
        "X-ClickHouse-User": os.environ.get("THM_CLICKHOUSE_USER", "default"),
        "X-ClickHouse-Key": os.environ.get("THM_CLICKHOUSE_PASSWORD", ""),
    }
    ask("POST", clickhouse_url(), (RESOURCES / resource).read_bytes(), headers)


def register(resource: str) -> str:
    """Creates the connector of a file, or changes it to what the file says, and waits until it and its tasks run."""
    connector = json.loads((RESOURCES / resource).read_text())
    path = f"{connect_url()}/connectors/{urllib.parse.quote(connector['name'], safe='')}"
    ask("PUT", f"{path}/config", json.dumps(connector["config"]).encode(), {"Content-Type": "application/json"})
    deadline = time.monotonic() + RUNNING_WAIT_SECONDS
    states: list[str] = []
    while time.monotonic() < deadline:
        try:
            status = json.loads(ask("GET", f"{path}/status"))
        except RuntimeError:
            # Connect answers 404 until its workers have agreed on the new connector.
            status = {"connector": {"state": "UNASSIGNED"}, "tasks": []}
        parts = [status["connector"], *status["tasks"]]
        states = [part["state"] for part in parts]
        failed = [part.get("trace", "") for part in parts if part["state"] == "FAILED"]
        if failed:
            raise RuntimeError(f"{connector['name']} has FAILED: {failed[0]}")
        if len(parts) > 1 and set(states) == {"RUNNING"}:
            return connector["name"]
        time.sleep(PAUSE_SECONDS)
    raise TimeoutError(f"{connector['name']} does not run within {RUNNING_WAIT_SECONDS} s; states: {states}")


@dag(
    dag_id="thamanya_bootstrap",
    description="ClickHouse database and table, Debezium source, ClickHouse sink",
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=10)},
    tags=["thamanya"],
)
def thamanya_bootstrap():
    @task
    def clickhouse_create_db() -> None:
        run_statement("clickhouse_create_db.sql")

    @task
    def clickhouse_create_table() -> None:
        run_statement("clickhouse_create_table.sql")

    @task
    def wait_for_clickhouse_sink_plugin() -> None:
        deadline = time.monotonic() + PLUGIN_WAIT_SECONDS
        classes: list[str] = []
        while time.monotonic() < deadline:
            try:
                classes = [plugin["class"] for plugin in json.loads(ask("GET", f"{connect_url()}/connector-plugins"))]
            except (urllib.error.URLError, ConnectionError, RuntimeError) as problem:
                print(f"Kafka Connect is not ready yet: {problem}")
            if SINK_PLUGIN in classes:
                return
            time.sleep(PAUSE_SECONDS)
        raise TimeoutError(f"{SINK_PLUGIN} is not among the plugins of {connect_url()}: {classes}")

    @task
    def register_debezium_source() -> str:
        return register("pg.engagement.source.json")

    @task
    def register_clickhouse_sink() -> str:
        return register("clickhouse.enriched.sink.json")

    (
        clickhouse_create_db()
        >> clickhouse_create_table()
        >> wait_for_clickhouse_sink_plugin()
        >> register_debezium_source()
        >> register_clickhouse_sink()
    )


thamanya_bootstrap()
