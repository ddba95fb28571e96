//! Typed settings of the HTTP sink, and the checks that go beyond single options.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use thm_api::{ConfigIssue, ConnectorConfig, Error, ErrorKind, Hosts, Result, Secret};

/// Requests under way at once: enough to hide 30 ms of latency at a thousand records a second.
pub const DEFAULT_MAX_IN_FLIGHT: usize = 32;
/// Requests that one connection has under way when there is a backlog: beyond 16 a request costs no less (3 µs of CPU
/// time against 15 without; measured on loopback), and one that fails takes more with it.
pub const DEFAULT_MAX_PIPELINED: usize = 16;
/// Records in one request, as the original connector has it.
pub const DEFAULT_BATCH_MAX_SIZE: usize = 500;
/// As the original connector has it.
pub const DEFAULT_TIMEOUT_SECONDS: u64 = 30;
/// Most of the original's `kafka.retry.backoff.ms`: a day.
const MAX_BACKOFF_MS: i64 = 86_400_000;

/// How requests are authorized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// Not at all.
    None,
    /// By this value of the Authorization header.
    Static(Secret),
}

/// How several records become one body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batching {
    /// Most records in one request.
    pub max_records: usize,
    /// Before the first.
    pub prefix: String,
    /// Between two.
    pub separator: String,
    /// After the last.
    pub suffix: String,
}

/// All options, parsed.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Where to POST, as the file says it.
    pub url: Url,
    /// Proxy, `host:port`.
    pub proxy: Option<String>,
    /// PEM file of authorities that `https` is believed by; none: the system's.
    pub ca: Option<PathBuf>,
    /// Whether any certificate will do.
    pub trust_all: bool,
    /// How requests are authorized.
    pub authorization: Authorization,
    /// Content-Type and additional headers.
    pub headers: HeaderMap,
    /// None: one request per record.
    pub batching: Option<Batching>,
    /// For one request and its answer.
    pub timeout: Duration,
    /// Connections, and so requests that the target works on at once.
    pub max_in_flight: usize,
    /// Requests sent on a connection before the first is answered.
    pub max_pipelined: usize,
    /// Whether tombstones are posted.
    pub post_deletes: bool,
    /// Whether rows of a snapshot are posted.
    pub post_snapshot: bool,
    /// Header of the idempotency key.
    pub idempotency_header: Option<HeaderName>,
}

impl HttpSettings {
    /// Parses and checks the options; names the first that is wrong.
    pub fn parse(config: &ConnectorConfig) -> Result<Self> {
        if let Some(issue) = issues(config).into_iter().find(|issue| !issue.warning) {
            return Err(invalid(&issue.option, issue.message));
        }
        let url = parse_url(config.require("http.url")?).map_err(|hint| invalid("http.url", hint))?;
        let authorization = match config.text("http.authorization.type", "none") {
            kind if kind.eq_ignore_ascii_case("static") => {
                Authorization::Static(Secret::new(config.require("http.headers.authorization")?))
            }
            _ => Authorization::None,
        };
        let batching = parse_batching(config)?;
        let in_lines =
            batching.as_ref().is_some_and(|batching| batching.separator.contains('\n') && batching.prefix.is_empty());
        let default_type = if in_lines { "application/x-ndjson" } else { "application/json" };
        let mut headers = parse_headers(config).map_err(|hint| invalid("http.headers.additional", hint))?;
        let content_type = HeaderValue::from_str(config.text("http.headers.content.type", default_type))
            .map_err(|_| invalid("http.headers.content.type", "It has characters that no header may have."))?;
        headers.insert(CONTENT_TYPE, content_type);
        Ok(Self {
            url,
            proxy: config.get("http.proxy.host").map(|host| format!("{host}:{}", config.text("http.proxy.port", "80"))),
            ca: config.get("ssl.ca.location").map(PathBuf::from),
            trust_all: config.text("http.ssl.trust.all.certs", "false").eq_ignore_ascii_case("true"),
            authorization,
            headers,
            batching,
            timeout: Duration::from_secs(config.parse("http.timeout", DEFAULT_TIMEOUT_SECONDS)?.max(1)),
            max_in_flight: config.parse("http.max.in.flight", DEFAULT_MAX_IN_FLIGHT)?.max(1),
            max_pipelined: config.parse("http.max.pipelined", DEFAULT_MAX_PIPELINED)?.max(1),
            post_deletes: config.text("delete.mode", "skip").eq_ignore_ascii_case("post"),
            post_snapshot: !config.text("snapshot.mode", "post").eq_ignore_ascii_case("skip"),
            idempotency_header: match config.text("idempotency.header", "Idempotency-Key") {
                "none" => None,
                name => Some(name.parse().map_err(|_| invalid("idempotency.header", "It is no header name."))?),
            },
        })
    }

    /// Where to connect, `host:port`: the proxy, or the URL's host by the `[hosts]` table.
    pub fn address(&self, hosts: &Hosts) -> Result<String> {
        if let Some(proxy) = &self.proxy {
            return Ok(proxy.clone());
        }
        let (host, port) =
            hosts.resolve(self.url.host_str().unwrap_or_default(), self.url.port_or_known_default().unwrap_or(80));
        let address = format!("{host}:{port}");
        match Url::parse(&format!("http://{address}")) {
            Ok(_) => Ok(address),
            Err(_) => Err(invalid("http.url", "The hosts table has no valid address for it.")),
        }
    }

    /// The target's name for messages: without credentials and query, which may hold secrets.
    #[must_use]
    pub fn target(&self) -> String {
        let port = self.url.port_or_known_default().unwrap_or(80);
        format!("{}:{port}{}", self.url.host_str().unwrap_or_default(), self.url.path())
    }
}

/// What is wrong, in the words of the original where it has some.
#[must_use]
pub fn issues(config: &ConnectorConfig) -> Vec<ConfigIssue> {
    let mut issues = Vec::new();
    let mut add = |option: &str, message: String| issues.push(ConfigIssue::error(option, message));
    if let Some(text) = config.get("http.url")
        && let Err(problem) = parse_url(text)
    {
        let shown =
            Url::parse(text).map_or_else(|_| text.to_owned(), |url| url.host_str().unwrap_or_default().to_owned());
        add("http.url", format!("Invalid value {shown} for configuration http.url: {problem}"));
    }
    if config.get("http.url").is_some_and(|url| url.starts_with("https:")) && config.get("http.proxy.host").is_some() {
        let message =
            "Invalid configuration http.proxy.host: https through a proxy is not supported here, leave it out";
        add("http.proxy.host", message.to_owned());
    }
    match config.get("http.authorization.type").map(str::to_lowercase).as_deref() {
        None | Some("none" | "static") => {}
        Some("oauth2") => add(
            "http.authorization.type",
            "Invalid value oauth2 for configuration http.authorization.type: not supported here, use none or static"
                .to_owned(),
        ),
        Some(other) => add(
            "http.authorization.type",
            format!(
                "Invalid value {other} for configuration http.authorization.type: supported values are: [none, oauth2, static]"
            ),
        ),
    }
    let content_type = config.values().get("http.headers.content.type");
    if content_type.is_some_and(|text| text.trim().is_empty()) {
        let message = "Invalid value  for configuration http.headers.content.type: String must be non-blank";
        add("http.headers.content.type", message.to_owned());
    }
    if let Err(problem) = parse_headers(config) {
        add("http.headers.additional", problem);
    }
    if let Some(ms) = config.parse::<i64>("kafka.retry.backoff.ms", 0).ok().filter(|ms| *ms > MAX_BACKOFF_MS) {
        let range = format!("Value must be no more than {MAX_BACKOFF_MS} (24 hours)");
        add("kafka.retry.backoff.ms", format!("Invalid value {ms} for configuration kafka.retry.backoff.ms: {range}"));
    }
    for (option, allowed) in [("delete.mode", ["skip", "post"]), ("snapshot.mode", ["post", "skip"])] {
        let given = config.text(option, allowed[0]);
        if !allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(given)) {
            let list = allowed.join(", ");
            add(option, format!("Invalid value {given} for configuration {option}: String must be one of: {list}"));
        }
    }
    issues
}

fn invalid(option: &str, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, "reading the connector's options", option).with_hint(hint)
}

fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| url.host_str().is_some_and(|host| !host.is_empty()));
    match url {
        Some(url) if ["http", "https"].contains(&url.scheme()) => Ok(url),
        _ => Err("malformed URL".to_owned()),
    }
}

fn parse_headers(config: &ConnectorConfig) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for part in config.list("http.headers.additional") {
        let mut sides = part.split(':');
        let (Some(name), Some(value), None) = (sides.next(), sides.next(), sides.next()) else {
            return Err("Header field should use format header:value".to_owned());
        };
        let (name, value) = (name.trim().parse::<HeaderName>(), HeaderValue::from_str(value.trim()));
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err("Header field should use format header:value".to_owned());
        };
        if headers.insert(name, value).is_some() {
            return Err("Duplicate keys are not allowed (case-insensitive)".to_owned());
        }
    }
    Ok(headers)
}

fn parse_batching(config: &ConnectorConfig) -> Result<Option<Batching>> {
    if !config.text("batching.enabled", "false").eq_ignore_ascii_case("true") {
        return Ok(None);
    }
    // Blanks and line ends mean themselves here.
    let text = |option: &str, default: &str| {
        config.values().get(option).map_or_else(|| default.to_owned(), |text| unescape(text))
    };
    Ok(Some(Batching {
        max_records: config.parse("batch.max.size", DEFAULT_BATCH_MAX_SIZE)?.max(1),
        prefix: text("batch.prefix", ""),
        separator: text("batch.separator", "\n"),
        suffix: text("batch.suffix", "\n"),
    }))
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(other) => other,
                None => '\\',
            },
            letter => letter,
        });
    }
    plain
}

#[cfg(test)]
mod tests;
