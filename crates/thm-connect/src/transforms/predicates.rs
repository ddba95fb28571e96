//! Predicates: which records a transform works on.

use thm_api::ConnectorConfig;

use super::java_pattern::JavaPattern;
use super::record::{ConnectRecord, DataError};
use super::settings::Settings;

/// A condition on records.
#[derive(Clone, Debug)]
pub(crate) enum Predicate {
    /// `TopicNameMatches`: the whole name.
    TopicNameMatches(Box<JavaPattern>),
    /// `HasHeaderKey`
    HasHeaderKey(String),
    /// `RecordIsTombstone`
    RecordIsTombstone,
}

/// All there are, sorted by name.
const CLASSES: [&str; 3] = [
    "org.apache.kafka.connect.transforms.predicates.HasHeaderKey",
    "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone",
    "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
];

/// Option and message.
type Notes = Vec<(String, String)>;

impl Predicate {
    /// Reads the predicate of that alias; what is wrong with it, and what of it has no effect.
    pub(crate) fn read(config: &ConnectorConfig, alias: &str) -> (Option<Self>, Notes, Notes) {
        let mut settings = Settings::new(config, format!("predicates.{alias}."));
        let name = settings.required("type");
        settings.given("plugin.version");
        let known = super::named(&CLASSES, &name, |class| class);
        let predicate = match known.map(|class| class.rsplit('.').next().unwrap_or_default()) {
            Some("TopicNameMatches") => {
                settings.required_full("pattern");
                settings
                    .issues
                    .is_empty()
                    .then(|| settings.required_pattern("pattern"))
                    .flatten()
                    .map(|pattern| Self::TopicNameMatches(Box::new(pattern)))
            }
            Some("HasHeaderKey") => Some(Self::HasHeaderKey(settings.required_full("name"))),
            Some(_) => Some(Self::RecordIsTombstone),
            None => {
                if settings.issues.is_empty() {
                    let problem = format!("Class {name} could not be found; available are: {}", CLASSES.join(", "));
                    settings.issue("type", &name, &problem);
                }
                None
            }
        };
        settings.warn_of_unknown(&name);
        (predicate.filter(|_| settings.issues.is_empty()), settings.issues, settings.warnings)
    }

    /// Whether it holds.
    pub(crate) fn test(&self, record: &ConnectRecord) -> Result<bool, DataError> {
        match self {
            Self::TopicNameMatches(pattern) => pattern.matches(&record.topic),
            Self::HasHeaderKey(name) => Ok(record.header(name).is_some()),
            Self::RecordIsTombstone => Ok(record.value.value.is_null()),
        }
    }
}
