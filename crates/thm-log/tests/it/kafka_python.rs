//! kafka-python 3, a client in pure Python.

use crate::harness::{Server, python};

#[test]
fn produces_consumes_and_shares_a_group() {
    let (server, _folder) = Server::fresh();
    python(&server, "kafka_python_data.py", &[]);
}

#[test]
fn administers_topics_and_groups() {
    let (server, _folder) = Server::fresh();
    python(&server, "kafka_python_admin.py", &[]);
}
