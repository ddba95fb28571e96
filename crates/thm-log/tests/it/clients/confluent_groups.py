"""librdkafka's admin client on a group: `refused` while in use, `reset` to an offset, `delete`."""

import sys

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

bootstrap, action, group = sys.argv[1:4]
admin = AdminClient({"bootstrap.servers": bootstrap})


def alter(offset):
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition("t", 0, offset)])
    partitions = admin.alter_consumer_group_offsets([wanted])[group].result(10).topic_partitions
    errors = [partition.error for partition in partitions if partition.error]
    if errors:
        raise KafkaException(errors[0])


def delete():
    admin.delete_consumer_groups([group])[group].result(10)


def refused(call, *arguments):
    try:
        call(*arguments)
    except KafkaException as error:
        return error.args[0].name()
    raise SystemExit("it was not refused")


if action == "refused":
    described = admin.describe_consumer_groups([group])[group].result(10)
    assert described.state.name == "STABLE" and len(described.members) == 1, described
    assert described.members[0].client_id == sys.argv[4], described.members[0].client_id
    assigned = described.members[0].assignment.topic_partitions
    assert [(one.topic, one.partition) for one in assigned] == [("t", 0)], assigned
    assert refused(delete) == "NON_EMPTY_GROUP"
    assert refused(alter, 1) == "UNKNOWN_MEMBER_ID"
elif action == "reset":
    alter(int(sys.argv[4]))
elif action == "delete":
    listed = admin.list_consumer_groups().result(10).valid
    assert group in [one.group_id for one in listed], listed
    delete()
    listed = admin.list_consumer_groups().result(10).valid
    assert not listed, listed
