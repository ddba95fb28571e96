//! Random transactions, as SQL text: every way in which an event or a content row can change.
//!
//! In: a random number generator and the ids that there may be. Out: the statements of one transaction. Ids are chosen
//! here and not by the sequence, so that a key can come back after a delete and rows can swap their keys. A statement
//! that finds no row changes nothing, and one that breaks a constraint rolls its transaction back: both are part of
//! the workload, for PostgreSQL alone knows what is true in the end.

use std::fmt::Write;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Ids of the seeded events.
const SEEDED: std::ops::RangeInclusive<i64> = 1..=4_000;
/// New ids begin above everything that a sequence gives.
pub(super) const FIRST_NEW_ID: i64 = 1_000_000;
/// Added to an id while two rows swap theirs.
const BETWEEN: i64 = 1_000_000_000;
/// How many of the newest ids are "hot": short chains of changes of one row are where order shows.
const HOT_IDS: usize = 24;
/// Ids that a writer remembers.
const KNOWN_IDS: usize = 2_000;
/// Most statements of a transaction.
const MAX_STATEMENTS: usize = 7;
/// A payload of so many hashes of 32 digits is above 8 kB also after compression, so PostgreSQL stores it apart.
const LARGE_HASHES: u32 = 700;

const TYPES: [&str; 4] = ["'play'", "'pause'", "'finish'", "'click'"];
const DEVICES: [&str; 5] = ["'ios'", "'android'", "'web-chrome'", "'web-safari'", "NULL"];
const KINDS: [&str; 3] = ["'podcast'", "'newsletter'", "'video'"];

/// What a writer may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repertoire {
    /// Payloads that PostgreSQL stores apart, and updates that leave them alone.
    pub(super) large_values: bool,
}

/// A writer's view of the data, and its luck.
pub(super) struct Author {
    random: StdRng,
    repertoire: Repertoire,
    /// Ids that it has used, newest last; some of them are gone.
    known: Vec<i64>,
    next_id: i64,
    stride: i64,
    sql: String,
}

impl Author {
    /// One of `authors`, which never choose the same new id.
    pub(super) fn new(random: StdRng, repertoire: Repertoire, number: i64, authors: i64) -> Self {
        let known = SEEDED.step_by(40).collect();
        Self { random, repertoire, known, next_id: FIRST_NEW_ID + number, stride: authors, sql: String::new() }
    }

    /// The next transaction: statements with `BEGIN` and `COMMIT` or `ROLLBACK`.
    pub(super) fn transaction(&mut self) -> &str {
        self.sql.clear();
        self.sql.push_str("BEGIN;\n");
        let many = self.random.random_range(1..=MAX_STATEMENTS);
        let count = if self.random.random_bool(0.4) { 1 } else { many };
        if self.random.random_bool(0.02) {
            self.bulk();
        }
        for _ in 0..count {
            if self.random.random_bool(0.08) {
                self.savepoint();
            } else {
                self.statement();
            }
        }
        self.sql.push_str(if self.random.random_bool(0.08) { "ROLLBACK" } else { "COMMIT" });
        &self.sql
    }

    /// Statements in a subtransaction, which half of the time never happened.
    fn savepoint(&mut self) {
        self.sql.push_str("SAVEPOINT s;\n");
        for _ in 0..self.random.random_range(1..=3) {
            self.statement();
        }
        self.sql.push_str(if self.random.random_bool(0.5) { "ROLLBACK TO SAVEPOINT s;\n" } else { "RELEASE s;\n" });
    }

    fn statement(&mut self) {
        let id = self.any_id();
        match self.random.random_range(0..100) {
            0..26 => self.insert(),
            26..60 => self.update(id),
            60..68 => self.say(format_args!("DELETE FROM engagement_events WHERE id = {id}")),
            68..74 => self.reinsert(id),
            74..82 => self.change_key(id),
            82..85 => self.swap_keys(id),
            85..90 => {
                // The same row again and again.
                for _ in 0..self.random.random_range(2..=4) {
                    self.update(id);
                }
            }
            90..99 => self.change_content(),
            _ => self.new_content(),
        }
    }

    /// Writes one statement.
    fn say(&mut self, statement: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.sql.write_fmt(statement);
        self.sql.push_str(";\n");
    }

    fn any_id(&mut self) -> i64 {
        let hot = self.known.len().saturating_sub(HOT_IDS);
        let from = if self.random.random_bool(0.6) { hot } else { 0 };
        self.known.get(from..).and_then(|ids| ids.choose(&mut self.random)).copied().unwrap_or(FIRST_NEW_ID)
    }

    fn new_id(&mut self) -> i64 {
        let id = self.next_id;
        self.next_id += self.stride;
        if self.known.len() >= KNOWN_IDS {
            self.known.drain(..KNOWN_IDS / 4);
        }
        self.known.push(id);
        id
    }

    fn insert(&mut self) {
        let id = self.new_id();
        self.insert_as(id);
    }

    fn insert_as(&mut self, id: i64) {
        let (content, kind, moment) = (self.content_id(), self.event_type(), self.moment());
        let (duration, device, payload) = (self.duration(), self.device(), self.payload());
        self.say(format_args!(
            "INSERT INTO engagement_events (id, content_id, user_id, event_type, event_ts, duration_ms, device, raw_payload) \
             VALUES ({id}, {content}, gen_random_uuid(), {kind}, {moment}, {duration}, {device}, {payload})"
        ));
    }

    /// The same id in a new life, in one transaction.
    fn reinsert(&mut self, id: i64) {
        self.say(format_args!("DELETE FROM engagement_events WHERE id = {id}"));
        self.insert_as(id);
    }

    fn update(&mut self, id: i64) {
        let change = match self.random.random_range(0..12) {
            0 | 1 => format!("event_ts = {}", self.moment()),
            2 => "event_ts = event_ts + interval '1 millisecond'".to_owned(),
            3 => "event_type = NULL".to_owned(),
            4 | 5 => format!("event_type = {}", self.event_type()),
            6 => format!("duration_ms = {}", self.duration()),
            7 => format!("content_id = {}", self.content_id()),
            8 => format!("raw_payload = {}", self.payload()),
            9 => "user_id = gen_random_uuid()".to_owned(),
            10 => "device = device".to_owned(),
            _ => format!("device = {}", self.device()),
        };
        self.say(format_args!("UPDATE engagement_events SET {change} WHERE id = {id}"));
    }

    /// To an id that is new, or to one that was given up.
    fn change_key(&mut self, id: i64) {
        let to = if self.random.random_bool(0.6) { self.new_id() } else { self.any_id() };
        if self.random.random_bool(0.3) {
            self.say(format_args!("DELETE FROM engagement_events WHERE id = {to} AND id <> {id}"));
        }
        let also = if self.random.random_bool(0.4) { format!(", event_ts = {}", self.moment()) } else { String::new() };
        // A key that is taken stays where it is, instead of breaking the whole transaction each time.
        self.say(format_args!(
            "UPDATE engagement_events SET id = {to}{also} WHERE id = {id} \
             AND NOT EXISTS (SELECT FROM engagement_events WHERE id = {to})"
        ));
    }

    fn swap_keys(&mut self, one: i64) {
        let (other, between) = (self.any_id(), one + BETWEEN);
        if one == other {
            return;
        }
        for (from, to) in [(one, between), (other, one), (between, other)] {
            self.say(format_args!("UPDATE engagement_events SET id = {to} WHERE id = {from}"));
        }
    }

    /// Many rows with one statement.
    fn bulk(&mut self) {
        let (kind, shift) = (self.event_type(), self.random.random_range(1..5_000));
        match self.random.random_range(0..4) {
            0 | 1 => {
                for _ in 0..self.random.random_range(20..200) {
                    self.insert();
                }
            }
            2 => self.say(format_args!(
                "UPDATE engagement_events SET event_ts = event_ts + interval '{shift} milliseconds' \
                 WHERE id IN (SELECT id FROM engagement_events WHERE id % 37 = {} LIMIT 200)",
                shift % 37
            )),
            _ => self.say(format_args!(
                "UPDATE engagement_events SET event_type = {kind} \
                 WHERE id IN (SELECT id FROM engagement_events WHERE id % 53 = {} LIMIT 200)",
                shift % 53
            )),
        }
    }

    fn change_content(&mut self) {
        let which = self.content_id();
        let change = match self.random.random_range(0..4) {
            0 => format!("title = 'title {}'", self.random.random_range(0..1_000)),
            1 => format!("content_type = {}", self.one_of(&KINDS)),
            _ => format!("length_seconds = {}", self.length()),
        };
        self.say(format_args!("UPDATE content SET {change} WHERE id = {which}"));
    }

    /// A piece of content with its first event, or one that comes and goes.
    fn new_content(&mut self) {
        let (slug, kind, length) = (self.new_id(), self.one_of(&KINDS), self.length());
        self.say(format_args!(
            "INSERT INTO content (slug, title, content_type, length_seconds) VALUES ('new-{slug}', 'new', {kind}, {length})"
        ));
        if self.random.random_bool(0.3) {
            self.say(format_args!("DELETE FROM content WHERE slug = 'new-{slug}'"));
            return;
        }
        let id = self.new_id();
        self.say(format_args!(
            "INSERT INTO engagement_events (id, content_id, event_type, duration_ms) \
             SELECT {id}, id, 'play', 61000 FROM content WHERE slug = 'new-{slug}'"
        ));
    }

    /// An expression: any content row, by its place in the order of slugs, or none.
    fn content_id(&mut self) -> String {
        match self.random.random_range(0..26) {
            25 => "NULL".to_owned(),
            place => format!(
                "(SELECT id FROM content ORDER BY slug OFFSET {place} % (SELECT count(*) FROM content) LIMIT 1)"
            ),
        }
    }

    fn event_type(&mut self) -> &'static str {
        if self.random.random_bool(0.05) { "NULL" } else { self.one_of(&TYPES) }
    }

    fn device(&mut self) -> &'static str {
        self.one_of(&DEVICES)
    }

    fn one_of(&mut self, choices: &'static [&'static str]) -> &'static str {
        choices.choose(&mut self.random).copied().unwrap_or("NULL")
    }

    /// Mostly about now, with microseconds that ClickHouse's milliseconds cut off.
    fn moment(&mut self) -> String {
        let back_us: i64 = match self.random.random_range(0..10) {
            0 => self.random.random_range(0..86_400_000_000),
            1..4 => self.random.random_range(0..600_000_000),
            _ => self.random.random_range(0..2_000_000),
        };
        format!("now() - interval '{back_us} microseconds'")
    }

    fn duration(&mut self) -> String {
        match self.random.random_range(0..8) {
            0 | 1 => "NULL".to_owned(),
            2 => i32::MAX.to_string(),
            3 => (self.random.random_range(0..1_000) * 10 + 5).to_string(),
            _ => self.random.random_range(0..5_000_000).to_string(),
        }
    }

    fn length(&mut self) -> String {
        match self.random.random_range(0..8) {
            0 => "NULL".to_owned(),
            1 => "0".to_owned(),
            _ => self.random.random_range(1..6_000).to_string(),
        }
    }

    fn payload(&mut self) -> String {
        let number: u32 = self.random.random();
        match self.random.random_range(0..10) {
            0 => "NULL".to_owned(),
            1 | 2 if self.repertoire.large_values => format!(
                "jsonb_build_object('blob', (SELECT string_agg(md5('{number}' || n), '') \
                 FROM generate_series(1, {LARGE_HASHES}) AS n))"
            ),
            _ => format!(r#"'{{"n":{number},"text":"a \"quoted\" ünïcode \\ text"}}'"#),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rand::SeedableRng;

    use super::*;
    use crate::services::{Postgres, connect_postgres};

    fn author(seed: u64) -> Author {
        Author::new(StdRng::seed_from_u64(seed), Repertoire { large_values: true }, 0, 1)
    }

    #[test]
    fn a_seed_tells_the_same_story_twice() {
        let (mut one, mut again, mut other) = (author(7), author(7), author(8));
        for _ in 0..50 {
            assert_eq!(one.transaction(), again.transaction());
        }
        assert_ne!(one.transaction(), other.transaction());
    }

    #[tokio::test]
    async fn postgres_understands_every_statement() {
        let init = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../db/init");
        let postgres = Postgres::temporary().await.unwrap();
        let client = connect_postgres(&postgres.url()).await.unwrap();
        for file in ["01_schema.sql", "02_content.sql", "03_events.sql"] {
            client.batch_execute(&std::fs::read_to_string(init.join(file)).unwrap()).await.unwrap();
        }
        let mut author = author(1);
        let mut refused = 0;
        for _ in 0..400 {
            if let Err(error) = client.batch_execute(author.transaction()).await {
                client.batch_execute("ROLLBACK").await.unwrap();
                let state = error.code().unwrap().code().to_owned();
                // A constraint (class 23) may be broken; anything else is a statement that nobody meant.
                assert!(state.starts_with("23"), "{error:?}\n{}", author.sql);
                refused += 1;
            }
        }
        assert!(refused < 100, "{refused} of 400 transactions were refused");
    }
}
