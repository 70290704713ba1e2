//! Connections through SSH: the `ssh` command, with `docker system dial-stdio` at the far end, as
//! Docker's own client does it.
//!
//! Keys, known hosts and jump hosts are those of the SSH client's own configuration. An unknown
//! host is refused, since there is nobody to ask. A connection is used only after the engine has
//! answered a ping through it: a failed login then counts as a connection that was never made, with
//! the reason that `ssh` gave.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Join, join};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

/// Logging in takes several round trips, and starting a program at the far end.
const LOGIN_TAKES: u32 = 4;
/// Most bytes of an answer to a ping, and of the output of `ssh`.
const MOST: usize = 4096;
const PING: &[u8] = b"HEAD /_ping HTTP/1.1\r\nHost: docker\r\n\r\n";

/// Makes connections to one engine.
#[derive(Clone, Debug)]
pub struct SshConnector {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
    pub timeout: Duration,
}

impl SshConnector {
    fn command(&self) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-T", "-o", "BatchMode=yes", "-o", "ServerAliveInterval=15"]);
        let seconds = self.timeout.as_secs().max(1);
        command.arg("-o").arg(format!("ConnectTimeout={seconds}"));
        if let Some(user) = &self.user {
            command.args(["-l", user]);
        }
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        command.args(["--", &self.host, "docker", "system", "dial-stdio"]);
        command
    }

    async fn connect(self) -> io::Result<SshStream> {
        let limit = self.timeout.saturating_mul(LOGIN_TAKES);
        match tokio::time::timeout(limit, self.dial()).await {
            Ok(made) => made,
            Err(_) => {
                let text = format!("no connection through ssh within {} s", limit.as_secs_f32());
                Err(io::Error::new(io::ErrorKind::TimedOut, text))
            }
        }
    }

    async fn dial(&self) -> io::Result<SshStream> {
        let mut child = self
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("the ssh command can't be run: {error}"))
            })?;
        let (Some(mut input), Some(mut output), Some(mut errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(io::Error::other("the ssh command has no pipes"));
        };
        if let Err(error) = ping(&mut input, &mut output).await {
            let mut said = Vec::new();
            // Its output ends with it; it may also hang, and then has no more output.
            let _ = tokio::time::timeout(
                Duration::from_millis(500),
                (&mut errors).take(4096).read_to_end(&mut said),
            )
            .await;
            let said = String::from_utf8_lossy(&said).trim().to_owned();
            let text = if said.is_empty() {
                error.to_string()
            } else {
                format!("ssh says: {said}")
            };
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
        }
        Ok(SshStream {
            io: TokioIo::new(join(output, input)),
            _child: child,
            _errors: errors,
        })
    }
}

/// Sends the engine a ping, and reads its answer to the end, so that the next byte belongs to the
/// next answer. The answer to HEAD has no body.
async fn ping(input: &mut ChildStdin, output: &mut ChildStdout) -> io::Result<()> {
    input.write_all(PING).await?;
    input.flush().await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MOST {
            return Err(io::Error::other("what answers is not a Docker engine"));
        }
        answer.push(output.read_u8().await?);
    }
    if answer.starts_with(b"HTTP/1.") {
        Ok(())
    } else {
        Err(io::Error::other("what answers is not a Docker engine"))
    }
}

impl tower_service::Service<Uri> for SshConnector {
    type Response = SshStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<SshStream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

/// One connection. The `ssh` process ends with it.
pub struct SshStream {
    io: TokioIo<Join<ChildStdout, ChildStdin>>,
    _child: Child,
    /// Kept open, or `ssh` would end when it has something to print.
    _errors: ChildStderr,
}

impl Read for SshStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_read(context, buffer)
    }
}

impl Write for SshStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

impl Connection for SshStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}
