//! The options of class `com.clickhouse.kafka.connect.ClickHouseSinkConnector` in display order, and ours after them.
//!
//! Names, types, defaults, importance, groups and order are what the original's REST shows, for they are the contract;
//! the texts are our own. Common Connect options (`topics`, `tasks.max`, `errors.*` of the worker) are the worker's.

use thm_api::{ConfigKey, ConfigType, Importance, Support};

/// Shared parts of an entry.
const BASE: ConfigKey =
    ConfigKey { group: "Connection", importance: Importance::Low, ..ConfigKey::new("", ConfigType::String, None, "") };

/// Shared parts of our own entries.
const OURS: ConfigKey = ConfigKey { group: "Thamanya", ..BASE };

/// Every option that the connector itself reads or knows.
#[rustfmt::skip] // one entry a line reads as the table it is
pub const KEYS: &[ConfigKey] = &[
    ConfigKey { name: "hostname", kind: ConfigType::String, default: None, required: true, importance: Importance::High, doc: "Host name or address of the ClickHouse server.", ..BASE },
    ConfigKey { name: "port", kind: ConfigType::Int, default: Some("8443"), importance: Importance::High, doc: "Port of the server's HTTP interface.", range: Some((1, 65535)), ..BASE },
    ConfigKey { name: "database", kind: ConfigType::String, default: Some("default"), importance: Importance::Low, doc: "Database of the target tables.", ..BASE },
    ConfigKey { name: "username", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "User to log in as; `default` if blank.", ..BASE },
    ConfigKey { name: "password", kind: ConfigType::Password, default: Some(""), importance: Importance::Low, doc: "That user's password.", ..BASE },
    ConfigKey { name: "ssl", kind: ConfigType::Boolean, default: Some("true"), importance: Importance::Low, doc: "Whether to connect by TLS, to the port of HTTPS.", ..BASE },
    ConfigKey { name: "jdbcConnectionProperties", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "Parameters for the Java driver. No effect here.", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "timeoutSeconds", kind: ConfigType::Int, default: Some("30"), importance: Importance::Low, doc: "Longest wait for an answer, in seconds.", range: Some((1, 3600)), ..BASE },
    ConfigKey { name: "retryCount", kind: ConfigType::Int, default: Some("3"), importance: Importance::Low, doc: "Attempts of the Java driver. No effect here: errors.retry.timeout says how long to try.", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "tableRefreshInterval", kind: ConfigType::Long, default: Some("0"), importance: Importance::Low, doc: "How often to look at the tables' columns anew, in seconds. No effect here.", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "exactlyOnce", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Store no record twice. Here that is so in any case, by a token with each insert.", ..BASE },
    ConfigKey { name: "suppressTableExistenceException", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Pass over topics without a table. Refused here unless false.", support: Support::Refused, ..BASE },
    ConfigKey { name: "clickhouseSettings", kind: ConfigType::List, default: Some(""), importance: Importance::Low, doc: "Server settings for every request, as name=value with commas between.", ..BASE },
    ConfigKey { name: "topic2TableMap", kind: ConfigType::List, default: Some(""), importance: Importance::Low, doc: "Tables of topics that are not named like their table, as topic=table with commas between.", ..BASE },
    ConfigKey { name: "errors.tolerance", kind: ConfigType::String, default: Some("none"), importance: Importance::Low, allowed: &["none", "all"], doc: "none: a refused record fails the task. all: it goes to the dead letter queue.", ..BASE },
    ConfigKey { name: "customInsertFormat", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Insert text as it is, in the form that insertFormat names. Refused here unless false.", support: Support::Refused, ..BASE },
    ConfigKey { name: "insertFormat", kind: ConfigType::String, default: Some("none"), importance: Importance::Low, doc: "Form of such text. Refused here unless none.", support: Support::Refused, ..BASE },
    ConfigKey { name: "proxyType", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "Kind of proxy to go through. Not supported here.", support: Support::Refused, ..BASE },
    ConfigKey { name: "proxyHost", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "The proxy's host. Not supported here.", support: Support::Refused, ..BASE },
    ConfigKey { name: "proxyPort", kind: ConfigType::Int, default: Some("-1"), importance: Importance::Low, doc: "The proxy's port. Refused here unless -1.", support: Support::Refused, ..BASE },
    ConfigKey { name: "zkPath", kind: ConfigType::String, default: Some("/kafka-connect"), importance: Importance::Low, doc: "Keeper path of the exactly-once table. No effect here: the worker keeps that state.", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "zkDatabase", kind: ConfigType::String, default: Some("connect_state"), importance: Importance::Low, doc: "Name of the exactly-once table. No effect here: the worker keeps that state.", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "enableDbTopicSplit", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Read the database's name from the topic's. Refused here unless false.", support: Support::Refused, ..BASE },
    ConfigKey { name: "dbTopicSplitChar", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "What parts database and table in a topic's name. Not supported here.", support: Support::Refused, ..BASE },
    ConfigKey { name: "keeperOnCluster", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "Cluster to make the exactly-once table on. No effect here.", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "bypassRowBinary", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Insert as JSON instead of RowBinary. No effect here.", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "dateTimeFormats", kind: ConfigType::List, default: Some(""), importance: Importance::Low, doc: "Patterns of dates and times in text, by field. Not supported here.", support: Support::Refused, ..BASE },
    ConfigKey { name: "client_version", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "Java client to use. No effect here.", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "tolerateStateMismatch", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Pass over records that stand before the stored state. No effect here.", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "bypassSchemaValidation", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Insert without comparing records to the table first. No effect here.", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "bypassFieldCleanup", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Keep fields for which the table has no column. No effect here.", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "debeziumCDCEnabled", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Medium, doc: "Unpack Debezium's envelopes into rows with version and deletion mark. Refused here unless false.", support: Support::Refused, ..BASE },
    ConfigKey { name: "ignorePartitionsWhenBatching", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Let one insert hold rows of several partitions. No effect here.", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "bufferCount", kind: ConfigType::Int, default: Some("0"), importance: Importance::Low, doc: "Most records in one insert, unless thm.flush.records says so; 0 keeps our default.", range: Some((0, 1_000_000)), ..BASE },
    ConfigKey { name: "bufferFlushTime", kind: ConfigType::Long, default: Some("0"), importance: Importance::Low, doc: "Longest wait of rows in milliseconds, with bufferCount and without thm.flush.ms; 0 keeps our default.", range: Some((0, i64::MAX)), ..BASE },
    ConfigKey { name: "clickhouseClientInsertTimeoutMs", kind: ConfigType::Long, default: Some("240000"), importance: Importance::Low, doc: "Longest wait for an insert's answer, in milliseconds; timeoutSeconds counts if not given.", range: Some((1, 3_600_000)), ..BASE },
    ConfigKey { name: "reportInsertedOffsets", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Commit offsets of inserted rows only. Here that is so in any case.", ..BASE },
    ConfigKey { name: "ssl_socket_sni", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "Server name to ask for in the TLS handshake and to find in its certificate; without it hostname.", ..BASE },
    ConfigKey { name: "auto.evolve", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Medium, doc: "Add a Nullable column for each field that the table lacks.", group: "DDL", ..BASE },
    ConfigKey { name: "auto.evolve.ddl.refresh.retries", kind: ConfigType::Int, default: Some("3"), importance: Importance::Low, doc: "How often to look whether an added column has arrived. No effect here.", group: "DDL", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "auto.evolve.struct.to.json", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Medium, doc: "Make added columns of nested records JSON. Refused here unless false.", group: "DDL", support: Support::Refused, ..BASE },
    ConfigKey { name: "clusterName", kind: ConfigType::String, default: Some(""), importance: Importance::Medium, doc: "Cluster to create and alter tables on. Not supported here.", group: "DDL", support: Support::Refused, ..BASE },
    ConfigKey { name: "ssl.ca.location", kind: ConfigType::String, doc: "PEM file of the authorities, or of the certificate itself, that a server with ssl=true is believed by; without it the system's authorities.", ..OURS },
    ConfigKey { name: "auto.create", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Medium, doc: "Create a missing table as ReplacingMergeTree(version, is_deleted) ordered by the record key.", ..OURS },
    ConfigKey { name: "thm.flush.ms", kind: ConfigType::Long, default: Some("500"), doc: "How long rows wait for a batch to fill, in milliseconds.", range: Some((0, 60_000)), ..OURS },
    ConfigKey { name: "thm.flush.records", kind: ConfigType::Int, default: Some("100000"), doc: "Most records in one insert.", range: Some((1, 1_000_000)), ..OURS },
    ConfigKey { name: "thm.flush.bytes", kind: ConfigType::Long, default: Some("8388608"), doc: "Most bytes of keys and values in one insert.", range: Some((1, 268_435_456)), ..OURS },
];
