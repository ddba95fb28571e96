//! Random events: which content, what happened, for how long, on which device.

use rand::Rng;
use rand::rngs::StdRng;
use uuid::Uuid;

const DEVICES: [&str; 4] = ["ios", "android", "web-chrome", "web-safari"];
/// Length assumed where a content has none, such as a newsletter.
const DEFAULT_LENGTH_SECONDS: i32 = 300;

/// A row of `content`, as far as an event needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content {
    pub(super) id: Uuid,
    pub(super) length_seconds: Option<i32>,
}

/// Rows of one transaction, a column each, as the statement's parameters.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) content_ids: Vec<Uuid>,
    pub(super) user_ids: Vec<Uuid>,
    pub(super) event_types: Vec<&'static str>,
    pub(super) durations_ms: Vec<Option<i32>>,
    pub(super) devices: Vec<&'static str>,
    pub(super) payloads: Vec<String>,
}

impl Rows {
    /// Replaces the rows by `count` new ones about `contents`, which is not empty.
    pub(super) fn fill(&mut self, count: u32, contents: &[Content], random: &mut StdRng) {
        self.clear();
        for _ in 0..count {
            // Squared, so that a few contents are popular and the leaderboard has an order.
            let place = (random.random::<f64>().powi(2) * contents.len() as f64) as usize;
            let Some(content) = contents.get(place.min(contents.len().saturating_sub(1))) else { return };
            let length_ms = f64::from(content.length_seconds.unwrap_or(DEFAULT_LENGTH_SECONDS)) * 1000.0;
            let (event_type, duration_ms) = match random.random_range(0..100) {
                0..45 => ("play", Some((random.random::<f64>() * length_ms) as i32)),
                45..65 => ("pause", None),
                65..80 => ("finish", Some((random.random_range(0.9..=1.0) * length_ms) as i32)),
                _ => ("click", None),
            };
            self.content_ids.push(content.id);
            self.user_ids.push(uuid::Builder::from_random_bytes(random.random()).into_uuid());
            self.event_types.push(event_type);
            self.durations_ms.push(duration_ms);
            self.devices.push(DEVICES.get(random.random_range(0..DEVICES.len())).copied().unwrap_or("ios"));
            self.payloads.push(format!(
                r#"{{"session": {}, "app": "4.{}"}}"#,
                random.random::<u32>(),
                random.random_range(0..9)
            ));
        }
    }

    fn clear(&mut self) {
        self.content_ids.clear();
        self.user_ids.clear();
        self.event_types.clear();
        self.durations_ms.clear();
        self.devices.clear();
        self.payloads.clear();
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn rows(seed: u64) -> Rows {
        let contents = [None, Some(95), Some(5400)].map(|length_seconds| Content { id: Uuid::nil(), length_seconds });
        let mut rows = Rows::default();
        rows.fill(1000, &contents, &mut StdRng::seed_from_u64(seed));
        rows
    }

    #[test]
    fn only_play_and_finish_have_a_duration() {
        let rows = rows(1);
        for (event_type, duration) in rows.event_types.iter().zip(&rows.durations_ms) {
            assert_eq!(duration.is_some(), matches!(*event_type, "play" | "finish"), "{event_type}");
        }
        for event_type in ["play", "pause", "finish", "click"] {
            assert!(rows.event_types.contains(&event_type));
        }
    }

    #[test]
    fn a_seed_repeats_its_sequence() {
        assert_eq!(rows(7).payloads, rows(7).payloads);
        assert_ne!(rows(7).payloads, rows(8).payloads);
    }
}
