//! The route table: which resource a path names, and which methods it has.

use axum::http::Method;

/// A path that Connect's server refuses: it can be read in two ways.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PathProblem(pub(super) &'static str);

/// What a path names. Names are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource<'a> {
    Root,
    Health,
    Connectors,
    Connector(&'a str),
    Config(&'a str),
    Status(&'a str),
    Restart(&'a str),
    Pause(&'a str),
    Resume(&'a str),
    Stop(&'a str),
    Tasks(&'a str),
    Fence(&'a str),
    TaskStatus(&'a str, u32),
    TaskRestart(&'a str, u32),
    Topics(&'a str),
    TopicsReset(&'a str),
    Offsets(&'a str),
    Plugins,
    PluginConfig(&'a str),
    Validate(&'a str),
    Loggers,
    Logger(&'a str),
}

impl<'a> Resource<'a> {
    /// The resource of a path.
    pub(super) fn of(segments: &[&'a str]) -> Option<Self> {
        Some(match *segments {
            [] => Self::Root,
            ["health"] => Self::Health,
            ["connectors"] => Self::Connectors,
            ["connectors", name] => Self::Connector(name),
            ["connectors", name, what] => match what {
                "config" => Self::Config(name),
                "status" => Self::Status(name),
                "restart" => Self::Restart(name),
                "pause" => Self::Pause(name),
                "resume" => Self::Resume(name),
                "stop" => Self::Stop(name),
                "tasks" => Self::Tasks(name),
                "fence" => Self::Fence(name),
                "topics" => Self::Topics(name),
                "offsets" => Self::Offsets(name),
                _ => return None,
            },
            ["connectors", name, "topics", "reset"] => Self::TopicsReset(name),
            ["connectors", name, "tasks", task, "status"] => Self::TaskStatus(name, task.parse().ok()?),
            ["connectors", name, "tasks", task, "restart"] => Self::TaskRestart(name, task.parse().ok()?),
            ["connector-plugins"] => Self::Plugins,
            ["connector-plugins", class, "config"] => Self::PluginConfig(class),
            ["connector-plugins", class, "config", "validate"] => Self::Validate(class),
            ["admin", "loggers"] => Self::Loggers,
            ["admin", "loggers", name] => Self::Logger(name),
            _ => return None,
        })
    }

    /// Its methods; HEAD comes with GET, OPTIONS with all.
    pub(super) const fn methods(&self) -> &'static [&'static str] {
        match self {
            Self::Root | Self::Health | Self::Status(_) | Self::TaskStatus(..) | Self::Topics(_) | Self::Plugins => {
                &["GET"]
            }
            Self::PluginConfig(_) | Self::Loggers => &["GET"],
            Self::Connectors | Self::Tasks(_) => &["POST", "GET"],
            Self::Connector(_) => &["GET", "DELETE"],
            Self::Config(_) => &["GET", "PUT", "PATCH"],
            Self::Restart(_) | Self::TaskRestart(..) => &["POST"],
            Self::Pause(_) | Self::Resume(_) | Self::Stop(_) => &["PUT"],
            Self::Fence(_) | Self::TopicsReset(_) | Self::Validate(_) => &["PUT"],
            Self::Offsets(_) => &["GET", "PATCH", "DELETE"],
            Self::Logger(_) => &["GET", "PUT"],
        }
    }

    /// Whether its body is read.
    pub(super) fn takes_body(&self, method: &Method) -> bool {
        match self {
            Self::Connectors => method == Method::POST,
            Self::Config(_) | Self::Validate(_) | Self::Logger(_) => method != Method::GET,
            Self::Offsets(_) => method == Method::PATCH,
            _ => false,
        }
    }
}

/// The decoded segments of a path; a slash at its end counts for nothing.
pub(super) fn segments(path: &str) -> Result<Vec<String>, PathProblem> {
    if path.contains("//") {
        return Err(PathProblem("Ambiguous URI empty segment"));
    }
    let lower = path.to_ascii_lowercase();
    if lower.contains("%2f") {
        return Err(PathProblem("Ambiguous URI path separator"));
    }
    if lower.contains("%25") {
        return Err(PathProblem("Ambiguous URI path encoding"));
    }
    let parts = path.split('/').filter(|part| !part.is_empty());
    Ok(parts.map(|part| decode(part, false)).collect())
}

/// Names and values of a query string.
pub(super) fn query(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let split = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    split.map(|(name, value)| (decode(name, true), decode(value, true))).collect()
}

/// Undoes percent encoding; bytes that are no UTF-8 become the replacement character.
fn decode(text: &str, plus_is_blank: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = (*byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(if plus_is_blank && *byte == b'+' { b' ' } else { *byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A connector's name in a `Location` header, encoded as Connect does it: slashes and percent signs stay.
pub(super) fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_are_decoded_and_ambiguous_ones_refused() {
        assert_eq!(segments("/connectors/a%20b/status").unwrap(), ["connectors", "a b", "status"]);
        assert_eq!(segments("/connectors/a+%C3%BC/").unwrap(), ["connectors", "a+ü"]);
        assert!(segments("//connectors").is_err());
        assert!(segments("/connectors/a%2Fb").is_err());
        assert_eq!(encode("a b/ü?"), "a%20b/%C3%BC%3F");
    }

    #[test]
    fn unknown_paths_have_no_resource() {
        assert_eq!(Resource::of(&["connectors", "x", "tasks", "0", "status"]), Some(Resource::TaskStatus("x", 0)));
        assert_eq!(Resource::of(&["connectors", "x", "tasks", "y", "status"]), None);
        assert_eq!(Resource::of(&["connectors", "x", "tasks-config"]), None);
    }
}
