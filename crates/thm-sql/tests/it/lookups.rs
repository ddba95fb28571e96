//! Look-ups that ask a real PostgreSQL: what comes out, what is remembered, and what happens while it is away.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thm_api::{Log, TopicSpec};
use thm_dev::process::{Folders, free_ports};
use thm_dev::services::{Postgres, Running};
use thm_sql::{CompileContext, JobManager, JobPlan, JobState, compile};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::fixture::{Bench, reach};

/// A PostgreSQL that can be stopped and started.
struct Server {
    folder: tempfile::TempDir,
    port: u16,
    running: Option<Running<Postgres>>,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("thm-").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let [port] = free_ports().unwrap();
        let mut server = Self { folder, port, running: None };
        server.again().await;
        server
    }

    async fn again(&mut self) {
        let root: &Path = self.folder.path();
        let service = Postgres::new(&root.join("postgres"), self.port, Vec::new()).unwrap();
        let started = Running::start(Arc::new(service), &Folders::create(root).unwrap()).await;
        self.running = Some(started.unwrap_or_else(|failure| panic!("{failure:?}")));
    }

    fn stop(&mut self) {
        tokio::task::block_in_place(|| self.running = None);
    }

    async fn run(&self, sql: &str) {
        let url = self.running.as_ref().unwrap().url();
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
    }

    /// First columns of a query's rows, as text.
    async fn ask(&self, sql: &str) -> Vec<String> {
        let url = self.running.as_ref().unwrap().superuser_url().unwrap();
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let rows = client.simple_query(sql).await.unwrap();
        let texts = rows.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        texts.collect()
    }

    /// Speaks TLS from now on, with a certificate for `localhost` that vouches for itself. Gives its file.
    async fn certify(&self) -> PathBuf {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let url = self.running.as_ref().unwrap().superuser_url().unwrap();
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        // The key must be the server's own file, and nobody else's to read: it writes both itself.
        for (name, pem) in [("server.crt", own.cert.pem()), ("server.key", own.signing_key.serialize_pem())] {
            let lines = format!("SELECT regexp_split_to_table('{}', E'\\n')", pem.trim().replace("\r", ""));
            client.batch_execute(&format!("COPY ({lines}) TO PROGRAM 'umask 077; cat > {name}'")).await.unwrap();
        }
        client.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
        client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let file = self.folder.path().join("root.crt");
        std::fs::write(&file, own.cert.pem()).unwrap();
        file
    }

    /// Queries that ended sessions have run on a table, which has no index.
    async fn scans(&self, table: &str) -> i64 {
        let url = self.running.as_ref().unwrap().url();
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let sql = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = $1";
        for _ in 0..500 {
            let scans: i64 = client.query_one(sql, &[&table]).await.unwrap().get(0);
            if scans > 0 {
                return scans;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        0
    }
}

const USERS: &str = "CREATE TABLE users (id uuid, n int, name varchar(20), code char(4), score numeric(10,3),
    seen timestamptz, active boolean, raw bytea, marks timestamptz[]);
  INSERT INTO users VALUES
    ('00000001-1111-1111-1111-111111111111', 1, 'Ann', 'x', 12.345, '2024-01-02 03:04:05.678901+02', true, '\\x4142',
      '{NULL,2024-01-02 03:04:05.6+02}'),
    ('00000002-1111-1111-1111-111111111111', 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
  CREATE TABLE visits (user_id int, place text);
  INSERT INTO visits VALUES (1, 'home'), (1, 'work'), (2, 'away');";

fn uuid(number: i32) -> String {
    format!("{number:0>8}-1111-1111-1111-111111111111")
}

/// Clicks joined with a table of the database, into a topic.
fn job(port: u16, table: &str, select: &str) -> JobPlan {
    job_at(&format!("127.0.0.1:{port}/thm"), table, select)
}

/// The same, with what stands behind `jdbc:postgresql://`.
fn job_at(place: &str, table: &str, select: &str) -> JobPlan {
    let text = format!(
        "CREATE TABLE clicks (id INT, user_id STRING, n INT, pt AS PROCTIME()) WITH ('connector' = 'kafka', 'topic' = 'clicks',
           'scan.startup.mode' = 'earliest-offset', 'properties.bootstrap.servers' = 'x', 'format' = 'json');
         CREATE TABLE t ({table}, 'connector' = 'jdbc', 'url' = 'jdbc:postgresql://{place}',
           'username' = 'app', 'password' = 'app');
         CREATE TABLE o (line STRING) WITH ('connector' = 'kafka', 'topic' = 'thm.enriched.events',
           'properties.bootstrap.servers' = 'x', 'format' = 'raw');
         SET 'execution.checkpointing.interval' = '50ms';
         SET 'restart-strategy.exponential-delay.initial-backoff' = '50ms';
         INSERT INTO o {select};"
    );
    compile("test.sql", &text, &CompileContext::default()).unwrap_or_else(|error| panic!("{error}")).jobs.remove(0)
}

async fn bench() -> Bench {
    let bench = Bench::new().await;
    bench.log.create_topic(&TopicSpec::new("clicks")).await.unwrap();
    bench
}

async fn click(bench: &Bench, rows: &[(i32, i32)]) {
    let values: Vec<String> =
        rows.iter().map(|(id, user)| format!("{{\"id\":{id},\"user_id\":\"{}\",\"n\":{user}}}", uuid(*user))).collect();
    let records: Vec<(Option<&str>, Option<&str>)> = values.iter().map(|value| (None, Some(value.as_str()))).collect();
    bench.foreign("clicks", &records).await;
}

async fn lines(bench: &Bench, count: usize) -> Vec<String> {
    let found = bench.wait_for(count).await;
    found.iter().map(|record| String::from_utf8_lossy(record.value.as_ref().unwrap()).into_owned()).collect()
}

async fn end(manager: &JobManager, id: &str) {
    manager.cancel(id).unwrap();
    reach(manager, id, JobState::Canceled).await;
}

const BY_ID: &str = "SELECT CONCAT_WS('|', CAST(c.id AS STRING), t.name, t.code, CAST(t.score AS STRING), CAST(t.seen AS STRING), \
     CAST(t.active AS STRING), CAST(t.`raw` AS STRING), CAST(t.marks[2] AS STRING)) FROM clicks c LEFT JOIN t FOR SYSTEM_TIME AS OF c.pt ON t.id = c.user_id";
const COLUMNS: &str = "id STRING, name STRING, code STRING, score DECIMAL(8, 2), seen TIMESTAMP(3), active BOOLEAN, `raw` BYTES, marks ARRAY<TIMESTAMP(1)>, \
     PRIMARY KEY (id) NOT ENFORCED) WITH ('table-name' = 'users'";

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_from_the_database_in_the_order_of_the_stream() {
    let server = Server::start().await;
    server.run(USERS).await;
    let plan = job(server.port, COLUMNS, BY_ID);
    let shown = plan.explain();
    assert!(shown.contains("asks=[users at postgresql://127.0.0.1") && shown.contains("cache=[none]"), "{shown}");
    let bench = bench().await;
    click(&bench, &[(1, 2), (2, 1), (3, 9), (4, 1)]).await;
    let manager = bench.manager();
    let id = manager.submit(plan).unwrap();
    let ann = "Ann|x   |12.35|2024-01-02 01:04:05.678|TRUE|AB|2024-01-02 01:04:05.6";
    assert_eq!(lines(&bench, 4).await, ["1".to_owned(), format!("2|{ann}"), "3".to_owned(), format!("4|{ann}")]);
    end(&manager, &id).await;
    assert_eq!(server.scans("users").await, 1, "one query for all keys of a batch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_several_columns_gives_all_its_rows_and_a_cache_keeps_them() {
    let mut server = Server::start().await;
    server.run(USERS).await;
    let cached = "n INT, place STRING) WITH ('table-name' = '(SELECT user_id AS n, place FROM visits WHERE true) AS v', \
         'lookup.cache' = 'PARTIAL', 'lookup.partial-cache.max-rows' = '100'";
    let select = "SELECT CONCAT_WS('|', CAST(c.id AS STRING), t.place) FROM clicks c JOIN t FOR SYSTEM_TIME AS OF c.pt \
         ON t.n = c.n AND t.place <> 'work'";
    let both = "SELECT CONCAT_WS('|', CAST(c.id AS STRING), t.place) FROM clicks c LEFT JOIN t FOR SYSTEM_TIME AS OF c.pt \
         ON t.n = c.n AND t.place = 'work'";
    for (select, wanted) in [(select, ["1|home", "2|away", "3|home"]), (both, ["1|work", "2", "3|work"])] {
        let bench = bench().await;
        let manager = bench.manager();
        let id = manager.submit(job(server.port, cached, select)).unwrap();
        click(&bench, &[(1, 1), (2, 2), (4, 7)]).await;
        lines(&bench, 2).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        if wanted[1] == "2" {
            // What is cached is not asked again, database or not.
            server.stop();
        }
        click(&bench, &[(3, 1)]).await;
        let found = lines(&bench, if wanted[1] == "2" { 4 } else { 3 }).await;
        let found: Vec<&str> = found.iter().map(String::as_str).filter(|line| *line != "4").collect();
        assert_eq!(found, wanted);
        end(&manager, &id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_the_job_waits_and_loses_nothing() {
    let mut server = Server::start().await;
    server.run(USERS).await;
    let bench = bench().await;
    let manager = bench.manager();
    let columns = format!("{COLUMNS}, 'lookup.max-retries' = '0'");
    let id = manager.submit(job(server.port, &columns, BY_ID)).unwrap();
    click(&bench, &[(1, 1), (2, 2)]).await;
    lines(&bench, 2).await;
    server.stop();
    click(&bench, &[(3, 1), (4, 2)]).await;
    let status = reach(&manager, &id, JobState::Restarting).await;
    assert!(status.exception.unwrap().starts_with("THM-SQL-003 "));
    click(&bench, &[(5, 1)]).await;
    server.again().await;
    let found = lines(&bench, 5).await;
    let numbers: Vec<&str> = found.iter().map(|line| line.split('|').next().unwrap()).collect();
    assert_eq!(numbers, ["1", "2", "3", "4", "5"]);
    server.run("ALTER TABLE users RENAME COLUMN name TO title").await;
    server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'thm look-up'").await;
    click(&bench, &[(6, 1)]).await;
    let status = reach(&manager, &id, JobState::Failed).await;
    let exception = status.exception.unwrap();
    assert!(exception.contains("column \"name\" does not exist"), "{exception}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_without_a_row_is_asked_for_again_as_the_hint_says_and_a_command_does_not_wait_for_it() {
    let server = Server::start().await;
    server.run(USERS).await;
    let hint = "/*+ LOOKUP('table' = 't', 'retry-predicate' = 'lookup_miss', 'retry-strategy' = 'fixed_delay', \
         'fixed-delay' = '20ms', 'max-attempts' = '1000') */";
    let bench = bench().await;
    let manager = bench.manager();
    let select = BY_ID.replacen("SELECT", &format!("SELECT {hint}"), 1);
    let id = manager.submit(job(server.port, COLUMNS, &select)).unwrap();
    click(&bench, &[(1, 3)]).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(bench.output().await.is_empty());
    server.run(&format!("INSERT INTO users (id, name) VALUES ('{}', 'Cy')", uuid(3))).await;
    assert_eq!(lines(&bench, 1).await, ["1|Cy"]);
    click(&bench, &[(2, 4)]).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    end(&manager, &id).await;
    assert_eq!(bench.output().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_believed_by_its_certificate() {
    let server = Server::start().await;
    server.run(USERS).await;
    let (port, root) = (server.port, server.certify().await);
    let place = |host: &str| format!("{host}:{port}/thm?sslmode=verify-full&sslrootcert={}", root.display());
    let bench = bench().await;
    let manager = bench.manager();
    let id = manager.submit(job_at(&place("localhost"), COLUMNS, BY_ID)).unwrap();
    click(&bench, &[(1, 2)]).await;
    assert_eq!(lines(&bench, 1).await, ["1"]);
    let sessions =
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'thm look-up'";
    assert_eq!(server.ask(sessions).await, ["t"]);
    end(&manager, &id).await;
    let id = manager.submit(job_at(&place("127.0.0.1"), COLUMNS, BY_ID)).unwrap();
    click(&bench, &[(2, 2)]).await;
    let exception = reach(&manager, &id, JobState::Failed).await.exception.unwrap();
    let told = ["THM-SQL-004", "127.0.0.1", "not valid for name"];
    assert!(told.iter().all(|words| exception.contains(words)), "{exception}");
}
