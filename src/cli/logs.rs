//! `mapek logs`: what a container has written.

use std::io::Write;

use http_body_util::BodyExt;
use hyper::Method;
use hyper::header::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::client::LogsOptions;

use super::http::Client;
use super::problem::{Exit, Problem, written};
use super::show::objects;

/// Writes a container's log to standard output, as the container wrote it.
///
/// # Errors
///
/// When there is no such container, or its log breaks off.
pub async fn logs(client: &Client, options: &LogsOptions) -> Result<(), Problem> {
    let (vm, container) = match options.container.split_once('/') {
        Some((vm, container)) => (vm.to_owned(), container),
        None => (
            only_vm(client, &options.container).await?,
            options.container.as_str(),
        ),
    };
    let mut query = vec![format!("follow={}", options.follow)];
    query.extend(options.tail.map(|tail| format!("tail={tail}")));
    if let Some(since) = &options.since {
        let since = moment(since, Timestamp::now())?;
        query.push(format!("since={}", encoded(&since.to_string())));
    }
    let path = format!(
        "/api/logs/{}/{}?{}",
        encoded(&vm),
        encoded(container),
        query.join("&")
    );
    let mut body = client.open(&path, HeaderMap::new()).await?.into_body();
    let mut out = std::io::stdout();
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let piece = match frame {
            None => return Ok(()),
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(error)) => {
                return Err(client.unreachable(&format!("the log broke off: {error}")));
            }
        };
        let result = out.write_all(&piece).and_then(|()| out.flush());
        if result
            .as_ref()
            .is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
        {
            return Ok(());
        }
        written(result)?;
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The one VM that has a container of that name.
async fn only_vm(client: &Client, container: &str) -> Result<String, Problem> {
    let allocation = client.ask(Method::GET, "/api/allocation", None).await?;
    let vms: Vec<&String> = objects(&allocation)
        .filter(|(_, vm)| vm.get("used").and_then(|used| used.get(container)).is_some())
        .map(|(name, _)| name)
        .collect();
    match vms.as_slice() {
        [only] => Ok((*only).clone()),
        [] => Err(Problem::new(
            Exit::Refused,
            format!(
                "no VM of the allocation has a container '{container}'; name the VM as well, as VM/{container}"
            ),
        )),
        several => {
            let choices: Vec<String> = several.iter().map(|vm| format!("{vm}/{container}")).collect();
            let message = format!(
                "several VMs have a container '{container}': give one of {}",
                choices.join(", ")
            );
            Err(Problem::new(Exit::Usage, message))
        }
    }
}

/// A time, or how long before `now` it was.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Problem> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = text
        .parse::<SignedDuration>()
        .ok()
        .filter(|ago| !ago.is_negative());
    ago.and_then(|ago| now.checked_sub(ago).ok()).ok_or_else(|| {
        let should = "a time such as 2026-11-21T16:00:00Z, or how long ago, such as 10m or 1h30m";
        Problem::new(Exit::Usage, format!("--since should be {should}, is {text:?}"))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_so_long_ago() {
        let now: Timestamp = "2026-11-21T16:00:00Z".parse().unwrap();
        for (text, is) in [
            ("2026-11-20T16:00:00Z", "2026-11-20T16:00:00Z"),
            ("10m", "2026-11-21T15:50:00Z"),
            ("1h30m", "2026-11-21T14:30:00Z"),
            ("45s", "2026-11-21T15:59:15Z"),
        ] {
            assert_eq!(moment(text, now).unwrap().to_string(), is, "{text}");
        }
        for wrong in ["", "yesterday", "-5m", "10"] {
            assert_eq!(moment(wrong, now).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
    }
}
