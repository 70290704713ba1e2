//! The real program, asked over HTTP, and started again when it has died or does not answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A service that is asked one question after the other.
pub struct Service {
    child: Child,
    address: String,
    stream: Option<BufReader<TcpStream>>,
    _data: TempDir,
}

/// The result of a question.
#[derive(Debug)]
pub enum Outcome {
    Answered {
        status: u16,
        body: Value,
        took: Duration,
        peak_mb: u64,
    },
    /// No answer within the time given. The process was ended.
    Silent,
    /// The process ended by itself.
    Died,
}

impl Service {
    pub fn start() -> Self {
        let data = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mapek"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MAPEK_")) {
            command.env_remove(name);
        }
        let mut child = command
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .args(["--listen", "127.0.0.1:0", "--observe-every-s", "0"])
            .args(["--rate-limit", "0", "--data-dir"])
            .arg(data.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("the service starts").unwrap();
            if let Some((_, rest)) = line.split_once("listening on http://") {
                break rest
                    .split_whitespace()
                    .next()
                    .unwrap()
                    .trim_end_matches('"')
                    .to_owned();
            }
        };
        // Keeps reading, so that the service never waits for a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self {
            child,
            address,
            stream: None,
            _data: data,
        }
    }

    /// Asks, for as long as `patience`.
    pub fn ask(&mut self, body: &Value, patience: Duration) -> Outcome {
        // Makes the kernel forget the highest use of memory so far.
        let id = self.child.id();
        let _ = std::fs::write(format!("/proc/{id}/clear_refs"), "5");
        let begun = Instant::now();
        match self.exchange(&body.to_string(), patience) {
            Ok((status, body)) => Outcome::Answered {
                status,
                body,
                took: begun.elapsed(),
                peak_mb: peak_mb(id),
            },
            Err(_) => {
                // It may take a moment until a process that has ended is seen as ended.
                std::thread::sleep(Duration::from_millis(50));
                let died = matches!(self.child.try_wait(), Ok(Some(_)));
                *self = Self::start();
                if died { Outcome::Died } else { Outcome::Silent }
            }
        }
    }

    fn exchange(&mut self, body: &str, patience: Duration) -> std::io::Result<(u16, Value)> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(TcpStream::connect(&self.address)?),
        };
        stream.get_ref().set_read_timeout(Some(patience))?;
        let head = format!(
            "POST /api/solve HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        stream.get_mut().write_all(head.as_bytes())?;
        stream.get_mut().write_all(body.as_bytes())?;
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let broken = || std::io::Error::other("no HTTP answer");
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .ok_or_else(broken)?;
        let (mut length, mut close) = (0, false);
        loop {
            line.clear();
            stream.read_line(&mut line)?;
            let lower = line.trim().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|_| broken())?;
            }
            close |= lower == "connection: close";
        }
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes)?;
        if !close {
            self.stream = Some(stream);
        }
        Ok((status, serde_json::from_slice(&bytes).map_err(|_| broken())?))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The most memory that a process had since this was last cleared, in MB.
fn peak_mb(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kb.unwrap_or(0) / 1000
}
