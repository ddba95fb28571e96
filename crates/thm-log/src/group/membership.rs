//! The classic group protocol as a state machine: no I/O, no clock of its own, no locks.
//!
//! ```text
//!                 join                     all joined, or deadline
//!   ┌─────────┐ ───────▶ ┌────────────────────┐ ──────────────▶ ┌─────────────────────┐
//!   │  Empty  │          │ PreparingRebalance │                 │ CompletingRebalance │
//!   └─────────┘ ◀─────── └────────────────────┘ ◀────────────── └─────────────────────┘
//!        ▲     nobody joined       ▲       join, leave, expiry           │ leader syncs
//!        │                         │                                     ▼
//!        │                         └────────────────────────────── ┌──────────┐
//!        └──────────────────── last member goes ────────────────── │  Stable  │
//!                                                                  └──────────┘
//! ```
//!
//! The rebalance generation counts rounds of assignment. It has nothing to do with a group's life
//! ([`thm_api::Generation`]). Static membership is ignored: every member is dynamic.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use super::messages::{
    GroupState, JoinAnswer, JoinRefused, JoinRequest, Joined, Step, SyncAnswer, SyncRequest, Synced,
};

/// Most members of one group, dynamic ids that were handed out included.
pub const DEFAULT_MAX_MEMBERS: usize = 1000;

#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: String,
    pub(super) client_id: String,
    pub(super) client_host: String,
    session_timeout: Duration,
    rebalance_timeout: Duration,
    protocols: Vec<(String, Bytes)>,
    pub(super) assignment: Bytes,
    /// When it is taken for dead, unless it waits for us.
    expires: Instant,
    joining: Option<oneshot::Sender<JoinAnswer>>,
    syncing: Option<oneshot::Sender<SyncAnswer>>,
}

impl Member {
    fn new(id: String, request: JoinRequest, now: Instant) -> Self {
        Self {
            id,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout: request.session_timeout,
            rebalance_timeout: request.rebalance_timeout,
            protocols: request.protocols,
            assignment: Bytes::new(),
            expires: now + request.session_timeout,
            joining: None,
            syncing: None,
        }
    }

    fn update(&mut self, request: JoinRequest) {
        self.session_timeout = request.session_timeout;
        self.rebalance_timeout = request.rebalance_timeout;
        self.protocols = request.protocols;
    }

    fn alive(&mut self, now: Instant) {
        self.expires = now + self.session_timeout;
    }

    fn waits(&self) -> bool {
        self.joining.is_some() || self.syncing.is_some()
    }

    fn knows(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    pub(super) fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols.iter().find(|(name, _)| name == protocol).map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    }
}

/// Members of one group.
#[derive(Debug, Default)]
pub struct Membership {
    pub(super) state: GroupState,
    generation: i32,
    pub(super) protocol_type: String,
    pub(super) protocol: String,
    leader: String,
    /// In the order in which they first joined.
    pub(super) members: Vec<Member>,
    /// Ids handed out, with the time until which they may come back.
    pending: HashMap<String, Instant>,
    /// End of the present phase of a rebalance.
    deadline: Option<Instant>,
    /// Whether the first round waits for its deadline, so that members that start together share it.
    first_round: bool,
}

impl Membership {
    /// Whether nobody is or is about to be a member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether the group can be forgotten.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    /// A member joins. `first_delay` is how long an empty group waits for others.
    pub fn join(&mut self, request: JoinRequest, first_delay: Duration, now: Instant) -> Step<JoinAnswer> {
        let known = self.position(&request.member_id);
        if let Err(error) = self.check_join(&request, known.is_some()) {
            return refused(error, request.member_id);
        }
        match known {
            Some(index) => self.rejoin(index, request, first_delay, now),
            None if request.member_id.is_empty() => {
                let id = format!("{}-{}", request.client_id, Uuid::new_v4());
                if request.require_known_member {
                    self.pending.insert(id.clone(), now + request.session_timeout);
                    return refused(ResponseError::MemberIdRequired, id);
                }
                self.add(id, request, first_delay, now)
            }
            None if self.pending.remove(&request.member_id).is_some() => {
                self.add(request.member_id.clone(), request, first_delay, now)
            }
            None => refused(ResponseError::UnknownMemberId, request.member_id),
        }
    }

    fn check_join(&self, request: &JoinRequest, known: bool) -> Result<(), ResponseError> {
        let newcomer = !known && !self.pending.contains_key(&request.member_id);
        if newcomer && self.members.len() + self.pending.len() >= DEFAULT_MAX_MEMBERS {
            return Err(ResponseError::GroupMaxSizeReached);
        }
        let others = || self.members.iter().filter(|member| member.id != request.member_id);
        let common = |name: &str| others().all(|member| member.knows(name));
        let fits = others().next().is_none() || request.protocol_type == self.protocol_type;
        if request.protocol_type.is_empty() || !fits || !request.protocols.iter().any(|(name, _)| common(name)) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        Ok(())
    }

    fn add(&mut self, id: String, request: JoinRequest, first_delay: Duration, now: Instant) -> Step<JoinAnswer> {
        self.protocol_type.clone_from(&request.protocol_type);
        self.members.push(Member::new(id, request, now));
        self.await_join(self.members.len() - 1, first_delay, now)
    }

    fn rejoin(&mut self, index: usize, request: JoinRequest, delay: Duration, now: Instant) -> Step<JoinAnswer> {
        let same = self.members[index].protocols == request.protocols;
        let leads = self.members[index].id == self.leader;
        let repeats = match self.state {
            GroupState::CompletingRebalance => same,
            GroupState::Stable => same && !leads,
            _ => false,
        };
        if repeats {
            self.members[index].alive(now);
            return Step::Done(Ok(self.joined(index)));
        }
        self.protocol_type.clone_from(&request.protocol_type);
        self.members[index].update(request);
        self.await_join(index, delay, now)
    }

    fn await_join(&mut self, index: usize, first_delay: Duration, now: Instant) -> Step<JoinAnswer> {
        let (answer, answered) = oneshot::channel();
        self.members[index].joining = Some(answer);
        self.prepare_rebalance(first_delay, now);
        Step::Wait(answered)
    }

    fn prepare_rebalance(&mut self, first_delay: Duration, now: Instant) {
        if self.state != GroupState::PreparingRebalance {
            for member in &mut self.members {
                if let Some(waiting) = member.syncing.take() {
                    // Whoever hung up learns it from its next heartbeat.
                    let _ = waiting.send(Err(ResponseError::RebalanceInProgress));
                    member.alive(now);
                }
            }
            self.first_round = self.state == GroupState::Empty && !first_delay.is_zero();
            self.deadline = Some(now + if self.first_round { first_delay } else { self.longest_rebalance() });
            self.state = GroupState::PreparingRebalance;
        }
        self.complete_join_if_all(now);
    }

    fn longest_rebalance(&self) -> Duration {
        self.members.iter().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    fn complete_join_if_all(&mut self, now: Instant) {
        let all = self.pending.is_empty() && self.members.iter().all(|member| member.joining.is_some());
        if self.state == GroupState::PreparingRebalance && all && !self.first_round {
            self.complete_join(now);
        }
    }

    fn complete_join(&mut self, now: Instant) {
        self.members.retain(|member| member.joining.is_some());
        self.first_round = false;
        if self.members.is_empty() {
            return self.become_empty();
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.protocol = self.elect_protocol();
        if !self.members.iter().any(|member| member.id == self.leader) {
            self.leader.clone_from(&self.members[0].id);
        }
        self.state = GroupState::CompletingRebalance;
        self.deadline = Some(now + self.longest_rebalance());
        for index in 0..self.members.len() {
            let joined = self.joined(index);
            let member = &mut self.members[index];
            member.alive(now);
            member.assignment = Bytes::new();
            if let Some(waiting) = member.joining.take() {
                let _ = waiting.send(Ok(joined));
            }
        }
    }

    /// Every member votes for the first of its strategies that all know; the first with most votes wins.
    fn elect_protocol(&self) -> String {
        let common = |name: &str| self.members.iter().all(|member| member.knows(name));
        let favourite = |member: &Member| {
            member.protocols.iter().map(|(name, _)| name).find(|name| common(name)).cloned().unwrap_or_default()
        };
        let votes: Vec<String> = self.members.iter().map(favourite).collect();
        let count = |name: &String| votes.iter().filter(|vote| *vote == name).count();
        // `max_by_key` gives the last of equals; reversed, that is the first.
        votes.iter().rev().max_by_key(|name| count(name)).cloned().unwrap_or_default()
    }

    fn joined(&self, index: usize) -> Joined {
        let member = &self.members[index];
        let everyone = || self.members.iter().map(|other| (other.id.clone(), other.metadata(&self.protocol)));
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            member_id: member.id.clone(),
            members: if member.id == self.leader { everyone().collect() } else { Vec::new() },
        }
    }

    /// A member asks for its assignment; the leader brings everyone's.
    pub fn sync(&mut self, request: SyncRequest, now: Instant) -> Step<SyncAnswer> {
        let index = match self.check_member(&request.member_id, request.generation) {
            Ok(index) => index,
            Err(error) => return Step::Done(Err(error)),
        };
        let differs = |given: &Option<String>, ours: &str| given.as_deref().is_some_and(|name| name != ours);
        if differs(&request.protocol_type, &self.protocol_type) || differs(&request.protocol, &self.protocol) {
            return Step::Done(Err(ResponseError::InconsistentGroupProtocol));
        }
        self.members[index].alive(now);
        match self.state {
            GroupState::Stable => Step::Done(Ok(self.synced(index))),
            GroupState::CompletingRebalance => {
                let (answer, answered) = oneshot::channel();
                self.members[index].syncing = Some(answer);
                if self.members[index].id == self.leader {
                    self.assign(request.assignments, now);
                }
                Step::Wait(answered)
            }
            _ => Step::Done(Err(ResponseError::RebalanceInProgress)),
        }
    }

    fn assign(&mut self, assignments: Vec<(String, Bytes)>, now: Instant) {
        let mut by_member: HashMap<String, Bytes> = assignments.into_iter().collect();
        self.state = GroupState::Stable;
        self.deadline = None;
        for index in 0..self.members.len() {
            let member = &mut self.members[index];
            member.assignment = by_member.remove(&member.id).unwrap_or_default();
            member.alive(now);
            if let Some(waiting) = member.syncing.take() {
                let _ = waiting.send(Ok(self.synced(index)));
            }
        }
    }

    fn synced(&self, index: usize) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: self.members[index].assignment.clone(),
        }
    }

    /// A member says that it lives; the answer tells it to rejoin when it must.
    pub fn heartbeat(&mut self, member_id: &str, generation: i32, now: Instant) -> Result<(), ResponseError> {
        let index = self.check_member(member_id, generation)?;
        self.members[index].alive(now);
        match self.state {
            GroupState::PreparingRebalance => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Whether a member may commit offsets under this generation.
    pub fn check_commit(&mut self, member_id: &str, generation: i32, now: Instant) -> Result<(), ResponseError> {
        let index = self.check_member(member_id, generation)?;
        self.members[index].alive(now);
        match self.state {
            GroupState::CompletingRebalance => Err(ResponseError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// A member goes by itself.
    pub fn leave(&mut self, member_id: &str, now: Instant) -> Result<(), ResponseError> {
        if self.pending.remove(member_id).is_some() {
            self.complete_join_if_all(now);
            return Ok(());
        }
        let index = self.position(member_id).ok_or(ResponseError::UnknownMemberId)?;
        self.members.remove(index);
        self.after_removal(now);
        Ok(())
    }

    /// Does what is due: dead members go, phases of a rebalance end.
    pub fn expire(&mut self, now: Instant) {
        let pending = self.pending.len();
        self.pending.retain(|_, until| *until > now);
        let members = self.members.len();
        self.members.retain(|member| member.waits() || member.expires > now);
        if self.members.len() < members {
            self.after_removal(now);
        } else if self.pending.len() < pending {
            self.complete_join_if_all(now);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            match self.state {
                GroupState::PreparingRebalance => self.complete_join(now),
                GroupState::CompletingRebalance => {
                    self.members.retain(|member| member.syncing.is_some());
                    self.after_removal(now);
                }
                _ => self.deadline = None,
            }
        }
    }

    /// When [`Self::expire`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let members = self.members.iter().filter(|member| !member.waits()).map(|member| member.expires);
        members.chain(self.pending.values().copied()).chain(self.deadline).min()
    }

    fn after_removal(&mut self, now: Instant) {
        if self.members.is_empty() {
            self.become_empty();
        } else {
            self.prepare_rebalance(Duration::ZERO, now);
        }
    }

    fn become_empty(&mut self) {
        self.state = GroupState::Empty;
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        self.deadline = None;
        self.first_round = false;
        self.protocol.clear();
        self.leader.clear();
    }

    fn position(&self, member_id: &str) -> Option<usize> {
        self.members.iter().position(|member| member.id == member_id)
    }

    fn check_member(&self, member_id: &str, generation: i32) -> Result<usize, ResponseError> {
        let index = self.position(member_id).ok_or(ResponseError::UnknownMemberId)?;
        if generation == self.generation { Ok(index) } else { Err(ResponseError::IllegalGeneration) }
    }
}

fn refused(error: ResponseError, member_id: String) -> Step<JoinAnswer> {
    Step::Done(Err(JoinRefused { error, member_id }))
}
