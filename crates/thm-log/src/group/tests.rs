//! Stored offsets over crashes, lives of groups, and rounds of the group protocol.
#![allow(clippy::unwrap_used)]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use parking_lot::Mutex;
use thm_api::{ErrorKind, Generation, Offset, OffsetStore, TopicPartition};

use super::journal::Storage;
use super::state::Committed;
use super::{GroupConfig, GroupCoordinator, GroupState, JoinRequest, Joined, SyncRequest};

/// A disk that forgets, at a crash, what was not synced.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<DiskContent>>);

#[derive(Default)]
struct DiskContent {
    durable: Vec<u8>,
    cached: Vec<u8>,
    syncs: u64,
    fails: bool,
}

impl Storage for Disk {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().cached.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.0.lock();
        if disk.fails {
            return Err(io::Error::other("the disk is gone"));
        }
        let cached = std::mem::take(&mut disk.cached);
        disk.durable.extend_from_slice(&cached);
        disk.syncs += 1;
        Ok(())
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.cached.clear();
        disk.durable = bytes.to_vec();
        Ok(())
    }
}

impl Disk {
    fn open(&self) -> GroupCoordinator {
        let content = self.0.lock().durable.clone();
        self.0.lock().cached.clear();
        self.open_with(&content).unwrap()
    }

    fn open_with(&self, content: &[u8]) -> thm_api::Result<GroupCoordinator> {
        let mut config = GroupConfig::new("groups");
        config.min_session_timeout = Duration::from_millis(1);
        config.first_rebalance_delay = Duration::from_millis(20);
        GroupCoordinator::with_storage(config, Box::new(self.clone()), content)
    }
}

fn at(partition: u32, offset: i64) -> (TopicPartition, Offset) {
    (TopicPartition::new("t", partition), Offset(offset))
}

fn noted(partition: u32, offset: i64) -> Vec<(TopicPartition, Committed)> {
    vec![(TopicPartition::new("t", partition), Committed { offset: Offset(offset), metadata: "note".to_owned() })]
}

/// Seen to fail with `sync` left out of `Journal::write`.
#[tokio::test]
async fn a_commit_that_was_answered_survives_a_crash() {
    let disk = Disk::default();
    let groups = disk.open();
    groups.commit("g", Generation(0), &[at(0, 7), at(1, 9)]).await.unwrap();
    groups.commit_as_client("c", "", -1, noted(0, 3)).await.unwrap();
    drop(groups);
    let groups = disk.open();
    assert_eq!(groups.committed("g").offsets, [at(0, 7), at(1, 9)].into());
    assert_eq!(groups.stored("c").unwrap().offsets, noted(0, 3).into_iter().collect());
}

#[tokio::test]
async fn commits_that_wait_together_share_an_fsync() {
    let disk = Disk::default();
    let groups = Arc::new(disk.open());
    let commits = (0..500_i64).map(|n| {
        let groups = Arc::clone(&groups);
        async move { groups.commit(&format!("g{}", n % 50), Generation(0), &[at(0, n)]).await.unwrap() }
    });
    futures::future::join_all(commits).await;
    assert!(disk.0.lock().syncs < 100, "{} fsyncs for 500 commits", disk.0.lock().syncs);
    assert_eq!(groups.committed("g49").offsets, [at(0, 499)].into());
}

#[tokio::test]
async fn a_torn_line_is_cut_and_damage_is_refused() {
    let disk = Disk::default();
    let groups = disk.open();
    for offset in 0..3 {
        groups.commit("g", Generation(0), &[at(0, offset)]).await.unwrap();
    }
    drop(groups);
    let whole = disk.0.lock().durable.clone();
    for cut in 0..whole.len() - whole.iter().rev().skip(1).position(|byte| *byte == b'\n').unwrap() {
        let reopened = Disk::default().open_with(&whole[..cut]);
        let header = whole.iter().position(|byte| *byte == b'\n').unwrap();
        assert_eq!(reopened.is_ok(), cut == 0 || cut > header, "cut at {cut}");
    }
    let reopened = Disk::default().open_with(&whole[..whole.len() - 1]).unwrap();
    assert_eq!(reopened.committed("g").offsets, [at(0, 1)].into());
    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    let error = Disk::default().open_with(&damaged).err().map(|error| error.kind());
    assert_eq!(error, Some(ErrorKind::LogCorrupt));
}

#[tokio::test]
async fn after_a_failed_fsync_nothing_is_promised_any_more() {
    let disk = Disk::default();
    let groups = disk.open();
    groups.commit("g", Generation(0), &[at(0, 1)]).await.unwrap();
    disk.0.lock().fails = true;
    assert_eq!(groups.commit("g", Generation(0), &[at(0, 2)]).await.unwrap_err().kind(), ErrorKind::LogIo);
    disk.0.lock().fails = false;
    assert_eq!(groups.commit("g", Generation(0), &[at(0, 3)]).await.unwrap_err().kind(), ErrorKind::LogIo);
    assert_eq!(groups.committed("g").offsets, [at(0, 1)].into(), "readers see durable offsets only");
}

/// Promise 11. Seen to fail with `next_life` left out of each of the three ways.
#[tokio::test]
async fn every_way_to_reset_a_connectors_group_starts_a_new_life() {
    let disk = Disk::default();
    let groups = disk.open();
    groups.commit("g", Generation(0), &[at(0, 10)]).await.unwrap();
    assert_eq!(groups.reset("g", &[at(0, 4)]).await.unwrap(), Generation(1));
    assert_eq!(groups.commit("g", Generation(0), &[at(0, 11)]).await.unwrap_err().kind(), ErrorKind::StaleGeneration);
    assert_eq!(groups.committed("g").offsets, [at(0, 4)].into());

    groups.commit_as_client("g", "", -1, noted(0, 2)).await.unwrap();
    assert_eq!(groups.committed("g").generation, Generation(2), "an admin's commit is a reset");
    groups.commit_as_client("g", "", -1, noted(0, 2)).await.unwrap();
    assert_eq!(groups.committed("g").generation, Generation(2), "unless it moves nothing");
    groups.delete_offsets("g", vec![at(0, 0).0]).await.unwrap();
    assert_eq!(groups.committed("g").generation, Generation(3));

    groups.delete("g").await.unwrap();
    assert_eq!(groups.delete("g").await, Err(ResponseError::GroupIdNotFound));
    assert!(groups.list().is_empty());
    drop(groups);
    let groups = disk.open();
    assert_eq!(groups.committed("g").generation, Generation(4), "a deleted group keeps its generation");
    assert!(groups.committed("g").offsets.is_empty());
    groups.commit("g", Generation(4), &[at(0, 1)]).await.unwrap();
    assert_eq!(groups.list().len(), 1);
}

#[tokio::test]
async fn a_group_of_kafka_clients_has_no_lives() {
    let groups = Disk::default().open();
    groups.commit_as_client("c", "", -1, noted(0, 3)).await.unwrap();
    groups.commit_as_client("c", "", -1, noted(0, 1)).await.unwrap();
    assert_eq!(groups.committed("c").generation, Generation(0));
    groups.delete("c").await.unwrap();
    assert!(groups.published.read().is_empty(), "nothing is kept of it");
}

/// Promise 11: refused while the connector runs.
#[tokio::test]
async fn a_lease_keeps_everybody_out() {
    let disk = Disk::default();
    let groups = disk.open();
    let lease = groups.lease("g", "connector-sink-0").unwrap();
    assert_eq!(groups.lease("g", "other").unwrap_err().kind(), ErrorKind::StaleGeneration);
    groups.commit("g", Generation(0), &[at(0, 10)]).await.unwrap();
    assert_eq!(groups.reset("g", &[]).await.unwrap_err().kind(), ErrorKind::StaleGeneration);
    assert_eq!(groups.delete("g").await, Err(ResponseError::NonEmptyGroup));
    assert_eq!(groups.commit_as_client("g", "", -1, noted(0, 2)).await, Err(ResponseError::UnknownMemberId));
    let refused = groups.join("g", member("", "m")).await.unwrap_err();
    assert_eq!(refused.error, ResponseError::InconsistentGroupProtocol);
    let described = groups.describe("g");
    assert_eq!((described.state, described.members.len()), (GroupState::Stable, 1));
    assert_eq!(described.members[0].client_id, "connector-sink-0");
    drop(lease);
    assert_eq!(groups.describe("g").state, GroupState::Empty);
    assert_eq!(groups.reset("g", &[]).await.unwrap(), Generation(1));
}

#[tokio::test]
async fn a_lease_alone_makes_the_group_a_connectors() {
    let disk = Disk::default();
    let groups = disk.open();
    drop(groups.lease("g", "m").unwrap());
    groups.commit_as_client("g", "", -1, noted(0, 2)).await.unwrap();
    assert_eq!(groups.committed("g").generation, Generation(1), "the target may hold offsets of life 0");
    drop(groups);
    assert_eq!(disk.open().committed("g").generation, Generation(1));
}

#[tokio::test]
async fn a_deleted_topic_leaves_all_groups() {
    let groups = Disk::default().open();
    groups.commit("g", Generation(0), &[at(0, 1), (TopicPartition::new("u", 0), Offset(5))]).await.unwrap();
    groups.forget_topic("t").await.unwrap();
    assert_eq!(groups.committed("g").offsets, [(TopicPartition::new("u", 0), Offset(5))].into());
}

#[tokio::test]
async fn a_grown_file_is_rewritten_smaller() {
    let disk = Disk::default();
    let groups = disk.open();
    let note = "x".repeat(4000);
    for offset in 0..1200 {
        let committed = Committed { offset: Offset(offset), metadata: note.clone() };
        groups.commit_as_client("c", "", -1, vec![(TopicPartition::new("t", 0), committed)]).await.unwrap();
    }
    drop(groups);
    assert!(disk.0.lock().durable.len() < 1 << 20, "{} bytes", disk.0.lock().durable.len());
    assert_eq!(disk.open().committed("c").offsets, [at(0, 1199)].into());
}

fn member(id: &str, client: &str) -> JoinRequest {
    JoinRequest {
        member_id: id.to_owned(),
        require_known_member: false,
        client_id: client.to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout: Duration::from_millis(300),
        rebalance_timeout: Duration::from_millis(600),
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::from_static(b"meta"))],
    }
}

fn sync_of(joined: &Joined, assignments: &[(&str, &'static [u8])]) -> SyncRequest {
    SyncRequest {
        member_id: joined.member_id.clone(),
        generation: joined.generation,
        assignments: assignments.iter().map(|(id, bytes)| ((*id).to_owned(), Bytes::from_static(bytes))).collect(),
        ..SyncRequest::default()
    }
}

/// Two members that start together share the first round; both get what the leader assigned.
async fn two_members(groups: &GroupCoordinator) -> (Joined, Joined) {
    let (first, second) = tokio::join!(groups.join("g", member("", "a")), groups.join("g", member("", "b")));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.generation, second.generation), (1, 1));
    assert_eq!(first.leader, first.member_id);
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
    let assignments = [(&*first.member_id, &b"one"[..]), (&*second.member_id, &b"two"[..])];
    let (one, two) =
        tokio::join!(groups.sync("g", sync_of(&first, &assignments)), groups.sync("g", sync_of(&second, &[])));
    assert_eq!((&one.unwrap().assignment[..], &two.unwrap().assignment[..]), (&b"one"[..], &b"two"[..]));
    (first, second)
}

#[tokio::test]
async fn members_share_commit_leave_and_rebalance() {
    let groups = Disk::default().open();
    let (first, second) = two_members(&groups).await;
    groups.commit_as_client("g", &second.member_id, 1, noted(0, 5)).await.unwrap();
    let stale = groups.commit_as_client("g", &second.member_id, 0, noted(0, 6)).await;
    assert_eq!(stale, Err(ResponseError::IllegalGeneration));
    assert_eq!(groups.delete("g").await, Err(ResponseError::NonEmptyGroup));
    assert_eq!(groups.lease("g", "c").unwrap_err().kind(), ErrorKind::StaleGeneration);

    groups.leave("g", &second.member_id).unwrap();
    assert_eq!(groups.heartbeat("g", &first.member_id, 1), Err(ResponseError::RebalanceInProgress));
    let again = groups.join("g", member(&first.member_id, "a")).await.unwrap();
    assert_eq!((again.generation, again.members.len()), (2, 1));
    groups.leave("g", &first.member_id).unwrap();
    assert_eq!(groups.describe("g").state, GroupState::Empty);
    groups.delete("g").await.unwrap();
}

#[tokio::test]
async fn a_silent_member_is_dropped_and_the_others_go_on() {
    let groups = Disk::default().open();
    let (first, _silent) = two_members(&groups).await;
    let mut told = false;
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(25)).await;
        told = groups.heartbeat("g", &first.member_id, 1) == Err(ResponseError::RebalanceInProgress);
        if told {
            break;
        }
    }
    assert!(told, "the death of the other member starts a rebalance");
    let again = groups.join("g", member(&first.member_id, "a")).await.unwrap();
    assert_eq!(again.members.len(), 1);
}

#[tokio::test]
async fn a_leader_that_never_assigns_is_dropped_at_the_deadline() {
    let groups = Disk::default().open();
    let (first, second) = tokio::join!(groups.join("g", member("", "a")), groups.join("g", member("", "b")));
    let (_leader, second) = (first.unwrap(), second.unwrap());
    let waited = groups.sync("g", sync_of(&second, &[])).await;
    assert_eq!(waited, Err(ResponseError::RebalanceInProgress));
    let again = groups.join("g", member(&second.member_id, "b")).await.unwrap();
    assert_eq!(again.leader, second.member_id);
}

#[tokio::test]
async fn newcomers_are_given_an_id_to_come_back_with() {
    let groups = Disk::default().open();
    let asked = groups.join("g", JoinRequest { require_known_member: true, ..member("", "a") }).await.unwrap_err();
    assert_eq!(asked.error, ResponseError::MemberIdRequired);
    let joined = groups.join("g", member(&asked.member_id, "a")).await.unwrap();
    assert_eq!(joined.member_id, asked.member_id);
    let other = JoinRequest { protocols: vec![("sticky".to_owned(), Bytes::new())], ..member("", "b") };
    let refused = groups.join("g", other).await.unwrap_err();
    assert_eq!(refused.error, ResponseError::InconsistentGroupProtocol);
    let unknown = groups.join("g", member("nobody", "b")).await.unwrap_err();
    assert_eq!(unknown.error, ResponseError::UnknownMemberId);
}
