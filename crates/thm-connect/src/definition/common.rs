//! Options that the worker gives every connector.
//!
//! Names, types, defaults, importance, groups, labels and order are Kafka Connect's (4.2), for they are the contract; the
//! texts are our own.

use thm_api::{ConfigKey, ConfigType, Importance, Support};

use super::Definition;
use crate::options::VERSION;

/// Families of options whose members are not in a table; each is read, and warned of, where it belongs.
pub(super) const FAMILIES: &[&str] = &[
    "consumer.override.group.id",
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "transforms.",
    "predicates.",
    // Connect has it for sinks alone; a source here has such a queue too.
    "errors.deadletterqueue.topic.name",
];

/// Families of Connect's that have nothing to work on here, and why.
pub(super) const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("consumer.override.", "sinks read the log directly"),
    ("producer.override.", "sources append to the log directly"),
    ("admin.override.", "topics are made in the log directly"),
    ("topic.creation.", "topics are made with the log's own settings, one partition each"),
];

/// For every connector.
pub(super) const ALL: &[Definition] = &[
    Definition {
        key: &ConfigKey {
            required: true,
            importance: Importance::High,
            group: "Common",
            ..ConfigKey::new("name", ConfigType::String, None, "Name of the connector, unique in the worker.")
        },
        order: 1,
        width: "MEDIUM",
        display: "Connector name",
    },
    Definition {
        key: &ConfigKey {
            required: true,
            importance: Importance::High,
            group: "Common",
            ..ConfigKey::new(
                "connector.class",
                ConfigType::String,
                None,
                "Class of the connector, in full or its last part.",
            )
        },
        order: 2,
        width: "LONG",
        display: "Connector class",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Medium,
            group: "Common",
            support: Support::NoEffect,
            ..ConfigKey::new(
                "connector.plugin.version",
                ConfigType::String,
                Some(VERSION),
                "Release of the class to run; there is only one.",
            )
        },
        order: 3,
        width: "MEDIUM",
        display: "Connector version",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::High,
            group: "Common",
            range: Some((1, i32::MAX as i64)),
            ..ConfigKey::new(
                "tasks.max",
                ConfigType::Int,
                Some("1"),
                "Most tasks. One task does all the work here, whatever the number.",
            )
        },
        order: 4,
        width: "SHORT",
        display: "Tasks max",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "Common",
            support: Support::NoEffect,
            ..ConfigKey::new(
                "tasks.max.enforce",
                ConfigType::Boolean,
                Some("true"),
                "Whether more tasks than tasks.max are an error.",
            )
        },
        order: 5,
        width: "SHORT",
        display: "Enforce tasks max",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "Common",
            ..ConfigKey::new(
                "key.converter",
                ConfigType::Class,
                Some("org.apache.kafka.connect.json.JsonConverter"),
                "Form of record keys.",
            )
        },
        order: 6,
        width: "SHORT",
        display: "Key converter class",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "Common",
            support: Support::NoEffect,
            ..ConfigKey::new(
                "key.converter.plugin.version",
                ConfigType::String,
                Some(VERSION),
                "Release of key.converter; there is only one.",
            )
        },
        order: 7,
        width: "SHORT",
        display: "Key converter version",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "Common",
            ..ConfigKey::new(
                "value.converter",
                ConfigType::Class,
                Some("org.apache.kafka.connect.json.JsonConverter"),
                "Form of record values.",
            )
        },
        order: 8,
        width: "SHORT",
        display: "Value converter class",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "Common",
            support: Support::NoEffect,
            ..ConfigKey::new(
                "value.converter.plugin.version",
                ConfigType::String,
                Some(VERSION),
                "Release of value.converter; there is only one.",
            )
        },
        order: 9,
        width: "SHORT",
        display: "Value converter version",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "Common",
            ..ConfigKey::new(
                "header.converter",
                ConfigType::Class,
                Some("org.apache.kafka.connect.storage.SimpleHeaderConverter"),
                "Form of record headers.",
            )
        },
        order: 10,
        width: "SHORT",
        display: "Header converter class",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "Common",
            support: Support::NoEffect,
            ..ConfigKey::new(
                "header.converter.plugin.version",
                ConfigType::String,
                Some(VERSION),
                "Release of header.converter; there is only one.",
            )
        },
        order: 11,
        width: "SHORT",
        display: "Header converter version",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "Transforms",
            ..ConfigKey::new("transforms", ConfigType::List, Some(""), "Single message transforms, by alias.")
        },
        order: 12,
        width: "LONG",
        display: "Transforms",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "Predicates",
            ..ConfigKey::new("predicates", ConfigType::List, Some(""), "Predicates of transforms, by alias.")
        },
        order: 13,
        width: "LONG",
        display: "Predicates",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "Common",
            allowed: &["none", "restart"],
            support: Support::NoEffect,
            ..ConfigKey::new(
                "config.action.reload",
                ConfigType::String,
                Some("restart"),
                "What to do when a secret changes outside.",
            )
        },
        order: 14,
        width: "MEDIUM",
        display: "Reload Action",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Medium,
            group: "Error Handling",
            ..ConfigKey::new(
                "errors.retry.timeout",
                ConfigType::Long,
                Some("0"),
                "Milliseconds after the first failure at which the task gives up; -1 for never, which is also what happens when it is not set.",
            )
        },
        order: 1,
        width: "MEDIUM",
        display: "Retry Timeout for Errors",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Medium,
            group: "Error Handling",
            ..ConfigKey::new(
                "errors.retry.delay.max.ms",
                ConfigType::Long,
                Some("60000"),
                "Largest pause between two attempts, in milliseconds.",
            )
        },
        order: 2,
        width: "MEDIUM",
        display: "Maximum Delay Between Retries for Errors",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Medium,
            group: "Error Handling",
            allowed: &["none", "all"],
            ..ConfigKey::new(
                "errors.tolerance",
                ConfigType::String,
                Some("none"),
                "What to do with a record that the target refuses: none fails the task, all sends it to the dead letter queue.",
            )
        },
        order: 3,
        width: "SHORT",
        display: "Error Tolerance",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Medium,
            group: "Error Handling",
            support: Support::NoEffect,
            ..ConfigKey::new(
                "errors.log.enable",
                ConfigType::Boolean,
                Some("false"),
                "Whether failures are logged; they always are, without row values.",
            )
        },
        order: 4,
        width: "SHORT",
        display: "Log Errors",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Medium,
            group: "Error Handling",
            support: Support::NoEffect,
            ..ConfigKey::new(
                "errors.log.include.messages",
                ConfigType::Boolean,
                Some("false"),
                "Whether the log shows the record; it never does.",
            )
        },
        order: 5,
        width: "SHORT",
        display: "Log Error Details",
    },
];

/// For sources.
pub(super) const SOURCE: &[Definition] = &[
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "Topic Creation",
            support: Support::NoEffect,
            ..ConfigKey::new(
                "topic.creation.groups",
                ConfigType::List,
                Some(""),
                "Names of rule sets by which topics are made.",
            )
        },
        order: 1,
        width: "LONG",
        display: "Topic Creation Groups",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Medium,
            group: "Exactly Once Support",
            allowed: &["requested", "required"],
            support: Support::NoEffect,
            ..ConfigKey::new(
                "exactly.once.support",
                ConfigType::String,
                Some("requested"),
                "Whether the source must be exactly-once; the log holds each change once in any case.",
            )
        },
        order: 2,
        width: "SHORT",
        display: "Exactly once support",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Medium,
            group: "Exactly Once Support",
            allowed: &["poll", "interval", "connector"],
            support: Support::NoEffect,
            ..ConfigKey::new(
                "transaction.boundary",
                ConfigType::String,
                Some("poll"),
                "Where transactions of an exactly-once source end.",
            )
        },
        order: 3,
        width: "SHORT",
        display: "Transaction Boundary",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "Exactly Once Support",
            support: Support::NoEffect,
            ..ConfigKey::new(
                "transaction.boundary.interval.ms",
                ConfigType::Long,
                None,
                "Milliseconds between two transactions.",
            )
        },
        order: 4,
        width: "SHORT",
        display: "Transaction boundary interval",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Low,
            group: "offsets.topic",
            support: Support::NoEffect,
            ..ConfigKey::new(
                "offsets.storage.topic",
                ConfigType::String,
                None,
                "Topic for the source's offsets; they stand beside the log here.",
            )
        },
        order: 1,
        width: "LONG",
        display: "Offsets topic",
    },
];

/// For sinks.
pub(super) const SINK: &[Definition] = &[
    Definition {
        key: &ConfigKey {
            importance: Importance::High,
            group: "Common",
            ..ConfigKey::new("topics", ConfigType::List, Some(""), "Topics to read, separated by commas.")
        },
        order: 4,
        width: "LONG",
        display: "Topics",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::High,
            group: "Common",
            ..ConfigKey::new(
                "topics.regex",
                ConfigType::String,
                Some(""),
                "Java regular expression of the topics to read.",
            )
        },
        order: 4,
        width: "LONG",
        display: "Topics regex",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Medium,
            group: "Error Handling",
            ..ConfigKey::new(
                "errors.deadletterqueue.topic.name",
                ConfigType::String,
                Some(""),
                "Topic for refused records; dlq.<connector> if none is given.",
            )
        },
        order: 6,
        width: "MEDIUM",
        display: "Dead Letter Queue Topic Name",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Medium,
            group: "Error Handling",
            support: Support::NoEffect,
            ..ConfigKey::new(
                "errors.deadletterqueue.topic.replication.factor",
                ConfigType::Short,
                Some("3"),
                "Replicas of that topic.",
            )
        },
        order: 7,
        width: "MEDIUM",
        display: "Dead Letter Queue Topic Replication Factor",
    },
    Definition {
        key: &ConfigKey {
            importance: Importance::Medium,
            group: "Error Handling",
            support: Support::NoEffect,
            ..ConfigKey::new(
                "errors.deadletterqueue.context.headers.enable",
                ConfigType::Boolean,
                Some("false"),
                "Whether refused records carry the reason in headers; they always do.",
            )
        },
        order: 8,
        width: "MEDIUM",
        display: "Enable Error Context Headers",
    },
];

/// Our own, for every connector.
pub(super) const WORKER: &[Definition] = &[Definition {
    key: &ConfigKey {
        importance: Importance::Low,
        group: "Error Handling",
        range: Some((1, i64::MAX)),
        ..ConfigKey::new(
            "thm.write.timeout.ms",
            ConfigType::Long,
            Some("60000"),
            "Most milliseconds for one attempt; a target that says nothing for so long is away.",
        )
    },
    order: 20,
    width: "SHORT",
    display: "Write timeout",
}];
