//! Where a scan of topics starts and ends: `scan.startup.*` and `scan.bounded.*`, the same words for both ends.

use std::collections::BTreeMap;

use sqlparser::tokenizer::Span;

use super::kafka::{Startup, Stop, Topics};
use crate::error::{SqlDiagnostic, SqlResult};
use crate::options::{Given, Options, Usage};

/// Kinds of places in a topic, by the words of `scan.startup.mode` and `scan.bounded.mode`.
#[derive(Clone, Copy)]
enum Mode {
    Earliest,
    Latest,
    Unbounded,
    Group,
    Timestamp,
    Offsets,
}

/// The options of one end of a scan: `startup` or `bounded`.
struct End {
    name: &'static str,
    span: Span,
    millis: Option<i64>,
    offsets: Option<Given>,
}

impl End {
    fn read(options: &mut Options<'_>, name: &'static str, modes: &[(&str, Mode)]) -> SqlResult<(Self, Option<Mode>)> {
        let mut take = |what: &str| options.take(&format!("scan.{name}.{what}"));
        let (mode, millis, offsets) = (take("mode"), take("timestamp-millis"), take("specific-offsets"));
        let span = mode.as_ref().map_or(options.span(), |mode| mode.span);
        // Flink reads the number whatever the mode, and the offsets only where they count.
        let millis = Options::number(millis.as_ref())?;
        let found = Options::choice(mode.as_ref(), modes)?;
        Ok((Self { name, span, millis, offsets }, found))
    }

    fn needs(&self, what: &str, mode: &str) -> SqlDiagnostic {
        let Self { name, span, .. } = self;
        let message = format!("'scan.{name}.{what}' is required in '{mode}' {name} mode but missing.");
        SqlDiagnostic::new(*span, message).with_hint(format!("Add 'scan.{name}.{what}' to the WITH clause."))
    }

    fn millis(&self) -> SqlResult<i64> {
        self.millis.ok_or_else(|| self.needs("timestamp-millis", "timestamp"))
    }

    fn offsets(&self, topics: &Topics) -> SqlResult<BTreeMap<u32, i64>> {
        let offsets = self.offsets.as_ref().ok_or_else(|| self.needs("specific-offsets", "specific-offsets"))?;
        if topics.names.len() != 1 {
            let message = "Currently Kafka source only supports specific offset for single topic.";
            return Err(SqlDiagnostic::new(offsets.span, message).with_hint("Name one topic, or choose another mode."));
        }
        specific(offsets)
    }

    fn group(&self, properties: &BTreeMap<String, Given>) -> SqlResult<String> {
        properties.get("group.id").map(|group| group.value.clone()).ok_or_else(|| {
            SqlDiagnostic::new(
                self.span,
                "Property group.id is required when using committed offset for offsets initializer",
            )
            .with_hint(format!("Add 'properties.group.id', or another 'scan.{}.mode'.", self.name))
        })
    }
}

pub(super) fn startup(
    options: &mut Options<'_>,
    properties: &BTreeMap<String, Given>,
    topics: &Topics,
    usage: Usage,
) -> SqlResult<Startup> {
    const MODES: [(&str, Mode); 5] = [
        ("earliest-offset", Mode::Earliest),
        ("latest-offset", Mode::Latest),
        ("group-offsets", Mode::Group),
        ("timestamp", Mode::Timestamp),
        ("specific-offsets", Mode::Offsets),
    ];
    let (end, mode) = End::read(options, "startup", &MODES)?;
    options.refuse("kafka", "scan.startup.")?;
    if usage == Usage::Sink {
        return Ok(Startup::Latest);
    }
    Ok(match mode.unwrap_or(Mode::Group) {
        Mode::Earliest => Startup::Earliest,
        Mode::Latest | Mode::Unbounded => Startup::Latest,
        Mode::Timestamp => Startup::Timestamp(end.millis()?),
        Mode::Offsets => {
            Startup::Offsets(end.offsets(topics)?, properties.get("group.id").map(|group| group.value.clone()))
        }
        Mode::Group => {
            let otherwise =
                match properties.get("auto.offset.reset").map(|reset| reset.value.to_ascii_lowercase()).as_deref() {
                    Some("earliest") => Some(true),
                    Some("latest") => Some(false),
                    _ => None,
                };
            Startup::Group { id: end.group(properties)?, otherwise }
        }
    })
}

/// `partition:0,offset:42;partition:1,offset:300`
fn specific(written: &Given) -> SqlResult<BTreeMap<u32, i64>> {
    let one = |pair: &str| {
        let (partition, offset) = pair.split_once(',')?;
        let partition = partition.strip_prefix("partition:")?.parse().ok()?;
        Some((partition, offset.strip_prefix("offset:")?.parse().ok()?))
    };
    let pairs: Option<BTreeMap<u32, i64>> = written.value.trim_end_matches(';').split(';').map(one).collect();
    pairs.ok_or_else(|| {
        let message = format!(
            "Invalid properties '{}' should follow the format 'partition:0,offset:42;partition:1,offset:300', but is '{}'.",
            written.key, written.value
        );
        SqlDiagnostic::new(written.span, message).with_hint("Write it so, without blanks.")
    })
}

/// `scan.bounded.*`
pub(super) fn stop(
    options: &mut Options<'_>,
    properties: &BTreeMap<String, Given>,
    topics: &Topics,
    usage: Usage,
) -> SqlResult<Stop> {
    const MODES: [(&str, Mode); 5] = [
        ("unbounded", Mode::Unbounded),
        ("latest-offset", Mode::Latest),
        ("group-offsets", Mode::Group),
        ("timestamp", Mode::Timestamp),
        ("specific-offsets", Mode::Offsets),
    ];
    let (end, mode) = End::read(options, "bounded", &MODES)?;
    if usage == Usage::Sink {
        return Ok(Stop::Unbounded);
    }
    Ok(match mode.unwrap_or(Mode::Unbounded) {
        Mode::Unbounded | Mode::Earliest => Stop::Unbounded,
        Mode::Latest => Stop::Latest,
        Mode::Timestamp => Stop::Timestamp(end.millis()?),
        Mode::Offsets => Stop::Offsets(end.offsets(topics)?),
        Mode::Group => Stop::Group(end.group(properties)?),
    })
}
