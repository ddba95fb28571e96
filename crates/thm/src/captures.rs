//! Which tables the source connectors capture, for SQL files that look them up.

use std::sync::Arc;

use thm_api::ConnectorConfig;
use thm_connect::Herder;
use thm_source::options::Options;
use thm_sql::{Capture, CompileContext};

use crate::config::{Config, read_text};
use crate::connect_client::ConnectClient;

/// What SQL is compiled against while these connectors are there.
pub fn context(herder: &Herder) -> CompileContext {
    let sources = herder.names().into_iter().filter_map(|name| {
        let written = herder.info(&name).ok()?.config;
        let written = written.into_iter().filter_map(|(option, text)| Some((option, text?))).collect();
        capture(&thm_connect::resolve_secrets(&written).ok()?)
    });
    CompileContext { sources: sources.collect(), ..CompileContext::default() }
}

/// The same of an engine that runs elsewhere, asked over its Connect REST API; none if it does not answer.
pub async fn of_engine(url: &str) -> Option<CompileContext> {
    let connectors = ConnectClient::new(url).ok()?.get("/connectors?expand=info").await.ok()?;
    let sources = connectors.as_object()?.values().filter_map(|connector| {
        let written = connector["info"]["config"].as_object()?.iter();
        let options = written.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        capture(&ConnectorConfig::new(options.collect()))
    });
    Some(CompileContext { sources: sources.collect(), ..CompileContext::default() })
}

/// The same of the connector files of a configuration, whether an engine runs or not. A file that is no connector's is left
/// out: `thm run --check` says what is wrong with it.
pub fn of_files(config: &Config) -> CompileContext {
    let sources = config.connector_files().unwrap_or_default().into_iter().filter_map(|file| {
        let (_, written) = thm_connect::parse_connector(&read_text(&file).ok()?, &file).ok()?;
        let written = written.into_iter().filter_map(|(option, text)| Some((option, text?))).collect();
        // Secrets may be known to the engine alone; what is captured does not depend on them.
        capture(&thm_connect::resolve_secrets(&written).unwrap_or_else(|_| ConnectorConfig::new(written)))
    });
    CompileContext { sources: sources.collect(), ..CompileContext::default() }
}

/// What a connector captures, if it is a source; one with wrong options fails elsewhere.
fn capture(config: &ConnectorConfig) -> Option<Capture> {
    let class = config.get("connector.class")?.rsplit('.').next()?;
    let options = matches!(class, "PostgresConnector" | "Postgres").then(|| Options::parse(config))?.ok()?;
    let database = options.database.clone();
    let topic =
        move |schema: &str, table: &str| options.filter.includes(schema, table).then(|| options.topic(schema, table));
    Some(Capture { database, topic: Arc::new(topic) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_source_says_what_it_captures_and_others_say_nothing() {
        let option = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let source = [
            ("connector.class", "io.debezium.connector.postgresql.PostgresConnector"),
            ("database.hostname", "postgres"),
            ("database.dbname", "thm"),
            ("database.user", "app"),
            ("topic.prefix", "pg"),
            ("table.include.list", "public.content"),
        ];
        let capture = capture(&ConnectorConfig::new(source.into_iter().map(option).collect())).unwrap();
        assert_eq!(capture.database, "thm");
        assert_eq!((capture.topic)("public", "content").as_deref(), Some("pg.public.content"));
        assert_eq!((capture.topic)("public", "users"), None);
        // The same from a file, whose secret is known elsewhere.
        let folder = tempfile::tempdir().unwrap();
        let mut written: std::collections::BTreeMap<&str, &str> = source.into_iter().collect();
        written.extend([("name", "pg"), ("database.password", "${env:THM_NO_SUCH_SECRET}")]);
        std::fs::write(folder.path().join("a.json"), serde_json::to_vec(&written).unwrap()).unwrap();
        std::fs::write(folder.path().join("b.json"), "no connector").unwrap();
        let connectors = vec![format!("{}/*.json", folder.path().display())];
        let of_files = of_files(&Config { connectors, ..Config::default() });
        assert_eq!(of_files.sources.len(), 1);
        assert_eq!((of_files.sources[0].topic)("public", "content").as_deref(), Some("pg.public.content"));
        let sink = ConnectorConfig::new([("connector.class", "x.HttpSinkConnector")].map(option).into());
        assert!(super::capture(&sink).is_none());
    }
}
