//! How the stream is asked for, and who tells the slot how far we are.

use thm_api::{ConnectorConfig, Result};

use super::{choose, invalid};

const PARAMS: &str = "slot.stream.params";
/// Parameters of pgoutput on which the reading of its messages depends, or that other options tell.
const OURS: [&str; 6] = ["proto_version", "publication_names", "binary", "streaming", "two_phase", "messages"];

/// `slot.stream.params`; what the server does not know, it refuses itself.
pub(super) fn params(config: &ConnectorConfig) -> Result<Vec<(String, String)>> {
    let mut found: Vec<(String, String)> = Vec::new();
    for part in config.text(PARAMS, "").split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| {
            invalid(PARAMS, part).with_hint(format!("`{part}` is no parameter: write name=value, with ; between them."))
        })?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        {
            return Err(invalid(PARAMS, part).with_hint(format!("`{name}` is no parameter's name.")));
        }
        if OURS.contains(&name.as_str()) {
            let hint = format!("`{name}` is set by this connector, which reads no other form: leave it out.");
            return Err(invalid(PARAMS, part).with_hint(hint));
        }
        if found.iter().any(|(other, _)| *other == name) {
            return Err(invalid(PARAMS, part).with_hint(format!("`{name}` is there twice.")));
        }
        found.push((name, value));
    }
    Ok(found)
}

/// `lsn.flush.mode`, or `flush.lsn.source` where that is not set. What the driver would tell on its own,
/// `connector_and_driver`, this connector tells in any case: that nothing is pending up to a keepalive's place.
pub(super) fn is_flushed_by_hand(config: &ConnectorConfig) -> Result<bool> {
    const MODE: &str = "lsn.flush.mode";
    if config.get(MODE).is_none() {
        return config.parse("flush.lsn.source", true).map(|connector: bool| !connector);
    }
    let mode = choose(config, MODE, "connector", |text| match text {
        "connector" | "connector_and_driver" => Some(false),
        "manual" => Some(true),
        _ => None,
    });
    mode.map_err(|error| error.with_hint("Value must be one of connector_and_driver, connector, manual"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> ConnectorConfig {
        ConnectorConfig::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn parameters_are_read_and_ours_refused() {
        let read = |text: &str| params(&config(&[(PARAMS, text)]));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(" origin = none ; x=1;").unwrap(), [pair("origin", "none"), pair("x", "1")]);
        assert!(params(&config(&[])).unwrap().is_empty());
        for (text, word) in [
            ("other", "name=value"),
            ("binary=false", "`binary`"),
            ("PROTO_VERSION=4", "`proto_version`"),
            ("messages=false", "`messages`"),
            ("a b=1", "no parameter's name"),
            ("origin=none;origin=any", "twice"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.object() == PARAMS && error.hint().contains(word), "{text}: {}", error.hint());
        }
    }

    #[test]
    fn who_tells_the_slot() {
        let by_hand = |pairs: &[(&str, &str)]| is_flushed_by_hand(&config(pairs));
        let (mode, older) = ("lsn.flush.mode", "flush.lsn.source");
        assert!(!by_hand(&[]).unwrap() && !by_hand(&[(mode, "Connector")]).unwrap());
        assert!(by_hand(&[(mode, "manual")]).unwrap() && by_hand(&[(older, "false")]).unwrap());
        assert!(!by_hand(&[(mode, "connector_and_driver"), (older, "false")]).unwrap(), "the newer one counts");
        let error = by_hand(&[(mode, "sometimes")]).unwrap_err();
        assert!(error.hint().contains("must be one of"), "{}", error.hint());
    }
}
