//! Logs to standard error and the Prometheus recorder behind `/metrics`.
//!
//! Invariant: a log line that cannot be written (its file lies on a disk that is full, nobody reads the pipe) is lost, and
//! nothing else with it.

use std::io::IsTerminal;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

/// Buckets for latencies, in seconds: 0.5 ms to a minute.
const SECONDS_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// Starts logging; `RUST_LOG` sets what is shown, else `default` does. Colours only on a terminal.
pub fn start_logging(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(true)
        // It would be told on standard error too, and what fails there panics: in whatever task has something to say.
        .log_internal_errors(false)
        .try_init();
    if started.is_err() {
        tracing::debug!("logging was started before");
    }
}

/// Installs the recorder; the handle renders the page.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    let builder =
        PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS_BUCKETS)?;
    Ok(builder.install_recorder()?)
}
