//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup: requests wait here for the state machine's answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use kafka_protocol::error::ResponseError;
use tokio::time::{Instant, sleep_until};

use super::GroupCoordinator;
use super::live::Live;
use super::messages::{JoinAnswer, JoinRefused, JoinRequest, Step, SyncAnswer, SyncRequest};

/// Most bytes that a member may have kept about its subscription. A consumer of 1,000 topics says about 30 KiB.
const MAX_METADATA_BYTES: usize = 256 << 10;

impl GroupCoordinator {
    /// A member joins and waits for the round to be complete. Dropping the future does not undo the join: the
    /// member's session ends it.
    pub async fn join(&self, group: &str, request: JoinRequest) -> JoinAnswer {
        let refused = |error, member_id: &str| Err(JoinRefused { error, member_id: member_id.to_owned() });
        let member_id = request.member_id.clone();
        if group.is_empty() {
            return refused(ResponseError::InvalidGroupId, &member_id);
        }
        let allowed = self.config.min_session_timeout..=self.config.max_session_timeout;
        if !allowed.contains(&request.session_timeout) {
            return refused(ResponseError::InvalidSessionTimeout, &member_id);
        }
        let metadata: usize = request.protocols.iter().map(|(_, metadata)| metadata.len()).sum();
        if metadata > MAX_METADATA_BYTES || self.live.is_full(group) {
            return refused(ResponseError::GroupMaxSizeReached, &member_id);
        }
        self.start_timer();
        let step = self.live.with(group, |live| {
            if live.is_changing() {
                return Step::Done(refused(ResponseError::CoordinatorLoadInProgress, &member_id));
            }
            if live.lease.is_some() {
                // A connector is the only member its group can have.
                return Step::Done(refused(ResponseError::InconsistentGroupProtocol, &member_id));
            }
            live.membership.join(request, self.config.first_rebalance_delay, Instant::now())
        });
        self.live.deadlines.notify_one();
        match step {
            Step::Done(answer) => answer,
            Step::Wait(answer) => answer.await.unwrap_or_else(|_| refused(ResponseError::UnknownMemberId, &member_id)),
        }
    }

    /// A member waits for its assignment.
    pub async fn sync(&self, group: &str, request: SyncRequest) -> SyncAnswer {
        let step = self.live.with(group, |live| live.membership.sync(request, Instant::now()));
        self.live.deadlines.notify_one();
        match step {
            Step::Done(answer) => answer,
            Step::Wait(answer) => answer.await.unwrap_or(Err(ResponseError::UnknownMemberId)),
        }
    }

    /// A member lives.
    pub fn heartbeat(&self, group: &str, member_id: &str, generation: i32) -> Result<(), ResponseError> {
        self.live.with(group, |live| live.membership.heartbeat(member_id, generation, Instant::now()))
    }

    /// A member goes.
    pub fn leave(&self, group: &str, member_id: &str) -> Result<(), ResponseError> {
        let left = self.live.with(group, |live| live.membership.leave(member_id, Instant::now()));
        self.live.deadlines.notify_one();
        left
    }

    /// Starts the task that ends sessions and rebalances. It ends when the coordinator is gone.
    fn start_timer(&self) {
        if !self.timer_started.swap(true, Ordering::AcqRel) {
            tokio::spawn(run_timer(Arc::downgrade(&self.live)));
        }
    }
}

async fn run_timer(live: std::sync::Weak<Live>) {
    /// How long the task may sleep without looking whether the coordinator is still there.
    const LONGEST_SLEEP: std::time::Duration = std::time::Duration::from_secs(1);
    while let Some(live) = live.upgrade() {
        let now = Instant::now();
        let mut next = now + LONGEST_SLEEP;
        live.lock().retain(|_, group| {
            group.membership.expire(now);
            next = group.membership.next_deadline().map_or(next, |deadline| next.min(deadline));
            !group.is_idle()
        });
        tokio::select! {
            () = sleep_until(next) => {}
            () = live.deadlines.notified() => {}
        }
    }
}
