//! What a connector's options are, and what is wrong with the ones given.
//!
//! Options as written go in; a [`Validation`] comes out: Connect's list of definitions with value and errors, and
//! the warnings that Connect has no place for. Messages are Kafka's, for tools read them.
//!
//! ```text
//!   as written ──resolve secrets──▶ worker's own options + the class's options ──▶ class.validate ──▶ Validation
//! ```

mod check;
mod common;
mod families;
mod family_tables;

use std::borrow::Cow;
use std::collections::BTreeMap;

use thm_api::{ConfigKey, Connector, ConnectorConfig, ConnectorKind, Support};

use crate::secrets;
use crate::transforms::Chain;
use check::check_value;
use families::Scope;

/// A connector's options as a file or request gave them; `None` is JSON's null.
pub type RawConfig = BTreeMap<String, Option<String>>;

/// What Connect prints in place of a secret.
const HIDDEN: &str = "[hidden]";
/// Letters that are wrong in an option that is taken for another: two are a slip, three make another word.
const MAX_MISSPELLING: usize = 2;

/// Where an option stands for people who fill in a form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Definition {
    pub(crate) key: &'static ConfigKey,
    /// Place in its group, from 1; -1 for none.
    pub(crate) order: i32,
    /// SHORT, MEDIUM, LONG or NONE.
    pub(crate) width: &'static str,
    /// Label.
    pub(crate) display: &'static str,
}

/// One option with its value and what is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct OptionReport {
    pub(crate) definition: Definition,
    /// The transform, predicate or converter that it is an option of.
    scope: Option<Scope>,
    /// The value as written, or the default; hidden for a secret.
    pub(crate) value: Option<String>,
    pub(crate) errors: Vec<String>,
}

impl OptionReport {
    /// The option's whole name.
    pub(crate) fn name(&self) -> Cow<'static, str> {
        let key = self.definition.key;
        self.scope.as_ref().map_or(Cow::Borrowed(key.name), |scope| scope.name(key).into())
    }

    /// Its heading; empty for none.
    pub(crate) fn group(&self) -> Cow<'static, str> {
        let key = self.definition.key;
        self.scope.as_ref().map_or(Cow::Borrowed(key.group), |scope| scope.group(key))
    }

    /// Its label.
    pub(crate) fn display(&self) -> Cow<'static, str> {
        let Definition { key, display, .. } = self.definition;
        self.scope.as_ref().map_or(Cow::Borrowed(display), |scope| scope.display(key))
    }
}

/// What is known of a configuration.
#[derive(Clone, Debug)]
pub(crate) struct Validation {
    /// Every option of the class and the worker, in display order.
    pub(crate) options: Vec<OptionReport>,
    /// Errors that belong to no defined option: name and message.
    pub(crate) other_errors: Vec<(String, String)>,
    /// What the user should know: name and message.
    pub(crate) warnings: Vec<(String, String)>,
    /// The options with their secrets.
    pub(crate) resolved: ConnectorConfig,
}

impl Validation {
    /// All error messages.
    pub(crate) fn errors(&self) -> impl Iterator<Item = &str> {
        let defined = self.options.iter().flat_map(|option| &option.errors);
        defined.chain(self.other_errors.iter().map(|(_, message)| message)).map(String::as_str)
    }

    /// Connect's one message for all of them, if there are any.
    pub(crate) fn refusal(&self) -> Option<String> {
        let errors: Vec<&str> = self.errors().collect();
        (!errors.is_empty()).then(|| {
            format!(
                "Connector configuration is invalid and contains the following {} error(s):\n{}\nYou can also find \
                 the above list of errors at the endpoint `/connector-plugins/{{connectorType}}/config/validate`",
                errors.len(),
                errors.join("\n")
            )
        })
    }

    /// Adds what the class finds, unless the option's definition has said so already; the message names the option.
    fn add_issue(&mut self, option: &str, message: String) {
        let told = self.options.iter().any(|report| report.name() == option && !report.errors.is_empty());
        if told {
            return;
        }
        let named = message.contains(option);
        self.add(option, if named { message } else { format!("Invalid value for configuration {option}: {message}") });
    }

    fn add(&mut self, option: &str, message: String) {
        match self.options.iter_mut().find(|report| report.name() == option) {
            Some(report) => report.errors.push(message),
            None => self.other_errors.push((option.to_owned(), message)),
        }
    }
}

/// The options of a class as Connect lists them for its definition: its own first.
pub(crate) fn definitions(connector: &dyn Connector) -> Vec<Definition> {
    let mut all = own_definitions(connector);
    all.extend(worker_definitions(connector));
    all
}

/// The options of the class itself.
fn own_definitions(connector: &dyn Connector) -> Vec<Definition> {
    let mut places: BTreeMap<&str, i32> = BTreeMap::new();
    let define = |key: &'static ConfigKey| {
        if key.group.is_empty() {
            return Definition { key, order: -1, width: "NONE", display: key.name };
        }
        let order = places.entry(key.group).or_default();
        *order += 1;
        Definition { key, order: *order, width: "MEDIUM", display: key.name }
    };
    connector.config_def().keys.iter().map(define).collect()
}

/// The worker's options for a class, without those that the class defines itself.
fn worker_definitions(connector: &dyn Connector) -> impl Iterator<Item = Definition> {
    let own = *connector.config_def();
    let of_kind = match connector.kind() {
        ConnectorKind::Source => common::SOURCE,
        ConnectorKind::Sink => common::SINK,
    };
    let all = common::ALL.iter().chain(of_kind).chain(common::WORKER);
    all.filter(move |definition| own.get(definition.key.name).is_none()).copied()
}

/// What keeps a configuration from being accepted, one message per error, and what has no effect in it. No network.
#[must_use]
pub fn config_problems(connector: &dyn Connector, written: &RawConfig) -> (Vec<String>, Vec<String>) {
    let validation = validate(connector, written);
    let errors = validation.errors().map(str::to_owned).collect();
    (errors, validation.warnings.into_iter().map(|(_, warning)| warning).collect())
}

/// Checks a configuration. No network.
pub(crate) fn validate(connector: &dyn Connector, written: &RawConfig) -> Validation {
    let present: BTreeMap<String, String> =
        written.iter().filter_map(|(option, value)| Some((option.clone(), value.clone()?))).collect();
    let (resolved, unresolved) = match secrets::resolve(&present) {
        Ok(resolved) => (resolved, None),
        Err(error) => (ConnectorConfig::new(present.clone()), Some(error)),
    };
    let plain = |definition: Definition| (None, definition);
    let scoped = |(scope, definition)| (Some(scope), definition);
    let definitions = worker_definitions(connector).map(plain);
    let definitions = definitions.chain(families::of_aliases(&resolved).into_iter().map(scoped));
    let definitions = definitions.chain(own_definitions(connector).into_iter().map(plain));
    let definitions = definitions.chain(families::of_converters(&resolved).into_iter().map(scoped));
    let options = definitions.map(|(scope, definition)| report(scope, definition, written, &resolved)).collect();
    let mut validation = Validation { options, other_errors: Vec::new(), warnings: Vec::new(), resolved };
    if let Some(error) = unresolved {
        let option = error.object().to_owned();
        validation.add(&option, format!("Secret for configuration {option} cannot be resolved: {}", error.hint()));
        return validation;
    }
    check_support(&mut validation, &present);
    if connector.kind() == ConnectorKind::Sink {
        check_topics(&mut validation);
    }
    let found = Chain::check(&validation.resolved, connector.kind());
    for (option, message) in found.issues {
        validation.add_issue(&option, message);
    }
    validation.warnings.extend(found.warnings);
    for issue in connector.validate(&validation.resolved) {
        if issue.warning {
            validation.warnings.push((issue.option, issue.message));
        } else {
            validation.add_issue(&issue.option, issue.message);
        }
    }
    warn_of_unknown(&mut validation, connector, &present);
    validation
}

fn report(
    scope: Option<Scope>,
    definition: Definition,
    written: &RawConfig,
    resolved: &ConnectorConfig,
) -> OptionReport {
    let mut report = OptionReport { definition, scope, value: None, errors: Vec::new() };
    let (key, name) = (definition.key, report.name());
    let given = resolved.values().get(&*name).map(String::as_str);
    // A null that was given is no missing option; Connect sees it so too.
    let missing = key.required && !written.contains_key(&*name);
    let printed = written.get(&*name).and_then(Option::as_deref);
    if missing {
        report.errors.push(format!("Missing required configuration \"{name}\" which has no default value."));
    } else if let Some(text) = given {
        report.errors = check_value(key, &name, text, printed.unwrap_or_default());
    }
    let is_secret = key.kind == thm_api::ConfigType::Password;
    let unparsed = report.errors.iter().any(|error| error.contains("Not a number"));
    let value = if unparsed { None } else { printed.or(key.default).map(str::to_owned) };
    let hidden = |text: String| if is_secret && !secrets::is_variable(&text) { HIDDEN.to_owned() } else { text };
    report.value = value.map(hidden);
    report
}

/// Options that we lack: refused where they change data, else warned of.
fn check_support(validation: &mut Validation, present: &BTreeMap<String, String>) {
    let mut refused = Vec::new();
    for report in &validation.options {
        let (key, name) = (report.definition.key, report.name());
        let Some(given) = present.get(&*name).map(|text| text.trim()) else { continue };
        if given == key.default.unwrap_or_default() {
            continue;
        }
        match key.support {
            Support::Works => {}
            Support::NoEffect => {
                validation.warnings.push((name.to_string(), format!("{name} has no effect here")));
            }
            Support::Refused => refused.push(name),
        }
    }
    for name in refused {
        let message = format!("Invalid value for configuration {name}: not supported here, and it would change data");
        validation.add(&name, message);
    }
    let tasks = present.get("tasks.max").and_then(|text| text.trim().parse::<u32>().ok());
    if tasks.is_some_and(|tasks| tasks > 1) {
        validation.warnings.push(("tasks.max".to_owned(), "one task does all the work here".to_owned()));
    }
}

/// A sink names its topics, one way or the other.
fn check_topics(validation: &mut Validation) {
    let has = |name| validation.resolved.get(name).is_some();
    let message = match (has("topics"), has("topics.regex")) {
        (true, false) => {
            return;
        }
        (false, true) => {
            let pattern = validation.resolved.text("topics.regex", "").to_owned();
            if let Err(error) = regex::Regex::new(&pattern) {
                validation.add("topics.regex", format!("Invalid value for configuration topics.regex: {error}"));
            }
            return;
        }
        (true, true) => "Must configure exactly one of topics and topics.regex",
        (false, false) => "Must configure one of topics or topics.regex",
    };
    validation.add("topics", message.to_owned());
    validation.add("topics.regex", message.to_owned());
}

/// The option that a misspelt one is nearest to, if there is one.
fn meant<'a>(option: &str, known: impl Iterator<Item = Cow<'a, str>>) -> Option<Cow<'a, str>> {
    let distances = known.map(|name| (strsim::osa_distance(option, &name), name));
    distances
        .filter(|(distance, _)| *distance <= MAX_MISSPELLING)
        .min_by_key(|(distance, _)| *distance)
        .map(|near| near.1)
}

fn warn_of_unknown(validation: &mut Validation, connector: &dyn Connector, present: &BTreeMap<String, String>) {
    validation.warnings.extend(families::unlisted(&validation.resolved));
    for option in present.keys() {
        let defined = validation.options.iter().any(|report| report.name() == *option);
        let warned = validation.warnings.iter().any(|(name, _)| name == option);
        let family = common::FAMILIES.iter().any(|prefix| option.starts_with(prefix));
        if defined || warned || family || connector.understands(option) {
            continue;
        }
        let of_other = common::WITHOUT_EFFECT.iter().find(|(prefix, _)| option.starts_with(prefix));
        let message = match of_other {
            Some((_, why)) => format!("{option} has no effect here: {why}"),
            None => {
                let meant = meant(option, validation.options.iter().map(OptionReport::name));
                let meant = meant.map(|meant| format!("; did you mean {meant}?")).unwrap_or_default();
                format!("{option} is no option of {}: it has no effect{meant}", connector.class())
            }
        };
        validation.warnings.push((option.clone(), message));
    }
}
