//! What a service may be called: our name, the original stack's service names, and Docker's container names.

/// Our name, and the others it answers to. The product is one process where the original has several.
const NAMES: [(&str, &[&str]); 6] = [
    ("postgres", &["pg", "postgresql", "db"]),
    ("redis", &[]),
    ("clickhouse", &["ch"]),
    ("external-api", &["mock-api", "mock", "api"]),
    (
        "run",
        &[
            "thm",
            "engine",
            "redpanda",
            "kafka",
            "connect",
            "flink",
            "flink-jm",
            "flink-tm",
            "jobmanager",
            "taskmanager",
            "http-sink",
            "redis-agg",
            "debezium",
        ],
    ),
    ("generator", &["generate", "event-generator", "data-generator"]),
];

/// Our name for what the user calls `name`: `thm-postgres-1` is `postgres`, `flink-jm` is `run`.
#[must_use]
pub(super) fn resolve(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    // Docker compose names a container PROJECT-SERVICE-NUMBER.
    let service = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('-');
    let mut rest = service;
    loop {
        let found = NAMES.iter().find(|(own, others)| *own == rest || others.contains(&rest));
        if let Some((own, _)) = found {
            return Some(own);
        }
        rest = rest.split_once('-')?.1;
    }
}

/// All of our names, for an error message.
#[must_use]
pub(super) fn all() -> String {
    NAMES.map(|(own, _)| own).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_originals_names_are_understood() {
        for (given, own) in [
            ("postgres", "postgres"),
            ("thm-postgres-1", "postgres"),
            ("thamanya_demo-redpanda-1", "run"),
            ("kafka", "run"),
            ("flink-jm", "run"),
            ("thm_flink-jm_1", "run"),
            ("connect", "run"),
            ("external-api", "external-api"),
            ("thm-external-api-1", "external-api"),
            ("Redis", "redis"),
            ("redis-agg", "run"),
            ("thm-generator-1", "generator"),
        ] {
            assert_eq!(resolve(given), Some(own), "{given}");
        }
        assert_eq!(resolve("airflow"), None);
        assert_eq!(resolve(""), None);
    }
}
