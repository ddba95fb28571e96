//! Publications that the source makes, extends and watches, and the replica identities that go with them.

use std::time::Duration;

use thm_api::ErrorKind;

use crate::harness::Bench;
use crate::postgres::Postgres;

const TABLES: &str = "
CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL, v text);
CREATE UNIQUE INDEX t_code ON t (code);
CREATE TABLE u (id int PRIMARY KEY);
INSERT INTO t VALUES (1, 'a', 'x')";

fn bench(mode: &str, tables: &str) -> Bench {
    let mut bench = Bench::new(Postgres::start());
    bench.postgres.psql(TABLES);
    bench.set("publication.autocreate.mode", mode);
    bench.set("table.include.list", tables);
    bench
}

fn published(bench: &Bench) -> String {
    bench.postgres.psql("SELECT string_agg(tablename, ',' ORDER BY tablename) FROM pg_publication_tables")
}

/// Without a look at the catalog nothing would tell of it: the stream is just silent.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_leaves_the_publication_stops_the_running_task() {
    let mut bench = bench("filtered", "public.t,public.u");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    // One that is dropped for good leaves it, too.
    bench.postgres.psql("DROP TABLE u");
    tokio::time::sleep(Duration::from_secs(3)).await;
    bench.postgres.psql("INSERT INTO t VALUES (2, 'b', 'y')");
    bench.catch_up(&mut *task).await;
    bench.postgres.psql("ALTER PUBLICATION dbz_publication DROP TABLE t");
    let error = bench.failure(&mut *task).await;
    assert_eq!(error.kind(), ErrorKind::CaptureMismatch, "{error}");
    assert!(error.object().contains("without public.t") && error.hint().contains("ADD TABLE"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_goes_away_stops_the_running_task() {
    let mut bench = bench("all_tables", "public.t");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    bench.postgres.psql("DROP PUBLICATION dbz_publication");
    let error = bench.failure(&mut *task).await;
    assert_eq!(error.kind(), ErrorKind::SlotUnsafe, "{error}");
    assert!(error.to_string().contains("was dropped") && error.hint().contains("thm.start=resnapshot"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn filtered_gives_the_publication_what_it_lacks() {
    let mut bench = bench("filtered", "public.t");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    assert_eq!(published(&bench), "t");
    task.stop().await.unwrap();
    bench.set("table.include.list", "public.t,public.u");
    let mut task = bench.start_again().await;
    assert_eq!(published(&bench), "t,u");
    bench.postgres.psql("INSERT INTO u VALUES (7)");
    bench.catch_up(&mut *task).await;
    assert_eq!(bench.stored.last().unwrap().key_text(), "{\"id\":7}");
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_tables_leaves_them_to_the_publications_owner() {
    let mut bench = bench("no_tables", "public.t,public.u");
    let mut task = bench.start().await.unwrap();
    bench.catch_up(&mut *task).await;
    assert_eq!(published(&bench), "");
    bench.postgres.psql("ALTER PUBLICATION dbz_publication ADD TABLE u; INSERT INTO u VALUES (7)");
    bench.catch_up(&mut *task).await;
    assert_eq!(bench.stored.last().unwrap().key_text(), "{\"id\":7}");
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn replica_identities_are_set_where_they_differ() {
    let mut bench = bench("all_tables", "public.t,public.u");
    let identities = "SELECT string_agg(relname || relreplident::text, ',' ORDER BY relname) FROM pg_class WHERE relname IN ('t', 'u')";
    bench.set("replica.identity.autoset.values", "public.t:INDEX t_code,public.u:FULL");
    let mut task = bench.start().await.unwrap();
    assert_eq!(bench.postgres.psql(identities), "ti,uf");
    bench.catch_up(&mut *task).await;
    bench.postgres.psql("INSERT INTO u VALUES (1); UPDATE u SET id = 1");
    bench.catch_up(&mut *task).await;
    assert_eq!(bench.stored.last().unwrap().rows_text().0, "{\"id\":1}");
    task.stop().await.unwrap();

    // Who may replicate need not own the tables.
    bench.postgres.psql(
        "CREATE ROLE guest LOGIN REPLICATION PASSWORD 'guest'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest",
    );
    bench.set("database.user", "guest");
    bench.set("database.password", "guest");
    bench.set("replica.identity.autoset.values", "public.t:FULL");
    let error = bench.start().await.err().unwrap();
    assert_eq!((error.kind(), error.object()), (ErrorKind::SourceDenied, "public.t"), "{error}");
    assert!(error.hint().contains("ALTER TABLE \"public\".\"t\" REPLICA IDENTITY FULL"), "{}", error.hint());
}

/// The stream has only what is published; the snapshot has all unless it is told otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_takes_what_is_published_if_asked() {
    for (filter, first) in [("none", r#"{"id":1,"code":"a","v":"x"}"#), ("publication", r#"{"id":11,"code":"k"}"#)] {
        let mut bench = bench("disabled", "public.t");
        bench.postgres.psql("INSERT INTO t VALUES (11, 'k', 'y')");
        bench.postgres.psql("CREATE PUBLICATION dbz_publication FOR TABLE t (id, code) WHERE (id > 10)");
        bench.set("thm.snapshot.filter", filter);
        let mut task = bench.start().await.unwrap();
        bench.catch_up(&mut *task).await;
        assert_eq!(bench.stored[0].rows_text().1, first);
        bench.postgres.psql("INSERT INTO t VALUES (2, 'b', 'z'), (12, 'l', 'z')");
        bench.catch_up(&mut *task).await;
        assert_eq!(bench.stored.last().unwrap().rows_text().1, r#"{"id":12,"code":"l"}"#);
        assert_eq!(bench.stored.len(), if filter == "none" { 3 } else { 2 });
        task.stop().await.unwrap();
    }
}
