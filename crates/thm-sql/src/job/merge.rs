//! Which record comes next: a k-way merge by position that never runs ahead of what is known.
//!
//! ```text
//!   look-up  ──[5]──[9]──────────·(complete to 12)      next is the smallest head, if every input without
//!   stream   ──────[7]──[11]                            a head is known to have nothing before it
//! ```
//! Order: position, then rank (look-ups have the lower ones, so they win ties), then offset. Records without a place
//! (foreign ones before any of our own) come after everything that the look-ups have.

use thm_api::Position;

/// What is known of an input that has no record at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Nothing: it may hold anything.
    Unknown,
    /// All up to here has been read.
    UpTo(Position),
    /// It takes no part in the order.
    Endless,
}

/// One input as the merge sees it.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Its rank, unique.
    pub rank: u32,
    /// Whether it feeds a look-up table.
    pub lookup: bool,
    /// Position of its next record, if there is one at hand.
    pub head: Option<Position>,
    /// What is known without one.
    pub bound: Bound,
}

impl View {
    /// Place of the head in the order; records of a stream without a place come last.
    fn key(&self) -> Option<(Position, u32)> {
        let head = self.head?;
        let placeless = !self.lookup && head == Position::default();
        Some((if placeless { LAST } else { head }, self.rank))
    }
}

const LAST: Position = Position::end_of(thm_api::Lsn(u64::MAX));

/// How far the chosen input may be consumed before choosing again.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    rank: u32,
    lookup: bool,
    /// Smallest head of the others.
    before: Option<(Position, u32)>,
    /// Smallest bound of the others, inclusive.
    up_to: Position,
    /// Rows of a snapshot at exactly this position have to wait: an input that comes first may get more of them.
    wait_at: Option<Position>,
    /// Whether an input is open that blocks records without a place.
    placeless_blocked: bool,
}

impl Limit {
    /// Whether a record at `position` of the chosen input may be consumed.
    #[must_use]
    pub fn admits(&self, position: Position) -> bool {
        if !self.lookup && position == Position::default() {
            return !self.placeless_blocked && self.before.is_none_or(|before| before.0 == LAST);
        }
        position <= self.up_to
            && self.wait_at != Some(position)
            && self.before.is_none_or(|before| (position, self.rank) < before)
    }
}

/// The input to consume next and how far; `None` if one has to be waited for.
#[must_use]
pub fn choose(inputs: &[View]) -> Option<(usize, Limit)> {
    let heads = inputs.iter().enumerate().filter_map(|(index, view)| view.key().map(|key| (key, index)));
    let (_, chosen) = heads.min()?;
    let view = inputs[chosen];
    let others = || inputs.iter().enumerate().filter(|(index, _)| *index != chosen).map(|(_, other)| other);
    let mut limit = Limit {
        rank: view.rank,
        lookup: view.lookup,
        before: others().filter_map(View::key).min(),
        up_to: LAST,
        wait_at: None,
        placeless_blocked: false,
    };
    for other in others().filter(|other| other.head.is_none()) {
        match other.bound {
            Bound::Endless => {}
            Bound::Unknown => {
                limit.placeless_blocked |= other.lookup;
                limit.up_to = Position::default();
                limit.wait_at = Some(Position::default());
            }
            Bound::UpTo(position) => {
                limit.up_to = limit.up_to.min(position);
                // Facts of a snapshot are announced in chunks at one position; a look-up only when it is whole.
                if position.is_snapshot() && !other.lookup && other.rank < view.rank {
                    limit.wait_at = Some(position);
                }
            }
        }
    }
    limit.admits(view.head?).then_some((chosen, limit))
}

#[cfg(test)]
mod tests {
    use thm_api::Lsn;

    use super::*;

    fn at(lsn: u64) -> Position {
        Position::new(Lsn(lsn), 1)
    }

    fn view(rank: u32, head: Option<Position>, bound: Bound) -> View {
        View { rank, lookup: rank < 10, head, bound }
    }

    fn chosen(inputs: &[View]) -> Option<usize> {
        choose(inputs).map(|(index, _)| index)
    }

    #[test]
    fn the_smallest_position_comes_first_and_look_ups_win_ties() {
        assert_eq!(chosen(&[view(0, Some(at(5)), Bound::Unknown), view(10, Some(at(3)), Bound::Unknown)]), Some(1));
        assert_eq!(chosen(&[view(10, Some(at(5)), Bound::Unknown), view(0, Some(at(5)), Bound::Unknown)]), Some(1));
    }

    #[test]
    fn facts_are_held_until_the_look_up_is_known_that_far() {
        let fact = view(10, Some(at(7)), Bound::Unknown);
        assert_eq!(chosen(&[view(0, None, Bound::Unknown), fact]), None);
        assert_eq!(chosen(&[view(0, None, Bound::UpTo(at(6))), fact]), None);
        assert_eq!(chosen(&[view(0, None, Bound::UpTo(at(7))), fact]), Some(1));
    }

    #[test]
    fn a_run_ends_at_the_next_head_and_at_the_bound() {
        let inputs = [view(0, Some(at(9)), Bound::Unknown), view(10, Some(at(3)), Bound::Unknown)];
        let limit = choose(&inputs).map(|(_, limit)| limit);
        assert!(limit.is_some_and(|limit| limit.admits(at(8)) && !limit.admits(at(9))));
        let inputs = [view(0, None, Bound::UpTo(at(5))), view(10, Some(at(3)), Bound::Unknown)];
        let limit = choose(&inputs).map(|(_, limit)| limit);
        assert!(limit.is_some_and(|limit| limit.admits(at(5)) && !limit.admits(at(6))));
    }

    #[test]
    fn snapshot_rows_of_a_later_stream_wait_for_those_of_an_earlier_one() {
        let snapshot = Position::snapshot(Lsn(5));
        let later = view(11, Some(snapshot), Bound::Unknown);
        assert_eq!(chosen(&[view(10, None, Bound::UpTo(snapshot)), later]), None);
        assert_eq!(chosen(&[view(0, None, Bound::UpTo(snapshot)), later]), Some(1));
        assert_eq!(chosen(&[view(10, None, Bound::UpTo(at(5))), later]), Some(1));
    }

    #[test]
    fn records_without_a_place_come_after_the_look_ups() {
        let foreign = view(10, Some(Position::default()), Bound::Unknown);
        assert_eq!(chosen(&[view(0, Some(at(5)), Bound::Unknown), foreign]), Some(0));
        assert_eq!(chosen(&[view(0, None, Bound::Unknown), foreign]), None);
        assert_eq!(chosen(&[view(0, None, Bound::UpTo(at(5))), foreign]), Some(1));
        assert_eq!(chosen(&[view(0, Some(at(5)), Bound::Unknown), view(10, None, Bound::Endless)]), Some(0));
    }
}
