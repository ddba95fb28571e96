//! PARSE_URL, as Java's `java.net.URL` takes a text apart.

use super::bind::{Bound, maybe, take};
use super::{Call, Function};
use crate::expr::{EvalError, Expr, Vector};
use crate::types::LogicalType;

pub(super) const FUNCTIONS: &[Function] =
    &[Function::new("PARSE_URL", "Write PARSE_URL(url, 'HOST') or PARSE_URL(url, 'QUERY', 'key').", bind, parse_url)];

/// Protocols that Java's `URL` knows; any other is no URL.
const PROTOCOLS: &[&str] = &["http", "https", "ftp", "file", "jar", "jmod", "jrt", "mailto"];

fn bind(arguments: Vec<Expr>) -> Bound {
    maybe(take(arguments, &["tt", "ttt"])?, LogicalType::STRING)
}

struct Url<'a> {
    protocol: &'a str,
    authority: Option<&'a str>,
    user: Option<&'a str>,
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    /// Path and query.
    file: &'a str,
    fragment: Option<&'a str>,
}

fn parse(text: &str) -> Option<Url<'_>> {
    let text = text.trim();
    let (protocol, rest) = text.split_once(':')?;
    if !PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(protocol)) {
        return None;
    }
    let (rest, fragment) = match rest.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (rest, None),
    };
    let (authority, file) = match rest.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        }
        None => (None, rest),
    };
    let (user, place) = match authority.and_then(|authority| authority.rsplit_once('@')) {
        Some((user, place)) => (Some(user), place),
        None => (None, authority.unwrap_or("")),
    };
    let host = match place.rfind(':').filter(|at| !place[*at..].contains(']')) {
        Some(at) if place[at + 1..].bytes().all(|byte| byte.is_ascii_digit()) => &place[..at],
        Some(_) => return None,
        None => place,
    };
    let (path, query) = match file.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (file, None),
    };
    Some(Url { protocol, authority, user, host, path, query, file, fragment })
}

fn parse_url(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.slices(|row| {
        let url = parse(call.text(0, row))?;
        let part = call.text(1, row);
        if call.len() == 3 {
            let wanted = call.text(2, row);
            let mut pairs = url.query.filter(|_| part == "QUERY")?.split('&');
            return pairs
                .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == wanted).map(|(_, value)| value));
        }
        match part {
            "HOST" => Some(url.host),
            "PATH" => Some(url.path),
            "QUERY" => url.query,
            "REF" => url.fragment,
            "PROTOCOL" => Some(url.protocol),
            "FILE" => Some(url.file),
            "AUTHORITY" => url.authority,
            "USERINFO" => url.user,
            _ => None,
        }
    })
}
