//! `database.sslmode` against a server that has TLS: who is believed, and that rows come through it whole.

use std::path::Path;

use rcgen::{CertificateParams, DnType, KeyPair};
use tempfile::TempDir;
use thm_api::ErrorKind;

use crate::harness::Bench;
use crate::postgres::Postgres;

/// A certificate that vouches for itself, and its key, as `NAME.crt` and `NAME.key`.
fn certificate(folder: &Path, name: &str, host: &str) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let signed = params.self_signed(&key).unwrap();
    std::fs::write(folder.join(format!("{name}.crt")), signed.pem()).unwrap();
    let path = folder.join(format!("{name}.key"));
    std::fs::write(&path, key.serialize_pem()).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

fn file(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

/// A server whose certificate is for `localhost`, and which knows the user `certified` by a certificate.
fn server() -> (TempDir, Bench) {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "server", "localhost");
    certificate(folder.path(), "certified", "client");
    let settings = [("ssl_cert_file", "server.crt"), ("ssl_key_file", "server.key"), ("ssl_ca_file", "certified.crt")];
    let settings = settings.map(|(setting, name)| format!("{setting}={}", file(&folder, name)));
    let [certificate, key, ca] = &settings;
    let settings = ["-c", "wal_level=logical", "-c", "ssl=on", "-c", certificate, "-c", key, "-c", ca];
    let mut bench = Bench::new(Postgres::with(&settings));
    bench.set("database.port", &bench.postgres.port.to_string());
    (folder, bench)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_believes_whom_it_should() {
    let (folder, mut bench) = server();
    bench.postgres.allow("hostnossl all all all reject");
    let (root, other) = (file(&folder, "server.crt"), file(&folder, "certified.crt"));
    for (mode, host, root, refused) in [
        ("disable", "localhost", None, true),
        ("prefer", "localhost", None, false),
        ("require", "127.0.0.1", None, false),
        ("verify-ca", "127.0.0.1", Some(&root), false),
        ("verify-full", "localhost", Some(&root), false),
        ("verify-full", "127.0.0.1", Some(&root), true),
        ("verify-ca", "localhost", Some(&other), true),
    ] {
        bench.set("database.sslmode", mode);
        bench.set("database.hostname", host);
        bench.set("database.sslrootcert", root.map_or("", String::as_str));
        let (checked, replicated) = (bench.check().await, crate::transport::connect(&bench).await);
        for result in [checked, replicated] {
            let kind = result.as_ref().err().map(thm_api::Error::kind);
            assert_eq!(kind, refused.then_some(ErrorKind::SourceDenied), "{mode} {host}: {result:?}");
        }
    }
    bench.set("database.sslrootcert", "/nowhere/root.crt");
    let error = bench.check().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("/nowhere/root.crt"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_taken_by_prefer_alone() {
    let mut bench = Bench::new(Postgres::start());
    bench.set("database.sslmode", "prefer");
    bench.check().await.unwrap();
    bench.set("database.sslmode", "require");
    for result in [bench.check().await, crate::transport::connect(&bench).await] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceDenied, "{error}");
        assert!(error.hint().contains("database.sslmode"), "{}", error.hint());
    }
}

/// Snapshot and stream, by a user who has no password but a certificate; values longer than a record of TLS.
#[tokio::test(flavor = "multi_thread")]
async fn rows_come_whole_and_no_session_is_in_clear_text() {
    let (folder, mut bench) = server();
    bench.postgres.psql(
        "CREATE ROLE certified LOGIN SUPERUSER; CREATE TABLE t (id int PRIMARY KEY, text text);
         INSERT INTO t SELECT n, repeat('s', n) FROM generate_series(1, 3000) n",
    );
    bench.postgres.allow("hostssl all certified all cert");
    for (option, value) in [
        ("database.sslmode", "verify-full".to_owned()),
        ("database.hostname", "localhost".to_owned()),
        ("database.user", "certified".to_owned()),
        ("database.password", String::new()),
        ("database.sslrootcert", file(&folder, "server.crt")),
        ("database.sslcert", file(&folder, "certified.crt")),
        ("database.sslkey", file(&folder, "certified.key")),
    ] {
        bench.set(option, &value);
    }
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.postgres.psql(
        "INSERT INTO t SELECT n, repeat('x', n) FROM generate_series(3001, 6000) n;
         INSERT INTO t VALUES (6001, repeat('0123456789', 600000))",
    );
    bench.catch_up(&mut *task).await;
    let sessions = bench.postgres.psql(
        "SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
         WHERE application_name = 'thm source'",
    );
    let (all, encrypted) = sessions.split_once('|').unwrap();
    assert!(all == encrypted && all != "0", "{sessions}");
    assert_eq!(bench.stored.len(), 6_001);
    // A snapshot has rows in the order of the table's pages.
    let mut rows: Vec<_> = bench.stored.iter().map(|row| row.json()["after"].clone()).collect();
    rows.sort_by_key(|row| row["id"].as_u64());
    for (row, id) in rows.iter().zip(1_usize..) {
        let length = if id == 6_001 { 6_000_000 } else { id };
        assert_eq!((row["id"].as_u64(), row["text"].as_str().unwrap().len()), (Some(id as u64), length));
    }
    task.stop().await.unwrap();
}
