//! Signals from a file: a JSON object a line. Lines that were obeyed are taken out of it.
//!
//! A line that somebody adds meanwhile stays: the file is emptied only when all of it was obeyed.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Result, Seek, SeekFrom};
use std::path::PathBuf;

use super::Signal;

/// Most that one look reads: thousands of signals.
const DEFAULT_READ_BYTES: u64 = 1 << 20;

/// The file.
#[derive(Debug)]
pub(super) struct SignalFile {
    path: PathBuf,
    /// Bytes of it that were obeyed and are still there.
    obeyed: u64,
    /// Bytes read that are not settled.
    read: u64,
    /// Bytes of an unfinished last line, at the last look: somebody may be writing it.
    unfinished: u64,
    /// Its failure was told of.
    failing: bool,
}

impl SignalFile {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, obeyed: 0, read: 0, unfinished: 0, failing: false }
    }

    /// Signals that were added. A line that is none is told of and passed over.
    pub(super) fn read(&mut self) -> Vec<Signal> {
        let lines = match self.lines() {
            Ok(lines) => {
                self.failing = false;
                lines
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(%error, file = %self.path.display(), "signal file cannot be read");
                }
                return Vec::new();
            }
        };
        let mut found = Vec::new();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            match Signal::of_json(line) {
                Some(signal) => found.push(signal),
                None => {
                    tracing::warn!(file = %self.path.display(), "line is no signal: an object with id, type and data is")
                }
            }
        }
        found
    }

    /// Whole lines behind what was obeyed.
    fn lines(&mut self) -> Result<Vec<u8>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                (self.obeyed, self.unfinished) = (0, 0);
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        if file.metadata()?.len() < self.obeyed {
            // Somebody has written it anew.
            self.obeyed = 0;
        }
        file.seek(SeekFrom::Start(self.obeyed))?;
        let mut text = Vec::new();
        file.take(DEFAULT_READ_BYTES).read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let last = text.get(whole..).unwrap_or_default();
        // The last line may come in parts. One that does not grow is whole, or never will be.
        let length = last.len() as u64;
        if length > 0 && Signal::of_json(last).is_none() && length != self.unfinished {
            self.unfinished = length;
            text.truncate(whole);
        } else {
            self.unfinished = 0;
        }
        self.read = text.len() as u64;
        Ok(text)
    }

    /// What was read need not come again.
    pub(super) fn settle(&mut self) {
        let read = std::mem::take(&mut self.read);
        if read == 0 {
            return;
        }
        self.obeyed += read;
        match self.empty() {
            Ok(true) => self.obeyed = 0,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, file = %self.path.display(),
                "signal file cannot be emptied: its signals come again after a restart"),
        }
    }

    /// Empties the file if nothing was added to it.
    fn empty(&self) -> Result<bool> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        let whole = file.metadata()?.len() == self.obeyed;
        if whole {
            file.set_len(0)?;
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use super::*;

    fn line(id: &str) -> String {
        format!("{{\"id\": \"{id}\", \"type\": \"log\", \"data\": {{}}}}")
    }

    fn ids(file: &mut SignalFile) -> Vec<String> {
        file.read().into_iter().map(|signal| signal.id).collect()
    }

    #[test]
    fn lines_come_until_they_are_settled_and_a_line_added_meanwhile_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signals");
        let mut file = SignalFile::new(path.clone());
        assert!(ids(&mut file).is_empty());
        let add = |text: &str| {
            let mut file = OpenOptions::new().append(true).create(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        add(&format!("{}\n\nno signal\n{}\n", line("a"), line("b")));
        assert_eq!(ids(&mut file), ["a", "b"]);
        // What a crash leaves unsettled comes again.
        assert_eq!(ids(&mut SignalFile::new(path.clone())), ["a", "b"]);
        add(&line("c"));
        file.settle();
        assert_eq!(ids(&mut file), ["c"], "without a line end too");
        file.settle();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert!(ids(&mut file).is_empty());
    }

    #[test]
    fn a_line_that_is_being_written_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signals");
        let mut file = SignalFile::new(path.clone());
        let (whole, part) = (format!("{}\n", line("a")), &line("b")[..9]);
        std::fs::write(&path, format!("{whole}{part}")).unwrap();
        assert_eq!(ids(&mut file), ["a"]);
        file.settle();
        std::fs::write(&path, format!("{whole}{}\n", line("b"))).unwrap();
        assert_eq!(ids(&mut file), ["b"]);
        file.settle();
        // One that never ends is passed over at the second look.
        std::fs::write(&path, part).unwrap();
        assert!(ids(&mut file).is_empty());
        file.settle();
        assert_eq!(std::fs::read(&path).unwrap().len(), 9);
        assert!(ids(&mut file).is_empty());
        file.settle();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
    }
}
