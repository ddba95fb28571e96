//! The class's options: the original connector's in its display order, then ours.
//!
//! Names, types, defaults, importance, groups and order are the contract; the texts are our own.

use thm_api::config::ConfigType::{Boolean, Int, List, Long, Password, String as Text};
use thm_api::{ConfigDef, ConfigKey, ConfigType, Importance, Support};

const CONNECTION: &str = "Connection";
const BATCHING: &str = "Batching";
const DELIVERY: &str = "Delivery";
const TIMEOUT: &str = "Timeout";
const ERRORS: &str = "Errors Handling";
const FORMAT: &str = "Format";

const fn key(
    name: &'static str,
    kind: ConfigType,
    default: Option<&'static str>,
    group: &'static str,
    doc: &'static str,
) -> ConfigKey {
    ConfigKey { group, ..ConfigKey::new(name, kind, default, doc) }
}

/// Options of the class itself; the worker adds its own.
pub const CONFIG_DEF: ConfigDef = ConfigDef {
    keys: &[
        ConfigKey {
            importance: Importance::High,
            required: true,
            ..key("http.url", Text, None, CONNECTION, "Where to POST each record, http:// or https://host:port/path.")
        },
        ConfigKey {
            importance: Importance::Low,
            ..key("http.proxy.host", Text, None, CONNECTION, "Host of an HTTP proxy.")
        },
        ConfigKey {
            importance: Importance::Low,
            ..key("http.proxy.port", Int, Some("-1"), CONNECTION, "Port of the HTTP proxy.")
        },
        ConfigKey {
            importance: Importance::Low,
            ..key(
                "http.ssl.trust.all.certs",
                Boolean,
                Some("false"),
                CONNECTION,
                "Whether an https target may show any certificate.",
            )
        },
        ConfigKey {
            importance: Importance::High,
            required: true,
            ..key(
                "http.authorization.type",
                Text,
                None,
                CONNECTION,
                "How requests are authorized: none, or static (a fixed Authorization header).",
            )
        },
        ConfigKey {
            importance: Importance::Medium,
            ..key(
                "http.headers.authorization",
                Password,
                None,
                CONNECTION,
                "Value of the Authorization header, for the type static.",
            )
        },
        ConfigKey {
            importance: Importance::Low,
            ..key(
                "http.headers.content.type",
                Text,
                None,
                CONNECTION,
                "Content-Type of the requests; application/json if not set, application/x-ndjson for batches separated by line ends.",
            )
        },
        ConfigKey {
            importance: Importance::Low,
            ..key(
                "http.headers.additional",
                List,
                Some(""),
                CONNECTION,
                "More headers, as name:value separated by commas.",
            )
        },
        ConfigKey {
            importance: Importance::High,
            support: Support::Refused,
            ..key("oauth2.access.token.url", Text, None, CONNECTION, "OAuth2 is not supported here.")
        },
        ConfigKey {
            importance: Importance::High,
            support: Support::Refused,
            ..key(
                "oauth2.request.grant.type.property",
                Text,
                Some("grant_type"),
                CONNECTION,
                "OAuth2 is not supported here.",
            )
        },
        ConfigKey {
            importance: Importance::High,
            support: Support::Refused,
            ..key("oauth2.grant.type", Text, Some("client_credentials"), CONNECTION, "OAuth2 is not supported here.")
        },
        ConfigKey {
            importance: Importance::High,
            support: Support::Refused,
            ..key(
                "oauth2.request.client.id.property",
                Text,
                Some("client_id"),
                CONNECTION,
                "OAuth2 is not supported here.",
            )
        },
        ConfigKey {
            importance: Importance::High,
            support: Support::Refused,
            ..key("oauth2.client.id", Text, None, CONNECTION, "OAuth2 is not supported here.")
        },
        ConfigKey {
            importance: Importance::High,
            support: Support::Refused,
            ..key(
                "oauth2.request.client.secret.property",
                Text,
                Some("client_secret"),
                CONNECTION,
                "OAuth2 is not supported here.",
            )
        },
        ConfigKey {
            importance: Importance::High,
            support: Support::Refused,
            ..key("oauth2.client.secret", Password, None, CONNECTION, "OAuth2 is not supported here.")
        },
        ConfigKey {
            importance: Importance::Medium,
            support: Support::Refused,
            ..key("oauth2.client.authorization.mode", Text, Some("HEADER"), CONNECTION, "OAuth2 is not supported here.")
        },
        ConfigKey {
            importance: Importance::Low,
            support: Support::Refused,
            ..key("oauth2.client.scope", Text, None, CONNECTION, "OAuth2 is not supported here.")
        },
        ConfigKey {
            importance: Importance::Low,
            support: Support::Refused,
            ..key(
                "oauth2.response.token.property",
                Text,
                Some("access_token"),
                CONNECTION,
                "OAuth2 is not supported here.",
            )
        },
        ConfigKey {
            importance: Importance::High,
            ..key("batching.enabled", Boolean, Some("false"), BATCHING, "Whether one request carries several records.")
        },
        ConfigKey {
            importance: Importance::Medium,
            range: Some((1, 1_000_000)),
            ..key("batch.max.size", Int, Some("500"), BATCHING, "Most records in one request.")
        },
        ConfigKey {
            importance: Importance::High,
            ..key(
                "batch.prefix",
                Text,
                Some(""),
                BATCHING,
                "Text that opens a batch, such as `[`; escapes like \\n are understood.",
            )
        },
        ConfigKey {
            importance: Importance::High,
            ..key(
                "batch.suffix",
                Text,
                None,
                BATCHING,
                "Text that closes a batch, a line end if not set; `]` for a JSON array.",
            )
        },
        ConfigKey {
            importance: Importance::High,
            ..key(
                "batch.separator",
                Text,
                None,
                BATCHING,
                "Text between two records of a batch, a line end if not set; `,` for a JSON array.",
            )
        },
        ConfigKey {
            importance: Importance::Medium,
            range: Some((0, 9_223_372_036_854_775_807)),
            support: Support::NoEffect,
            ..key(
                "kafka.retry.backoff.ms",
                Long,
                None,
                DELIVERY,
                "Accepted for compatibility: delivery is retried with growing pauses until it succeeds.",
            )
        },
        ConfigKey {
            importance: Importance::Medium,
            range: Some((0, 2_147_483_647)),
            support: Support::NoEffect,
            ..key(
                "max.retries",
                Int,
                Some("1"),
                DELIVERY,
                "Accepted for compatibility: delivery is retried with growing pauses until it succeeds.",
            )
        },
        ConfigKey {
            importance: Importance::Medium,
            range: Some((0, 2_147_483_647)),
            support: Support::NoEffect,
            ..key(
                "retry.backoff.ms",
                Int,
                Some("3000"),
                DELIVERY,
                "Accepted for compatibility: delivery is retried with growing pauses until it succeeds.",
            )
        },
        ConfigKey {
            importance: Importance::Low,
            range: Some((1, 2_147_483_647)),
            ..key("http.timeout", Int, Some("30"), TIMEOUT, "How long to wait for an answer, in seconds.")
        },
        ConfigKey {
            importance: Importance::Low,
            allowed: &["none", "all"],
            ..key(
                "errors.tolerance",
                Text,
                None,
                ERRORS,
                "none: a refused record stops the task. all: it goes to the dead letter queue.",
            )
        },
        ConfigKey {
            importance: Importance::Low,
            support: Support::NoEffect,
            ..key(
                "decimal.format",
                Text,
                Some("BASE64"),
                FORMAT,
                "Accepted for compatibility: values are posted as they are stored.",
            )
        },
        key(
            "delete.mode",
            Text,
            Some("skip"),
            DELIVERY,
            "What to do with tombstones: skip, or post the key's fields with \"__deleted\":\"true\".",
        ),
        key(
            "ssl.ca.location",
            Text,
            None,
            CONNECTION,
            "PEM file of the authorities, or of the certificate itself, that an https target is believed by; without it the system's authorities.",
        ),
        key("snapshot.mode", Text, Some("post"), DELIVERY, "What to do with rows of a snapshot: post or skip."),
        key(
            "idempotency.header",
            Text,
            Some("Idempotency-Key"),
            DELIVERY,
            "Header that is the same for every attempt at a record; none to leave it out.",
        ),
        ConfigKey {
            range: Some((1, 1_000)),
            ..key(
                "http.max.in.flight",
                Int,
                Some("32"),
                DELIVERY,
                "Most connections, and so requests that the target works on at once, one per record key.",
            )
        },
        ConfigKey {
            importance: Importance::Low,
            range: Some((1, 64)),
            ..key(
                "http.max.pipelined",
                Int,
                Some("16"),
                DELIVERY,
                "Most requests sent on one connection before the first is answered, when there is a backlog; 1 for none.",
            )
        },
    ],
};
