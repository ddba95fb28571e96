//! What of a connector is durable, and what stands in files.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thm_api::{Error, ErrorKind, Result};

use super::entry::Origin;
use super::{Herder, InitialState};
use crate::definition::RawConfig;
use crate::names::{CONNECTORS, connector_key};

/// One connector as REST left it.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    name: String,
    /// Absent for a connector that stands in a file and was only paused or stopped by REST.
    config: Option<RawConfig>,
    state: String,
}

impl InitialState {
    /// Connect's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
        }
    }

    /// From Connect's word, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Running, Self::Paused, Self::Stopped].into_iter().find(|state| state.as_str().eq_ignore_ascii_case(text))
    }
}

impl Herder {
    /// Takes up the connectors that REST left.
    pub(super) fn restore(&self) -> Result<()> {
        for key in self.options.state.list(CONNECTORS)? {
            let Some(stored) = self.read_stored(&key)? else { continue };
            let Some(config) = stored.config else { continue };
            let target = InitialState::parse(&stored.state).unwrap_or_default();
            match self.check_config(&stored.name, &config) {
                Ok((connector, _)) => self.insert(&stored.name, config, connector, target, Origin::Rest),
                // One connector that this version cannot run must not keep the others from starting.
                Err(refusal) => {
                    tracing::error!(connector = stored.name, reason = refusal.message, "stored connector left out");
                }
            }
        }
        Ok(())
    }

    fn read_stored(&self, key: &str) -> Result<Option<Stored>> {
        let Some(bytes) = self.options.state.get(key)? else { return Ok(None) };
        let stored = serde_json::from_slice(&bytes)
            .map_err(|error| Error::new(ErrorKind::LogCorrupt, "reading a stored connector", key).with_source(error))?;
        Ok(Some(stored))
    }

    /// The target state that REST left for a connector, whoever configures it.
    pub(super) fn stored_target(&self, name: &str) -> Result<Option<InitialState>> {
        let stored = self.read_stored(&connector_key(name))?;
        Ok(stored.and_then(|stored| InitialState::parse(&stored.state)))
    }

    /// Whether REST has a connector of that name; warns if the file differs.
    pub(super) fn persisted_wins(&self, name: &str, file: &RawConfig) -> bool {
        let connectors = self.connectors.lock();
        let Some(entry) = connectors.get(name).filter(|entry| entry.origin == Origin::Rest) else { return false };
        if entry.config != *file {
            tracing::warn!(
                connector = name,
                "the file differs from what was set by REST, which wins; DELETE the \
                connector to go back to the file"
            );
        }
        true
    }

    /// Stores a connector durably; `config` is none while a file configures it.
    pub(super) async fn store(&self, name: &str, config: Option<RawConfig>, target: InitialState) -> Result<()> {
        let stored = Stored { name: name.to_owned(), config, state: target.as_str().to_owned() };
        let bytes = serde_json::to_vec(&stored)
            .map_err(|error| Error::new(ErrorKind::Internal, "storing a connector", name).with_source(error))?;
        crate::ranges::put(&self.options.state, connector_key(name), bytes).await
    }

    /// Forgets what was stored of a connector. Its group and frozen ranges stay.
    pub(super) async fn forget(&self, name: &str) -> Result<()> {
        let (state, key) = (std::sync::Arc::clone(&self.options.state), connector_key(name));
        let deleted = tokio::task::spawn_blocking(move || state.delete(&key)).await;
        deleted.map_err(|error| Error::new(ErrorKind::Internal, "forgetting a connector", name).with_source(error))?
    }
}

/// Name and options of a connector file, in either of Connect's shapes: `{"name":…,"config":{…}}` or the options
/// alone with `name` among them. `path` names the file in errors, and the connector if nothing else does.
pub fn parse_connector(text: &str, path: &Path) -> Result<(String, RawConfig)> {
    let invalid = |hint: &str| {
        Error::new(ErrorKind::InvalidConfig, "reading a connector file", path.display().to_string()).with_hint(hint)
    };
    // Some editors put a mark before the text.
    let text = text.trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(text).map_err(|error| invalid("Correct its JSON.").with_source(error))?;
    let Value::Object(fields) = value else { return Err(invalid("Write a JSON object.")) };
    let (named, options) = match fields.get("config") {
        Some(Value::Object(config)) => (fields.get("name").cloned(), config.clone()),
        _ => (None, fields),
    };
    let mut config = RawConfig::new();
    for (option, value) in options {
        let hint = format!("Option \"{option}\" must be a text, a number or a truth value.");
        config.insert(option, option_text(&value).map_err(|()| invalid(&hint))?);
    }
    let named = named.as_ref().and_then(Value::as_str).map(str::to_owned);
    let inside = config.get("name").cloned().flatten();
    let name = named.or(inside).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| invalid("Give the connector a \"name\"."))?;
    Ok((name, config))
}

/// The text of an option's value; scalars become text as Jackson makes them.
pub(crate) fn option_text(value: &Value) -> Result<Option<String>, ()> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(truth) => Ok(Some(truth.to_string())),
        Value::Array(_) | Value::Object(_) => Err(()),
    }
}
