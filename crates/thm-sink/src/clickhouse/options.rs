//! The options of class `com.clickhouse.kafka.connect.ClickHouseSinkConnector` in display order, and ours after them.
//!
//! Names, types, defaults, importance and texts are what the original's REST shows, so that a client sees the same
//! form. Common Connect options (`topics`, `tasks.max`, `errors.*` of the worker) are the worker's.

use thm_api::{ConfigKey, ConfigType, Importance, Support};

/// Shared parts of an entry.
const BASE: ConfigKey =
    ConfigKey { group: "Connection", importance: Importance::Low, ..ConfigKey::new("", ConfigType::String, None, "") };

/// Shared parts of our own entries.
const OURS: ConfigKey = ConfigKey { group: "Thamanya", ..BASE };

/// Every option that the connector itself reads or knows.
#[rustfmt::skip] // one entry a line reads as the table it is
pub const KEYS: &[ConfigKey] = &[
    ConfigKey { name: "hostname", kind: ConfigType::String, default: None, required: true, importance: Importance::High, doc: "hostname", ..BASE },
    ConfigKey { name: "port", kind: ConfigType::Int, default: Some("8443"), importance: Importance::High, doc: "port", range: Some((1, 65535)), ..BASE },
    ConfigKey { name: "database", kind: ConfigType::String, default: Some("default"), importance: Importance::Low, doc: "database", ..BASE },
    ConfigKey { name: "username", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "username", ..BASE },
    ConfigKey { name: "password", kind: ConfigType::Password, default: Some(""), importance: Importance::Low, doc: "password", ..BASE },
    ConfigKey { name: "ssl", kind: ConfigType::Boolean, default: Some("true"), importance: Importance::Low, doc: "enabled SSL. default: false", ..BASE },
    ConfigKey { name: "jdbcConnectionProperties", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "Clickhouse JDBC connection properties. default: empty", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "timeoutSeconds", kind: ConfigType::Int, default: Some("30"), importance: Importance::Low, doc: "clickhouse driver timeout in sec", range: Some((1, 3600)), ..BASE },
    ConfigKey { name: "retryCount", kind: ConfigType::Int, default: Some("3"), importance: Importance::Low, doc: "clickhouse driver retry ", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "tableRefreshInterval", kind: ConfigType::Long, default: Some("0"), importance: Importance::Low, doc: "table refresh interval in sec, default: 0", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "exactlyOnce", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "enable exactly once semantics. default: false", ..BASE },
    ConfigKey { name: "suppressTableExistenceException", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "suppress table existence exception. default: false", support: Support::Refused, ..BASE },
    ConfigKey { name: "clickhouseSettings", kind: ConfigType::List, default: Some(""), importance: Importance::Low, doc: "A comma-separated list of ClickHouse settings to be appended to the JDBC URL", ..BASE },
    ConfigKey { name: "topic2TableMap", kind: ConfigType::List, default: Some(""), importance: Importance::Low, doc: "A comma-separated list of topic=table mappings", ..BASE },
    ConfigKey { name: "errors.tolerance", kind: ConfigType::String, default: Some("none"), importance: Importance::Low, allowed: &["none", "all"], doc: "Should we tolerate exceptions? default: none", ..BASE },
    ConfigKey { name: "customInsertFormat", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "enable custom insert format only for org.apache.kafka.connect.storage.StringConverter. default: false", support: Support::Refused, ..BASE },
    ConfigKey { name: "insertFormat", kind: ConfigType::String, default: Some("none"), importance: Importance::Low, doc: "Set insert format when using org.apache.kafka.connect.storage.StringConverter", support: Support::Refused, ..BASE },
    ConfigKey { name: "proxyType", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "What type of proxy to use. Default: none", support: Support::Refused, ..BASE },
    ConfigKey { name: "proxyHost", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "If we're using a proxy, what is the host?", support: Support::Refused, ..BASE },
    ConfigKey { name: "proxyPort", kind: ConfigType::Int, default: Some("-1"), importance: Importance::Low, doc: "If we're using a proxy, what is the port?", support: Support::Refused, ..BASE },
    ConfigKey { name: "zkPath", kind: ConfigType::String, default: Some("/kafka-connect"), importance: Importance::Low, doc: "This is the zookeeper path for the state store", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "zkDatabase", kind: ConfigType::String, default: Some("connect_state"), importance: Importance::Low, doc: "This is the database for the state store", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "enableDbTopicSplit", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "enable database topic split from topic name. default: false", support: Support::Refused, ..BASE },
    ConfigKey { name: "dbTopicSplitChar", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "Database topic split character. Default: none", support: Support::Refused, ..BASE },
    ConfigKey { name: "keeperOnCluster", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "Which cluster keeper is on. Only needed for self-hosted clusters using exactly-once. Default: ''", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "bypassRowBinary", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Bypass RowBinary format, sometimes needed with data gaps. default: false", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "dateTimeFormats", kind: ConfigType::List, default: Some(""), importance: Importance::Low, doc: "Date time formats for parsing date time fields (e.g. 'someDateField=yyyy-MM-dd HH:mm:ss.SSSSSSSSS'). default: ''", support: Support::Refused, ..BASE },
    ConfigKey { name: "client_version", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "Client version", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "tolerateStateMismatch", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Tolerate state mismatch. default: false", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "bypassSchemaValidation", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Bypass schema validation. default: false", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "bypassFieldCleanup", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Bypass field cleanup. default: false", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "debeziumCDCEnabled", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Medium, doc: "Enable Debezium CDC envelope processing. When true, records whose schema name ends with '.Envelope' are routed through DebeziumRecordConvertor, which extracts op/before/after, injects _version (from source.lsn / gtid / change_lsn) and is_deleted columns. Requires a ReplacingMergeTree(_version, is_deleted) target table. default: false", support: Support::Refused, ..BASE },
    ConfigKey { name: "ignorePartitionsWhenBatching", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Ignore partitions when batching. Flag ignored when exactlyOnce=true. default: false", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "bufferCount", kind: ConfigType::Int, default: Some("0"), importance: Importance::Low, doc: "Number of records to buffer before flushing to ClickHouse. 0 means no buffering (default). When enabled, records from multiple poll() calls are accumulated and flushed as a single large batch.", range: Some((0, 1_000_000)), ..BASE },
    ConfigKey { name: "bufferFlushTime", kind: ConfigType::Long, default: Some("0"), importance: Importance::Low, doc: "Maximum time in milliseconds to buffer records before flushing, regardless of buffer count. 0 means no time-based flushing (default). Only effective when bufferCount > 0.", range: Some((0, i64::MAX)), ..BASE },
    ConfigKey { name: "clickhouseClientInsertTimeoutMs", kind: ConfigType::Long, default: Some("240000"), importance: Importance::Low, doc: "Maximum time in milliseconds to wait for a single ClickHouse insert response. Must stay below consumer.override.max.poll.interval.ms: if an insert hangs longer than the poll interval, Kafka assumes the worker is dead and rebalances the partitions mid-insert. Leave a comfortable margin (e.g. at least 2x the slowest expected insert) so transient slow inserts do not race the poll interval. On timeout a RetriableException is thrown, so the Connect framework retries the batch; in exactly-once mode the retry reuses insert_deduplication_token and ClickHouse drops duplicates. Default: 240000 ms.", range: Some((1, 3_600_000)), ..BASE },
    ConfigKey { name: "reportInsertedOffsets", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Low, doc: "Report only successfully inserted offsets in preCommit. default: false", ..BASE },
    ConfigKey { name: "ssl_socket_sni", kind: ConfigType::String, default: Some(""), importance: Importance::Low, doc: "Override the SNI hostname sent in the client handshake. When set, the client will explicitly include the specified name as the server_name extension in the TLS ClientHello.This is useful to avoid handshake failure when routing TLS traffic through a proxy, where the proxy hostname and the server hostname may differ. Default: ''", support: Support::Refused, ..BASE },
    ConfigKey { name: "auto.evolve", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Medium, doc: "Whether to automatically add columns to the destination table when a record contains fields not present in the table. default: false", group: "DDL", support: Support::Refused, ..BASE },
    ConfigKey { name: "auto.evolve.ddl.refresh.retries", kind: ConfigType::Int, default: Some("3"), importance: Importance::Low, doc: "Number of retries when waiting for DDL changes to propagate after schema evolution. default: 3", group: "DDL", support: Support::NoEffect, ..BASE },
    ConfigKey { name: "auto.evolve.struct.to.json", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Medium, doc: "Whether to map Connect STRUCT fields to ClickHouse JSON columns during schema evolution. default: false", group: "DDL", support: Support::Refused, ..BASE },
    ConfigKey { name: "clusterName", kind: ConfigType::String, default: Some(""), importance: Importance::Medium, doc: "Cluster name to include in all distributed DDL queries run by the connector", group: "DDL", support: Support::Refused, ..BASE },
    ConfigKey { name: "auto.create", kind: ConfigType::Boolean, default: Some("false"), importance: Importance::Medium, doc: "Create a missing table as ReplacingMergeTree(version, is_deleted) ordered by the record key.", ..OURS },
    ConfigKey { name: "thm.flush.ms", kind: ConfigType::Long, default: Some("500"), doc: "How long rows wait for a batch to fill, in milliseconds.", range: Some((0, 60_000)), ..OURS },
    ConfigKey { name: "thm.flush.records", kind: ConfigType::Int, default: Some("100000"), doc: "Most records in one insert.", range: Some((1, 1_000_000)), ..OURS },
    ConfigKey { name: "thm.flush.bytes", kind: ConfigType::Long, default: Some("8388608"), doc: "Most bytes of keys and values in one insert.", range: Some((1, 268_435_456)), ..OURS },
];
