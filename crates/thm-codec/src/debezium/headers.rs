//! Headers of change events: the four `__debezium.context.*`, and the other key where a key changed.

use super::EnvelopeVersion;
use crate::record_batch::HeaderBlock;

/// Headers of a task's records, encoded once.
#[derive(Clone, Debug)]
pub struct ContextHeaders {
    plain: HeaderBlock,
    other_key: HeaderBlock,
    context: Vec<(&'static str, String)>,
}

impl ContextHeaders {
    /// `enabled` is `extended.headers.enabled`; Debezium 2.7 has no such headers. `name` is the connector's
    /// `topic.prefix`, `run_id` is new with each start of a task.
    #[must_use]
    pub fn new(version: EnvelopeVersion, enabled: bool, name: &str, task: u32, run_id: &str) -> Self {
        let mut context = Vec::new();
        if enabled && version.has_context_headers() {
            context.push(("__debezium.context.connectorLogicalName", name.to_owned()));
            context.push(("__debezium.context.taskId", task.to_string()));
            context.push(("__debezium.context.connectorName", "postgresql".to_owned()));
            context.push(("__debezium.context.runId", run_id.to_owned()));
        }
        let mut headers = Self { plain: HeaderBlock::default(), other_key: HeaderBlock::default(), context };
        append(&mut headers.plain, &headers.context);
        headers
    }

    /// Of every record.
    #[must_use]
    pub const fn plain(&self) -> &HeaderBlock {
        &self.plain
    }

    /// Of the delete and the tombstone of a row whose key changed: they name the key it has now.
    pub fn with_new_key(&mut self, key: &[u8]) -> &HeaderBlock {
        self.with("__debezium.newkey", key)
    }

    /// Of the create of a row whose key changed: it names the key it had.
    pub fn with_old_key(&mut self, key: &[u8]) -> &HeaderBlock {
        self.with("__debezium.oldkey", key)
    }

    fn with(&mut self, name: &str, key: &[u8]) -> &HeaderBlock {
        self.other_key.clear();
        self.other_key.push(name, Some(key));
        append(&mut self.other_key, &self.context);
        &self.other_key
    }
}

fn append(block: &mut HeaderBlock, context: &[(&'static str, String)]) {
    for (name, value) in context {
        block.push(name, Some(value.as_bytes()));
    }
}
