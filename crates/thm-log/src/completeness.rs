//! `CompletenessBoard`: the latest statement of each source about each topic, kept in memory.
//!
//! A source publishes after its appends are durable; SQL jobs watch. Statements are not stored: after a start a
//! topic says nothing until its producer has spoken.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use thm_api::{Complete, Completeness};
use tokio::sync::watch;

type Statement = Option<Arc<Complete>>;

/// One watch per topic, made by whoever asks first.
#[derive(Debug, Default)]
pub struct CompletenessBoard {
    topics: Mutex<HashMap<String, watch::Sender<Statement>>>,
}

impl CompletenessBoard {
    /// A board on which nobody has spoken.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Completeness for CompletenessBoard {
    fn publish(&self, producer: &str, complete: Arc<Complete>) {
        tracing::trace!(producer, position = %complete.position, "complete");
        let mut topics = self.topics.lock();
        for topic in complete.ends.keys() {
            match topics.get(topic) {
                Some(sender) => drop(sender.send_replace(Some(Arc::clone(&complete)))),
                None => drop(topics.insert(topic.clone(), watch::Sender::new(Some(Arc::clone(&complete))))),
            }
        }
    }

    fn watch(&self, topic: &str) -> watch::Receiver<Statement> {
        let mut topics = self.topics.lock();
        topics.entry(topic.to_owned()).or_insert_with(|| watch::Sender::new(None)).subscribe()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use thm_api::{Lsn, Offset, Position};

    use super::*;

    #[tokio::test]
    async fn watchers_see_the_latest_statement_whenever_they_came() {
        let board = CompletenessBoard::new();
        let mut early = board.watch("orders");
        assert_eq!(*early.borrow(), None);
        let statement = |lsn| {
            let ends = [("orders".to_owned(), vec![Some(Offset(3))])].into();
            Arc::new(Complete { position: Position::end_of(Lsn(lsn)), ends })
        };
        board.publish("source:a", statement(1));
        board.publish("source:a", statement(2));
        early.changed().await.unwrap();
        assert_eq!(*early.borrow_and_update(), Some(statement(2)));
        assert_eq!(*board.watch("orders").borrow(), Some(statement(2)));
        assert_eq!(*board.watch("content").borrow(), None, "a topic that is absent is not spoken of");
    }
}
