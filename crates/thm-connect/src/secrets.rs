//! `${env:NAME}` and `${file:path:key}`: secrets that stand elsewhere.
//!
//! Options as written go in, options with their secrets come out, for the task alone. What REST, logs and the
//! dashboard print is always the text as written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use thm_api::{ConnectorConfig, Error, ErrorKind, Result};

/// Kafka's pattern of a config provider's variable: provider, optional path, key.
static VARIABLE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\$\{([^}]*?):(?:([^}]*):)?([^}]*?)\}").expect("the pattern is constant"));

/// Whether the text names a secret that stands elsewhere.
pub(crate) fn is_variable(text: &str) -> bool {
    VARIABLE.is_match(text)
}

/// The options with every variable replaced by what it stands for.
pub fn resolve(written: &BTreeMap<String, String>) -> Result<ConnectorConfig> {
    let mut values = BTreeMap::new();
    for (option, text) in written {
        values.insert(option.clone(), resolve_text(option, text)?);
    }
    Ok(ConnectorConfig::new(values))
}

fn resolve_text(option: &str, text: &str) -> Result<String> {
    if !text.contains("${") {
        return Ok(text.to_owned());
    }
    let mut failed = None;
    let resolved = VARIABLE.replace_all(text, |found: &Captures<'_>| {
        let part = |index| found.get(index).map_or("", |part| part.as_str());
        match look_up(option, part(1), part(2), part(3)) {
            // A provider that we do not have: not ours, as Kafka leaves it.
            Ok(None) => part(0).to_owned(),
            Ok(Some(value)) => value,
            Err(error) => {
                failed.get_or_insert(error);
                String::new()
            }
        }
    });
    match failed {
        None => Ok(resolved.into_owned()),
        Some(error) => Err(error),
    }
}

fn look_up(option: &str, provider: &str, path: &str, key: &str) -> Result<Option<String>> {
    let missing = |hint: String| Error::new(ErrorKind::InvalidConfig, "resolving a secret", option).with_hint(hint);
    match provider {
        "env" => match std::env::var(key) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(missing(format!("Set the environment variable {key}."))),
        },
        "file" => {
            let text = std::fs::read_to_string(Path::new(path))
                .map_err(|error| missing(format!("Make the file {path} readable.")).with_source(error))?;
            match property(&text, key) {
                Some(value) => Ok(Some(value)),
                None => Err(missing(format!("Add a line {key}=… to {path}."))),
            }
        }
        _ => Ok(None),
    }
}

/// The value of `key` in the text of a Java properties file.
fn property(text: &str, key: &str) -> Option<String> {
    let entries = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!']));
    let mut pairs = entries.filter_map(|line| line.split_once(['=', ':']));
    pairs.rfind(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn resolved(text: &str) -> Result<String> {
        let config = resolve(&BTreeMap::from([("password".to_owned(), text.to_owned())]))?;
        Ok(config.values()["password"].clone())
    }

    #[test]
    fn variables_are_replaced_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.properties");
        std::fs::write(&path, "# comment\nuser = app\npassword=p=q\n").unwrap();
        let text = format!("a-${{file:{}:password}}-b", path.display());
        assert_eq!(resolved(&text).unwrap(), "a-p=q-b");
        assert_eq!(resolved("${env:PATH}").unwrap(), std::env::var("PATH").unwrap());
        assert_eq!(resolved("${vault:a:b} $x {y}").unwrap(), "${vault:a:b} $x {y}");
    }

    #[test]
    fn a_missing_secret_names_the_option_and_not_a_value() {
        let error = resolved("${env:THM_NO_SUCH_VARIABLE}").unwrap_err();
        assert_eq!(error.object(), "password");
        assert!(error.hint().contains("THM_NO_SUCH_VARIABLE"));
        assert!(resolved("${file:/no/such/file:x}").is_err());
    }
}
