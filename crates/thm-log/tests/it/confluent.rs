//! confluent-kafka, a client on librdkafka 2.16; and what it sees of connectors' groups.

use thm_api::{Generation, Offset, OffsetStore, TopicPartition};

use crate::harness::{Server, python};

#[test]
fn produces_idempotently_and_shares_a_group() {
    let (server, _folder) = Server::fresh();
    python(&server, "confluent_data.py", &[]);
}

/// Promise 11, as an operator meets it: refused while the connector runs, a new life otherwise.
#[test]
fn resets_and_deletes_a_connectors_group() {
    let (server, _folder) = Server::fresh();
    let groups = &server.broker.groups;
    let at = |offset| [(TopicPartition::new("t", 0), Offset(offset))];
    server.block_on(server.broker.log.create_topic(&thm_api::TopicSpec::new("t"))).unwrap();
    let lease = groups.lease("connect-sink", "connector-sink-0").unwrap();
    server.block_on(groups.commit("connect-sink", Generation(0), &at(10))).unwrap();
    python(&server, "confluent_groups.py", &["refused", "connect-sink", "connector-sink-0"]);
    assert_eq!(groups.committed("connect-sink").generation, Generation(0));
    drop(lease);
    python(&server, "confluent_groups.py", &["reset", "connect-sink", "3"]);
    let committed = groups.committed("connect-sink");
    assert_eq!(committed.generation, Generation(1));
    assert_eq!(committed.offsets, at(3).into());
    python(&server, "confluent_groups.py", &["delete", "connect-sink"]);
    let committed = groups.committed("connect-sink");
    assert_eq!((committed.generation, committed.offsets.len()), (Generation(2), 0));
}
