//! Probes of containers, made from here: one question and its answer, and what a row of answers says of a
//! container's health.

use std::time::Duration;

use http_body_util::Empty;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Health;
use crate::model::topology::{Ask, Probe};

/// Time between two questions to a container that has just been started.
const EAGER: Duration = Duration::from_millis(500);
/// A connection that is closed within this time was never wanted.
const AT_ONCE: Duration = Duration::from_millis(300);

/// A probe, and the address of the VM that its container is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The VM's address.
    pub vm: String,
    /// What is asked there.
    #[serde(flatten)]
    pub probe: Probe,
}

impl Target {
    /// Asks once. What is wrong is told in words for a person.
    ///
    /// # Errors
    ///
    /// When the answer is not right, or does not come in time.
    pub async fn ask(&self) -> Result<(), String> {
        let limit = Duration::from_secs(self.probe.timeout_s.into());
        let own = self.probe.address.map(|address| address.to_string());
        let (host, port) = (own.as_deref().unwrap_or(&self.vm), self.probe.port);
        let place = if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        };
        let asked = async {
            let stream = TcpStream::connect((host, port))
                .await
                .map_err(|error| format!("{place}: {error}"))?;
            match &self.probe.ask {
                Ask::Tcp {} => stays_open(stream, &place, limit).await,
                Ask::Http { path, status, .. } => http(stream, &place, path, *status).await,
            }
        };
        tokio::time::timeout(limit, asked)
            .await
            .unwrap_or_else(|_| Err(format!("{place}: no answer within {} s", limit.as_secs())))
    }
}

/// Waits whether the other side closes the connection at once. Proxies that publish ports, Docker's for one, take every
/// connection and close it when nobody listens behind them.
async fn stays_open(mut stream: TcpStream, place: &str, limit: Duration) -> Result<(), String> {
    let closed = |why: &str| Err(format!("{place}: the connection was closed at once{why}"));
    match tokio::time::timeout(AT_ONCE.min(limit / 2), stream.read(&mut [0; 1])).await {
        // It stays silent, or speaks first, as SSH and SMTP do.
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0)) => closed(", so nothing listens behind it"),
        Ok(Err(error)) => closed(&format!(": {error}")),
    }
}

async fn http(stream: TcpStream, place: &str, path: &str, wanted: Option<u16>) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("GET http://{place}{path}: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| failed(&error))?;
    let request = Request::get(path)
        .header("Host", place)
        .header("User-Agent", "mapek-probe")
        .header("Connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&error))?;
    // Ended with this set, when the answer is there or is waited for no longer. Its body is of no interest.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| failed(&error))?;
    let status = answer.status().as_u16();
    let right = wanted.map_or((200..400).contains(&status), |wanted| wanted == status);
    if right {
        return Ok(());
    }
    let wanted = wanted.map_or_else(|| "200 to 399".to_owned(), |wanted| wanted.to_string());
    Err(failed(&format!("answered {status}, not {wanted}")))
}

/// What a row of answers says. Pure: times are told, not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The container's health.
    pub health: Health,
    /// Failures in a row that count.
    failures: u32,
    /// What was wrong the last time that something was.
    pub said: String,
}

impl Default for Verdict {
    fn default() -> Self {
        Self {
            health: Health::Starting,
            failures: 0,
            said: String::new(),
        }
    }
}

impl Verdict {
    /// Takes an answer into account that came `age` after the container was started. Docker judges its own
    /// checks in the same way.
    pub fn hear(&mut self, probe: &Probe, age: Duration, answer: Result<(), String>) {
        match answer {
            Ok(()) => {
                self.health = Health::Healthy;
                self.failures = 0;
            }
            Err(said) => {
                self.said = said;
                if self.health == Health::Starting && age < period(probe) {
                    return;
                }
                self.failures = self.failures.saturating_add(1);
                if self.failures >= probe.retries {
                    self.health = Health::Unhealthy;
                }
            }
        }
    }

    /// How long to wait until the next question: a container that is being started is asked often.
    #[must_use]
    pub fn pause(&self, probe: &Probe, age: Duration) -> Duration {
        let usual = Duration::from_secs(probe.interval_s.into());
        if self.health == Health::Starting && age < period(probe) {
            usual.min(EAGER)
        } else {
            usual
        }
    }
}

fn period(probe: &Probe) -> Duration {
    Duration::from_secs(probe.start_period_s.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    fn target(port: u16, ask: Ask) -> Target {
        let probe = Probe {
            ask,
            address: None,
            port,
            interval_s: 10,
            timeout_s: 1,
            retries: 3,
            start_period_s: 30,
        };
        Target {
            vm: "127.0.0.1".to_owned(),
            probe,
        }
    }

    fn http(port: u16, status: Option<u16>) -> Target {
        let path = "/health?x=1".to_owned();
        target(port, Ask::Http { path, status })
    }

    /// Answers every request with this, and tells the first line that it read last.
    async fn server(answer: &'static str) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, told) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut read = vec![0; 1000];
                let length = stream.read(&mut read).await.unwrap_or(0);
                read.truncate(length);
                let text = String::from_utf8_lossy(&read);
                let _ = tell.send(text.lines().next().unwrap_or_default().to_owned());
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (port, told)
    }

    #[tokio::test]
    async fn an_http_probe_tells_right_statuses_from_wrong_ones() {
        let (port, mut told) =
            server("HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        // Often, since an answer and the end of its connection race with each other.
        for _ in 0..50 {
            assert_eq!(http(port, None).ask().await, Ok(()));
        }
        assert_eq!(told.recv().await.unwrap(), "GET /health?x=1 HTTP/1.1");
        assert_eq!(http(port, Some(301)).ask().await, Ok(()));
        let wrong = http(port, Some(200)).ask().await.unwrap_err();
        assert!(wrong.contains("answered 301, not 200"), "{wrong}");
        let (port, _) = server("HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\nno!").await;
        let wrong = http(port, None).ask().await.unwrap_err();
        assert!(wrong.contains("answered 503, not 200 to 399"), "{wrong}");
        let (port, _) = server("SSH-2.0-OpenSSH\r\n").await;
        http(port, None).ask().await.unwrap_err();
    }

    #[tokio::test]
    async fn silence_and_closed_ports_are_failures() {
        let (port, _told) = server("").await;
        assert_eq!(target(port, Ask::Tcp {}).ask().await, Ok(()));
        let late = http(port, None).ask().await.unwrap_err();
        assert!(late.contains("no answer within 1 s"), "{late}");
        let free = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let closed = target(free.port(), Ask::Tcp {}).ask().await.unwrap_err();
        assert!(closed.contains("refused"), "{closed}");
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_at_once_is_a_failure_and_one_that_speaks_first_is_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            for turn in 0.. {
                let Ok((mut stream, _)) = listener.accept().await else {
                    return;
                };
                if turn % 2 == 1 {
                    let _ = stream.write_all(b"220 ready\r\n").await;
                }
            }
        });
        for _ in 0..5 {
            let closed = target(port, Ask::Tcp {}).ask().await.unwrap_err();
            assert!(closed.contains("closed at once"), "{closed}");
            assert_eq!(target(port, Ask::Tcp {}).ask().await, Ok(()));
        }
    }

    #[test]
    fn failures_count_after_the_start_and_only_in_a_row() {
        let probe = http(1, None).probe;
        let mut verdict = Verdict::default();
        let mut hear = |at: u64, good: bool| {
            let answer = if good { Ok(()) } else { Err("no".to_owned()) };
            verdict.hear(&probe, Duration::from_secs(at), answer);
            (verdict.health, verdict.pause(&probe, Duration::from_secs(at)))
        };
        let usual = Duration::from_secs(10);
        for at in 0..29 {
            assert_eq!(hear(at, false), (Health::Starting, EAGER));
        }
        assert_eq!(hear(30, false), (Health::Starting, usual));
        assert_eq!(hear(31, false), (Health::Starting, usual));
        assert_eq!(hear(32, false), (Health::Unhealthy, usual));
        assert_eq!(hear(33, true), (Health::Healthy, usual));
        assert_eq!(hear(34, false), (Health::Healthy, usual));
        assert_eq!(hear(35, false), (Health::Healthy, usual));
        assert_eq!(hear(36, true), (Health::Healthy, usual));
    }

    proptest! {
        #[test]
        fn health_is_what_the_last_answers_say(answers in proptest::collection::vec((0_u64..100, any::<bool>()), 1..40)) {
            let mut times = answers.clone();
            times.sort_unstable();
            let probe = http(1, None).probe;
            let mut verdict = Verdict::default();
            for (at, good) in &times {
                verdict.hear(&probe, Duration::from_secs(*at), if *good { Ok(()) } else { Err(String::new()) });
            }
            let failed = times.iter().rev().take_while(|(_, good)| !good).count();
            let ever = times.iter().any(|(_, good)| *good);
            match verdict.health {
                Health::Healthy => prop_assert!(ever && failed < 3),
                Health::Unhealthy => prop_assert!(failed >= 3),
                Health::Starting => prop_assert!(!ever),
            }
        }
    }
}
