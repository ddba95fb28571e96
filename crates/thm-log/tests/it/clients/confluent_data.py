"""librdkafka: idempotent producers with every codec, refused transactions, two members that rebalance."""

import sys
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

bootstrap = sys.argv[1]


def produce(codec, count):
    failed = []
    producer = Producer(
        {"bootstrap.servers": bootstrap, "enable.idempotence": True, "compression.type": codec, "linger.ms": 5}
    )
    for number in range(count):
        producer.produce(
            "t",
            value=f"{codec} {number}",
            partition=number % 2,
            on_delivery=lambda error, _: failed.append(error) if error else None,
        )
        producer.poll(0)
    assert producer.flush(20) == 0 and not failed, failed


def consumer(name):
    config = {"bootstrap.servers": bootstrap, "group.id": "g", "client.id": name, "auto.offset.reset": "earliest"}
    made = Consumer(config | {"session.timeout.ms": 6000, "enable.auto.commit": False})
    made.subscribe(["t"])
    return made


def take(consumers, done, seconds=30):
    values = []
    deadline = time.time() + seconds
    while not done(values) and time.time() < deadline:
        for one in consumers:
            message = one.poll(0.02)
            if message is not None and not message.error():
                values.append(message.value().decode())
    assert done(values), (len(values), [one.assignment() for one in consumers])
    return values


def main():
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic("t", 2, 1)]).values():
        future.result(10)
    codecs = ["none", "gzip", "snappy", "lz4", "zstd"]
    for codec in codecs:
        produce(codec, 400)
    first = consumer("first")
    values = take([first], lambda values: len(values) >= 2000)
    assert sorted(values) == sorted(f"{codec} {number}" for codec in codecs for number in range(400))
    first.commit(asynchronous=False)
    second = consumer("second")
    take([first, second], lambda _: [len(one.assignment()) for one in (first, second)] == [1, 1])
    first.close()
    take([second], lambda _: len(second.assignment()) == 2)
    committed = second.committed([TopicPartition("t", 0), TopicPartition("t", 1)], 10)
    assert [one.offset for one in committed] == [1000, 1000], committed
    second.close()
    try:
        Producer({"bootstrap.servers": bootstrap, "transactional.id": "x"}).init_transactions(10)
        raise SystemExit("transactions are said to work")
    except KafkaException as error:
        assert error.args[0].name() == "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", error


main()
