//! Whether slot, server and our durable state belong together: a pure decision, and the state itself.
//!
//! ```text
//!              Fresh                    first row        last row durable
//!   (none) ────────────▶ Creating ──▶ Started ──────────▶ Finished ◀──── Adopt (from-slot)
//!                           ▲  crash     │ crash             │ Resume
//!                           └────────────┴── slot dropped ◀──┘ resnapshot
//! ```
//!
//! Invariant: changes are never skipped in silence. Whatever is not surely ours stops the task with
//! [`ErrorKind::SlotUnsafe`] and the two ways out.

use serde::{Deserialize, Serialize};
use thm_api::{Error, ErrorKind, Lsn, Result, StateStore};

use crate::catalog::Slot;
use crate::options::StartMode;

/// Key of the state, under the connector's own prefix.
const STATE_KEY: &str = "slot";

/// How far a start got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The slot is about to be made; if it exists, it is ours and empty.
    Creating,
    /// The snapshot has begun.
    Started,
    /// The snapshot is durable, or none was wanted.
    Finished,
}

/// What we know durably of our slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotState {
    /// Its name.
    pub slot: String,
    /// Identity of the cluster.
    pub system_id: i64,
    /// Database.
    pub database: String,
    /// How far the start got.
    pub phase: Phase,
    /// The snapshot's place in the WAL.
    pub consistent_point: Lsn,
    /// No acknowledgement went beyond this, unless a row that is durable stands there (see [`ACK_LEASE_BYTES`]).
    pub acknowledged_below: Lsn,
    /// Epoch of the TOAST store that has been fed since; `None` while values are not kept.
    #[serde(default)]
    pub toast_epoch: Option<String>,
    /// The last `thm.start` that was obeyed, so that a restart does not obey it again.
    #[serde(default)]
    pub obeyed: Option<String>,
}

/// In idle times acknowledgements run ahead of the rows we have. Their bound is stored this far ahead, so that it is
/// stored once per so many bytes of WAL and not once per keepalive; a clean stop stores it exactly. A slot that was
/// recreated closer to our last word than this, after a crash, is not told from ours.
pub const ACK_LEASE_BYTES: u64 = 1 << 20;

impl SlotState {
    /// Reads the state.
    pub fn load(store: &dyn StateStore) -> Result<Option<Self>> {
        let Some(bytes) = store.get(STATE_KEY)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::new(ErrorKind::SlotUnsafe, "reading the source's state", STATE_KEY).with_source(error)
        })
    }

    /// Stores the state durably.
    pub fn store(&self, store: &dyn StateStore) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|error| {
            Error::new(ErrorKind::Internal, "writing the source's state", STATE_KEY).with_source(error)
        })?;
        store.put(STATE_KEY, &bytes)
    }
}

/// How to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Make a slot and take a snapshot.
    Fresh {
        /// A slot of ours is in the way.
        drop_first: bool,
    },
    /// Go on where the slot stands.
    Resume,
    /// Go on where a slot stands that we have no state for.
    Adopt,
}

/// What the decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Durable state.
    pub state: Option<&'a SlotState>,
    /// The slot as it is.
    pub slot: Option<&'a Slot>,
    /// `slot.name`
    pub name: &'a str,
    /// `database.dbname`
    pub database: &'a str,
    /// Identity of the cluster; 0 if unknown.
    pub system_id: i64,
    /// Commit end of the last durable row.
    pub durable: Lsn,
    /// `thm.start`, unless it was obeyed already.
    pub start: Option<StartMode>,
}

/// Decides how to start.
pub fn decide(facts: &Facts<'_>) -> Result<Plan> {
    if let Some(pid) = facts.slot.and_then(|slot| slot.active_pid) {
        let error = Error::new(ErrorKind::SlotInUse, "taking the slot", facts.name);
        return Err(error.with_source(format!("process {pid} of the server uses it")));
    }
    match (facts.start, facts.slot, facts.state) {
        (Some(StartMode::Resnapshot), slot, _) => Ok(Plan::Fresh { drop_first: slot.is_some() }),
        (Some(StartMode::FromSlot), Some(slot), _) => usable(facts, slot).map(|()| Plan::Adopt),
        (Some(StartMode::FromSlot), None, _) => Err(unsafe_slot(facts, "there is no slot to go on from")),
        (None, None, None) => Ok(Plan::Fresh { drop_first: false }),
        (None, Some(_), None) => Err(unsafe_slot(facts, "the slot exists, but nothing is known of it here")),
        (None, slot, Some(state)) => known(facts, slot, state),
    }
}

fn known(facts: &Facts<'_>, slot: Option<&Slot>, state: &SlotState) -> Result<Plan> {
    if state.system_id != facts.system_id && state.system_id != 0 && facts.system_id != 0 {
        return Err(unsafe_slot(facts, "the server is another one (its system identifier differs)"));
    }
    if state.slot != facts.name || state.database != facts.database {
        return Err(unsafe_slot(facts, &format!("the state is of slot {} in database {}", state.slot, state.database)));
    }
    if state.phase != Phase::Finished {
        return Ok(Plan::Fresh { drop_first: slot.is_some() });
    }
    let Some(slot) = slot else {
        return Err(unsafe_slot(facts, "the slot is gone, and with it the changes since the last start"));
    };
    usable(facts, slot)?;
    let told = facts.durable.max(state.acknowledged_below).max(state.consistent_point);
    if slot.confirmed_flush > told {
        let reason = format!(
            "it stands at {}, beyond {told}, the last we acknowledged: recreated or moved",
            slot.confirmed_flush
        );
        return Err(unsafe_slot(facts, &reason));
    }
    Ok(Plan::Resume)
}

fn usable(facts: &Facts<'_>, slot: &Slot) -> Result<()> {
    if slot.wal_status == "lost" {
        return Err(unsafe_slot(facts, "the server has removed WAL that it needs"));
    }
    if slot.plugin != "pgoutput" || slot.database != facts.database {
        return Err(unsafe_slot(facts, &format!("it is of plugin {} in database {}", slot.plugin, slot.database)));
    }
    Ok(())
}

fn unsafe_slot(facts: &Facts<'_>, reason: &str) -> Error {
    Error::new(ErrorKind::SlotUnsafe, "matching slot and state", facts.name).with_source(reason.to_owned()).with_hint(
        "Set the connector's option: thm.start=resnapshot takes everything anew; \
         thm.start=from-slot goes on from what the slot still has.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(phase: Phase) -> SlotState {
        SlotState {
            slot: "s".to_owned(),
            system_id: 7,
            database: "d".to_owned(),
            phase,
            consistent_point: Lsn(100),
            acknowledged_below: Lsn(200),
            toast_epoch: None,
            obeyed: None,
        }
    }

    fn slot(confirmed_flush: u64) -> Slot {
        Slot {
            plugin: "pgoutput".to_owned(),
            database: "d".to_owned(),
            active_pid: None,
            confirmed_flush: Lsn(confirmed_flush),
            wal_status: "reserved".to_owned(),
        }
    }

    fn facts<'a>(state: Option<&'a SlotState>, slot: Option<&'a Slot>) -> Facts<'a> {
        Facts { state, slot, name: "s", database: "d", system_id: 7, durable: Lsn(150), start: None }
    }

    fn kind(decision: Result<Plan>) -> Option<ErrorKind> {
        decision.err().map(|error| error.kind())
    }

    #[test]
    fn first_start_restart_and_abandoned_snapshot() {
        let (finished, started, ours) = (state(Phase::Finished), state(Phase::Started), slot(200));
        assert_eq!(decide(&facts(None, None)).ok(), Some(Plan::Fresh { drop_first: false }));
        assert_eq!(decide(&facts(Some(&finished), Some(&ours))).ok(), Some(Plan::Resume));
        assert_eq!(decide(&facts(Some(&started), Some(&ours))).ok(), Some(Plan::Fresh { drop_first: true }));
        assert_eq!(decide(&facts(Some(&started), None)).ok(), Some(Plan::Fresh { drop_first: false }));
    }

    #[test]
    fn what_does_not_belong_together_is_refused_with_both_ways_out() {
        let (finished, ours, moved) = (state(Phase::Finished), slot(200), slot(201));
        let lost = Slot { wal_status: "lost".to_owned(), ..slot(200) };
        let foreign = Slot { plugin: "wal2json".to_owned(), ..slot(200) };
        let cases = [
            facts(None, Some(&ours)),
            facts(Some(&finished), None),
            facts(Some(&finished), Some(&moved)),
            facts(Some(&finished), Some(&lost)),
            facts(Some(&finished), Some(&foreign)),
            Facts { system_id: 8, ..facts(Some(&finished), Some(&ours)) },
            Facts { name: "other", ..facts(Some(&finished), Some(&ours)) },
        ];
        for case in cases {
            let error = decide(&case).err();
            assert_eq!(error.as_ref().map(Error::kind), Some(ErrorKind::SlotUnsafe), "{case:?}");
            let hint = error.as_ref().map(Error::hint).unwrap_or_default();
            assert!(hint.contains("thm.start=resnapshot") && hint.contains("thm.start=from-slot"), "{hint}");
        }
    }

    #[test]
    fn the_ways_out_and_a_slot_in_use() {
        let (ours, finished) = (slot(900), state(Phase::Finished));
        let out = |start, slot| Facts { start: Some(start), ..facts(Some(&finished), slot) };
        assert_eq!(decide(&out(StartMode::Resnapshot, Some(&ours))).ok(), Some(Plan::Fresh { drop_first: true }));
        assert_eq!(decide(&out(StartMode::FromSlot, Some(&ours))).ok(), Some(Plan::Adopt));
        assert_eq!(kind(decide(&out(StartMode::FromSlot, None))), Some(ErrorKind::SlotUnsafe));
        let busy = Slot { active_pid: Some(9), ..slot(200) };
        assert_eq!(kind(decide(&facts(Some(&finished), Some(&busy)))), Some(ErrorKind::SlotInUse));
    }
}
