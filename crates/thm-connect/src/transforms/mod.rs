//! Single message transforms: what a connector's `transforms` and `predicates` make of each record.
//!
//! ```text
//!   source ──{"schema":…,"payload":…}──▶ SourceTransforms ─┐             ┌─▶ converter ──▶ log, in other topics perhaps
//!                                                          ├─▶ Chain ────┤
//!   log ──▶ reader ─────────────────────▶ SinkTransforms ──┘ (stages)    └─▶ the same form again ──▶ sink
//! ```
//! A source under transforms is asked for records with their schemas, whatever converters the connector names: those
//! come after the transforms, as in Connect. Without transforms nothing of this runs, and records go the direct way.
//!
//! | module | what |
//! |---|---|
//! | [`record`], [`settings`], [`java_pattern`], [`java_date`], [`json_document`] | records, options, and what Java lends |
//! | [`predicates`] | which records a transform works on |
//! | [`converter`] | records to bytes: what Connect's converters do |
//! | [`source`], [`sink`] | a chain over a source's batches and a sink's |
//! | the others | one transform each, named as its class |
//!
//! Invariants: a chain gives the same for the same record, so what comes again after a crash becomes the same again; a
//! record that cannot be transformed is an error, never left as it was.

mod by_logical_table_router;
mod cast;
mod converter;
mod decode_logical_message;
mod drop_headers;
mod event_router;
mod extract_field;
mod extract_new_record_state;
mod filter;
mod flatten;
mod header_from;
mod header_text;
mod hoist_field;
mod insert_field;
mod insert_header;
mod java_date;
mod java_pattern;
mod json_document;
mod mask_field;
mod predicates;
mod record;
mod regex_router;
mod replace_field;
mod set_schema_metadata;
mod settings;
pub(crate) mod sink;
pub(crate) mod source;
#[cfg(test)]
mod tests;
mod timestamp_converter;
mod timestamp_router;
mod value_to_key;

use thm_api::{ConnectorConfig, ConnectorKind, Error, ErrorKind, Result};

use predicates::Predicate;
use record::{Applied, ConnectRecord, Side};
use settings::Settings;

/// Changes a record, drops it, or fails.
pub(crate) trait Transform: Send {
    fn apply(&mut self, record: ConnectRecord) -> Applied;
}

/// Makes a transform from its options; the error is what Connect finds out only at the task's start.
type Build = fn(&mut Settings<'_>) -> Result<Box<dyn Transform>, String>;

/// A class of transforms.
struct Class {
    /// Its full name.
    name: &'static str,
    build: Build,
    /// It gives records another topic: a sink here reads one topic at a time, and has no use for that.
    routes: bool,
}

const fn class(name: &'static str, build: Build) -> Class {
    Class { name, build, routes: false }
}

const fn router(name: &'static str, build: Build) -> Class {
    Class { name, build, routes: true }
}

/// All there are, sorted by name.
static CLASSES: &[Class] = &[
    class(
        "io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent",
        decode_logical_message::build,
    ),
    router("io.debezium.transforms.ByLogicalTableRouter", |it| {
        by_logical_table_router::build(it, "__dbz__physicalTableIdentifier")
    }),
    class("io.debezium.transforms.ExtractNewRecordState", extract_new_record_state::build),
    router("io.debezium.transforms.ToLogicalTopicRouter", |it| {
        by_logical_table_router::build(it, "__dbz__sourceIdentifier")
    }),
    router("io.debezium.transforms.outbox.EventRouter", event_router::build),
    class("org.apache.kafka.connect.transforms.Cast$Key", |it| cast::build(it, Side::Key)),
    class("org.apache.kafka.connect.transforms.Cast$Value", |it| cast::build(it, Side::Value)),
    class("org.apache.kafka.connect.transforms.DropHeaders", drop_headers::build),
    class("org.apache.kafka.connect.transforms.ExtractField$Key", |it| extract_field::build(it, Side::Key)),
    class("org.apache.kafka.connect.transforms.ExtractField$Value", |it| extract_field::build(it, Side::Value)),
    class("org.apache.kafka.connect.transforms.Filter", filter::build),
    class("org.apache.kafka.connect.transforms.Flatten$Key", |it| flatten::build(it, Side::Key)),
    class("org.apache.kafka.connect.transforms.Flatten$Value", |it| flatten::build(it, Side::Value)),
    class("org.apache.kafka.connect.transforms.HeaderFrom$Key", |it| header_from::build(it, Side::Key)),
    class("org.apache.kafka.connect.transforms.HeaderFrom$Value", |it| header_from::build(it, Side::Value)),
    class("org.apache.kafka.connect.transforms.HoistField$Key", |it| hoist_field::build(it, Side::Key)),
    class("org.apache.kafka.connect.transforms.HoistField$Value", |it| hoist_field::build(it, Side::Value)),
    class("org.apache.kafka.connect.transforms.InsertField$Key", |it| insert_field::build(it, Side::Key)),
    class("org.apache.kafka.connect.transforms.InsertField$Value", |it| insert_field::build(it, Side::Value)),
    class("org.apache.kafka.connect.transforms.InsertHeader", insert_header::build),
    class("org.apache.kafka.connect.transforms.MaskField$Key", |it| mask_field::build(it, Side::Key)),
    class("org.apache.kafka.connect.transforms.MaskField$Value", |it| mask_field::build(it, Side::Value)),
    router("org.apache.kafka.connect.transforms.RegexRouter", regex_router::build),
    class("org.apache.kafka.connect.transforms.ReplaceField$Key", |it| replace_field::build(it, Side::Key)),
    class("org.apache.kafka.connect.transforms.ReplaceField$Value", |it| replace_field::build(it, Side::Value)),
    class("org.apache.kafka.connect.transforms.SetSchemaMetadata$Key", |it| set_schema_metadata::build(it, Side::Key)),
    class("org.apache.kafka.connect.transforms.SetSchemaMetadata$Value", |it| {
        set_schema_metadata::build(it, Side::Value)
    }),
    class("org.apache.kafka.connect.transforms.TimestampConverter$Key", |it| timestamp_converter::build(it, Side::Key)),
    class("org.apache.kafka.connect.transforms.TimestampConverter$Value", |it| {
        timestamp_converter::build(it, Side::Value)
    }),
    router("org.apache.kafka.connect.transforms.TimestampRouter", timestamp_router::build),
    class("org.apache.kafka.connect.transforms.ValueToKey", value_to_key::build),
];

/// Finds what a configuration names by its full name or its last part, as Connect does.
fn named<'a, T>(all: &'a [T], name: &str, name_of: impl Fn(&T) -> &'static str) -> Option<&'a T> {
    all.iter().find(|one| name_of(one) == name || name_of(one).rsplit('.').next() == Some(name))
}

/// One transform with its condition.
struct Stage {
    alias: String,
    transform: Box<dyn Transform>,
    predicate: Option<(Predicate, bool)>,
}

/// A connector's transforms, in the order of its `transforms`.
#[derive(Default)]
pub(crate) struct Chain {
    stages: Vec<Stage>,
}

/// What is wrong with a connector's transforms.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Option and message: refused over REST.
    pub(crate) issues: Vec<(String, String)>,
    /// Option and message: what has no effect.
    pub(crate) warnings: Vec<(String, String)>,
    /// Option and message: found out at the task's start.
    pub(crate) late: Vec<(String, String)>,
}

impl Chain {
    /// Reads a connector's transforms. None: it has none, and its records go the direct way.
    ///
    /// # Errors
    /// What keeps them from being made; REST has refused most of it before.
    pub(crate) fn from_config(config: &ConnectorConfig, kind: ConnectorKind) -> Result<Option<Self>> {
        let mut findings = Findings::default();
        let chain = Self::read(config, kind, &mut findings);
        let Some((option, message)) = findings.issues.into_iter().chain(findings.late).next() else {
            return Ok(Some(chain).filter(|chain| !chain.stages.is_empty()));
        };
        Err(Error::new(ErrorKind::InvalidConfig, "making the connector's transforms", option).with_source(message))
    }

    /// What is wrong with them, and with the converters behind them, without making any.
    pub(crate) fn check(config: &ConnectorConfig, kind: ConnectorKind) -> Findings {
        let mut findings = Findings::default();
        Self::read(config, kind, &mut findings);
        converter::check(config, kind, &mut findings);
        findings
    }

    fn read(config: &ConnectorConfig, kind: ConnectorKind, findings: &mut Findings) -> Self {
        let mut chain = Self::default();
        let mut aliases = config.list("transforms");
        let mut seen = std::collections::HashSet::new();
        aliases.retain(|alias| seen.insert(alias.clone()));
        for alias in aliases {
            let prefix = format!("transforms.{alias}.");
            let mut settings = Settings::new(config, prefix.clone());
            let name = settings.required("type");
            settings.given("plugin.version");
            let predicate = condition(config, &prefix, &mut settings);
            let known = named(CLASSES, &name, |class| class.name);
            match known {
                None if !settings.issues.is_empty() => {}
                None => {
                    let known: Vec<_> = CLASSES.iter().map(|class| class.name).collect();
                    let problem = format!("Class {name} could not be found; available are: {}", known.join(", "));
                    settings.issue("type", &name, &problem);
                }
                Some(class) if class.routes && kind == ConnectorKind::Sink => {
                    let problem = "a sink writes to the target that its own options name, so its records' topics cannot be changed";
                    settings.issue("type", &name, problem);
                }
                Some(class) => {
                    match (class.build)(&mut settings) {
                        Ok(transform) => chain.stages.push(Stage { alias, transform, predicate }),
                        Err(problem) => findings.late.push((format!("{prefix}type"), problem)),
                    }
                    settings.warn_of_unknown(class.name);
                }
            }
            findings.issues.append(&mut settings.issues);
            findings.warnings.append(&mut settings.warnings);
        }
        check_predicates(config, findings);
        chain
    }

    /// What becomes of one record.
    pub(crate) fn apply(&mut self, record: ConnectRecord) -> Applied {
        let mut record = record;
        for stage in &mut self.stages {
            if let Some((predicate, negate)) = &stage.predicate
                && predicate.test(&record)? == *negate
            {
                continue;
            }
            let applied = stage.transform.apply(record);
            match applied.map_err(|error| record::DataError(format!("transform {}: {error}", stage.alias)))? {
                Some(changed) => record = changed,
                None => return Ok(None),
            }
        }
        Ok(Some(record))
    }
}

/// The condition of a transform: its predicate, and whether it is turned round.
fn condition(config: &ConnectorConfig, prefix: &str, settings: &mut Settings<'_>) -> Option<(Predicate, bool)> {
    let (alias, negate) = (settings.given("predicate"), settings.flag("negate", false));
    let Some(alias) = alias else {
        if settings.has("negate") {
            let message = format!(
                "Config '{prefix}negate' was provided but there is no config '{prefix}predicate' defining a predicate to \
                 be negated."
            );
            settings.issues.push((format!("{prefix}negate"), message));
        }
        return None;
    };
    if !config.list("predicates").contains(&alias) {
        let problem = "no predicate of that name is listed in predicates";
        settings.issue("predicate", &alias, problem);
        return None;
    }
    Predicate::read(config, &alias).0.map(|predicate| (predicate, negate))
}

/// What is wrong with the predicates themselves, each told once.
fn check_predicates(config: &ConnectorConfig, findings: &mut Findings) {
    for alias in config.list("predicates") {
        let (_, mut issues, mut warnings) = Predicate::read(config, &alias);
        findings.issues.append(&mut issues);
        findings.warnings.append(&mut warnings);
    }
}

/// The schema of a value that is an envelope of Debezium's.
fn envelope_schema(value: &thm_codec::connect::Part) -> Option<&std::sync::Arc<thm_codec::debezium::Schema>> {
    let schema = value.schema.as_ref()?;
    schema.name.as_deref().is_some_and(|name| name.ends_with(".Envelope")).then_some(schema)
}

/// The transform, or one that drops all where an issue keeps it from being made: it never runs.
fn or_filter<T: Transform + 'static>(transform: Option<T>) -> Result<Box<dyn Transform>, String> {
    Ok(transform.map_or_else(|| Box::new(filter::Filter) as Box<dyn Transform>, |transform| Box::new(transform)))
}
