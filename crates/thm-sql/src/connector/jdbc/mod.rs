//! Options of `jdbc`, and what its `table-name` reads: a table, or a subquery of plain columns and casts to text over
//! one. Where the table is captured it is fed by the topic of its changes and the database is never asked; otherwise
//! look-ups ask it, with the cache and the retries that the options say.

use std::time::Duration;

use thm_api::Secret;

use crate::catalog::PhysicalColumn;
use crate::error::{SqlDiagnostic, SqlResult};
use crate::options::{Given, Kind, Options, Usage};
use crate::types::LogicalType;

mod address;
mod array_text;
mod session;
mod statement;
mod table_name;

pub use address::Address;
pub(crate) use array_text::elements;
pub(crate) use session::{Answer, Asked, Database};

/// A `jdbc` table.
#[derive(Clone, Debug)]
pub struct JdbcTable {
    /// `url`
    pub address: Address,
    /// User and password, if given.
    pub login: Option<(String, Secret)>,
    /// `table-name` as written.
    pub relation: String,
    /// What look-ups that ask the database read FROM.
    pub from: String,
    /// Schema, if `table-name` says one.
    pub schema: Option<String>,
    /// The database's table; `None` for a subquery that is more than plain columns of one table.
    pub table: Option<String>,
    /// For each declared column, the database's column.
    pub columns: Vec<String>,
    /// How look-ups that ask the database remember answers.
    pub cache: Option<Cache>,
    /// How often a failed look-up is tried again.
    pub max_retries: u32,
    /// `connection.max-retry-timeout`: longest wait for a connection.
    pub connect_timeout: Duration,
}

/// The cache of look-ups that ask the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// Most keys.
    pub max_rows: Option<u64>,
    /// Time after which an answer is forgotten.
    pub after_write: Option<Duration>,
    /// Time without use after which an answer is forgotten.
    pub after_access: Option<Duration>,
    /// Whether "there is none" is remembered.
    pub missing: bool,
}

/// Flink's `lookup.max-retries`.
const DEFAULT_MAX_RETRIES: u32 = 3;
/// Flink's `connection.max-retry-timeout`.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads `jdbc` options.
pub(super) fn read(options: &mut Options<'_>, columns: &[PhysicalColumn], usage: Usage) -> SqlResult<JdbcTable> {
    let url = options.required("url")?;
    let name = options.required("table-name")?;
    let address = address::read(&url)?;
    let login = address::login(options)?.or_else(|| address.login.clone());
    let _ = options.take("driver");
    check_types(options, columns)?;
    scan(options, usage)?;
    let cache = cache(options)?;
    let max_retries = retries(options, "lookup.max-retries")?;
    if options.peek("sink.max-retries").is_some() {
        retries(options, "sink.max-retries")?;
        options.note("sink.max-retries".to_owned());
    }
    let connect_timeout = connect_timeout(options)?;
    options.readable_without_effect(&[
        ("sink.buffer-flush.max-rows", Kind::Number),
        ("sink.buffer-flush.interval", Kind::Duration),
    ])?;
    if let Some(policy) = options.take("filter.handling.policy") {
        Options::choice(Some(&policy), &[("always", ()), ("never", ())])?;
        options.note(policy.key);
    }
    options.parallelism("sink.parallelism", usage == Usage::Sink)?;
    let source = table_name::read(&name)?;
    let inside = columns.iter().map(|column| source.column(&column.name, &name)).collect::<SqlResult<_>>()?;
    Ok(JdbcTable {
        address,
        login,
        from: source.relation(&name.value),
        relation: name.value.clone(),
        schema: source.schema,
        table: source.table,
        columns: inside,
        cache,
        max_retries,
        connect_timeout,
    })
}

/// How often something is tried again.
fn retries(options: &mut Options<'_>, key: &str) -> SqlResult<u32> {
    let written = options.take(key);
    let retries: i64 = Options::number(written.as_ref())?.unwrap_or_else(|| i64::from(DEFAULT_MAX_RETRIES));
    u32::try_from(retries).map_err(|_| {
        let message = format!("The value of '{key}' option shouldn't be negative, but is {retries}.");
        SqlDiagnostic::new(written.map_or(options.span(), |text| text.span), message).with_hint("Write 0 or more.")
    })
}

/// `connection.max-retry-timeout`, in whole seconds as in Flink.
fn connect_timeout(options: &mut Options<'_>) -> SqlResult<Duration> {
    let written = options.take("connection.max-retry-timeout");
    let timeout = Options::duration(written.as_ref())?.unwrap_or(DEFAULT_CONNECT_TIMEOUT);
    if timeout < Duration::from_secs(1) {
        let message = format!(
            "The value of 'connection.max-retry-timeout' option must be in second granularity and shouldn't be smaller than 1 \
             second, but is {}ms.",
            timeout.as_millis()
        );
        return Err(SqlDiagnostic::new(written.map_or(options.span(), |text| text.span), message)
            .with_hint("Write '1s' or more."));
    }
    Ok(timeout)
}

/// What PostgreSQL has no type for, and what Flink's dialect refuses for it.
fn check_types(options: &Options<'_>, columns: &[PhysicalColumn]) -> SqlResult<()> {
    for PhysicalColumn { name, data_type } in columns {
        let element = match data_type.kind {
            LogicalType::Array(element) => element.kind,
            kind => kind,
        };
        let nested = matches!(element, LogicalType::Map(_) | LogicalType::Row(_) | LogicalType::Multiset(_));
        let message = match data_type.kind {
            LogicalType::BYTES => continue,
            kind if nested || matches!(kind, LogicalType::Binary(_) | LogicalType::VarBinary(_)) => {
                format!("The PostgreSQL dialect doesn't support type: {kind}.")
            }
            LogicalType::Timestamp(0 | 7..) | LogicalType::TimestampLtz(7..) => format!(
                "The precision of field '{name}' is out of the TIMESTAMP precision range [1, 6] supported by PostgreSQL dialect."
            ),
            _ => continue,
        };
        return Err(SqlDiagnostic::new(options.span(), message).with_hint("Declare the column with another type."));
    }
    Ok(())
}

/// Options of scans: all or none of them, and only look-ups are made here.
fn scan(options: &mut Options<'_>, usage: Usage) -> SqlResult<()> {
    const PARTITION: [&str; 4] =
        ["scan.partition.column", "scan.partition.num", "scan.partition.lower-bound", "scan.partition.upper-bound"];
    let [column, num, lower, upper] = PARTITION.map(|key| options.take(key));
    let number = |given: &Option<Given>| Options::number::<i64>(given.as_ref());
    let (_, lower_bound, upper_bound) = (number(&num)?, number(&lower)?, number(&upper)?);
    let upper_span = upper.as_ref().map(|upper| upper.span);
    let given: Vec<_> = [column, num, lower, upper].into_iter().flatten().collect();
    if let Some(first) = given.first().filter(|_| given.len() < PARTITION.len()) {
        let message =
            format!("Either all or none of the following options should be provided:\n{}", PARTITION.join("\n"));
        return Err(SqlDiagnostic::new(first.span, message).with_hint("Give all four, or none."));
    }
    if let (Some(lower), Some(upper), Some(span)) = (lower_bound, upper_bound, upper_span)
        && lower > upper
    {
        let message = format!(
            "'scan.partition.lower-bound'='{lower}' must not be larger than 'scan.partition.upper-bound'='{upper}'."
        );
        return Err(SqlDiagnostic::new(span, message).with_hint("Exchange them."));
    }
    if usage == Usage::Source {
        return Ok(());
    }
    options.readable_without_effect(&[("scan.fetch-size", Kind::Number), ("scan.auto-commit", Kind::Boolean)])
}

fn cache(options: &mut Options<'_>) -> SqlResult<Option<Cache>> {
    let kind = options.take("lookup.cache");
    let span = kind.as_ref().map_or(options.span(), |kind| kind.span);
    const KINDS: [(&str, (bool, bool)); 3] =
        [("NONE", (false, false)), ("PARTIAL", (true, false)), ("FULL", (false, true))];
    let (partial, full) = Options::choice(kind.as_ref(), &KINDS)?.unwrap_or_default();
    if full {
        // Flink's connector takes the word, has none of the options of a full cache, and asks for every key.
        options.refuse("jdbc", "lookup.full-cache.")?;
        options.note("lookup.cache = FULL".to_owned());
    }
    // Of the two generations of options one counts, as in Flink: the new one with `lookup.cache` = `PARTIAL`.
    const NEW: [&str; 5] = [
        "lookup.partial-cache.max-rows",
        "lookup.partial-cache.expire-after-write",
        "lookup.partial-cache.cache-missing-key",
        "lookup.partial-cache.caching-missing-key",
        "lookup.partial-cache.expire-after-access",
    ];
    const OLD: [&str; 3] = ["lookup.cache.max-rows", "lookup.cache.ttl", "lookup.cache.caching-missing-key"];
    let [rows, written, missing, other_missing, access] = NEW.map(|key| options.take(key));
    let [old_rows, old_written, old_missing] = OLD.map(|key| options.take(key));
    let unused = if partial {
        vec![&old_rows, &old_written, &old_missing]
    } else {
        vec![&rows, &written, &missing, &other_missing, &access]
    };
    unused.into_iter().flatten().for_each(|given| options.note(given.key.clone()));
    if let (Some(only), None) | (None, Some(only)) = (&old_rows, &old_written) {
        let message =
            "Either all or none of the following options should be provided:\nlookup.cache.max-rows\nlookup.cache.ttl";
        return Err(SqlDiagnostic::new(only.span, message).with_hint("Give both, or none."));
    }
    let new = remembered(rows.as_ref(), written.as_ref(), access.as_ref(), missing.or(other_missing))?;
    let old = remembered(old_rows.as_ref(), old_written.as_ref(), None, old_missing)?;
    let cache = if partial { new } else { old };
    let bounded = cache.max_rows.is_some() || cache.after_write.is_some() || cache.after_access.is_some();
    if partial && !bounded {
        let message = "Missing 'lookup.partial-cache.expire-after-access', 'lookup.partial-cache.expire-after-write' or \
                       'lookup.partial-cache.max-rows' in the configuration. The cache will not have evictions under this \
                       configuration and could lead to potential memory issues as the cache size may grow indefinitely.";
        return Err(SqlDiagnostic::new(span, message).with_hint("Add 'lookup.partial-cache.max-rows'."));
    }
    let some = cache.max_rows.is_some_and(|rows| rows > 0) && cache.after_write.is_some_and(|time| !time.is_zero());
    let cached = partial || some;
    Ok(cached.then_some(cache))
}

/// A cache of these options.
fn remembered(
    rows: Option<&Given>,
    written: Option<&Given>,
    access: Option<&Given>,
    missing: Option<Given>,
) -> SqlResult<Cache> {
    Ok(Cache {
        // As in Flink nothing is kept by a number below one.
        max_rows: Options::number::<i64>(rows)?.map(|rows| rows.max(0).unsigned_abs()),
        after_write: Options::duration(written)?,
        after_access: Options::duration(access)?,
        missing: missing.map_or(Ok(true), |text| Options::boolean(Some(text)))?,
    })
}
