//! Who is in which group just now: members, connector leases, and changes that keep both out.
//!
//! Nothing here is durable. A group is held only while somebody is in it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex, MutexGuard};
use thm_api::offsets::LeaseGuard;
use tokio::sync::Notify;

use super::membership::Membership;
use super::state::DEFAULT_MAX_GROUPS;

/// A group somebody is in.
#[derive(Debug, Default)]
pub(super) struct LiveGroup {
    /// Members that speak the group protocol.
    pub(super) membership: Membership,
    /// The connector that holds the group, if any. It and members exclude each other.
    pub(super) lease: Option<Arc<str>>,
    /// Changes on their way that want the group empty.
    exclusive: u32,
}

impl LiveGroup {
    /// Whether nobody is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.lease.is_none() && self.membership.is_empty()
    }

    /// Whether a change is on its way that keeps members out.
    pub(super) fn is_changing(&self) -> bool {
        self.exclusive > 0
    }

    /// Whether it can be forgotten.
    pub(super) fn is_idle(&self) -> bool {
        self.lease.is_none() && self.exclusive == 0 && self.membership.is_idle()
    }
}

/// Groups somebody is in, by name.
pub(super) type LiveGroups = HashMap<Arc<str>, LiveGroup>;

/// One lock for all groups: joins and heartbeats are a few a second, and nothing waits under it.
#[derive(Debug, Default)]
pub(super) struct Live {
    groups: Mutex<LiveGroups>,
    /// Told when an exclusive change has ended.
    changed: Condvar,
    /// Told when a deadline may have become earlier.
    pub(super) deadlines: Notify,
}

impl Live {
    pub(super) fn lock(&self) -> MutexGuard<'_, LiveGroups> {
        self.groups.lock()
    }

    /// Works on a group, and forgets it if that left it idle.
    pub(super) fn with<T>(&self, group: &str, work: impl FnOnce(&mut LiveGroup) -> T) -> T {
        let mut groups = self.lock();
        if !groups.contains_key(group) {
            groups.insert(Arc::from(group), LiveGroup::default());
        }
        let live = groups.get_mut(group).expect("the group was put in above");
        let result = work(live);
        if live.is_idle() {
            groups.remove(group);
        }
        result
    }

    /// Whether a new group would be one too many.
    pub(super) fn is_full(&self, group: &str) -> bool {
        let groups = self.lock();
        groups.len() >= DEFAULT_MAX_GROUPS && !groups.contains_key(group)
    }

    /// Keeps members out of an empty group while it is changed; `None` if somebody is in it.
    pub(super) fn exclude(self: &Arc<Self>, group: &str) -> Option<Exclusive> {
        self.with(group, |live| {
            if !live.is_empty() {
                return None;
            }
            live.exclusive += 1;
            Some(Exclusive { live: Arc::clone(self), group: Arc::from(group) })
        })
    }

    /// Gives the group to a connector; false if somebody is in it. Waits for a change on its way, which lasts
    /// one fsync.
    pub(super) fn lease(&self, group: &Arc<str>, member: &Arc<str>) -> bool {
        let mut groups = self.lock();
        while groups.get(group).is_some_and(LiveGroup::is_changing) {
            self.changed.wait(&mut groups);
        }
        let live = groups.entry(Arc::clone(group)).or_default();
        if !live.is_empty() {
            return false;
        }
        live.lease = Some(Arc::clone(member));
        true
    }
}

/// While it lives nobody can enter the group.
#[derive(Debug)]
pub(super) struct Exclusive {
    live: Arc<Live>,
    group: Arc<str>,
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        self.live.with(&self.group, |live| live.exclusive = live.exclusive.saturating_sub(1));
        self.live.changed.notify_all();
    }
}

/// A connector's membership; ends with its drop.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) live: Arc<Live>,
    pub(super) group: Arc<str>,
}

impl LeaseGuard for Lease {}

impl Drop for Lease {
    fn drop(&mut self) {
        self.live.with(&self.group, |live| live.lease = None);
    }
}
