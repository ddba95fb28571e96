//! What the thread of a job and the manager share: commands one way, status the other.

use parking_lot::Mutex;

use super::status::JobStatus;

/// What the manager wants of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Go on.
    Run,
    /// End at once, without a checkpoint.
    Cancel,
    /// End with a checkpoint.
    Stop,
}

/// Status of a job.
pub(super) struct Shared {
    status: Mutex<JobStatus>,
}

impl Shared {
    pub fn new(status: JobStatus) -> Self {
        Self { status: Mutex::new(status) }
    }

    pub fn status(&self) -> JobStatus {
        self.status.lock().clone()
    }

    pub fn update(&self, change: impl FnOnce(&mut JobStatus)) {
        change(&mut self.status.lock());
    }

    /// Takes counters, and moves the metrics by what they grew.
    pub fn report(&self, records_in: u64, records_out: u64, lag: u64, overflows: u64) {
        let mut status = self.status.lock();
        let grown = (records_in - status.records_in, records_out - status.records_out);
        if grown == (0, 0) && overflows == 0 && status.lag == lag {
            return;
        }
        let job = || status.name.clone();
        metrics::counter!("thm_sql_records_in_total", "job" => job()).increment(grown.0);
        metrics::counter!("thm_sql_records_out_total", "job" => job()).increment(grown.1);
        metrics::gauge!("thm_sql_lag_records", "job" => job()).set(lag as f64);
        if overflows > 0 {
            metrics::counter!("thm_sql_decimal_overflows_total", "job" => job()).increment(overflows);
        }
        status.records_in = records_in;
        status.records_out = records_out;
        status.lag = lag;
        if let Some(source) = status.vertices.first_mut() {
            (source.records_in, source.records_out) = (records_in, records_in);
        }
        if let Some(sink) = status.vertices.last_mut() {
            (sink.records_in, sink.records_out) = (records_out, records_out);
        }
    }
}
