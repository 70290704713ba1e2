//! Images: looked for on the machine, pulled when absent.

use std::time::{Duration, Instant};

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::call::{Caller, Failed};
use crate::engine::{Effect, EngineError, EngineErrorKind};

/// Time between two lines about a pull in the log.
const TELL_EVERY: Duration = Duration::from_secs(3);

/// Makes sure that the image is on the machine.
///
/// An image that arrives although the call failed changes no container, so no failure here has an
/// effect that would have to be looked up.
pub async fn ensure(caller: &Caller, image: &str) -> Result<(), EngineError> {
    if present(caller, image).await? {
        return Ok(());
    }
    tracing::info!(engine = %caller.endpoint, image, "pulling image");
    let started = Instant::now();
    match tokio::time::timeout(caller.settings.pull, pull(caller, image)).await {
        Ok(pulled) => pulled?,
        Err(_) => return Err(too_slow(caller, image, caller.settings.pull)),
    }
    if !present(caller, image).await? {
        let message = format!("pulled image '{image}', but the engine does not have it afterwards");
        return Err(caller.error(EngineErrorKind::Image, Effect::None, message));
    }
    tracing::info!(engine = %caller.endpoint, image, seconds = started.elapsed().as_secs(), "image pulled");
    Ok(())
}

async fn present(caller: &Caller, image: &str) -> Result<bool, EngineError> {
    Ok(id(caller, image).await?.is_some())
}

/// The engine's id of the image, a hash of what it is made of.
pub async fn id(caller: &Caller, image: &str) -> Result<Option<String>, EngineError> {
    let what = format!("look for image '{image}'");
    match caller.look(&what, caller.docker.inspect_image(image)).await {
        Ok(found) => Ok(Some(found.id.unwrap_or_default())),
        Err(failed) if failed.status == Some(404) => Ok(None),
        Err(failed) => Err(failed.error),
    }
}

async fn pull(caller: &Caller, image: &str) -> Result<(), EngineError> {
    let what = format!("pull image '{image}'");
    let (name, tag) = name_and_tag(image);
    let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
    let mut progress = caller.docker.create_image(Some(options), None, None);
    let mut told = Instant::now();
    loop {
        let next = tokio::time::timeout(caller.settings.pull_silence, progress.next())
            .await
            .map_err(|_| too_slow(caller, image, caller.settings.pull_silence))?;
        match next {
            None => return Ok(()),
            Some(Ok(line)) => {
                if told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    let done = line
                        .progress_detail
                        .and_then(|detail| Some((detail.current?, detail.total?)));
                    tracing::info!(
                        engine = %caller.endpoint,
                        image,
                        layer = line.id.as_deref().unwrap_or_default(),
                        status = line.status.as_deref().unwrap_or_default(),
                        bytes = done.map(|(current, _)| current),
                        of = done.map(|(_, total)| total),
                        "pulling image"
                    );
                }
            }
            Some(Err(error)) => {
                return Err(refused(caller, image, caller.failed(&what, Effect::None, error)));
            }
        }
    }
}

/// The engine answers for the registry, so its refusal is about the image.
fn refused(caller: &Caller, image: &str, failed: Failed) -> EngineError {
    if !matches!(
        failed.error.kind,
        EngineErrorKind::Refused | EngineErrorKind::Failing
    ) {
        return failed.error;
    }
    let message = format!(
        "image '{image}' is not on the machine and could not be pulled: {}; check its name and tag, and that the \
         machine reaches the registry and may read from it, or load the image there by hand",
        failed.said
    );
    caller.error(EngineErrorKind::Image, Effect::None, message)
}

fn too_slow(caller: &Caller, image: &str, limit: Duration) -> EngineError {
    let what = format!("pull image '{image}'");
    caller.late(&what, Effect::None, limit).error
}

/// The tag apart from the name. Without a tag the engine would pull all of them, so `latest` is
/// said aloud; a digest belongs to the name.
fn name_and_tag(image: &str) -> (&str, &str) {
    if image.contains('@') {
        return (image, "");
    }
    match image.rsplit_once(':') {
        // A colon before a slash is the registry's port.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::name_and_tag;

    #[test]
    fn a_name_without_a_tag_means_latest() {
        assert_eq!(name_and_tag("nginx"), ("nginx", "latest"));
        assert_eq!(name_and_tag("nginx:1.27"), ("nginx", "1.27"));
        assert_eq!(
            name_and_tag("127.0.0.1:5000/a/b"),
            ("127.0.0.1:5000/a/b", "latest")
        );
        assert_eq!(name_and_tag("127.0.0.1:5000/a/b:2"), ("127.0.0.1:5000/a/b", "2"));
        assert_eq!(name_and_tag("a@sha256:00"), ("a@sha256:00", ""));
    }
}
