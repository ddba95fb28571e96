//! Options that a configuration has by what it names: those of its transforms, predicates and converters.
//!
//! ```text
//!   transforms=route            ──▶ transforms.route.type, .predicate, .regex, …
//!   key.converter=JsonConverter ──▶ key.converter.schemas.enable, …
//! ```
//! Invariant: an option under one of these prefixes is listed here, or warned of by name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use thm_api::{ConfigKey, ConnectorConfig, Importance};

use super::Definition;
use super::family_tables::{CONDITION, CONVERTERS, Class, PLUGIN_VERSION, PREDICATES, TRANSFORMS, TYPE};

/// What an option's name begins with, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// With a dot at the end: `transforms.route.`
    prefix: String,
    /// Heading; empty for that of the definition.
    heading: String,
    /// `Transformation` and `route`.
    label: Option<(&'static str, String)>,
}

impl Scope {
    /// The option's whole name.
    pub(super) fn name(&self, key: &ConfigKey) -> String {
        format!("{}{}", self.prefix, key.name)
    }

    pub(super) fn group(&self, key: &'static ConfigKey) -> Cow<'static, str> {
        match (self.heading.as_str(), key.group) {
            ("", group) => group.into(),
            (heading, "") => heading.to_owned().into(),
            (heading, group) => format!("{heading}: {group}").into(),
        }
    }

    pub(super) fn display(&self, key: &'static ConfigKey) -> Cow<'static, str> {
        match (&self.label, key.name) {
            (Some((label, alias)), "type") => format!("{label} type for {alias}").into(),
            (Some((label, alias)), "plugin.version") => format!("{label} version for {alias}").into(),
            _ => key.name.into(),
        }
    }
}

/// A kind of things that a connector names by alias.
struct Family {
    option: &'static str,
    label: &'static str,
    heading: &'static str,
    classes: &'static [Class],
    /// What each of them has besides the options of its class.
    common: &'static [ConfigKey],
}

const BY_ALIAS: [Family; 2] = [
    Family {
        option: "transforms",
        label: "Transformation",
        heading: "Transforms",
        classes: TRANSFORMS,
        common: &CONDITION,
    },
    Family { option: "predicates", label: "Predicate", heading: "Predicates", classes: PREDICATES, common: &[] },
];

/// The options of a configuration's transforms and predicates, in display order.
pub(super) fn of_aliases(config: &ConnectorConfig) -> Vec<(Scope, Definition)> {
    let mut all = Vec::new();
    for family in &BY_ALIAS {
        let mut aliases = config.list(family.option);
        let mut seen = std::collections::HashSet::new();
        aliases.retain(|alias| seen.insert(alias.clone()));
        for alias in aliases {
            let prefix = format!("{}.{alias}.", family.option);
            let class = config.get(&format!("{prefix}type")).and_then(|name| options_of(family.classes, name));
            let mut keys: Vec<&'static ConfigKey> = class.unwrap_or_default().iter().chain(family.common).collect();
            // As Kafka sorts them: those of a heading keep their order.
            keys.sort_by_key(|key| match key.group {
                "" => (0, !key.required, rank(key.importance), key.name),
                _ => (1, false, 0, ""),
            });
            let heading = format!("{}: {alias}", family.heading);
            let scope = Scope { prefix, heading, label: Some((family.label, alias)) };
            let keys = [&TYPE, &PLUGIN_VERSION].into_iter().chain(keys);
            let define = |(order, key)| (scope.clone(), define(key, order, if order < 2 { "LONG" } else { "NONE" }));
            all.extend((0..).zip(keys).map(define));
        }
    }
    all
}

/// The options of the converters that a configuration names; a worker's own default has none here.
pub(super) fn of_converters(config: &ConnectorConfig) -> Vec<(Scope, Definition)> {
    let mut all = Vec::new();
    for option in ["header.converter", "key.converter", "value.converter"] {
        let Some(keys) = config.get(option).and_then(|name| options_of(CONVERTERS, name)) else { continue };
        let scope = Scope { prefix: format!("{option}."), heading: String::new(), label: None };
        let mut places: BTreeMap<&str, i32> = BTreeMap::new();
        all.extend(keys.iter().map(|key| {
            let place = places.entry(key.group).or_insert(-1);
            *place += i32::from(!key.group.is_empty());
            (scope.clone(), define(key, *place, "MEDIUM"))
        }));
    }
    all
}

/// What is under a family's prefix and belongs to no alias that is listed: it would be passed over without a word.
pub(super) fn unlisted(config: &ConnectorConfig) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for Family { option: family, .. } in BY_ALIAS {
        let listed: Vec<String> = config.list(family).iter().map(|alias| format!("{family}.{alias}.")).collect();
        let under = config.values().keys().filter(|option| option.starts_with(family) && option.as_str() != family);
        for option in under.filter(|option| !listed.iter().any(|prefix| option.starts_with(prefix))) {
            found
                .push((option.clone(), format!("{option} has no effect: {family} lists no alias that it could be of")));
        }
    }
    found
}

fn options_of(classes: &'static [Class], name: &str) -> Option<&'static [ConfigKey]> {
    let last = name.rsplit('.').next().unwrap_or_default();
    let last = last.split('$').next().unwrap_or_default();
    classes.iter().find(|(names, _)| names.contains(&last)).map(|(_, keys)| *keys)
}

const fn define(key: &'static ConfigKey, order: i32, width: &'static str) -> Definition {
    Definition { key, order, width, display: key.name }
}

const fn rank(importance: Importance) -> u8 {
    match importance {
        Importance::High => 0,
        Importance::Medium => 1,
        Importance::Low => 2,
    }
}
