//! Our own metrics as `/metrics` shows them, read back: gauges, and percentiles of the last minute.
//!
//! The recorder keeps histograms since the start; what people want to know is how it is now. So the buckets of a
//! minute ago are taken off.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Long enough that the slowest hundredth shows at a few events a second.
const DEFAULT_WINDOW: Duration = Duration::from_secs(60);

/// Metric and the value of its one label.
type Series = (String, String);
/// Upper bounds in seconds, and how many observations are at or below each.
type Buckets = Vec<(f64, f64)>;

/// What the metrics say now.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    values: BTreeMap<Series, f64>,
    p99: BTreeMap<Series, f64>,
}

impl Reading {
    /// A gauge or counter.
    pub fn value(&self, metric: &str, label: &str) -> Option<f64> {
        self.values.get(&(metric.to_owned(), label.to_owned())).copied()
    }

    /// Seconds that 99 of 100 observations of the last minute took at most; `None` without any.
    pub fn p99_seconds(&self, metric: &str, label: &str) -> Option<f64> {
        self.p99.get(&(metric.to_owned(), label.to_owned())).copied()
    }
}

/// Histograms of the last minute.
#[derive(Default)]
pub struct Meters {
    past: VecDeque<(Instant, BTreeMap<Series, Buckets>)>,
}

impl Meters {
    /// Takes the page of metrics.
    pub fn take(&mut self, now: Instant, page: &str) -> Reading {
        while self.past.front().is_some_and(|(at, _)| now.duration_since(*at) > DEFAULT_WINDOW) {
            self.past.pop_front();
        }
        let (values, histograms) = parse(page);
        let before = |series: &Series| self.past.iter().find_map(|(_, past)| past.get(series));
        let p99 = histograms
            .iter()
            .filter_map(|(series, buckets)| Some((series.clone(), percentile(&since(buckets, before(series)), 0.99)?)))
            .collect();
        self.past.push_back((now, histograms));
        Reading { values, p99 }
    }
}

fn parse(page: &str) -> (BTreeMap<Series, f64>, BTreeMap<Series, Buckets>) {
    let (mut values, mut histograms) = (BTreeMap::new(), BTreeMap::<Series, Buckets>::new());
    for line in page.lines().filter(|line| line.starts_with("thm_")) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<f64>() else { continue };
        let (metric, labels) = name.split_once('{').unwrap_or((name, ""));
        let mut label = String::new();
        let mut bound = None;
        for (key, text) in labels.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('=')) {
            let text = text.trim_matches('"');
            match (key, text) {
                ("le", "+Inf") => bound = Some(f64::INFINITY),
                ("le", text) => bound = text.parse().ok(),
                (_, text) => text.clone_into(&mut label),
            }
        }
        match (metric.strip_suffix("_bucket"), bound) {
            (Some(metric), Some(bound)) => {
                histograms.entry((metric.to_owned(), label)).or_default().push((bound, value));
            }
            _ => drop(values.insert((metric.to_owned(), label), value)),
        }
    }
    (values, histograms)
}

/// What was observed since an earlier look.
fn since(buckets: &Buckets, before: Option<&Buckets>) -> Buckets {
    let earlier = |place: usize| before.and_then(|past| past.get(place)).map_or(0.0, |(_, count)| *count);
    buckets.iter().enumerate().map(|(place, (bound, count))| (*bound, count - earlier(place))).collect()
}

/// By the rule of Prometheus: evenly spread within its bucket; beyond the last bound, that bound.
fn percentile(buckets: &Buckets, share: f64) -> Option<f64> {
    let total = buckets.last().map(|(_, count)| *count).filter(|total| *total > 0.0)?;
    let rank = total * share;
    let (mut low, mut below) = (0.0, 0.0);
    for (bound, count) in buckets {
        if *count >= rank {
            let within = if *count > below { (rank - below) / (count - below) } else { 1.0 };
            return Some(if bound.is_infinite() { low } else { low + (bound - low) * within });
        }
        (low, below) = (*bound, *count);
    }
    Some(low)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn page(fast: u64, slow: u64) -> String {
        format!(
            "# TYPE thm_sql_latency_seconds histogram\n\
             thm_sql_latency_seconds_bucket{{job=\"a.b\",le=\"0.001\"}} {fast}\n\
             thm_sql_latency_seconds_bucket{{job=\"a.b\",le=\"0.002\"}} {}\n\
             thm_sql_latency_seconds_bucket{{job=\"a.b\",le=\"+Inf\"}} {}\n\
             thm_sql_latency_seconds_sum{{job=\"a.b\"}} 1.5\n\
             thm_source_lag_bytes{{connector=\"pg.x\"}} 42\nother 1\n",
            fast + slow,
            fast + slow
        )
    }

    #[test]
    fn gauges_are_found_by_their_label() {
        let reading = Meters::default().take(Instant::now(), &page(1, 0));
        assert_eq!(reading.value("thm_source_lag_bytes", "pg.x"), Some(42.0));
        assert_eq!(reading.value("thm_source_lag_bytes", "pg.y"), None);
    }

    #[test]
    fn a_percentile_forgets_what_was_a_minute_ago() {
        let (mut meters, start) = (Meters::default(), Instant::now());
        let p99 = |reading: &Reading| reading.p99_seconds("thm_sql_latency_seconds", "a.b");
        // All slow at first: between the second bound and the first.
        let first = meters.take(start, &page(0, 100));
        assert!((p99(&first).unwrap() - 0.00199).abs() < 1e-9);
        // A minute of fast ones: the slow ones count for as long as a look from before them is in the window.
        let next = meters.take(start + Duration::from_secs(1), &page(100, 100));
        assert!((p99(&next).unwrap() - 0.00099).abs() < 1e-9, "only what came since the first look");
        // Nothing new since: no figure rather than an old one.
        let idle = meters.take(start + Duration::from_secs(120), &page(100, 100));
        assert!(p99(&idle).is_some(), "a first look has all since the start");
        let idle = meters.take(start + Duration::from_secs(121), &page(100, 100));
        assert_eq!(p99(&idle), None);
    }
}
