//! `thm dev` on a terminal of its own: the screen opens, shows the path, and gives the terminal back.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::stack::{program, project};

/// What makes a terminal show its other screen, and the first again.
const OTHER_SCREEN: &str = "\u{1b}[?1049h";
const FIRST_SCREEN: &str = "\u{1b}[?1049l";

/// `thm dev` under script(1), which gives it a terminal.
struct Terminal {
    child: Child,
    keys: ChildStdin,
    output: Arc<Mutex<String>>,
}

impl Terminal {
    fn start(arguments: &str) -> Self {
        let command = format!("stty rows 24 cols 80; exec {} dev {arguments}", program().display());
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (keys, mut shown) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let output = Arc::new(Mutex::new(String::new()));
        let taken = Arc::clone(&output);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = shown.read(&mut buffer) {
                taken.lock().push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self { child, keys, output }
    }

    fn until_shown(&self, text: &str) {
        let started = Instant::now();
        while !self.output.lock().contains(text) {
            assert!(started.elapsed() < Duration::from_secs(90), "`{text}` is not in {}", self.output.lock());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses a key and waits for the end; gives the exit code.
    fn end_by(&mut self, key: &[u8]) -> Option<i32> {
        self.keys.write_all(key).unwrap();
        self.keys.flush().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_screen_shows_the_path_and_gives_the_terminal_back() {
    let folder = tempfile::Builder::new().prefix("thm-it-").tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let data = folder.path().join("data").display().to_string();
    let arguments = format!("--data {data} --ports auto --rate 20 --project {}", project().display());
    for (key, code) in [(&b"q"[..], 0), (b"\x03", 130)] {
        let mut terminal = Terminal::start(&arguments);
        for part in [OTHER_SCREEN, "postgres", "PostgreSQL", "thm.enriched.events", "ClickHouse", "psql"] {
            terminal.until_shown(part);
        }
        assert_eq!(terminal.end_by(key), Some(code));
        // The thread that reads may be a moment behind.
        terminal.until_shown("redis         stopped");
        let output = terminal.output.lock().clone();
        let after = output.rsplit(FIRST_SCREEN).next().unwrap();
        assert!(output.contains(FIRST_SCREEN) && after.contains("thamanya dev · was up"), "{output}");
        assert!(after.contains("thm.enriched.events") && !after.contains(OTHER_SCREEN), "{after}");
        let left = std::fs::read_dir(format!("{data}/run")).unwrap().count();
        assert_eq!(left, 0, "no service is left");
    }
}
