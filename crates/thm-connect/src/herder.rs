//! The herder: all connectors, their configurations, and what each is asked to be.
//!
//! Files and REST requests go in; every connector has one supervisor (`worker`) that makes its wish come true.
//! Invariant: what REST changed is durable before it takes effect, so a restart finds the same connectors in the same
//! target states. A connector that REST changed wins over a file of the same name.

mod entry;
mod lifecycle;
mod offsets;
mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use thm_api::{Connector, ConnectorKind, Error, ErrorKind, Failpoints, Result, TaskContext};

use crate::definition::{self, Definition, RawConfig, Validation};
use crate::names::ConnectorState;
use crate::options::HerderOptions;
use crate::secrets;
use crate::shared_decodes::SharedDecodes;
use crate::status::{ConnectorSnapshot, State};
use entry::Entry;
pub use entry::{ConnectorInfo, ConnectorStatus, InstanceStatus};
pub use lifecycle::Restart;
pub use offsets::OffsetChange;
pub(crate) use store::option_text;
pub use store::parse_connector;

/// How long a request waits for a database before the connector is made without having asked it.
const PREFLIGHT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the herder refuses a request: Connect's status and message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Connect's message.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::InvalidConfig | ErrorKind::StaleGeneration => 400,
            _ => 500,
        };
        Self::new(status, format!("{error}\n{}", error.hint()))
    }
}

/// A connector's state that a request may ask for at creation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InitialState {
    /// At work.
    #[default]
    Running,
    /// Waiting for `resume`.
    Paused,
    /// Without tasks.
    Stopped,
}

/// Runs connectors.
pub struct Herder {
    options: HerderOptions,
    /// What the sinks have decoded lately.
    decodes: Arc<SharedDecodes>,
    connectors: Mutex<BTreeMap<String, Entry>>,
    /// Held over every change, so that what is durable and what runs never differ.
    changes: tokio::sync::Mutex<Phase>,
}

/// Where the herder itself stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Loading,
    Started,
    Stopped,
}

impl Herder {
    /// A herder with the connectors that REST left; nothing runs before [`Herder::start`].
    pub fn new(options: HerderOptions) -> Result<Arc<Self>> {
        let (decodes, connectors) = (Arc::default(), Mutex::default());
        let herder = Self { options, decodes, connectors, changes: tokio::sync::Mutex::new(Phase::Loading) };
        herder.restore()?;
        Ok(Arc::new(herder))
    }

    /// Adds the connector of a JSON file, unless REST changed one of that name. Gives its name.
    pub async fn load_file(&self, path: &Path) -> Result<String> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::new(ErrorKind::InvalidConfig, "reading a connector file", path.display().to_string())
                .with_source(error)
        })?;
        let (name, config) = parse_connector(&text, path)?;
        self.load(&name, config).await?;
        Ok(name)
    }

    /// Adds a connector that stands in a file. It starts at once if the herder has been started.
    pub async fn load(&self, name: &str, mut config: RawConfig) -> Result<()> {
        config.insert("name".to_owned(), Some(name.to_owned()));
        let phase = self.changes.lock().await;
        if self.persisted_wins(name, &config) {
            return Ok(());
        }
        let refused = |refusal: Refusal| {
            Error::new(ErrorKind::InvalidConfig, "loading a connector", name).with_hint(refusal.message)
        };
        let (connector, validation) = self.check_config(name, &config).map_err(refused)?;
        self.check_exclusive(name, &*connector, &validation).map_err(refused)?;
        log_warnings(name, &validation);
        let target = self.stored_target(name)?.unwrap_or_default();
        self.insert(name, config, connector, target, entry::Origin::File);
        if *phase == Phase::Started {
            self.launch(name);
        }
        Ok(())
    }

    /// Starts every connector as its target state says.
    pub async fn start(&self) {
        let mut phase = self.changes.lock().await;
        *phase = Phase::Started;
        for name in self.names() {
            self.launch(&name);
        }
    }

    /// Ends all tasks: batches in flight are finished, offsets committed, sources acknowledge for the last time.
    pub async fn stop(&self) {
        let mut phase = self.changes.lock().await;
        *phase = Phase::Stopped;
        self.end_all().await;
    }

    /// The configuration's class and what is known of it; Connect's refusal if it is not valid.
    fn check_config(&self, name: &str, config: &RawConfig) -> Result<(Arc<dyn Connector>, Validation), Refusal> {
        let given = config.get("name").and_then(Option::as_deref).unwrap_or_default();
        if given != name {
            let message =
                format!("Connector name configuration ({given}) doesn't match connector name in the URL ({name})");
            return Err(Refusal::new(400, message));
        }
        let connector = self.class_of(config)?;
        let validation = definition::validate(&*connector, config);
        if let Some(message) = validation.refusal() {
            return Err(Refusal::new(400, message));
        }
        Ok((connector, validation))
    }

    /// No other connector has what only one may have.
    pub(super) fn check_exclusive(
        &self,
        name: &str,
        connector: &dyn Connector,
        validation: &Validation,
    ) -> Result<(), Refusal> {
        let ours = connector.exclusive(&validation.resolved);
        if ours.is_empty() {
            return Ok(());
        }
        let connectors = self.connectors.lock();
        for (other, entry) in connectors.iter().filter(|(other, _)| other.as_str() != name) {
            let given = entry.config.iter().filter_map(|(option, value)| Some((option.clone(), value.clone()?)));
            let Ok(theirs) = secrets::resolve(&given.collect()) else { continue };
            let theirs = entry.connector.exclusive(&theirs);
            let shared = ours.iter().find(|(thing, _)| theirs.iter().any(|(theirs, _)| theirs == thing));
            if let Some((thing, advice)) = shared {
                let message = format!(
                    "Connectors {name} and {other} cannot both have {thing}. {advice} Or delete {other} first."
                );
                return Err(Refusal::new(409, message));
            }
        }
        Ok(())
    }

    /// The connector that a configuration's `connector.class` names.
    pub(crate) fn class_of(&self, config: &RawConfig) -> Result<Arc<dyn Connector>, Refusal> {
        let Some(class) = config.get("connector.class").and_then(Option::as_deref) else {
            let options: Vec<String> =
                config.iter().map(|(name, value)| format!("{name}={}", shown(name, value.as_deref()))).collect();
            let message = format!("Connector config {{{}}} contains no connector type", options.join(", "));
            return Err(Refusal::new(400, message));
        };
        self.class(class).ok_or_else(|| {
            let known: Vec<String> = self.options.registry.iter().map(|known| known.class().to_owned()).collect();
            Refusal::new(
                400,
                format!(
                    "Failed to find any class that implements Connector and which name matches {class}, available \
                     connectors are: {}",
                    known.join(", ")
                ),
            )
        })
    }

    /// A class by its full name, its last part, or its last part without `Connector`, as Connect allows.
    pub(crate) fn class(&self, name: &str) -> Option<Arc<dyn Connector>> {
        let name = name.trim();
        if name.is_empty() {
            return None;
        }
        self.options.registry.get(name).or_else(|| self.options.registry.get(&format!("{name}Connector")))
    }

    /// All classes, sorted by name.
    pub(crate) fn classes(&self) -> impl Iterator<Item = &Arc<dyn Connector>> {
        self.options.registry.iter()
    }

    /// The options of a class.
    pub(crate) fn definitions(connector: &dyn Connector) -> Vec<Definition> {
        definition::definitions(connector)
    }

    /// Checks a configuration without creating anything.
    pub(crate) fn validate(&self, config: &RawConfig) -> Result<Validation, Refusal> {
        Ok(definition::validate(&*self.class_of(config)?, config))
    }

    /// Asks the outside of a valid source configuration; what stands against a start is added to its errors. Sinks
    /// are not asked, as in Connect: their targets may come later.
    pub(crate) async fn preflight(&self, connector: &dyn Connector, config: &RawConfig, validation: &mut Validation) {
        if connector.kind() != ConnectorKind::Source || validation.errors().next().is_some() {
            return;
        }
        let name = config.get("name").and_then(Option::as_deref).unwrap_or_default();
        let context = TaskContext {
            connector: name.into(),
            task: 0,
            config: validation.resolved.clone(),
            hosts: Arc::clone(&self.options.hosts),
            state: Arc::new(ConnectorState::new(Arc::clone(&self.options.state), name)),
            log: None,
            budget: self.options.source_budget.clone(),
            failpoints: Failpoints::default(),
        };
        let Ok(Err(error)) = tokio::time::timeout(PREFLIGHT_TIMEOUT, connector.check(&context)).await else { return };
        // What the server lacks fails the task, where it can be retried; a wrong address or password never works.
        if matches!(error.kind(), ErrorKind::SourceUnreachable | ErrorKind::SourceDenied) {
            let message = format!("Error while validating connector config: {error}. {}", error.hint());
            validation.other_errors.push(("database.hostname".to_owned(), message));
        }
    }

    /// All connectors as they are now. Cheap: no I/O.
    #[must_use]
    pub fn snapshot(&self) -> Vec<ConnectorSnapshot> {
        let mut all: Vec<_> = self.connectors.lock().iter().map(|(name, entry)| entry.snapshot(name)).collect();
        // A task that waits or tries again has not looked at the log since.
        for lag in all.iter_mut().flat_map(|one| &mut one.tasks).flat_map(|task| &mut task.lags) {
            let topic = self.options.log.topic(&lag.partition.topic);
            let info = topic.as_ref().and_then(|topic| topic.partitions.get(lag.partition.partition as usize));
            lag.high_watermark = info.map_or(lag.high_watermark, |info| info.high_watermark);
        }
        all
    }

    /// The state a connector was asked to be in, and its task's.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<(State, Option<State>)> {
        self.connectors.lock().get(name).map(|entry| (entry.state(), entry.task_state()))
    }

    /// What the herder was made with.
    pub(crate) const fn options(&self) -> &HerderOptions {
        &self.options
    }

    /// All names, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.connectors.lock().keys().cloned().collect()
    }

    fn entry<T>(&self, name: &str, read: impl FnOnce(&Entry) -> T) -> Result<T, Refusal> {
        let connectors = self.connectors.lock();
        connectors.get(name).map(read).ok_or_else(|| not_found(name))
    }

    /// Name, configuration and tasks.
    pub fn info(&self, name: &str) -> Result<ConnectorInfo, Refusal> {
        self.entry(name, |entry| entry.info(name))
    }

    /// States of the connector and its tasks.
    pub fn status(&self, name: &str) -> Result<ConnectorStatus, Refusal> {
        let missing = |_| Refusal::new(404, format!("No status found for connector {name}"));
        self.entry(name, |entry| entry.status(name, &self.options.worker_id)).map_err(missing)
    }

    /// Topics the connector has used since its start or the last reset; none for an unknown one, as in Connect.
    #[must_use]
    pub fn topics(&self, name: &str) -> Vec<String> {
        self.entry(name, Entry::topics).unwrap_or_default()
    }

    /// Forgets the topics.
    pub fn reset_topics(&self, name: &str) {
        let _ = self.entry(name, Entry::reset_topics);
    }
}

/// Says in the log what REST says in `validate`.
fn log_warnings(name: &str, validation: &Validation) {
    for (option, warning) in &validation.warnings {
        tracing::warn!(connector = name, option, "{warning}");
    }
}

/// An option in a message; secrets are never in one.
fn shown<'a>(option: &str, value: Option<&'a str>) -> &'a str {
    let secret = ["password", "secret", "token", "authorization", "credential"];
    let hide = secret.iter().any(|word| option.to_ascii_lowercase().contains(word));
    if hide { "[hidden]" } else { value.unwrap_or("null") }
}

fn not_found(name: &str) -> Refusal {
    Refusal::new(404, format!("Connector {name} not found"))
}
