//! `/admin/loggers`: levels by logger name.
//!
//! Kept for clients that read and set them; what the process logs is set by its own configuration, so a level set
//! here is remembered until the next start and changes nothing else.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde::Serialize;

use super::reply::Reply;
use super::{Call, body};
use crate::herder::Refusal;

const LEVELS: [&str; 7] = ["OFF", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
const ROOT: &str = "root";

/// A logger's level.
#[derive(Clone, Debug, Serialize)]
struct Level {
    level: String,
    /// Milliseconds since 1970; null for never.
    last_modified: Option<u64>,
}

/// All levels that were set, and the root's.
#[derive(Debug)]
pub(super) struct Loggers {
    levels: Mutex<BTreeMap<String, Level>>,
}

impl Default for Loggers {
    fn default() -> Self {
        let root = Level { level: "INFO".to_owned(), last_modified: None };
        Self { levels: Mutex::new(BTreeMap::from([(ROOT.to_owned(), root)])) }
    }
}

impl Loggers {
    pub(super) fn list(&self) -> Reply {
        Reply::json(200, &*self.levels.lock())
    }

    pub(super) fn get(&self, name: &str) -> Result<Reply, Refusal> {
        let levels = self.levels.lock();
        let found = levels.get(canonical(name));
        found.map(|level| Reply::json(200, level)).ok_or_else(|| Refusal::new(404, format!("Logger {name} not found.")))
    }

    /// Sets a logger and those below it; answers with their names. `scope=cluster` answers nothing.
    pub(super) fn set(&self, name: &str, call: &Call) -> Result<Reply, Refusal> {
        let name = canonical(name);
        let given = match body::json(&call.body)? {
            serde_json::Value::Null => {
                return Err(Refusal::new(
                    500,
                    "Cannot invoke \"java.util.Map.get(Object)\" because \"levelMap\" is null",
                ));
            }
            value => value.get("level").and_then(|level| level.as_str().map(str::to_uppercase)),
        };
        let missing = || Refusal::new(400, "Desired 'level' parameter was not specified in request.");
        let level = given.ok_or_else(missing)?;
        if !LEVELS.contains(&level.as_str()) {
            return Err(Refusal::new(404, format!("invalid log level '{level}'.")));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|since| since.as_millis().try_into().ok());
        let mut levels = self.levels.lock();
        levels.entry(name.to_owned()).or_insert_with(|| Level { level: String::new(), last_modified: None });
        let below = format!("{name}.");
        let mut changed = Vec::new();
        for (logger, current) in levels.iter_mut() {
            let is_below = name == ROOT || logger == name || logger.starts_with(&below);
            if is_below && current.level != level {
                *current = Level { level: level.clone(), last_modified: now };
                changed.push(logger.clone());
            }
        }
        Ok(if call.has("scope", "cluster") { Reply::empty(204) } else { Reply::json(200, &changed) })
    }
}

fn canonical(name: &str) -> &str {
    if name.eq_ignore_ascii_case(ROOT) { ROOT } else { name }
}
