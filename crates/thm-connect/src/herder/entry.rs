//! One connector in the herder: its configuration, its wish, its supervisor.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use thm_api::{Connector, ConnectorKind};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::InitialState;
use crate::context::group_of;
use crate::definition::RawConfig;
use crate::options::VERSION;
use crate::status::{ConnectorSnapshot, State, TaskStatus};
use crate::worker::{Class, Target, Wish};

/// Who said last how the connector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    File,
    Rest,
}

/// A supervisor and the way to it.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) wishes: watch::Sender<Wish>,
    pub(super) applied: watch::Receiver<u64>,
    pub(super) handle: JoinHandle<()>,
}

/// One connector.
pub(super) struct Entry {
    pub(super) config: RawConfig,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) target: InitialState,
    pub(super) origin: Origin,
    /// Whether it has tasks: from its first start until it is stopped.
    pub(super) has_tasks: bool,
    pub(super) status: Arc<TaskStatus>,
    pub(super) supervisor: Option<Supervisor>,
    /// Number of the last wish.
    pub(super) number: u64,
}

impl Entry {
    pub(super) fn wish(&mut self) -> Wish {
        self.number += 1;
        let target = match self.target {
            InitialState::Running => Target::Running,
            InitialState::Paused => Target::Paused,
            InitialState::Stopped => Target::Stopped,
        };
        let options: BTreeMap<String, String> =
            self.config.iter().filter_map(|(option, value)| Some((option.clone(), value.clone()?))).collect();
        Wish { number: self.number, target, class: Class(Arc::clone(&self.connector)), options: Arc::new(options) }
    }

    /// The connector's own state: what it was asked to be.
    pub(super) const fn state(&self) -> State {
        match (self.target, &self.supervisor) {
            (InitialState::Paused, _) => State::Paused,
            (InitialState::Stopped, _) => State::Stopped,
            (InitialState::Running, Some(_)) => State::Running,
            (InitialState::Running, None) => State::Unassigned,
        }
    }

    pub(super) fn task_state(&self) -> Option<State> {
        self.has_tasks.then(|| self.status.state())
    }

    pub(super) fn group(&self, name: &str) -> String {
        let given = self.config.get("consumer.override.group.id").and_then(Option::as_deref);
        group_of(name, given.map(str::trim).filter(|text| !text.is_empty()))
    }

    pub(super) fn topics(&self) -> Vec<String> {
        self.status.topics()
    }

    pub(super) fn reset_topics(&self) {
        self.status.reset_topics();
    }

    pub(super) fn info(&self, name: &str) -> ConnectorInfo {
        let id = TaskId { connector: name.to_owned(), task: 0 };
        ConnectorInfo {
            name: name.to_owned(),
            config: self.config.clone(),
            tasks: if self.has_tasks { vec![id] } else { Vec::new() },
            kind: self.connector.kind().as_str(),
        }
    }

    pub(super) fn status(&self, name: &str, worker_id: &str) -> ConnectorStatus {
        let instance = |id, state: State, trace| InstanceStatus {
            id,
            state: state.as_str(),
            worker_id: worker_id.to_owned(),
            version: VERSION,
            trace,
        };
        let task = self.has_tasks.then(|| self.status.snapshot(0));
        ConnectorStatus {
            name: name.to_owned(),
            connector: instance(None, self.state(), None),
            tasks: task.into_iter().map(|task| instance(Some(task.id), task.state, task.trace)).collect(),
            kind: self.connector.kind().as_str(),
        }
    }

    pub(super) fn snapshot(&self, name: &str) -> ConnectorSnapshot {
        let kind = self.connector.kind();
        ConnectorSnapshot {
            name: name.to_owned(),
            class: self.connector.class().to_owned(),
            kind,
            state: self.state(),
            group: (kind == ConnectorKind::Sink).then(|| self.group(name)),
            topics: self.topics(),
            tasks: if self.has_tasks { vec![self.status.snapshot(0)] } else { Vec::new() },
        }
    }
}

/// A task's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TaskId {
    /// Connector name.
    pub connector: String,
    /// Task number.
    pub task: u32,
}

/// What `GET /connectors/{name}` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConnectorInfo {
    /// Connector name.
    pub name: String,
    /// Options as written.
    pub config: RawConfig,
    /// Its tasks.
    pub tasks: Vec<TaskId>,
    /// `source` or `sink`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// State of the connector or of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InstanceStatus {
    /// Task number; none for the connector itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// Connect's word.
    pub state: &'static str,
    /// `host:port` of this worker.
    pub worker_id: String,
    /// Version of the connector.
    pub version: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// What `GET /connectors/{name}/status` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConnectorStatus {
    /// Connector name.
    pub name: String,
    /// The connector itself.
    pub connector: InstanceStatus,
    /// Its tasks.
    pub tasks: Vec<InstanceStatus>,
    /// `source` or `sink`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}
