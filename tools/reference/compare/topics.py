"""Moves and compares topics for compare_flink.sh.

topics.py await  BOOTSTRAP TOPIC KEY SECONDS    waits for a record with this key
topics.py await-count BOOTSTRAP TOPIC N SECONDS  waits until the partitions' ends add up to N
topics.py produce BOOTSTRAP TOPIC FILE          every line of the file as a value without a key; `#` and empty lines aside
topics.py copy   FROM TO TOPIC                  every record with its key, value, headers and timestamp, byte for byte
topics.py dump   BOOTSTRAP TOPIC FILE           writes keys and values, one record a line
topics.py differ OURS FLINKS                    compares two dumps; exit code 1 if they differ

Two dumps are equal for a key when the last records are byte for byte the same, a tombstone standing for no record at all.
A key that was written only once on one side and has a value must have been written only once on the other too.
"""

import itertools
import json
import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

SHOWN_DIFFERENCES = 20


def records(bootstrap, topic):
    """All records that the topic holds now, in the order of partition and offset."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, auto_offset_reset="earliest")
    try:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        ends = {partition: end for partition, end in consumer.end_offsets(partitions).items() if end > 0}
        for partition in sorted(ends):
            consumer.assign([partition])
            consumer.seek_to_beginning(partition)
            while consumer.position(partition) < ends[partition]:
                for batch in consumer.poll(timeout_ms=500).values():
                    yield from batch
    finally:
        consumer.close()


def await_key(bootstrap, topic, key, seconds):
    limit = time.monotonic() + float(seconds)
    while not any(record.key == key.encode() for record in records(bootstrap, topic)):
        if time.monotonic() > limit:
            sys.exit(f"no record with key {key} in {topic} of {bootstrap} after {seconds} s")
        time.sleep(1)


def await_count(bootstrap, topic, count, seconds):
    limit = time.monotonic() + float(seconds)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        while True:
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            found = sum(consumer.end_offsets(partitions).values()) if partitions else 0
            if found >= int(count):
                return
            if time.monotonic() > limit:
                sys.exit(f"{topic} of {bootstrap} has {found} records after {seconds} s, not {count}")
            time.sleep(0.1)
    finally:
        consumer.close()


def produce(bootstrap, topic, file):
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    with open(file, "rb") as lines:
        values = [line.rstrip(b"\n") for line in lines]
    sent = [producer.send(topic, value=value) for value in values if value and not value.startswith(b"#")]
    producer.flush()
    for each in sent:
        each.get()
    producer.close()


def copy(source, target, topic):
    producer = KafkaProducer(
        bootstrap_servers=target, acks="all", max_request_size=16 << 20, batch_size=1 << 18, linger_ms=20
    )
    failed = []
    count = 0
    for r in records(source, topic):
        sent = producer.send(
            topic, key=r.key, value=r.value, headers=list(r.headers), timestamp_ms=r.timestamp, partition=r.partition
        )
        sent.add_errback(failed.append)
        count += 1
    producer.flush()
    producer.close()
    if failed:
        sys.exit(f"{topic}: {failed[0]}")
    for before, after in itertools.zip_longest(records(source, topic), records(target, topic)):
        if before is None or after is None or facts(before) != facts(after):
            sys.exit(f"{topic} is not the same after the copy")
    print(f"{count} records of {topic} copied")


def facts(record):
    return record.key, record.value, list(record.headers), record.timestamp


def dump(bootstrap, topic, file):
    with open(file, "w", encoding="ascii") as out:
        for record in records(bootstrap, topic):
            pair = [None if part is None else part.decode("utf-8", "backslashreplace") for part in (record.key, record.value)]
            out.write(json.dumps(pair) + "\n")


def load(file):
    """Key → its values in order."""
    values = {}
    with open(file, encoding="ascii") as lines:
        for line in lines:
            key, value = json.loads(line)
            values.setdefault(key, []).append(value)
    return values


def differ(ours_file, flinks_file):
    ours, flinks = load(ours_file), load(flinks_file)
    equal, different = 0, 0
    for key in sorted(ours.keys() | flinks.keys(), key=lambda key: (len(key or ""), key or "")):
        our, flink = ours.get(key, []), flinks.get(key, [])
        same = (our or [None])[-1] == (flink or [None])[-1]
        if len(our) == 1 and our[0] is not None and None not in flink:
            same = same and len(flink) == 1
        if same:
            equal += 1
            continue
        different += 1
        if different <= SHOWN_DIFFERENCES:
            print(f"{key}\n  ours  {shown(our)}\n  Flink {shown(flink)}")
    print(f"{sum(map(len, ours.values()))} records of ours, {sum(map(len, flinks.values()))} of Flink")
    print(f"{equal} equal, {different} different")
    return different == 0 and equal > 0


def shown(values):
    text = values[-1] if values else "(no record)"
    text = "(tombstone)" if text is None else text
    return (text if len(text) < 600 else text[:600] + "…") + (f"   [{len(values)} records]" if len(values) > 1 else "")


def main(command, *args):
    if command == "differ":
        sys.exit(0 if differ(*args) else 1)
    {"await": await_key, "await-count": await_count, "produce": produce, "copy": copy, "dump": dump}[command](*args)


if __name__ == "__main__":
    main(*sys.argv[1:])
