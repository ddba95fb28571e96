//! A Kafka client as users have it: kafka-python, on groups and topics.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const PACKAGE: &str = "kafka-python==3.0.12";

const SCRIPT: &str = r#"
import sys
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.structs import OffsetAndMetadata

bootstrap, action, name = sys.argv[1:4]
admin = KafkaAdminClient(bootstrap_servers=bootstrap)
if action == "delete-group":
    print(admin.delete_groups([name]))
elif action == "reset-group":
    topic, offset = sys.argv[4], int(sys.argv[5])
    print(admin.alter_group_offsets(name, {TopicPartition(topic, 0): OffsetAndMetadata(offset, "", -1)}))
elif action == "delete-topic":
    print(admin.delete_topics([name]))
"#;

/// Runs an action of the script.
pub fn kafka_python(port: u16, arguments: &[&str]) -> Output {
    let bootstrap = format!("127.0.0.1:{port}");
    let mut command = Command::new("timeout");
    command.arg("60").arg(interpreter()).args(["-c", SCRIPT, &bootstrap]).args(arguments);
    command.output().unwrap()
}

/// The interpreter that has the client; installed at first use.
fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kafka-python");
        let (python, marker) = (folder.join("bin/python"), folder.join("installed"));
        if std::fs::read_to_string(&marker).ok().as_deref() != Some(PACKAGE) {
            let checked = |command: &mut Command| {
                let done = command.output().unwrap();
                assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
            };
            checked(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
            checked(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]));
            std::fs::write(&marker, PACKAGE).unwrap();
        }
        python
    })
}
