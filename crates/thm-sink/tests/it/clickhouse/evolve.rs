//! Fields that the table has no column for: left out, or given one.

use thm_api::{ErrorKind, Generation, Op};

use super::engine::{Database, query};
use crate::support::{batch, foreign, record};

const COLUMNS: &str = "SELECT name, type FROM system.columns WHERE table = 'enriched_events' AND database = ";

async fn simple() -> Database {
    let database = Database::empty().await;
    database.ask("CREATE TABLE {t} (id UInt64, n Int32) ENGINE = ReplacingMergeTree ORDER BY id").await;
    database
}

#[tokio::test]
async fn a_new_field_gets_a_column_of_its_kind_and_old_rows_have_null() {
    let database = simple().await;
    let mut task = database.sink(&[("auto.evolve", "true")]).await;
    let partition = database.partition.clone();
    task.open(std::slice::from_ref(&partition), Generation(1)).await.unwrap();
    let plain = record(0, Op::Create, 0, 1, Some(r#"{"id":1,"n":1}"#.to_owned()));
    task.write(batch(&partition, &[plain])).await.unwrap();
    let wide = r#"{"id":2,"n":2,"note":"a`b","big":7,"share":0.5,"ok":true,"deep":{"x":[1]},"never":null}"#;
    let next = batch(
        &partition,
        &[
            record(1, Op::Create, 0, 2, Some(wide.to_owned())),
            // Told by another record of the same batch.
            record(2, Op::Create, 0, 3, Some(r#"{"id":3,"n":3,"odd `name`":"x"}"#.to_owned())),
        ],
    );
    task.write(next.clone()).await.unwrap();
    task.write(next).await.unwrap();
    let columns = query(&format!("{COLUMNS}'{}' ORDER BY name", database.name)).await;
    assert_eq!(
        columns,
        "big\tNullable(Int64)\ndeep\tNullable(String)\nid\tUInt64\nn\tInt32\nnote\tNullable(String)\n\
         odd `name`\tNullable(String)\nok\tNullable(Bool)\nshare\tNullable(Float64)"
    );
    let rows = database.ask("SELECT id, note, big, share, ok, deep, `odd \\`name\\`` FROM {t} ORDER BY id").await;
    assert_eq!(
        rows,
        "1\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n2\ta`b\t7\t0.5\ttrue\t{\"x\":[1]}\t\\N\n3\t\\N\t\\N\t\\N\t\\N\t\\N\tx"
    );
}

#[tokio::test]
async fn without_the_option_it_is_left_out_and_the_table_stays() {
    let database = simple().await;
    let (mut task, partition) = database.opened().await;
    task.write(batch(&partition, &[foreign(0, 0, r#"{"id":1,"n":1,"note":"x"}"#)])).await.unwrap();
    assert_eq!(database.ask("SELECT * FROM {t}").await, "1\t1");
}

#[tokio::test]
async fn field_names_that_are_data_do_not_grow_the_table_for_ever() {
    let database = simple().await;
    let mut task = database.sink(&[("auto.evolve", "true")]).await;
    let partition = database.partition.clone();
    task.open(std::slice::from_ref(&partition), Generation(1)).await.unwrap();
    let fields: Vec<String> = (0..1_200).map(|at| format!("\"f{at}\":1")).collect();
    let wide = format!("{{\"id\":1,\"n\":1,{}}}", fields.join(","));
    let error = task.write(batch(&partition, &[foreign(0, 0, &wide)])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SinkMismatch);
    assert!(error.hint().contains("auto.evolve=false"), "{}", error.hint());
    assert_eq!(database.ask("SELECT count() FROM {t}").await, "0");
}
