//! Values on the command line that clap has no parser for.

use std::time::Duration;

/// Reads `500ms`, `60s`, `5m`, `2h` or a plain number of seconds.
///
/// # Errors
/// A sentence for clap when the text is none of these.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds_per_unit = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        unit => return Err(format!("unknown unit '{unit}', write for example 60s, 5m or 2h")),
    };
    let number: f64 = digits.parse().map_err(|_| format!("'{text}' is no duration, write for example 60s"))?;
    Duration::try_from_secs_f64(number * seconds_per_unit).map_err(|_| format!("'{text}' is out of range"))
}

/// Reads a rate in events per second: a finite number above zero.
///
/// # Errors
/// A sentence for clap.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| format!("'{text}' is no number"))?;
    if rate.is_finite() && rate > 0.0 { Ok(rate) } else { Err("the rate must be above zero".to_owned()) }
}

/// Reads where a PostgreSQL is, as its clients write it; gives the text back.
///
/// # Errors
/// A sentence for clap.
pub fn parse_postgres(text: &str) -> Result<String, String> {
    let is_read = text.parse::<tokio_postgres::Config>().is_ok_and(|config| !config.get_hosts().is_empty());
    if is_read { Ok(text.to_owned()) } else { Err("write postgres://user:password@host:port/database".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("7"), Ok(Duration::from_secs(7)));
        for wrong in ["", "s", "5 parsecs", "-1s", "1e999"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_postgres_is_a_url() {
        assert!(parse_postgres("postgres://app:app@localhost:5432/thm").is_ok());
        for wrong in ["", "localhost:5432", "postgres://", "http://localhost"] {
            assert!(parse_postgres(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_are_above_zero() {
        assert_eq!(parse_rate("0.2"), Ok(0.2));
        for wrong in ["0", "-3", "NaN", "inf", "many"] {
            assert!(parse_rate(wrong).is_err(), "{wrong}");
        }
    }
}
