//! Programs that the lab runs, either to their end or in the background with a log.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use crate::patience::Patience;

/// Runs a command to its end and returns its output; fails if the command does.
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed with {}: {}",
        output.status,
        said(&output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Standard output and error of a command, for messages.
pub fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// Waits until `what` holds, and fails with `tell()` if it never does.
pub fn wait_until(tell: impl Fn() -> String, mut holds: impl FnMut() -> bool) {
    let mut patience = Patience::every(Duration::from_millis(20));
    while !holds() {
        patience.wait_blocking(&tell);
    }
}

/// A program in the background. It is killed when this is dropped.
pub struct Daemon {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts a program; both its outputs are added to `log`.
    pub fn start(name: &str, log: &Path, command: &mut Command) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self {
            name: name.to_owned(),
            log: log.to_owned(),
            child,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`, `STOP` or `CONT`.
    pub fn signal(&self, signal: &str) {
        run(Command::new("kill").args(["-s", signal, &self.pid().to_string()]));
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        let mut patience = Patience::every(Duration::from_millis(20));
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            patience.wait_blocking(|| format!("{} ignores SIGTERM", self.name));
        }
    }

    /// Waits until `ready` holds; fails at once when the program ends before.
    pub fn wait_ready(&mut self, mut ready: impl FnMut() -> bool) {
        let mut patience = Patience::every(Duration::from_millis(10));
        while !ready() {
            let name = self.name.clone();
            if let Some(status) = self.ended() {
                let how = status
                    .signal()
                    .map_or(status.to_string(), |number| format!("signal {number}"));
                panic!("{name} ended ({how}):\n{}", self.log_end());
            }
            patience.wait_blocking(|| format!("{name} does not get ready:\n{}", self.log_end()));
        }
    }

    /// Everything that it wrote so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines that it wrote, without the chatter of containerd's helpers.
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("level=info")).collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // When a test fails, the programs' output usually says why.
        if std::thread::panicking() {
            println!("--- end of {}'s log\n{}", self.name, self.log_end());
        }
        self.kill();
    }
}
