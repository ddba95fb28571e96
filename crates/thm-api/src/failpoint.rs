//! Failpoints: single mechanisms that a test switches off, to see that its guarantee falls without them.
//!
//! Names come from the environment variable `THM_FAILPOINT` (`clickhouse.no-token,redis.no-fence`), or from a test's
//! own hands. For tests only: each one breaks a promise on purpose. Tasks look them up once, when they are made.

use std::sync::Arc;

use crate::{Error, ErrorKind, Result};

/// Environment variable that names failpoints, separated by commas.
pub const FAILPOINT_VARIABLE: &str = "THM_FAILPOINT";

/// The failpoints of this process; none outside tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failpoints(Arc<[String]>);

impl Failpoints {
    /// From `THM_FAILPOINT`.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::parse(&std::env::var(FAILPOINT_VARIABLE).unwrap_or_default())
    }

    /// From names separated by commas.
    #[must_use]
    pub fn parse(names: &str) -> Self {
        let names = names.split(',').map(str::trim).filter(|name| !name.is_empty());
        Self(names.map(str::to_owned).collect())
    }

    /// Whether this one is active.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|active| active == name)
    }

    /// The active ones named `<area>.…`; one that is not in `known` is an error, for a test that switches nothing off
    /// would prove nothing.
    pub fn of_area(&self, area: &str, known: &[&str]) -> Result<Vec<&str>> {
        let in_area = |name: &&String| name.strip_prefix(area).is_some_and(|rest| rest.starts_with('.'));
        let names: Vec<&str> = self.0.iter().filter(in_area).map(String::as_str).collect();
        match names.iter().find(|name| !known.contains(name)) {
            None => Ok(names),
            Some(name) => Err(Error::new(ErrorKind::InvalidConfig, "reading the failpoints of THM_FAILPOINT", *name)
                .with_hint(format!("There are {}.", known.join(", ")))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_area_and_unknown_ones_are_named() {
        let failpoints = Failpoints::parse("redis.no-fence, log.fail-sync:t-0,");
        assert!(failpoints.has("redis.no-fence") && !failpoints.has("redis"));
        assert_eq!(failpoints.of_area("redis", &["redis.no-fence"]).ok(), Some(vec!["redis.no-fence"]));
        assert_eq!(failpoints.of_area("http", &[]).ok(), Some(Vec::new()));
        let error = failpoints.of_area("redis", &["redis.no-take-back"]).err();
        assert_eq!(error.map(|error| error.object().to_owned()).as_deref(), Some("redis.no-fence"));
    }
}
