//! For those who look on: the first places of the board, over one connection that is kept.

use thm_api::{ConnectorConfig, Hosts, Result};

use super::client::RedisClient;
use super::config::LeaderboardSettings;

/// Looks at one board again and again.
pub struct BoardWatch {
    settings: LeaderboardSettings,
    /// None before the first look and after an error.
    client: Option<RedisClient>,
}

impl BoardWatch {
    /// For the board of these options (secrets resolved); connects when first asked.
    pub fn new(config: &ConnectorConfig) -> Result<Self> {
        Ok(Self { settings: LeaderboardSettings::parse(config)?, client: None })
    }

    /// The first `places`, best first, with their points. Cancel-safe: a look that is given up costs the connection.
    pub async fn top(&mut self, places: usize, hosts: &Hosts) -> Result<Vec<(String, f64)>> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => RedisClient::connect(&self.settings.target, hosts).await?,
        };
        let mut command = redis::cmd("ZREVRANGE");
        command.arg(&self.settings.key).arg(0).arg(places.max(1) - 1).arg("WITHSCORES");
        let top = client.query("reading the leaderboard", &command).await?;
        self.client = Some(client);
        Ok(top)
    }
}
