//! Changes to connectors: create, configure, pause, resume, stop, restart, delete.
//!
//! Each is made durable, then handed to the connector's supervisor as a wish.

use std::sync::Arc;
use std::time::Duration;

use thm_api::{Connector, ConnectorKind, MemoryBudget};
use tokio::sync::watch;

use super::entry::{Entry, Origin, Supervisor};
use super::{ConnectorInfo, ConnectorStatus, Herder, InitialState, Phase, Refusal, log_warnings, not_found};
use crate::context::WorkerContext;
use crate::definition::RawConfig;
use crate::holds::Cursors;
use crate::status::{State, TaskStatus};
use crate::worker::{Surroundings, Target, supervise};

/// How much longer than a task's grace the herder waits for its supervisor.
const SUPERVISOR_SLACK: Duration = Duration::from_secs(10);

/// What a restart is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restart {
    /// The tasks too, not the connector alone.
    pub include_tasks: bool,
    /// Only what has failed.
    pub only_failed: bool,
}

impl Herder {
    /// Creates a connector. 409 if there is one of that name, 400 if its configuration is not valid.
    pub async fn create(
        &self,
        name: &str,
        mut config: RawConfig,
        target: InitialState,
    ) -> Result<ConnectorInfo, Refusal> {
        let phase = self.changes.lock().await;
        config.entry("name".to_owned()).or_insert_with(|| Some(name.to_owned()));
        let (connector, mut validation) = self.check_config(name, &config)?;
        if self.connectors.lock().contains_key(name) {
            return Err(Refusal::new(409, format!("Connector {name} already exists")));
        }
        self.check_exclusive(name, &*connector, &validation)?;
        self.preflight(&*connector, &config, &mut validation).await;
        if let Some(message) = validation.refusal() {
            return Err(Refusal::new(400, message));
        }
        log_warnings(name, &validation);
        self.store(name, Some(config.clone()), target).await?;
        self.insert(name, config, connector, target, Origin::Rest);
        let mut info = self.info(name)?;
        // Connect answers before it has made tasks.
        info.tasks.clear();
        if *phase == Phase::Started {
            self.launch(name);
        }
        Ok(info)
    }

    /// Creates or configures a connector; says whether it is new.
    pub async fn put_config(&self, name: &str, mut config: RawConfig) -> Result<(bool, ConnectorInfo), Refusal> {
        config.entry("name".to_owned()).or_insert_with(|| Some(name.to_owned()));
        if !self.connectors.lock().contains_key(name) {
            let given = config.get("name").cloned().flatten().unwrap_or_default();
            if given != name {
                self.check_config(name, &config)?;
            }
            return Ok((true, self.create(name, config, InitialState::Running).await?));
        }
        let _phase = self.changes.lock().await;
        let (connector, validation) = self.check_config(name, &config)?;
        self.check_exclusive(name, &*connector, &validation)?;
        log_warnings(name, &validation);
        let target = self.entry(name, |entry| entry.target)?;
        self.store(name, Some(config.clone()), target).await?;
        self.change(name, |entry| {
            (entry.config, entry.connector, entry.origin) = (config, connector, Origin::Rest);
            Ok(())
        })?;
        Ok((false, self.info(name)?))
    }

    /// Changes some options; a null takes one away.
    pub async fn patch_config(&self, name: &str, patch: RawConfig) -> Result<ConnectorInfo, Refusal> {
        let mut config = self.entry(name, |entry| entry.config.clone())?;
        for (option, value) in patch {
            match value {
                Some(_) => drop(config.insert(option, value)),
                None => drop(config.remove(&option)),
            }
        }
        Ok(self.put_config(name, config).await?.1)
    }

    /// Deletes a connector and waits until nothing of it runs. Its group and frozen ranges stay, so that one of the
    /// same name goes on where it was.
    pub async fn delete(&self, name: &str) -> Result<(), Refusal> {
        let _phase = self.changes.lock().await;
        self.entry(name, |_| ())?;
        self.forget(name).await?;
        let entry = self.connectors.lock().remove(name);
        if let Some(entry) = entry {
            self.end(name, entry).await;
        }
        self.cursors(name).release();
        Ok(())
    }

    /// Pauses: tasks end but stay in the list.
    pub async fn pause(&self, name: &str) -> Result<(), Refusal> {
        self.set_target(name, InitialState::Paused).await
    }

    /// Resumes a paused or stopped connector.
    pub async fn resume(&self, name: &str) -> Result<(), Refusal> {
        self.set_target(name, InitialState::Running).await
    }

    /// Stops: tasks end and are gone. Returns when they have.
    pub async fn stop_connector(&self, name: &str) -> Result<(), Refusal> {
        self.set_target(name, InitialState::Stopped).await?;
        self.settled(name).await;
        Ok(())
    }

    async fn set_target(&self, name: &str, target: InitialState) -> Result<(), Refusal> {
        let unknown = |_| Refusal::new(404, format!("Unknown connector {name}"));
        let _phase = self.changes.lock().await;
        let (now, config) = self.entry(name, |entry| (entry.target, stored_config(entry))).map_err(unknown)?;
        if now == target {
            return Ok(());
        }
        self.store(name, config, target).await?;
        self.change(name, |entry| {
            entry.target = target;
            match target {
                InitialState::Running => entry.has_tasks = true,
                InitialState::Stopped => entry.has_tasks = false,
                InitialState::Paused => {}
            }
            Ok(())
        })
    }

    /// Restarts the connector or its tasks; `None` where Connect has nothing to say, else the status with what is
    /// being restarted.
    pub async fn restart(&self, name: &str, what: Restart) -> Result<Option<ConnectorStatus>, Refusal> {
        let unknown = |_| Refusal::new(404, format!("Unknown connector: {name}"));
        let _phase = self.changes.lock().await;
        let mut status = self.status(name).map_err(unknown)?;
        if what == Restart::default() {
            // A connector without its tasks holds nothing here that could be restarted.
            return Ok(None);
        }
        if !what.only_failed && status.connector.state == State::Running.as_str() {
            status.connector.state = State::Restarting.as_str();
        }
        let wanted = |state| !what.only_failed || state == State::Failed.as_str();
        let mut again = false;
        for task in status.tasks.iter_mut().filter(|task| what.include_tasks && wanted(task.state)) {
            task.state = State::Restarting.as_str();
            again = true;
        }
        if again {
            self.restart_now(name)?;
        }
        Ok(Some(status))
    }

    /// Restarts one task.
    pub async fn restart_task(&self, name: &str, task: u32) -> Result<(), Refusal> {
        let unknown = |_| Refusal::new(404, format!("Unknown connector: {name}"));
        let _phase = self.changes.lock().await;
        let has_task = self.entry(name, |entry| entry.has_tasks && task == 0).map_err(unknown)?;
        if !has_task {
            return Err(Refusal::new(404, format!("Unknown task: {name}-{task}")));
        }
        self.restart_now(name)
    }

    fn restart_now(&self, name: &str) -> Result<(), Refusal> {
        self.change(name, |entry| {
            if entry.target == InitialState::Running {
                entry.status.set_state(State::Restarting);
            }
            Ok(())
        })
    }

    /// Changes an entry and tells its supervisor.
    fn change(&self, name: &str, change: impl FnOnce(&mut Entry) -> Result<(), Refusal>) -> Result<(), Refusal> {
        let mut connectors = self.connectors.lock();
        let entry = connectors.get_mut(name).ok_or_else(|| not_found(name))?;
        change(entry)?;
        let wish = entry.wish();
        if let Some(supervisor) = &entry.supervisor {
            supervisor.wishes.send_replace(wish);
        }
        Ok(())
    }

    /// Waits until the last wish has come true, for as long as a task may take.
    pub(super) async fn settled(&self, name: &str) {
        let waiting = self.entry(name, |entry| {
            entry.supervisor.as_ref().map(|supervisor| (supervisor.applied.clone(), entry.number))
        });
        if let Ok(Some((mut applied, number))) = waiting {
            let limit = self.options.stop_grace + SUPERVISOR_SLACK;
            let _ = tokio::time::timeout(limit, applied.wait_for(|seen| *seen >= number)).await;
        }
    }

    /// Puts a connector into the map; it does not run yet.
    pub(super) fn insert(
        &self,
        name: &str,
        config: RawConfig,
        connector: Arc<dyn Connector>,
        target: InitialState,
        origin: Origin,
    ) {
        let entry = Entry {
            config,
            connector,
            target,
            origin,
            has_tasks: false,
            status: Arc::new(TaskStatus::new(name)),
            supervisor: None,
            number: 0,
        };
        self.connectors.lock().insert(name.to_owned(), entry);
    }

    /// Starts the supervisor of a connector that has none.
    pub(super) fn launch(&self, name: &str) {
        let mut connectors = self.connectors.lock();
        let Some(entry) = connectors.get_mut(name).filter(|entry| entry.supervisor.is_none()) else { return };
        entry.has_tasks = entry.target == InitialState::Running;
        if entry.connector.kind() == ConnectorKind::Sink {
            // Also for one that is paused: it will want its records.
            let committed = self.options.offsets.committed(&entry.group(name)).offsets;
            self.cursors(name).hold(committed.iter().map(|(partition, offset)| (partition, *offset)));
        }
        let wish = entry.wish();
        let (applied, seen) = watch::channel(0);
        let (wishes, receiver) = watch::channel(wish);
        let around = self.surroundings(name, entry);
        let handle = tokio::spawn(supervise(around, receiver, applied));
        entry.supervisor = Some(Supervisor { wishes, applied: seen, handle });
    }

    /// What keeps a connector's records from retention.
    pub(super) fn cursors(&self, name: &str) -> Cursors {
        Cursors::new(self.options.holds.clone(), name)
    }

    fn surroundings(&self, name: &str, entry: &Entry) -> Surroundings {
        let options = &self.options;
        let context = WorkerContext {
            connector: name.into(),
            class: entry.connector.class().into(),
            task: 0,
            config: thm_api::ConnectorConfig::default(),
            log: Arc::clone(&options.log),
            completeness: Arc::clone(&options.completeness),
            offsets: Arc::clone(&options.offsets),
            state: Arc::clone(&options.state),
            cursors: self.cursors(name),
            decodes: Arc::clone(&self.decodes),
            common: options.common_budget.clone(),
            status: Arc::clone(&entry.status),
            settings: options.settings(),
        };
        let budget = match entry.connector.kind() {
            ConnectorKind::Source => options.source_budget.clone(),
            ConnectorKind::Sink => MemoryBudget::new(options.sink_bytes),
        };
        Surroundings { context, hosts: Arc::clone(&options.hosts), budget, grace: options.stop_grace }
    }

    /// Ends every supervisor; the connectors stay in the list.
    pub(super) async fn end_all(&self) {
        let ending: Vec<(String, Supervisor, u64)> = {
            let mut connectors = self.connectors.lock();
            let take = |(name, entry): (&String, &mut Entry)| {
                entry.number += 1;
                Some((name.clone(), entry.supervisor.take()?, entry.number))
            };
            connectors.iter_mut().filter_map(take).collect()
        };
        let ends = ending.into_iter().map(|(name, supervisor, number)| self.end_supervisor(name, supervisor, number));
        futures::future::join_all(ends).await;
    }

    async fn end(&self, name: &str, entry: Entry) {
        if let Some(supervisor) = entry.supervisor {
            self.end_supervisor(name.to_owned(), supervisor, entry.number + 1).await;
        }
    }

    async fn end_supervisor(&self, name: String, supervisor: Supervisor, number: u64) {
        let Supervisor { wishes, mut handle, .. } = supervisor;
        wishes.send_modify(|wish| {
            wish.target = Target::Deleted;
            wish.number = number;
        });
        let limit = self.options.stop_grace + SUPERVISOR_SLACK;
        if tokio::time::timeout(limit, &mut handle).await.is_err() {
            tracing::error!(connector = name, "supervisor did not end in time");
            handle.abort();
        }
    }
}

/// What is stored as configuration: none while a file configures the connector.
fn stored_config(entry: &Entry) -> Option<RawConfig> {
    (entry.origin == Origin::Rest).then(|| entry.config.clone())
}
