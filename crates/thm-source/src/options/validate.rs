//! What is wrong with a connector's options, beyond what their definitions say. No network.

use thm_api::{ConfigIssue, ConnectorConfig};

use super::{Options, expressions, heartbeat, skipped_operations, ssl};
use crate::naming::Naming;
use crate::notifications::Channels;
use crate::signals::SignalOptions;

/// Lists of expressions.
const LISTS: [&str; 11] = [
    "snapshot.include.collection.list",
    "table.include.list",
    "table.exclude.list",
    "schema.include.list",
    "schema.exclude.list",
    "column.include.list",
    "column.exclude.list",
    "column.propagate.source.type",
    "datatype.propagate.source.type",
    "message.prefix.include.list",
    "message.prefix.exclude.list",
];

/// Options that work and that the real connector does not list either: of the class that names topics, and those with a
/// parameter in their names.
pub(crate) fn is_unlisted(option: &str) -> bool {
    const NAMES: [&str; 5] =
        ["topic.delimiter", "topic.heartbeat.prefix", "topic.transaction", "topic.regex", "topic.replacement"];
    const FAMILIES: [&str; 5] = [
        "column.mask.with.",
        "column.mask.hash.",
        "column.truncate.to.",
        "snapshot.select.statement.overrides.",
        "topic.key.",
    ];
    NAMES.contains(&option) || SignalOptions::knows(option) || FAMILIES.iter().any(|family| option.starts_with(family))
}

/// Findings beyond single options. No network.
#[must_use]
pub fn validate(config: &ConnectorConfig) -> Vec<ConfigIssue> {
    let mut issues = Vec::new();
    let required = ["database.hostname", "database.user", "database.dbname", "topic.prefix"];
    for option in required.into_iter().filter(|option| config.get(option).is_none()) {
        issues.push(ConfigIssue::error(option, format!("The '{option}' value is invalid: A value is required")));
    }
    for option in LISTS {
        if let Err(error) = expressions(config, option) {
            let problem = error.to_string().replace('\n', " ");
            let message = format!(
                "The '{option}' value is invalid: A comma-separated list of valid regular expressions is expected, but {problem}"
            );
            issues.push(ConfigIssue::error(option, message));
        }
    }
    for (one, other) in [
        ("table.include.list", "table.exclude.list"),
        ("schema.include.list", "schema.exclude.list"),
        ("column.include.list", "column.exclude.list"),
        ("message.prefix.include.list", "message.prefix.exclude.list"),
    ] {
        if config.get(one).is_some() && config.get(other).is_some() {
            let message = format!("The '{other}' value is invalid: \"{one}\" is already specified");
            issues.push(ConfigIssue::error(other, message));
        }
    }
    validate_names(config, &mut issues);
    validate_lacking(config, &mut issues);
    let readable = || issues.iter().all(|issue| issue.warning);
    if let Some(error) = readable().then(|| Options::parse(config).err()).flatten() {
        let message = format!("The '{}' value is invalid: {}", error.object(), error.hint());
        issues.push(ConfigIssue::error(error.object(), message));
    }
    issues
}

fn validate_names(config: &ConnectorConfig, issues: &mut Vec<ConfigIssue>) {
    let slot = config.text("slot.name", "debezium");
    if slot.len() > 63 || !slot.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        let rule = "Valid replication slot name must contain only digits, lowercase characters and underscores with length <= 63";
        issues.push(ConfigIssue::error("slot.name", format!("The 'slot.name' value is invalid: {rule}")));
    }
    let prefix = config.text("topic.prefix", "");
    if !prefix.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        let rule = "only alphanumeric characters, dots, hyphens and underscores are allowed";
        issues.push(ConfigIssue::error("topic.prefix", format!("The 'topic.prefix' value is invalid: {rule}")));
    }
}

/// Snapshot modes there are; the last one only under the older envelope.
const OLDER_SNAPSHOT_MODES: &[&str] =
    &["initial", "initial_only", "always", "when_needed", "no_data", "configuration_based", "never"];

/// Values that the real connector knows and we lack: each changes data or safety, so none passes in silence.
fn validate_lacking(config: &ConnectorConfig, issues: &mut Vec<ConfigIssue>) {
    let mut refuse = |option: &str, have: &[&str]| {
        if let Some(value) = config.get(option).filter(|value| !have.contains(&value.to_ascii_lowercase().as_str())) {
            let have = have.join(", ");
            let message = format!("The '{option}' value is invalid: '{value}' is not supported, use one of {have}");
            issues.push(ConfigIssue::error(option, message));
        }
    };
    // The older connector called no_data never.
    let older = config.get("thm.envelope") == Some("2.7");
    refuse("snapshot.mode", if older { OLDER_SNAPSHOT_MODES } else { &OLDER_SNAPSHOT_MODES[..6] });
    refuse("plugin.name", &["pgoutput"]);
    refuse("decimal.handling.mode", &["precise", "string", "double"]);
    let tells = skipped_operations(config).is_ok_and(|skipped| !skipped.contains(&b't'));
    let mode = config.text("thm.truncate.mode", "skip");
    if tells && mode != "skip" {
        let message = format!(
            "The 'thm.truncate.mode' value is invalid: {mode} takes the place of truncate records, so keep t in \
             skipped.operations, or leave thm.truncate.mode out"
        );
        issues.push(ConfigIssue::error("thm.truncate.mode", message));
    }
    if mode == "delete" && Naming::parse(config).is_ok_and(|naming| naming.merges()) {
        let message = "The 'thm.truncate.mode' value is invalid: with this topic.naming.strategy a topic may hold other \
                       tables' rows, too; use skip or fail";
        issues.push(ConfigIssue::error("thm.truncate.mode", message));
    }
    issues.extend(ssl::issues(config));
    Channels::warn(config, issues);
    SignalOptions::warn(config, issues);
    if config.get("heartbeat.action.query").is_some() && heartbeat(config).is_ok_and(|beats| beats.is_none()) {
        let message = "never run: set heartbeat.interval.ms to more than 0";
        issues.push(ConfigIssue::warning("heartbeat.action.query", message));
    }
    if config.get("plugin.name").is_none() {
        issues.push(ConfigIssue::warning("plugin.name", "not set: pgoutput is used, the only plugin there is here"));
    }
}
