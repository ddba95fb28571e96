//! Options as the original reads them, and its words for what is wrong.
#![allow(clippy::unwrap_used)]

use super::*;

fn config(options: &[(&str, &str)]) -> ConnectorConfig {
    let base = [("http.url", "http://api:8088/events?token=hush"), ("http.authorization.type", "none")];
    let all = base.iter().chain(options);
    ConnectorConfig::new(all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

#[test]
fn wrong_options_are_told_in_the_original_s_words() {
    for (option, value, message) in [
        ("http.url", "not a url", "Invalid value not a url for configuration http.url: malformed URL"),
        ("http.url", "/events", "Invalid value /events for configuration http.url: malformed URL"),
        (
            "http.authorization.type",
            "digest",
            "Invalid value digest for configuration http.authorization.type: supported values are: [none, oauth2, static]",
        ),
        ("http.headers.additional", "X:1,x:2", "Duplicate keys are not allowed (case-insensitive)"),
        ("http.headers.additional", "X-Url:http://h", "Header field should use format header:value"),
        (
            "http.headers.content.type",
            " ",
            "Invalid value  for configuration http.headers.content.type: String must be non-blank",
        ),
        (
            "kafka.retry.backoff.ms",
            "90000000",
            "Invalid value 90000000 for configuration kafka.retry.backoff.ms: Value must be no more than 86400000 (24 hours)",
        ),
        ("delete.mode", "x", "Invalid value x for configuration delete.mode: String must be one of: skip, post"),
    ] {
        assert_eq!(issues(&config(&[(option, value)])), [ConfigIssue::error(option, message)]);
        assert!(HttpSettings::parse(&config(&[(option, value)])).is_err());
    }
    assert_eq!(issues(&config(&[])), []);
}

#[test]
fn batches_are_lines_unless_told_otherwise() {
    let settings = HttpSettings::parse(&config(&[("batching.enabled", "true")])).unwrap();
    let lines = Batching { max_records: 500, prefix: String::new(), separator: "\n".into(), suffix: "\n".into() };
    assert_eq!(settings.batching, Some(lines));
    assert_eq!(settings.headers[CONTENT_TYPE], "application/x-ndjson");
    let array =
        [("batching.enabled", "true"), ("batch.prefix", "["), ("batch.separator", ","), ("batch.suffix", "]\\n")];
    let settings = HttpSettings::parse(&config(&array)).unwrap();
    let array = Batching { max_records: 500, prefix: "[".into(), separator: ",".into(), suffix: "]\n".into() };
    assert_eq!(settings.batching, Some(array));
    assert_eq!(settings.headers[CONTENT_TYPE], "application/json");
}

#[test]
fn secrets_are_in_no_name_and_hosts_are_mapped() {
    let options = [("http.authorization.type", "static"), ("http.headers.authorization", "Bearer hush")];
    let settings = HttpSettings::parse(&config(&options)).unwrap();
    assert_eq!(settings.target(), "api:8088/events");
    assert!(!format!("{:?}", settings.authorization).contains("hush"));
    let hosts = Hosts::new([("api:8088".to_owned(), "127.0.0.1:9".to_owned())].into());
    assert_eq!(settings.address(&hosts).unwrap(), "127.0.0.1:9");
    let missing = [("http.authorization.type", "static")];
    assert_eq!(HttpSettings::parse(&config(&missing)).unwrap_err().object(), "http.headers.authorization");
}
