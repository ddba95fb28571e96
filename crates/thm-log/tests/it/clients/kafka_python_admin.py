"""kafka-python: topics, settings, offsets, and a group that is listed, reset and deleted."""

import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.structs import OffsetAndMetadata

bootstrap = sys.argv[1]
admin = KafkaAdminClient(bootstrap_servers=bootstrap)
at = TopicPartition("t", 0)


def topics():
    admin.create_topics({"t": {"num_partitions": 1, "replication_factor": 1, "configs": {"cleanup.policy": "compact"}}})
    assert "t" in admin.list_topics()
    resource = ConfigResource(ConfigResourceType.TOPIC, "t")
    described = admin.describe_configs([resource], config_filter="all")
    assert "compact" in str(described), described
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for number in range(10):
        producer.send("t", key=b"k", value=str(number).encode())
    producer.flush()
    try:
        producer.send("t", value=b"no key").get(10)
        raise SystemExit("a record without a key went into a compacted topic")
    except Exception as error:
        assert "InvalidRecord" in type(error).__name__ or "87" in str(error), repr(error)
    producer.close()
    offsets = admin.list_partition_offsets({at: OffsetSpec.LATEST})
    assert offsets[at].offset == 10, offsets


def groups():
    consumer = KafkaConsumer(
        "t", bootstrap_servers=bootstrap, group_id="g", auto_offset_reset="earliest", enable_auto_commit=False
    )
    read = []
    while len(read) < 10:
        for records in consumer.poll(timeout_ms=1000).values():
            read.extend(records)
    consumer.commit({at: OffsetAndMetadata(7, "note", -1)})
    listed = admin.list_groups()
    assert any(group["group_id"] == "g" for group in listed), listed
    assert "NonEmpty" in str(admin.delete_groups(["g"])), "a group with a member was deleted"
    consumer.close()
    committed = admin.list_group_offsets(["g"])["g"]
    assert committed[at].offset == 7 and committed[at].metadata == "note", committed
    admin.reset_group_offsets("g", {at: OffsetSpec.EARLIEST})
    assert admin.list_group_offsets(["g"])["g"][at].offset == 0
    admin.delete_groups(["g"])
    assert not admin.list_groups(), admin.list_groups()
    admin.delete_topics(["t"])
    assert "t" not in admin.list_topics()


topics()
groups()
admin.close()
