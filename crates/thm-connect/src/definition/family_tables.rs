//! Options of transforms, predicates and converters, by class.
//!
//! Names, types, defaults, importance and groups are Kafka Connect's (4.2) and Debezium's (3.7), for they are the contract;
//! the texts are our own.

use thm_api::{ConfigKey, ConfigType, Importance, Support};

use crate::options::VERSION;
use ConfigType::{Boolean, Int, List, String};
use Importance::{High, Low, Medium};

/// Classes whose options are the same, by the last part of their names, without `$Key` and `$Value`.
pub(super) type Class = (&'static [&'static str], &'static [ConfigKey]);

const fn key(
    name: &'static str,
    kind: ConfigType,
    default: Option<&'static str>,
    importance: Importance,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey { importance, group: "", ..ConfigKey::new(name, kind, default, doc) }
}

const fn required(name: &'static str, kind: ConfigType, importance: Importance, doc: &'static str) -> ConfigKey {
    ConfigKey { required: true, ..key(name, kind, None, importance, doc) }
}

const fn grouped(group: &'static str, of: ConfigKey) -> ConfigKey {
    ConfigKey { group, ..of }
}

/// Every member of a family names its class.
pub(super) static TYPE: ConfigKey = required("type", ConfigType::Class, High, "Class, in full or its last part.");
/// The release of that class.
pub(super) static PLUGIN_VERSION: ConfigKey = ConfigKey {
    support: Support::NoEffect,
    ..key("plugin.version", String, Some(VERSION), High, "Release of the class to run; there is only one.")
};
/// Every transform has these.
pub(super) static CONDITION: [ConfigKey; 2] = [
    key(
        "negate",
        Boolean,
        Some("false"),
        Medium,
        "Whether it works on the records for which the predicate does not hold.",
    ),
    key("predicate", String, None, Medium, "Alias of the predicate that says which records it works on."),
];

const NULLS: ConfigKey = key(
    "replace.null.with.default",
    Boolean,
    Some("true"),
    Medium,
    "Whether a field that is NULL is read as its schema's default.",
);

const REROUTE: &[ConfigKey] = &[
    key(
        "key.enforce.uniqueness",
        Boolean,
        Some("true"),
        Low,
        "Whether the key gets a field that tells the topic it came from.",
    ),
    key("key.field.name", String, None, Low, "Name of that field."),
    key("key.field.regex", String, None, Low, "What of the old topic's name is replaced for that field."),
    key("key.field.replacement", String, None, Low, "What it is replaced by."),
    key("logical.destination.cache.size", Int, Some("16"), Low, "Size of a cache; ours keeps what it needs."),
    key(
        "schema.name.adjustment.mode",
        String,
        Some("none"),
        Low,
        "How names of schemas become those that Avro allows.",
    ),
    key("topic.regex", String, None, Low, "Which topics get another name."),
    key("topic.replacement", String, None, Low, "The new name, with the expression's groups."),
];

const OUTBOX: &[ConfigKey] = &[
    grouped("Table", key("table.field.event.id", String, Some("id"), Low, "Column with the event's id.")),
    grouped("Table", key("table.field.event.key", String, Some("aggregateid"), Low, "Column with the record's key.")),
    grouped("Table", key("table.field.event.type", String, Some("type"), Low, "Column with the event's type.")),
    grouped("Table", key("table.field.event.payload", String, Some("payload"), Low, "Column with the record's value.")),
    grouped("Table", key("table.field.event.timestamp", String, None, Medium, "Column with the record's time.")),
    grouped("Table", key("table.fields.additional.placement", List, None, High, "Further columns, and where they go.")),
    grouped(
        "Table",
        key(
            "table.field.additional.missing",
            String,
            Some("error"),
            Medium,
            "What to do where such a column is not there.",
        ),
    ),
    grouped(
        "Table",
        key("table.field.event.schema.version", String, None, Low, "Column with the version of the value's schema."),
    ),
    grouped(
        "Table",
        key("table.op.invalid.behavior", String, Some("warn"), Medium, "What to do with an update of the table."),
    ),
    grouped(
        "Table",
        key(
            "table.expand.json.payload",
            Boolean,
            Some("false"),
            Medium,
            "Whether a text that is JSON becomes a struct.",
        ),
    ),
    grouped(
        "Table",
        key("table.json.payload.null.behavior", String, Some("ignore"), Medium, "What becomes of a null in that JSON."),
    ),
    grouped(
        "Table",
        key(
            "table.json.payload.empty.array.behavior",
            String,
            Some("ignore"),
            Medium,
            "What becomes of an empty array in it.",
        ),
    ),
    grouped(
        "Router",
        key("route.by.field", String, Some("aggregatetype"), High, "Column whose value names the topic."),
    ),
    grouped(
        "Router",
        key("route.topic.regex", String, Some("(?<routedByValue>.*)"), Low, "What of that value is taken."),
    ),
    grouped(
        "Router",
        key("route.topic.replacement", String, Some("outbox.event.${routedByValue}"), High, "The topic's name."),
    ),
    grouped(
        "Router",
        key(
            "route.tombstone.on.empty.payload",
            Boolean,
            Some("false"),
            High,
            "Whether an empty payload is a tombstone.",
        ),
    ),
    grouped(
        "Router",
        key(
            "field.name.adjustment.mode",
            String,
            Some("none"),
            Low,
            "How names in expanded JSON become those that Avro allows.",
        ),
    ),
    grouped(
        "Tracing",
        key("tracing.span.context.field", String, Some("tracingspancontext"), High, "Column with a trace's context."),
    ),
    grouped(
        "Tracing",
        key("tracing.operation.name", String, Some("debezium-read"), High, "Name of the traced operation."),
    ),
    grouped(
        "Tracing",
        key(
            "tracing.with.context.field.only",
            Boolean,
            Some("false"),
            High,
            "Whether only records with that column are traced.",
        ),
    ),
];

const UNWRAP: &[ConfigKey] = &[
    key(
        "delete.tombstone.handling.mode",
        String,
        Some("tombstone"),
        Medium,
        "What becomes of deletes and the tombstones after them.",
    ),
    key("add.fields", List, Some(""), Low, "Fields of the envelope that the value gets."),
    key("add.fields.prefix", String, Some("__"), Low, "What their names begin with."),
    key("add.headers", List, Some(""), Low, "Fields of the envelope that become headers."),
    key("add.headers.prefix", String, Some("__"), Low, "What the headers' names begin with."),
    key("drop.fields.from.key", Boolean, Some("false"), Low, "Whether dropped fields leave the key too."),
    key("drop.fields.header.name", String, None, Low, "Header that lists the fields to drop."),
    key(
        "drop.fields.keep.schema.compatible",
        Boolean,
        Some("true"),
        Low,
        "Whether only fields that may be missing are dropped.",
    ),
    NULLS,
    key("route.by.field", String, Some(""), Low, "Column whose value is the record's topic."),
];

/// Transforms.
pub(super) static TRANSFORMS: &[Class] = &[
    (
        &["DecodeLogicalDecodingMessageContent"],
        &[key("fields.null.include", Boolean, Some("false"), Medium, "Whether fields that are null are decoded too.")],
    ),
    (&["ByLogicalTableRouter", "ToLogicalTopicRouter"], REROUTE),
    (&["ExtractNewRecordState"], UNWRAP),
    (&["EventRouter"], OUTBOX),
    (&["Cast"], &[required("spec", List, High, "Fields and their new types, or one type for the whole."), NULLS]),
    (&["DropHeaders"], &[required("headers", List, High, "Headers to drop.")]),
    (
        &["ExtractField"],
        &[
            required("field", String, Medium, "The field that becomes the whole."),
            key("field.syntax.version", String, Some("V1"), High, "V2: the field may be a path."),
            NULLS,
        ],
    ),
    (&["Filter"], &[]),
    (&["Flatten"], &[key("delimiter", String, Some("."), Medium, "What stands between the names of nested fields.")]),
    (
        &["HeaderFrom"],
        &[
            required("fields", List, High, "Fields that become headers."),
            required("headers", List, High, "Names of the headers."),
            required("operation", String, High, "move takes the fields away, copy leaves them."),
            NULLS,
        ],
    ),
    (&["HoistField"], &[required("field", String, Medium, "Name of the field that holds what was the whole.")]),
    (
        &["InsertField"],
        &[
            key("offset.field", String, None, Medium, "Field for the offset."),
            key("partition.field", String, None, Medium, "Field for the partition."),
            NULLS,
            key("static.field", String, None, Medium, "Field for a value that is always the same."),
            key("static.value", String, None, Medium, "That value."),
            key("timestamp.field", String, None, Medium, "Field for the record's time."),
            key("topic.field", String, None, Medium, "Field for the topic."),
        ],
    ),
    (
        &["InsertHeader"],
        &[
            required("header", String, High, "Name of the header."),
            required("value.literal", String, High, "Its value."),
        ],
    ),
    (
        &["MaskField"],
        &[
            required("fields", List, High, "Fields to hide."),
            NULLS,
            key("replacement", String, None, Low, "What stands in their place."),
        ],
    ),
    (
        &["RegexRouter"],
        &[
            required("regex", String, High, "Which topics get another name."),
            required("replacement", String, High, "The new name, with the expression's groups."),
        ],
    ),
    (
        &["ReplaceField"],
        &[
            key("exclude", List, Some(""), Medium, "Fields to drop."),
            key("include", List, Some(""), Medium, "Fields to keep; all if none is named."),
            key("renames", List, Some(""), Medium, "Old and new names."),
            NULLS,
        ],
    ),
    (
        &["SetSchemaMetadata"],
        &[
            key("schema.name", String, None, High, "The schema's name."),
            key("schema.version", Int, None, High, "Its version."),
            NULLS,
        ],
    ),
    (
        &["TimestampConverter"],
        &[
            required("target.type", String, High, "The new form."),
            key("field", String, Some(""), High, "The field; empty for the whole."),
            key("format", String, Some(""), Medium, "Java's pattern of texts."),
            NULLS,
            key("unix.precision", String, Some("milliseconds"), Low, "Unit of numbers."),
        ],
    ),
    (
        &["TimestampRouter"],
        &[
            key("timestamp.format", String, Some("yyyyMMdd"), High, "Java's pattern of the time."),
            key("topic.format", String, Some("${topic}-${timestamp}"), High, "The new name."),
        ],
    ),
    (&["ValueToKey"], &[required("fields", List, High, "Fields of the value that make the key."), NULLS]),
];

/// Predicates.
pub(super) static PREDICATES: &[Class] = &[
    (&["HasHeaderKey"], &[required("name", String, Medium, "Name of the header.")]),
    (&["RecordIsTombstone"], &[]),
    (
        &["TopicNameMatches"],
        &[required("pattern", String, Medium, "Java regular expression of the topic's whole name.")],
    ),
];

/// Converters.
pub(super) static CONVERTERS: &[Class] = &[
    (
        &["JsonConverter"],
        &[
            grouped(
                "Schemas",
                key("schemas.enable", Boolean, Some("true"), High, "Whether each key or value carries its schema."),
            ),
            grouped(
                "Schemas",
                key("schemas.cache.size", Int, Some("1000"), High, "Schemas to keep; ours keeps what it needs."),
            ),
            grouped(
                "Serialization",
                key("decimal.format", String, Some("BASE64"), Low, "How decimals are written: BASE64 or NUMERIC."),
            ),
            grouped(
                "Serialization",
                key(
                    "replace.null.with.default",
                    Boolean,
                    Some("false"),
                    Low,
                    "Whether a NULL is written as its column's default. Connect's default is true.",
                ),
            ),
        ],
    ),
    (
        &["StringConverter"],
        &[key("converter.encoding", String, Some("UTF-8"), High, "Java's name of the character set.")],
    ),
    (&["ByteArrayConverter", "SimpleHeaderConverter"], &[]),
];
