//! Which input of a plan goes on from which one of a checkpoint, so that an input keeps its place, its rank and the name
//! under which it writes, however the branches of a changed file are ordered.
//!
//! ```text
//!   input of branch n ──┬─ branch of the same form before ─▶ that one's place, rank and name
//!                       ├─ else the n-th, else the least far, of those that no branch's form claims ─▶ likewise
//!                       └─ else the least far of the partition ─▶ its place; a rank and a name of its own
//! ```
//! Invariant: ranks and names are handed out once, and none that the checkpoint knows goes to another input.

use std::collections::HashSet;

use thm_api::TopicPartition;

use super::checkpoint::{Checkpoint, InputState};
use super::input::{Role, STREAM_RANK};

/// Hands out what a checkpoint has for the inputs of a plan's branches.
pub(super) struct Lineage<'a> {
    states: &'a [InputState],
    /// Forms of the plan's branches, in their order.
    forms: Vec<String>,
    next_rank: u32,
    ranks: HashSet<u32>,
    names: HashSet<String>,
}

/// What an input goes on with.
pub(super) struct Heir<'a> {
    /// What the checkpoint knows of its partition, if anything.
    pub stored: Option<&'a InputState>,
    /// Its place among inputs of equal positions.
    pub rank: u32,
    /// Its name among the producers of the job.
    pub producer: String,
}

impl<'a> Lineage<'a> {
    pub fn new(checkpoint: Option<&'a Checkpoint>, forms: Vec<String>) -> Self {
        let states = checkpoint.map_or(&[][..], |checkpoint| &checkpoint.inputs);
        let last = states.iter().filter_map(|state| state.rank).max();
        let next_rank = last.map_or(STREAM_RANK, |last| last + 1).max(STREAM_RANK);
        Self { states, forms, next_rank, ranks: HashSet::new(), names: HashSet::new() }
    }

    /// The heir of what is stored of a partition that a branch reads.
    pub fn of(&mut self, branch: usize, partition: &TopicPartition) -> Heir<'a> {
        let stored = self.stored(branch, partition);
        self.heir(branch, partition, stored)
    }

    /// The same of a source outside the log, whose place was once kept by its branch's number.
    pub fn of_feed(&mut self, branch: usize, partition: &TopicPartition, before: &TopicPartition) -> Heir<'a> {
        let stored = self.stored(branch, partition).or_else(|| self.stored(branch, before));
        self.heir(branch, partition, stored)
    }

    fn heir(&mut self, branch: usize, partition: &TopicPartition, stored: Option<&'a InputState>) -> Heir<'a> {
        let known = stored.and_then(|stored| stored.rank).filter(|rank| *rank >= STREAM_RANK);
        let rank = known.filter(|rank| self.ranks.insert(*rank)).unwrap_or_else(|| {
            self.next_rank += 1;
            self.next_rank - 1
        });
        let known = stored.and_then(name_of).filter(|name| self.names.insert(name.clone()));
        let producer = known.unwrap_or_else(|| self.new_name(branch, partition));
        Heir { stored, rank, producer }
    }

    /// A name that nobody has, nor had as of the checkpoint.
    fn new_name(&mut self, branch: usize, partition: &TopicPartition) -> String {
        let known: HashSet<String> = self.states.iter().filter_map(name_of).collect();
        let free = |name: &String| !known.contains(name) && !self.names.contains(name);
        let mut names = (branch..).map(|number| format!("{number}:{partition}"));
        let name = names.find(free).expect("there are more numbers than inputs");
        self.names.insert(name.clone());
        name
    }

    fn stored(&self, branch: usize, partition: &TopicPartition) -> Option<&'a InputState> {
        let of_partition = |state: &&InputState| {
            state.role.is_none_or(|role| matches!(role, Role::Stream(_)))
                && *state.topic == *partition.topic
                && state.partition == partition.partition
        };
        let all = || self.states.iter().filter(of_partition);
        let form = self.forms.get(branch)?;
        // Of branches that are the same, the first goes on from the first.
        let same_before = self.forms[..branch].iter().filter(|other| *other == form).count();
        let same = all().filter(|state| state.form.as_ref() == Some(form)).nth(same_before);
        let free = || all().filter(|state| state.form.as_ref().is_none_or(|form| !self.forms.contains(form)));
        let own = || free().find(|state| state.role == Some(Role::Stream(branch)));
        let least = |states: &mut dyn Iterator<Item = &'a InputState>| states.min_by_key(|state| state.offset);
        same.or_else(own).or_else(|| least(&mut free())).or_else(|| least(&mut all()))
    }
}

/// The name of a stored input; before it was kept, that of its branch.
pub(super) fn name_of(state: &InputState) -> Option<String> {
    let by_branch = || match state.role {
        Some(Role::Stream(branch)) => Some(format!("{branch}:{}-{}", state.topic, state.partition)),
        _ => None,
    };
    state.producer.clone().or_else(by_branch)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn state(branch: usize, form: &str, offset: i64) -> InputState {
        InputState {
            role: Some(Role::Stream(branch)),
            rank: Some(STREAM_RANK + u32::try_from(branch).unwrap()),
            form: Some(form.to_owned()),
            producer: Some(format!("{branch}:in-0")),
            ..InputState::of(&TopicPartition::new("in", 0), offset)
        }
    }

    fn heirs(states: Vec<InputState>, forms: &[&str]) -> Vec<(i64, u32, String)> {
        let checkpoint = Checkpoint { inputs: states, ..Checkpoint::default() };
        let mut lineage = Lineage::new(Some(&checkpoint), forms.iter().map(|&form| form.to_owned()).collect());
        let of = |branch| {
            let heir = lineage.of(branch, &TopicPartition::new("in", 0));
            (heir.stored.map_or(-1, |stored| stored.offset), heir.rank - STREAM_RANK, heir.producer)
        };
        (0..forms.len()).map(of).collect()
    }

    #[test]
    fn branches_that_change_their_order_keep_what_is_theirs() {
        let states = || vec![state(0, "x", 5), state(1, "y", 3)];
        let (x, y) = ((5, 0, "0:in-0".to_owned()), (3, 1, "1:in-0".to_owned()));
        assert_eq!(heirs(states(), &["y", "x"]), [y.clone(), x.clone()]);
        // A changed branch goes on from the one that is left.
        assert_eq!(heirs(states(), &["z", "x"]), [y.clone(), x.clone()]);
        assert_eq!(heirs(states(), &["z", "w"]), [x.clone(), y.clone()]);
        // One more begins where the least far is, under a name and at a rank of its own.
        assert_eq!(heirs(states(), &["x", "y", "z"]), [x, y, (3, 2, "2:in-0".to_owned())]);
    }

    #[test]
    fn the_same_branch_twice_has_two_places() {
        let states = vec![state(0, "x", 5), state(1, "x", 3)];
        assert_eq!(heirs(states, &["x", "x"]), [(5, 0, "0:in-0".to_owned()), (3, 1, "1:in-0".to_owned())]);
    }

    #[test]
    fn a_name_of_another_input_is_never_given_to_a_new_one() {
        let states = vec![InputState { producer: Some("1:in-0".to_owned()), ..state(0, "x", 5) }];
        let found = heirs(states, &["x", "y"]);
        assert_eq!((found[0].2.as_str(), found[1].2.as_str()), ("1:in-0", "2:in-0"));
    }
}
