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

use std::collections::BTreeMap;

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
    /// No acknowledgement went beyond this, unless a row that is durable stands there.
    pub acknowledged_below: Lsn,
    /// Timeline of the server; 0 while unknown.
    #[serde(default)]
    pub timeline: u32,
    /// The publication as it was; `None` while unknown.
    #[serde(default)]
    pub publication: Option<PublicationMark>,
    /// Epoch of the TOAST store that has been fed since; `None` while values are not kept.
    #[serde(default)]
    pub toast_epoch: Option<String>,
    /// The last `thm.start` that was obeyed, so that a restart does not obey it again.
    #[serde(default)]
    pub obeyed: Option<String>,
}

/// A publication's own identity and that of each table's place in it: one that was taken out and put back has another,
/// and its changes in between were not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicationMark {
    /// Oid of the publication.
    pub oid: u32,
    /// Oid of each table's membership, by `schema.table`; none where it is `FOR ALL TABLES`.
    pub tables: BTreeMap<String, u32>,
}

impl PublicationMark {
    /// What happened between `self` and `now`; `None`: nothing that could have lost a change.
    #[must_use]
    pub fn changed(&self, now: &Self) -> Option<String> {
        if self.oid != now.oid {
            return Some("the publication was dropped and made anew, and changes in between were not sent".to_owned());
        }
        let other = self.tables.iter().find(|(table, oid)| now.tables.get(*table).is_some_and(|now| now != *oid));
        let gone = |(table, _)| {
            format!("{table} was taken out of the publication and put back, and its changes in between were not sent")
        };
        other.map(gone)
    }
}

impl SlotState {
    /// Reads the state.
    pub fn load(store: &dyn StateStore) -> Result<Option<Self>> {
        let Some(bytes) = store.get(STATE_KEY)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| {
            Error::new(ErrorKind::SlotUnsafe, "reading the source's state", STATE_KEY).with_source(error)
        })
    }

    /// Whether the server is known to be on another timeline than it was.
    #[must_use]
    pub const fn is_of_other_timeline(&self, timeline: u32) -> bool {
        self.timeline != timeline && self.timeline != 0 && timeline != 0
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
    /// Its timeline; 0 if unknown.
    pub timeline: u32,
    /// Where its history left the timeline of our state; `None`: it did not, or nobody asked.
    pub fork: Option<Lsn>,
    /// End of its WAL.
    pub wal_end: Lsn,
    /// Commit end of the last durable row.
    pub durable: Lsn,
    /// `thm.start`, unless it was obeyed already.
    pub start: Option<StartMode>,
}

/// Decides how to start.
pub fn decide(facts: &Facts<'_>) -> Result<Plan> {
    if let Some(slot) = facts.slot.filter(|slot| slot.active_pid.is_some()) {
        let error = Error::new(ErrorKind::SlotInUse, "taking the slot", facts.name);
        let holder = slot.holder.as_deref().unwrap_or("unknown to us");
        return Err(error
            .with_source(format!("process {} of the server uses it: {holder}", slot.active_pid.unwrap_or_default()))
            .with_hint(
                "Nothing is lost: the slot keeps its changes. The task tries again for slot.max.retries times \
                 slot.retry.delay.ms, and fails then. End the other reader, or choose another slot.name.",
            ));
    }
    let plan = match (facts.start, facts.slot, facts.state) {
        (Some(StartMode::Resnapshot), slot, _) => Plan::Fresh { drop_first: slot.is_some() },
        (Some(StartMode::FromSlot), Some(slot), _) => usable(facts, slot).map(|()| Plan::Adopt)?,
        (Some(StartMode::FromSlot), None, _) => {
            return Err(refused(facts, "there is no slot to go on from", NO_SLOT));
        }
        (None, None, None) => Plan::Fresh { drop_first: false },
        (None, Some(_), None) => {
            let reason = "the slot exists, but this data folder knows nothing of it: it belongs to another one, or the \
                          folder was emptied";
            return Err(refused(facts, reason, BOTH));
        }
        (None, slot, Some(state)) => known(facts, slot, state)?,
    };
    if facts.durable > facts.wal_end {
        let reason = format!(
            "its WAL ends at {}, before {}, where the last change we have stands: it was restored from a backup, or is \
             another server",
            facts.wal_end, facts.durable
        );
        return Err(refused(facts, &reason, FRESH_FOLDER));
    }
    Ok(plan)
}

fn known(facts: &Facts<'_>, slot: Option<&Slot>, state: &SlotState) -> Result<Plan> {
    if state.system_id != facts.system_id && state.system_id != 0 && facts.system_id != 0 {
        let reason = format!(
            "the server is another one: its system identifier is {}, ours was {}",
            facts.system_id, state.system_id
        );
        return Err(refused(facts, &reason, BOTH));
    }
    if state.slot != facts.name || state.database != facts.database {
        let reason = format!(
            "this data folder is of slot {} in database {}, and not of database {}",
            state.slot, state.database, facts.database
        );
        return Err(refused(facts, &reason, BOTH));
    }
    if state.is_of_other_timeline(facts.timeline) {
        followed(facts, slot, state)?;
    }
    if state.phase != Phase::Finished {
        return Ok(Plan::Fresh { drop_first: slot.is_some() });
    }
    let Some(slot) = slot else {
        let reason = "the slot is gone, and with it the changes since the last start";
        return Err(refused(facts, reason, NO_SLOT));
    };
    usable(facts, slot)?;
    let told = facts.durable.max(state.acknowledged_below).max(state.consistent_point);
    if slot.confirmed_flush > told {
        let reason = format!(
            "it stands at {}, beyond {told}, the last we acknowledged: it was recreated or moved, and the changes in \
             between are lost",
            slot.confirmed_flush
        );
        return Err(refused(facts, &reason, BOTH));
    }
    Ok(Plan::Resume)
}

/// A promoted standby is followed if it has all that we have, and kept our slot in step.
fn followed(facts: &Facts<'_>, slot: Option<&Slot>, state: &SlotState) -> Result<()> {
    let because = match facts.fork {
        None => "changes that we have may not be in it, nor its own in the slot".to_owned(),
        Some(fork) if fork < facts.durable => {
            format!("it left ours at {fork}, and {}, where the last change we have stands, is not in it", facts.durable)
        }
        Some(_) if slot.is_some_and(|slot| slot.synced) => return Ok(()),
        Some(_) => {
            "its slot was not kept in step with ours (slot.failover=true before, and sync_replication_slots)".to_owned()
        }
    };
    let (now, ours) = (facts.timeline, state.timeline);
    let reason = format!("the server is on timeline {now}, ours was {ours}: it was promoted or restored; {because}");
    Err(refused(facts, &reason, BOTH))
}

fn usable(facts: &Facts<'_>, slot: &Slot) -> Result<()> {
    if slot.wal_status == "lost" {
        let reason = "the server has removed WAL that it needs (max_slot_wal_keep_size), and with it changes that we \
                      do not have";
        return Err(refused(facts, reason, NO_SLOT));
    }
    if slot.plugin != "pgoutput" || slot.database != facts.database {
        let reason = format!("it is of plugin {} in database {}", slot.plugin, slot.database);
        return Err(refused(facts, &reason, OTHER_SLOT));
    }
    Ok(())
}

const BOTH: &str = "Set the connector's option, or start once with thm run --resnapshot or --from-slot: \
     thm.start=resnapshot takes everything anew, and takes back what is gone; thm.start=from-slot goes on from what the \
     slot still has, and what it lacks stays missing.";
const NO_SLOT: &str = "Set the connector's option, or start once with thm run --resnapshot: thm.start=resnapshot takes \
     everything anew, and takes back what is gone. thm.start=from-slot needs a slot that still has its WAL: there is none.";
const OTHER_SLOT: &str = "Choose another slot.name. thm.start=resnapshot would drop this slot and take everything anew; \
     thm.start=from-slot needs a slot of pgoutput in this database.";
const FRESH_FOLDER: &str = "Start with an empty data folder (data_dir), or with another topic.prefix and name: positions in \
     these topics would go back. Neither thm.start=resnapshot nor thm.start=from-slot can go on with them.";

/// The object is the slot; the reason says what happened and what is lost, the hint what to do.
pub fn refused(facts: &Facts<'_>, reason: &str, hint: &str) -> Error {
    Error::new(ErrorKind::SlotUnsafe, "matching slot and state", facts.name)
        .with_source(reason.to_owned())
        .with_hint(hint)
}

/// The publication is not the one that the slot's changes were made under.
#[must_use]
pub fn publication_changed(name: &str, reason: &str) -> Error {
    Error::new(ErrorKind::SlotUnsafe, "matching publication and state", name)
        .with_source(reason.to_owned())
        .with_hint(BOTH)
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
            timeline: 1,
            publication: None,
            toast_epoch: None,
            obeyed: None,
        }
    }

    fn slot(confirmed_flush: u64) -> Slot {
        Slot {
            plugin: "pgoutput".to_owned(),
            database: "d".to_owned(),
            active_pid: None,
            holder: None,
            confirmed_flush: Lsn(confirmed_flush),
            wal_status: "reserved".to_owned(),
            failover: false,
            synced: false,
        }
    }

    fn facts<'a>(state: Option<&'a SlotState>, slot: Option<&'a Slot>) -> Facts<'a> {
        Facts {
            state,
            slot,
            name: "s",
            database: "d",
            system_id: 7,
            timeline: 1,
            fork: None,
            wal_end: Lsn(1000),
            durable: Lsn(150),
            start: None,
        }
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
            Facts { timeline: 2, ..facts(Some(&finished), Some(&ours)) },
            Facts { wal_end: Lsn(149), ..facts(Some(&finished), Some(&ours)) },
            Facts { wal_end: Lsn(149), start: Some(StartMode::Resnapshot), ..facts(Some(&finished), Some(&ours)) },
        ];
        for case in cases {
            let error = decide(&case).err();
            assert_eq!(error.as_ref().map(Error::kind), Some(ErrorKind::SlotUnsafe), "{case:?}");
            let hint = error.as_ref().map(Error::hint).unwrap_or_default();
            assert!(hint.contains("thm.start=resnapshot") && hint.contains("thm.start=from-slot"), "{hint}");
        }
    }

    #[test]
    fn a_promoted_standby_is_followed_if_it_has_all_that_we_have_and_kept_the_slot() {
        let (finished, ours) = (state(Phase::Finished), slot(200));
        let kept = Slot { synced: true, failover: true, ..slot(120) };
        let promoted = |slot, fork| Facts { timeline: 2, fork, ..facts(Some(&finished), Some(slot)) };
        assert_eq!(decide(&promoted(&kept, Some(Lsn(150)))).ok(), Some(Plan::Resume));
        for (slot, fork, word) in
            [(&kept, Some(Lsn(149)), "not in it"), (&kept, None, "may not"), (&ours, Some(Lsn(150)), "slot.failover")]
        {
            let error = decide(&promoted(slot, fork)).err();
            let text = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(text.contains(word), "{text}");
        }
    }

    #[test]
    fn a_publication_that_was_away_is_found_out() {
        let mark = |oid, of: u32| PublicationMark { oid, tables: BTreeMap::from([("public.t".to_owned(), of)]) };
        assert_eq!(mark(1, 5).changed(&mark(1, 5)), None);
        assert_eq!(mark(1, 5).changed(&PublicationMark { oid: 1, ..PublicationMark::default() }), None);
        assert!(mark(1, 5).changed(&mark(2, 5)).is_some_and(|reason| reason.contains("made anew")));
        assert!(mark(1, 5).changed(&mark(1, 6)).is_some_and(|reason| reason.contains("public.t was taken out")));
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
