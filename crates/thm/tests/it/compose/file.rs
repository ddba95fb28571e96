//! `docker-compose.yml` as far as a test needs it, `.env` filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use yaml_rust2::{Yaml, YamlLoader};

use crate::stack::project;

/// A service of the file.
#[derive(Clone, Debug)]
pub struct Service {
    pub image: String,
    pub command: Vec<String>,
    pub environment: BTreeMap<String, String>,
    pub healthcheck: Vec<String>,
    pub ports: Vec<String>,
    volumes: Vec<String>,
    aliases: Vec<String>,
}

impl Service {
    /// Folders of the project and where they are mounted.
    pub fn mounts(&self) -> impl Iterator<Item = (&str, &str)> {
        let mounts = self.volumes.iter().filter_map(|volume| volume.strip_prefix("./"));
        mounts.filter_map(|volume| volume.split_once(':')).map(|(from, to)| (from, to.trim_end_matches(":ro")))
    }
}

/// The file.
pub struct Compose {
    pub services: BTreeMap<String, Service>,
}

impl Compose {
    pub fn load() -> Self {
        let read = |name: &str| std::fs::read_to_string(project().join(name)).unwrap();
        let variables: BTreeMap<String, String> = read(".env")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let documents = YamlLoader::load_from_str(&filled(&read("docker-compose.yml"), &variables)).unwrap();
        let services = documents[0]["services"].as_hash().unwrap();
        let services = services.iter().map(|(name, one)| (text(name), service(one))).collect();
        Self { services }
    }

    pub fn service(&self, name: &str) -> Service {
        self.services.get(name).unwrap_or_else(|| panic!("there is no service {name}")).clone()
    }

    /// Names that are known inside of the network.
    pub fn names(&self) -> BTreeSet<String> {
        let aliases = self.services.values().flat_map(|service| service.aliases.clone());
        self.services.keys().cloned().chain(aliases).collect()
    }
}

fn service(yaml: &Yaml) -> Service {
    let environment = yaml["environment"].as_hash().into_iter().flatten();
    Service {
        image: text(&yaml["image"]),
        command: list(&yaml["command"]),
        environment: environment.map(|(name, value)| (text(name), text(value))).collect(),
        healthcheck: list(&yaml["healthcheck"]["test"]),
        ports: list(&yaml["ports"]),
        volumes: list(&yaml["volumes"]),
        aliases: list(&yaml["networks"]["default"]["aliases"]),
    }
}

/// `${NAME}`, `${NAME:?why}`: every variable must stand in `.env`, so that a bare `docker compose up` works.
fn filled(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut parts = text.split("${");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inside, rest) = part.split_once('}').unwrap();
        let name = inside.split(':').next().unwrap();
        out += variables.get(name).unwrap_or_else(|| panic!("{name} does not stand in .env"));
        out += rest;
    }
    out
}

fn list(yaml: &Yaml) -> Vec<String> {
    yaml.as_vec().into_iter().flatten().map(text).collect()
}

fn text(yaml: &Yaml) -> String {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => text.clone(),
        Yaml::Integer(number) => number.to_string(),
        Yaml::Boolean(value) => value.to_string(),
        other => panic!("no text: {other:?}"),
    }
}

/// Host names in a folder's files: in URLs, in `host:port`, and as a connector's host name.
pub fn hosts_in(folder: &Path) -> Vec<(PathBuf, String)> {
    let pattern = regex::Regex::new(
        r#"(?:://|bootstrap\.servers' = '|advertise = "|hostname": ")((?:[a-z][a-z0-9-]*:[a-z0-9]+@)?)([a-z][a-z0-9-]*)"#,
    )
    .unwrap();
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(hosts_in(&entry));
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&entry) else { continue };
        let hosts = pattern.captures_iter(&text).map(|found| found[2].to_owned());
        let hosts = hosts.filter(|host| host != "localhost" && host != "app");
        found.extend(hosts.map(|host| (entry.clone(), host)));
    }
    found
}
