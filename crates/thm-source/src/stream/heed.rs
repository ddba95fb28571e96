//! Signals in the stream: what rows of the signal table say, and where notifications of them stand.

use thm_api::{Lsn, Position, Result};

use super::{Rows, Stream, Transaction, now};
use crate::encoder::{Encoder, RowChange};
use crate::signals::Signal;

impl Stream {
    /// Does what signals of other channels say; true if that gives records, which stand at `position`. The last change
    /// given stands at `complete`.
    pub fn obey(&mut self, signals: &[Signal], complete: Position, position: Position, encoder: &mut Encoder) -> bool {
        let place = format!("{{lsn={}}}", complete.commit_end.0);
        let before = encoder.bytes();
        for signal in signals {
            if let Some(note) = self.rows.signals.obey(signal, &place, now()) {
                encoder.push_note(note, position, now());
            }
        }
        encoder.bytes() > before
    }
}

impl Rows {
    /// Does what an inserted row of the signal table says, before its own record is given.
    #[cold]
    pub(super) fn heed(
        &mut self,
        (relation, change): (u32, &RowChange<'_>),
        lsn: Lsn,
        position: Position,
        encoder: &mut Encoder,
    ) -> Result<()> {
        let (RowChange::Insert(_, row), Some(table)) = (change, encoder.table(relation)) else { return Ok(()) };
        let Some(signal) = Signal::of_row(table, row) else { return Ok(()) };
        let Transaction { xid, commit_us, .. } = self.transaction;
        let place = format!("{{messageType=INSERT, lsn={}, txId={xid}, ts_usec={commit_us}}}", lsn.0);
        let Some(note) = self.signals.obey(&signal, &place, self.now) else { return Ok(()) };
        if self.durable.get(&note.topic.name).is_some_and(|durable| position <= *durable) {
            return Ok(());
        }
        self.last_row = self.transaction.end;
        encoder.push_note_in_order(note, position, self.now)
    }
}
