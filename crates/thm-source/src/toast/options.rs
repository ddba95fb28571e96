//! `thm.toast.*`: what becomes of values that an update does not carry.

use std::path::PathBuf;

use thm_api::{ConnectorConfig, Error, ErrorKind, Result};

use super::MissPolicy;

/// The options about TOASTed values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToastOptions {
    /// `thm.toast.mode = hydrate`; else Debezium's placeholder.
    pub hydrate: bool,
    /// `thm.toast.miss`
    pub miss: MissPolicy,
    /// `thm.toast.dir`: where the store is kept, one file per connector.
    pub folder: Option<PathBuf>,
}

impl ToastOptions {
    /// Reads and checks them.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        let hydrate = match config.text("thm.toast.mode", "placeholder") {
            "placeholder" => false,
            "hydrate" => true,
            other => return Err(invalid("thm.toast.mode", other, "placeholder, hydrate")),
        };
        let miss = match config.text("thm.toast.miss", "fail") {
            "fail" => MissPolicy::Fail,
            "current" => MissPolicy::Current,
            "placeholder" => MissPolicy::Placeholder,
            other => return Err(invalid("thm.toast.miss", other, "fail, current, placeholder")),
        };
        Ok(Self { hydrate, miss, folder: config.get("thm.toast.dir").map(PathBuf::from) })
    }

    /// The connector's file.
    #[must_use]
    pub fn file(&self, connector: &str) -> Option<PathBuf> {
        let legal = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
        let name: String = connector.chars().map(legal).collect();
        self.folder.as_ref().map(|folder| folder.join(format!("{name}.redb")))
    }
}

fn invalid(option: &str, value: &str, valid: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option)
        .with_hint(format!("`{value}` is no valid value for \"{option}\"; use one of {valid}."))
}
