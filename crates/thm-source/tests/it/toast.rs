//! Values that PostgreSQL leaves out of updates: completed from the store, whatever was killed whenever.

use thm_api::{ErrorKind, SourceTask, TopicPartition};

use crate::harness::Bench;

const TOPIC: &str = "pg.public.docs";

/// Random text does not compress, so three thousand characters are stored out of line.
const TABLE: &str = "
CREATE FUNCTION noise(seed int) RETURNS text LANGUAGE sql AS
  'SELECT string_agg(md5(seed || ''-'' || n), '''') FROM generate_series(1, 100) n';
CREATE TABLE docs (id int PRIMARY KEY, note text, body text, extra jsonb, blob bytea);
INSERT INTO docs SELECT n, 'first', noise(n), jsonb_build_object('a', noise(n + 100)), decode(noise(n + 200), 'hex') FROM generate_series(1, 3) n;
";

struct Docs {
    bench: Bench,
    _folder: tempfile::TempDir,
}

impl Docs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench::demo();
        bench.postgres.psql(TABLE);
        bench.set("thm.toast.mode", "hydrate");
        bench.set("thm.toast.dir", folder.path().to_str().unwrap());
        bench.set("table.include.list", "public.docs");
        Self { bench, _folder: folder }
    }

    /// The rows of the database, as `key: note, md5 of each large value`.
    fn expected(&self) -> Vec<String> {
        let sql = "SELECT id || ' ' || note || ' ' || md5(body) || ' ' || md5(extra::text) || ' ' || \
                   md5(encode(blob, 'base64')) FROM docs ORDER BY id";
        let mut rows: Vec<_> = self.bench.postgres.psql(sql).lines().map(str::to_owned).collect();
        rows.sort();
        rows
    }

    /// The last state of each key in the topic, in the same form.
    fn given(&self) -> Vec<String> {
        let mut last = std::collections::BTreeMap::new();
        for record in self.bench.stored.iter().filter(|record| record.topic == TOPIC) {
            let value = record.json();
            assert!(!value.to_string().contains("__debezium_unavailable"), "{value}");
            match value.get("after").filter(|after| !after.is_null()) {
                Some(after) => drop(last.insert(record.key_text(), after.clone())),
                None => drop(last.remove(&record.key_text())),
            }
        }
        let md5 = |value: &serde_json::Value| {
            let text = value.as_str().unwrap().replace('\n', "");
            self.bench.postgres.psql(&format!("SELECT md5($q${text}$q$)"))
        };
        // base64 in PostgreSQL has line breaks, ours has none.
        let blob = |value: &serde_json::Value| {
            let text = value.as_str().unwrap();
            self.bench.postgres.psql(&format!("SELECT md5(encode(decode($q${text}$q$, 'base64'), 'base64'))"))
        };
        let line = |row: &serde_json::Value| {
            let (note, body, extra) = (row["note"].as_str().unwrap(), md5(&row["body"]), md5(&row["extra"]));
            format!("{} {note} {body} {extra} {}", row["id"], blob(&row["blob"]))
        };
        let mut rows: Vec<_> = last.values().map(line).collect();
        rows.sort();
        rows
    }

    async fn follows(&mut self, task: &mut dyn SourceTask) {
        self.bench.catch_up(task).await;
        assert_eq!(self.given(), self.expected());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_keys_and_deletes_never_show_a_placeholder() {
    let mut docs = Docs::new();
    let mut task = docs.bench.start().await.unwrap();
    docs.follows(&mut *task).await;
    docs.bench.postgres.psql(
        "INSERT INTO docs SELECT 4, 'new', noise(4), jsonb_build_object('a', noise(104)), decode(noise(204), 'hex');
         UPDATE docs SET note = 'second';
         UPDATE docs SET id = 10 WHERE id = 1;
         UPDATE docs SET note = 'moved' WHERE id = 10;
         BEGIN; UPDATE docs SET body = noise(5) WHERE id = 2; UPDATE docs SET note = 'x' WHERE id = 2;
           SAVEPOINT s; UPDATE docs SET note = 'y' WHERE id = 2; COMMIT;
         DELETE FROM docs WHERE id = 3;
         INSERT INTO docs SELECT 3, 'again', noise(6), '1', ''; UPDATE docs SET note = 'still' WHERE id = 3",
    );
    docs.follows(&mut *task).await;
    // Arrow rows are complete too.
    let rows = &docs.bench.decoded.last().unwrap().1;
    let body = rows.rows.column_by_name("body").unwrap();
    let deleted = rows.meta.iter().filter(|meta| meta.kind == thm_api::RowKind::Delete).count();
    assert_eq!(arrow::array::Array::null_count(body), deleted, "only a delete by its key has no value");
    task.stop().await.unwrap();
    docs.bench.postgres.psql("UPDATE docs SET note = 'while stopped'");
    let mut task = docs.bench.start_again().await;
    docs.bench.postgres.psql("UPDATE docs SET note = 'after'; UPDATE docs SET id = id + 100");
    docs.follows(&mut *task).await;
    // With the whole old row told, a change of key is a create that shows none of it and is completed from it.
    docs.bench.postgres.psql("ALTER TABLE docs REPLICA IDENTITY FULL; UPDATE docs SET id = id + 1000, note = 'full'");
    docs.follows(&mut *task).await;
    // What was told while it was so is still known when it is not.
    docs.bench.postgres.psql(
        "INSERT INTO docs SELECT 7, 'seven', noise(7), jsonb_build_object('a', noise(107)), decode(noise(207), 'hex');
         UPDATE docs SET body = noise(8) WHERE id > 1000; UPDATE docs SET note = 'full still';
         ALTER TABLE docs REPLICA IDENTITY DEFAULT",
    );
    // Twice, so that the database has a later version than the one that has to be completed.
    docs.bench.postgres.psql("UPDATE docs SET note = 'default again'");
    docs.bench.postgres.psql("UPDATE docs SET note = 'and again'");
    docs.follows(&mut *task).await;
    task.stop().await.unwrap();
}

/// Killed after the log's fsync and before the store's: the slot was not told, so the row comes again and is fed, though
/// the log has it and it is given to nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_log_and_store_loses_no_value() {
    let mut docs = Docs::new();
    let mut task = docs.bench.start().await.unwrap();
    docs.follows(&mut *task).await;
    task.stop().await.unwrap();
    let mut task = docs.bench.start_again().await;
    docs.bench.postgres.psql("UPDATE docs SET body = noise(50 + id); UPDATE docs SET id = 9 WHERE id = 2");
    let target = docs.bench.progress[&TopicPartition::new(TOPIC, 0)];
    while docs.bench.progress[&TopicPartition::new(TOPIC, 0)] == target || docs.given() != docs.expected() {
        docs.bench.turn(&mut *task).await;
    }
    // The log has all of it; the process dies before the acknowledgement reaches the task.
    drop(task);
    let stored = docs.bench.stored.len();
    let mut task = docs.bench.start_again().await;
    docs.bench.catch_up(&mut *task).await;
    assert_eq!(docs.bench.stored.len(), stored, "nothing comes twice");
    // Acknowledged in the same moment: the slot hears of it only once the store has it.
    docs.bench.postgres.psql("UPDATE docs SET body = noise(70 + id)");
    docs.bench.catch_up(&mut *task).await;
    drop(task);
    let mut task = docs.bench.start_again().await;
    docs.bench.postgres.psql("UPDATE docs SET note = 'after the kills'");
    docs.follows(&mut *task).await;
    task.stop().await.unwrap();
}

/// A transaction beyond what memory holds is staged in the store ahead of the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_larger_than_memory_is_completed() {
    let mut docs = Docs::new();
    let mut task = docs.bench.start().await.unwrap();
    docs.bench.catch_up(&mut *task).await;
    docs.bench.postgres.psql(
        "ALTER TABLE docs ALTER body SET STORAGE EXTERNAL;
         BEGIN; INSERT INTO docs SELECT n, 'big', repeat(n::text, 2000), '1', '' FROM generate_series(1001, 2600) n;
         UPDATE docs SET note = 'in the same' WHERE id % 400 = 0; COMMIT",
    );
    // Killed in the middle of it, then all of it again.
    for _ in 0..12 {
        docs.bench.turn(&mut *task).await;
    }
    drop(task);
    let mut task = docs.bench.start_again().await;
    docs.bench.catch_up(&mut *task).await;
    docs.bench.postgres.psql("DELETE FROM docs WHERE id % 400 <> 0; UPDATE docs SET note = 'later'");
    docs.follows(&mut *task).await;
    task.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_come_go_and_change_their_names() {
    let mut docs = Docs::new();
    let mut task = docs.bench.start().await.unwrap();
    docs.follows(&mut *task).await;
    docs.bench.postgres.psql(
        "ALTER TABLE docs ADD COLUMN more text; UPDATE docs SET note = 'a';
         ALTER TABLE docs RENAME COLUMN body TO text; UPDATE docs SET note = 'b';
         ALTER TABLE docs RENAME COLUMN text TO body; UPDATE docs SET note = 'c'",
    );
    docs.follows(&mut *task).await;
    docs.bench.postgres.psql("VACUUM FULL docs; UPDATE docs SET note = 'd'; UPDATE docs SET note = 'dd'");
    docs.follows(&mut *task).await;
    // The same name for another column, and other values in the same column.
    docs.bench.postgres.psql(
        "ALTER TABLE docs ADD COLUMN other text; UPDATE docs SET other = noise(id + 300);
         ALTER TABLE docs DROP COLUMN body; ALTER TABLE docs RENAME COLUMN other TO body; UPDATE docs SET note = 'e'",
    );
    docs.follows(&mut *task).await;
    docs.bench
        .postgres
        .psql("ALTER TABLE docs ALTER COLUMN body TYPE text USING upper(body); UPDATE docs SET note = 'f'");
    docs.follows(&mut *task).await;
    docs.bench
        .postgres
        .psql("TRUNCATE docs; INSERT INTO docs (id, note, body, extra, blob) VALUES (1, 'g', noise(1), '1', '');");
    docs.bench.stored.clear();
    docs.bench.postgres.psql("UPDATE docs SET note = 'h'");
    docs.follows(&mut *task).await;
    task.stop().await.unwrap();
}

/// A row older than the store: the database is asked, and believed only if its version is provably the row's.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_lacks_is_proven_or_refused() {
    let mut docs = Docs::new();
    docs.bench.set("snapshot.mode", "no_data");
    let mut task = docs.bench.start().await.unwrap();
    docs.bench.catch_up(&mut *task).await;
    docs.bench.postgres.psql("UPDATE docs SET note = 'proven' WHERE id = 1");
    docs.bench.catch_up(&mut *task).await;
    assert_eq!(docs.given(), docs.expected()[..1]);
    task.stop().await.unwrap();

    // Twice in one transaction, and changed by a later one: the version of the first update is gone.
    docs.bench
        .postgres
        .psql("UPDATE docs SET note = 'lost' WHERE id = 2; UPDATE docs SET body = noise(9) WHERE id = 2");
    let mut task = docs.bench.start_again().await;
    let error = loop {
        match task.poll().await {
            Ok(batch) => drop(docs.bench.take(batch)),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::ValueUnknown, "{error}");
    assert!(error.to_string().contains("public.docs.body, extra at"), "{error}");
    assert!(error.hint().contains("thm.start=resnapshot") && error.hint().contains("thm.toast.miss=current"));
    drop(task);
    docs.bench.set("thm.toast.miss", "current");
    let mut task = docs.bench.start_again().await;
    docs.bench.catch_up(&mut *task).await;
    assert_eq!(docs.given(), docs.expected()[..2]);
    task.stop().await.unwrap();

    // A row that is gone by now shows nothing for its value, whatever is asked.
    docs.bench.postgres.psql("UPDATE docs SET note = 'gone' WHERE id = 3; DELETE FROM docs WHERE id = 3");
    let mut task = docs.bench.start_again().await;
    let error = loop {
        match task.poll().await {
            Ok(batch) => drop(docs.bench.take(batch)),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::ValueUnknown, "{error}");
    drop(task);
    docs.bench.set("thm.toast.miss", "placeholder");
    let mut task = docs.bench.start_again().await;
    docs.bench.catch_up(&mut *task).await;
    let shown =
        docs.bench.stored.iter().any(|record| record.json().to_string().contains("__debezium_unavailable_value"));
    assert!(shown, "the placeholder was asked for");
    task.stop().await.unwrap();
}

/// While values are not kept, nothing may be believed of what was kept before.
#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_the_mode_empties_the_store() {
    let mut docs = Docs::new();
    let mut task = docs.bench.start().await.unwrap();
    docs.follows(&mut *task).await;
    task.stop().await.unwrap();
    docs.bench.set("thm.toast.mode", "placeholder");
    let mut task = docs.bench.start_again().await;
    docs.bench.postgres.psql("UPDATE docs SET body = noise(77)");
    docs.bench.catch_up(&mut *task).await;
    task.stop().await.unwrap();
    docs.bench.stored.clear();
    docs.bench.set("thm.toast.mode", "hydrate");
    let mut task = docs.bench.start_again().await;
    docs.bench.postgres.psql("UPDATE docs SET note = 'fresh'");
    docs.follows(&mut *task).await;
    task.stop().await.unwrap();
}
