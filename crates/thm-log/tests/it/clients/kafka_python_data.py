"""kafka-python: every codec in and out, then a group of two that share, commit, leave and go on."""

import sys
import threading
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

bootstrap = sys.argv[1]


def codecs():
    expected = []
    for codec in [None, "gzip", "snappy", "lz4", "zstd"]:
        producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, linger_ms=20)
        for number in range(100):
            value = f"{codec} {number}".encode() * 10
            producer.send("codecs", key=b"k", value=value, headers=[("h", b"1")])
            expected.append(value)
        producer.flush()
        producer.close()
    consumer = KafkaConsumer(
        "codecs", bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=3000
    )
    records = list(consumer)
    consumer.close()
    assert [record.value for record in records] == expected, len(records)
    assert records[0].headers == [("h", b"1")] and records[0].key == b"k"


def member(name):
    return KafkaConsumer(
        "shared",
        bootstrap_servers=bootstrap,
        client_id=name,
        group_id="team",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=6000,
        heartbeat_interval_ms=500,
    )


def poll_until(consumers, done, seconds=30):
    """Members poll in threads of their own, as they do in life: a poll waits for the whole round."""
    values = []
    stop = threading.Event()

    def loop(consumer):
        while not stop.is_set():
            for records in consumer.poll(timeout_ms=200).values():
                values.extend(record.value for record in records)

    threads = [threading.Thread(target=loop, args=(consumer,)) for consumer in consumers]
    for thread in threads:
        thread.start()
    deadline = time.time() + seconds
    while not done(values) and time.time() < deadline:
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    assert done(values), (len(values), [consumer.assignment() for consumer in consumers])
    return values


def group():
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics({"shared": {"num_partitions": 4, "replication_factor": 1}})
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for number in range(40):
        producer.send("shared", value=str(number).encode(), partition=number % 4)
    producer.flush()
    first, second = member("first"), member("second")
    both = [first, second]
    values = poll_until(
        both, lambda values: len(set(values)) == 40 and [len(one.assignment()) for one in both] == [2, 2]
    )
    assert set(values) == {str(number).encode() for number in range(40)}
    first.commit()
    second.commit()
    described = admin.describe_groups(["team"])["team"]
    assert described["group_state"] == "Stable" and len(described["members"]) == 2, described
    first.close()
    poll_until([second], lambda _: len(second.assignment()) == 4)
    committed = sum(second.committed(TopicPartition("shared", partition)) for partition in range(4))
    assert committed == 40, committed
    second.close()
    third = member("third")
    producer.send("shared", value=b"new", partition=0)
    producer.flush()
    assert poll_until([third], lambda values: len(values) > 0) == [b"new"]
    third.close()
    admin.close()


codecs()
group()
