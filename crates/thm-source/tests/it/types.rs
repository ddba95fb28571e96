//! Every type's binary form, read and printed, against PostgreSQL's own text of the same values.

use futures::TryStreamExt;
use thm_source::catalog;
use thm_source::copy::CopyReader;
use thm_source::options::{Options, TypeModes};
use thm_source::pgoutput::Datum;
use thm_source::session::Session;
use thm_source::types::{Cell, ColumnType};

use crate::harness::Bench;
use crate::postgres::Postgres;

/// A type and SQL expressions of it; `n` is a row number, and `random()` gives other values each time.
const VALUES: &[(&str, &str)] = &[
    ("bool", "n % 2 = 0"),
    ("int2", "(random() * 60000 - 30000)::int2"),
    ("int4", "(random() * 4e9 - 2e9)::int4"),
    ("int8", "(random() * 1.8e19 - 9e18)::int8"),
    ("float4", "((random() - 0.5) * power(10, n % 60 - 30))::float4"),
    ("float4", "33885712 + 4 * n"),
    ("float8", "(random() - 0.5) * power(10::float8, n % 600 - 300)"),
    ("float8", "power(2::float8, 55) + 8 * n"),
    ("float8", "(ARRAY['NaN', 'Infinity', '-Infinity', '0', '-0', '1e15', '123456', '0.0001'])[n % 8 + 1]::float8"),
    ("numeric", "((random() - 0.5) * power(10::numeric, n % 40))::numeric(60, 12)"),
    ("numeric", "(ARRAY['NaN', 'Infinity', '-Infinity', '0.00', '1e-20', '-1e30', '100'])[n % 7 + 1]::numeric"),
    ("text", "repeat(chr(n + 32), n % 5) || '\"\\,{}'"),
    ("bytea", "decode(md5(n::text), 'hex')"),
    ("uuid", "gen_random_uuid()"),
    ("date", "'2000-01-01'::date + (random() * 4e6 - 2.4e6)::int"),
    ("time", "'00:00'::time + random() * '24 hours'::interval"),
    ("timetz", "('00:00'::time + random() * '23 hours'::interval)::text || '+05:30'"),
    ("timestamp", "'2000-01-01'::timestamp + (random() - 0.5) * '9000 years'::interval"),
    ("timestamptz", "'2000-01-01'::timestamptz + (random() - 0.5) * '9000 years'::interval"),
    ("interval", "make_interval(n % 30 - 15, n % 24 - 12, 0, n % 60 - 30, n % 50 - 25, 0, random() * 200 - 100)"),
    (
        "inet",
        "(ARRAY['10.0.0.1', '10.1.2.3/8', '::1', '2001:db8::/32', '::ffff:1.2.3.4', '::1.2.3.4', '::'])[n % 7 + 1]::inet",
    ),
    ("cidr", "(ARRAY['10.0.0.0/8', '10.1.2.3/32', '2001:db8::/32', '::/0'])[n % 4 + 1]::cidr"),
    ("macaddr", "'08:00:2b:01:02:03'::macaddr"),
    ("bit(9)", "n::bit(9)"),
    ("varbit", "substr(n::bit(16)::text, 1, n % 17)::varbit"),
    ("point", "point(random() * 100, n)"),
    ("lseg", "lseg(point(0, n), point(1, random()))"),
    ("box", "box(point(n, 1), point(random(), 0))"),
    ("path", "(ARRAY['[(0,0),(1,1)]', '((0,0),(1,1))'])[n % 2 + 1]::path"),
    ("polygon", "'((0,0),(1,1),(1,0.5))'::polygon"),
    ("circle", "circle(point(1, n), random())"),
    ("line", "'{1,2,-3.5}'::line"),
    ("int4range", "int4range(n, n + 3)"),
    ("int4range", "(ARRAY['empty', '[,5)', '(,)', '[7,]'])[n % 4 + 1]::int4range"),
    ("numrange", "numrange(n, n + 0.5, '[]')"),
    ("tstzrange", "tstzrange(now(), now() + '1 day'::interval)"),
    ("int4multirange", "int4multirange(int4range(n, n + 2), int4range(n + 5, n + 9))"),
    ("int4[]", "ARRAY[n, NULL, -n]"),
    ("text[]", "ARRAY['a b', NULL, 'NULL', '', '\"x\"', '\\', 'plain', '{', chr(n + 32)]"),
    ("int4[]", "'[2:3][0:1]={{1,2},{3,4}}'::int4[]"),
    ("tsvector", "to_tsvector('simple', 'it''s a \\ cat' || n) || setweight('x:3 y:4', 'B')"),
    ("tsquery", "(ARRAY['a & b | !c', '(a | b) & c', 'a <-> (b <2> c)', 'x:*AB', '!(a & b)'])[n % 5 + 1]::tsquery"),
    ("pg_lsn", "'0/0'::pg_lsn + n"),
    ("jsonb", "jsonb_build_object('n', n, 't', chr(n + 32))"),
    ("jsonpath", "'$.a[*] ? (@ > 1)'::jsonpath"),
    ("xid8", "n::text::xid8"),
    ("tid", "('(' || n || ',1)')::tid"),
    ("pg_snapshot", "'10:20:10,14'::pg_snapshot"),
    ("pair", "ROW(n, 'a \"b\" (' || chr(n + 32))::pair"),
    ("mood", "(ARRAY['sad', 'very sad'])[n % 2 + 1]::mood"),
    ("hstore", "hstore('k' || n, CASE n % 3 WHEN 0 THEN NULL ELSE 'v\"\\' END) || 'b=>1'"),
    ("ltree", "'Top.Science'::ltree"),
    ("citext", "'MiXed'::citext"),
    // Arrays of two and three dimensions, with every element that is hard to quote or to print.
    ("int4[]", "ARRAY[[n, NULL], [-n, 0]]"),
    ("text[]", "ARRAY[[['a', NULL], [chr(n + 32), '\"']], [['', 'NULL'], ['{}', E'\\ \t']]]"),
    ("text[]", "'{}'::text[]"),
    ("bool[]", "ARRAY[[true, NULL]]"),
    ("int2[]", "ARRAY[n::int2, -n::int2]"),
    ("int8[]", "'[-3:-2]={-9223372036854775808,9223372036854775807}'::int8[]"),
    ("float4[]", "ARRAY[['NaN', 'Infinity'], ['-Infinity', random()::text]]::float4[]"),
    ("float8[]", "ARRAY['NaN', '-Infinity', NULL, '-0', power(10, n % 300)::text]::float8[]"),
    ("numeric[]", "ARRAY['NaN', '-Infinity', NULL, '0.00', '1e' || (n - 30)]::numeric[]"),
    ("bytea[]", "ARRAY[[decode(md5(n::text), 'hex')], ['']]::bytea[]"),
    ("uuid[]", "ARRAY[gen_random_uuid(), NULL]"),
    ("date[]", "ARRAY['infinity', '-infinity', '0044-03-15 BC', NULL, '5874897-12-31']::date[]"),
    ("time[]", "ARRAY['24:00', '00:00:00.000001']::time[]"),
    ("timetz[]", "ARRAY['24:00+00', '12:00:00.5-14:30', '00:00+05:45:30']::timetz[]"),
    (
        "timestamp[]",
        "ARRAY['infinity', '-infinity', '4713-01-01 00:00 BC', '294276-12-31 23:59:59.999999']::timestamp[]",
    ),
    ("timestamptz[]", "ARRAY[['infinity', '-infinity'], ['0044-03-15 10:00+00 BC', now()::text]]::timestamptz[]"),
    ("json[]", "ARRAY['{\"a\": [1, \"x,y\"]}', NULL]::json[]"),
    ("jsonb[]", "ARRAY[jsonb_build_object('n', n), 'null'::jsonb]"),
    ("bit(3)[]", "ARRAY['101', NULL]::bit(3)[]"),
    ("inet[]", "ARRAY['10.0.0.1/8', '::ffff:1.2.3.4']::inet[]"),
    ("box[]", "ARRAY[box(point(n, 1), point(0, 0)), NULL, box(point(1, 1), point(2, 2))]"),
    ("mood[]", "ARRAY[['sad', NULL], ['very sad', 'sad']]::mood[]"),
    ("hstore[]", "ARRAY[hstore('k' || n, 'v\"\\'), 'a=>NULL', '']::hstore[]"),
    ("ltree[]", "ARRAY['Top.Science', 'a']::ltree[]"),
    ("citext[]", "ARRAY['MiXed', 'a,b', NULL]::citext[]"),
    ("lquery", "'Top.*{1,2}.a|b'::lquery"),
    ("tsvector[]", "ARRAY[to_tsvector('simple', 'a b' || n)]"),
    // Domains: over arrays, over enums, over domains, in arrays and composites.
    ("ints", "ARRAY[n, NULL, 3]"),
    ("small_ints", "ARRAY[1, 2]"),
    ("moods", "'very sad'"),
    ("posint", "n"),
    ("posint[]", "ARRAY[[n, 1], [2, NULL]]"),
    // Composites in arrays, arrays in composites, and both again.
    ("pair[]", "ARRAY[ROW(n, 'a \"b\" (,' || chr(n + 32)), NULL, ROW(NULL, '')]::pair[]"),
    (
        "nested",
        "ROW(ROW(n, NULL), ARRAY[ROW(1, '{\"x\"}'), NULL]::pair[], ARRAY[[1, NULL]], '{1,2}', 'NaN', '-infinity', ARRAY['1 mon', NULL]::interval[])",
    ),
    ("nested[]", "ARRAY[[ROW(ROW(1, E'\\ \"'), '{}', NULL, NULL, '-Infinity', '0044-03-15 BC', '{}')]]::nested[]"),
    ("emptied", "ROW()"),
    // Ranges and multiranges of every type, their ends open, closed, infinite, not a number or before our era.
    ("int8range", "(ARRAY['empty', '[1,9223372036854775806)', '(,0)', '(,)'])[n % 4 + 1]::int8range"),
    ("numrange", "(ARRAY['(-Infinity,NaN]', '[1.50,)', 'empty', '(,0.000)'])[n % 4 + 1]::numrange"),
    (
        "daterange",
        "(ARRAY['[0044-03-15 BC,infinity)', '(-infinity,2024-01-01]', '[2024-01-01,]'])[n % 3 + 1]::daterange",
    ),
    ("tsrange", "(ARRAY['[\"0044-03-15 10:00 BC\",infinity]', '(-infinity,)', 'empty'])[n % 3 + 1]::tsrange"),
    (
        "tstzrange",
        "(ARRAY['[\"0044-03-15 10:00+00 BC\",infinity]', '(,\"2024-01-01 00:00:00.5+03\")'])[n % 2 + 1]::tstzrange",
    ),
    ("textrange", "textrange('a, (' || chr(n % 60 + 32), 'b \"\\', '[]')"),
    ("int8multirange", "'{[1,2),[5,)}'::int8multirange"),
    ("nummultirange", "(ARRAY['{}', '{(,1.0],[2,NaN)}'])[n % 2 + 1]::nummultirange"),
    ("datemultirange", "'{[0044-03-15 BC,0001-01-01),[infinity,infinity]}'::datemultirange"),
    ("tsmultirange", "'{[\"0044-03-15 10:00 BC\",\"2024-01-01 00:00\"]}'::tsmultirange"),
    ("tstzmultirange", "'{(,\"2024-01-01 00:00+00\"]}'::tstzmultirange"),
    ("textmultirange", "textmultirange(textrange('a', 'b'), textrange('c \"', 'd,'))"),
    ("tstzrange[]", "ARRAY['empty', '[\"0044-03-15 10:00+00 BC\",)', NULL]::tstzrange[]"),
    ("int4multirange[]", "ARRAY[['{}', '{[1,2),[5,)}']]::int4multirange[]"),
];

/// What only newer servers have, by the first release that does.
const NEWER_VALUES: &[(i32, &str, &str)] = &[
    (170_000, "interval", "(ARRAY['infinity', '-infinity', '1 day'])[n % 3 + 1]::interval"),
    (170_000, "nested", "ROW(NULL, NULL, NULL, NULL, NULL, NULL, ARRAY['infinity', '-infinity']::interval[])"),
];

const SETUP: &str = "CREATE EXTENSION hstore; CREATE EXTENSION ltree; CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'very sad'); CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN ints AS int[]; CREATE DOMAIN small_ints AS ints CHECK (cardinality(VALUE) < 5);
CREATE DOMAIN moods AS mood; CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE TYPE nested AS (p pair, ps pair[], grid int[], i ints, f float8, t timestamp, spans interval[]);
CREATE TYPE emptied AS (); CREATE TYPE textrange AS RANGE (subtype = text);";

/// The binary forms of a query's one column.
async fn binary(session: &Session, query: &str) -> Vec<Vec<u8>> {
    let copy = session.copy_out(&format!("COPY ({query}) TO STDOUT (FORMAT binary)")).await.unwrap();
    let chunks: Vec<bytes::Bytes> = copy.try_collect().await.unwrap();
    let mut reader = CopyReader::default();
    chunks.iter().for_each(|chunk| reader.push(chunk));
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().unwrap() {
        let Some(Datum::Binary(bytes)) = row.tuple().values().next() else { panic!("{query}: no value") };
        rows.push(bytes.to_vec());
    }
    rows
}

async fn texts(session: &Session, query: &str) -> Vec<String> {
    let rows = session.query(query, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_forms_print_as_postgresql_prints_them() {
    let bench = Bench::new(Postgres::start());
    bench.postgres.psql(SETUP);
    let context = bench.context();
    let session = Session::connect(&Options::parse(&context.config).unwrap(), &context.hosts).await.unwrap();
    let mut different = Vec::new();
    let release: String = texts(&session, "SHOW server_version_num").await.remove(0);
    let release: i32 = release.parse().unwrap();
    let newer = NEWER_VALUES.iter().filter(|(first, ..)| *first <= release).map(|(_, name, sql)| (*name, *sql));
    for (number, (name, expression)) in VALUES.iter().copied().chain(newer).enumerate() {
        let sql =
            format!("CREATE TABLE v{number} AS SELECT n, ({expression})::{name} AS v FROM generate_series(1, 60) n");
        session.simple_query(&sql).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let oid = session
            .query_one(
                "SELECT atttypid, atttypmod FROM pg_attribute WHERE attname = 'v' AND attrelid = $1::text::regclass",
                &[&format!("v{number}")],
            )
            .await
            .unwrap();
        let (oid, modifier): (u32, i32) = (oid.get(0), oid.get(1));
        let types = catalog::types(&session, &[oid]).await.unwrap();
        let modes = TypeModes { unknown: true, ..TypeModes::default() };
        let kind: ColumnType = types.resolve(oid, modifier, modes).unwrap_or_else(|| panic!("{name} has no rule"));
        let values = binary(&session, &format!("SELECT v FROM v{number} ORDER BY n")).await;
        let shown = texts(&session, &format!("SELECT format('%s', v) FROM v{number} ORDER BY n")).await;
        assert_eq!(values.len(), 60, "{name}");
        for (bytes, text) in values.iter().zip(&shown) {
            let mut printed = Vec::new();
            kind.print(bytes, &mut printed).unwrap_or_else(|error| panic!("{name} {text}: {error}"));
            let printed = String::from_utf8_lossy(&printed);
            if printed != *text {
                different.push(format!("{name}: {printed} is not {text}"));
            }
            let mut json = Vec::new();
            let written = kind.write(bytes, &mut Cell { json: &mut json, column: None });
            // What the mode cannot show is told, all else is JSON.
            let infinite = text.contains("Infinity");
            assert!(written.is_ok() || infinite, "{name} {text}: {written:?}");
            if written.is_ok() {
                serde_json::from_slice::<serde_json::Value>(&json).unwrap();
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
