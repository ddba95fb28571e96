//! Where the user's files are: the folder with `connectors/`, `flink/sql/` and `db/init/`.

use std::fs;
use std::path::{Path, PathBuf};

use thm_api::{Error, ErrorKind, Result};

use crate::process::local;

const SQL: &str = "flink/sql/01_enrich.sql";

/// The user's files.
#[derive(Debug)]
pub(crate) struct Project {
    folder: PathBuf,
}

impl Project {
    /// The folder given, else the working directory, else the nearest folder above `program` that has the files.
    pub(crate) fn find(given: Option<&Path>, program: &Path) -> Result<Self> {
        let candidates: Vec<PathBuf> = match given {
            Some(folder) => {
                vec![std::path::absolute(folder).map_err(|error| local("finding", folder.display(), error))?]
            }
            None => {
                let here = std::env::current_dir().map_err(|error| local("finding", "the working directory", error))?;
                std::iter::once(here).chain(program.ancestors().skip(1).map(Path::to_owned)).collect()
            }
        };
        let first = candidates.first().cloned().unwrap_or_default();
        candidates.into_iter().find(|folder| missing(folder).is_none()).map(|folder| Self { folder }).ok_or_else(|| {
            let lacks = format!("{} has no {}", first.display(), missing(&first).unwrap_or(SQL));
            Error::new(ErrorKind::InvalidConfig, "looking for the project's files", lacks)
                .with_hint("Run it in the project's folder, or name the folder with --project DIR.")
        })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// The engine's connector files, as a pattern.
    pub(crate) fn connectors(&self) -> String {
        self.folder.join("connectors/*.json").display().to_string()
    }

    /// The engine's SQL file.
    pub(crate) fn sql(&self) -> String {
        self.folder.join(SQL).display().to_string()
    }

    /// The database's files in their order.
    pub(crate) fn init(&self) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join("db/init");
        let entries = fs::read_dir(&folder).map_err(|error| local("reading", folder.display(), error))?;
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
        files.sort();
        Ok(files)
    }
}

/// The first thing a project's folder lacks.
fn missing(folder: &Path) -> Option<&'static str> {
    ["connectors", "db/init", SQL].into_iter().find(|part| !folder.join(part).exists())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_folder_without_the_files_says_which_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("connectors")).unwrap();
        let error = Project::find(Some(folder.path()), Path::new("/usr/bin/thm")).unwrap_err();
        assert!(error.to_string().ends_with("has no db/init"), "{error}");
        assert!(error.hint().contains("--project"));
    }

    #[test]
    fn sql_files_come_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("db/init")).unwrap();
        for name in ["02_b.sql", "01_a.sql", "readme.md"] {
            fs::write(folder.path().join("db/init").join(name), "").unwrap();
        }
        let files = Project { folder: folder.path().to_owned() }.init().unwrap();
        let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["01_a.sql", "02_b.sql"]);
    }
}
