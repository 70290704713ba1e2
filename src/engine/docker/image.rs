//! Images: looked for on the machine, pulled if missing.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use bollard::auth::DockerCredentials;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::StreamExt;

use super::call::{Caller, Failed};
use super::login;
use crate::engine::{Effect, EngineError, EngineErrorKind, Tell, Wanted};
use crate::model::mib;

/// Time between two log lines about a pull.
const TELL_EVERY: Duration = Duration::from_secs(3);

/// Makes sure that the image is on the machine, under its name.
/// If an image arrives although the call failed, no container changes. So no failure here has an
/// effect that would have to be looked up.
pub async fn ensure(caller: &Caller, wanted: &Wanted, tell: Tell<'_>) -> Result<(), EngineError> {
    let image = wanted.image.as_str();
    // With a digest in the image's own name, there is nothing else to decide.
    let digest = wanted.digest.as_deref().filter(|_| !image.contains('@'));
    let there = match digest {
        Some(digest) => here(caller, image).await?.iter().any(|found| found == digest),
        None => !wanted.renew && present(caller, image).await?,
    };
    if there {
        return Ok(());
    }
    tracing::info!(engine = %caller.endpoint, image, digest, "pulling image");
    tell("begun");
    let credentials = login::of(caller, image, wanted.login.as_ref()).await?;
    let started = Instant::now();
    let (repository, tag) = name_and_tag(image);
    let pulled = match digest {
        Some(digest) => format!("{repository}@{digest}"),
        None => image.to_owned(),
    };
    let pull = pull(caller, &pulled, credentials, tell);
    match tokio::time::timeout(caller.settings.pull, pull).await {
        Ok(pulled) => pulled?,
        Err(_) => return Err(too_slow(caller, image, caller.settings.pull)),
    }
    if digest.is_some() {
        let what = format!("give image '{pulled}' the name '{image}'");
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        caller
            .change(&what, caller.docker.tag_image(&pulled, Some(options)))
            .await?;
    }
    if !present(caller, image).await? {
        let message = format!("pulled image '{image}', but the engine does not have it afterwards");
        return Err(caller.error(EngineErrorKind::Image, Effect::None, message));
    }
    tracing::info!(engine = %caller.endpoint, image, seconds = started.elapsed().as_secs(), "image pulled");
    tell("done");
    Ok(())
}

/// See [`crate::engine::Engine::digest`].
pub async fn digest(caller: &Caller, wanted: &Wanted) -> Result<String, EngineError> {
    let image = wanted.image.as_str();
    if let Some((_, digest)) = image.split_once('@') {
        return Ok(digest.to_owned());
    }
    let what = format!("ask the registry for image '{image}'");
    let (repository, tag) = name_and_tag(image);
    let name = format!("{repository}:{tag}");
    let credentials = login::of(caller, image, wanted.login.as_ref()).await?;
    let asked = caller.docker.inspect_registry_image(&name, credentials);
    let found = caller
        .look(&what, asked)
        .await
        .map_err(|failed| refused(caller, image, failed))?;
    found.descriptor.digest.ok_or_else(|| {
        let message = format!("could not {what}: the answer has no digest");
        caller.error(EngineErrorKind::Garbled, Effect::None, message)
    })
}

/// See [`crate::engine::Engine::digest_of`].
pub async fn digest_of(caller: &Caller, container: &str, image: &str) -> Result<Option<String>, EngineError> {
    let what = format!("inspect container '{container}'");
    let found = match caller
        .look(&what, caller.docker.inspect_container(container, None))
        .await
    {
        Ok(found) => found,
        Err(failed) if failed.status == Some(404) => return Ok(None),
        Err(failed) => return Err(failed.error),
    };
    let made_from = found.config.and_then(|config| config.image).unwrap_or_default();
    match found.image {
        Some(id) if made_from == image => Ok(digests(caller, &id, image).await?.into_iter().next()),
        _ => Ok(None),
    }
}

/// The digests under which the image that has this name here was pulled.
async fn here(caller: &Caller, image: &str) -> Result<Vec<String>, EngineError> {
    digests(caller, image, image).await
}

/// The digests under which an image, known by its id or name, was pulled from the repository of `image`.
async fn digests(caller: &Caller, id: &str, image: &str) -> Result<Vec<String>, EngineError> {
    let what = format!("look for image '{image}'");
    let found = match caller.look(&what, caller.docker.inspect_image(id)).await {
        Ok(found) => found,
        Err(failed) if failed.status == Some(404) => return Ok(Vec::new()),
        Err(failed) => return Err(failed.error),
    };
    let (repository, _) = name_and_tag(image);
    let repository = repository.split('@').next().unwrap_or_default();
    let familiar = |name: &str| {
        let name = name.strip_prefix("docker.io/").unwrap_or(name);
        name.strip_prefix("library/").unwrap_or(name).to_owned()
    };
    let own = |pulled: &String| {
        let (name, digest) = pulled.split_once('@')?;
        (familiar(name) == familiar(repository)).then(|| digest.to_owned())
    };
    Ok(found
        .repo_digests
        .unwrap_or_default()
        .iter()
        .filter_map(own)
        .collect())
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

async fn pull(
    caller: &Caller,
    image: &str,
    credentials: Option<DockerCredentials>,
    tell: Tell<'_>,
) -> Result<(), EngineError> {
    let what = format!("pull image '{image}'");
    let (name, tag) = name_and_tag(image);
    let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
    let mut progress = caller.docker.create_image(Some(options), None, credentials);
    let mut told = Instant::now();
    let mut layers = Layers::default();
    loop {
        let next = tokio::time::timeout(caller.settings.pull_silence, progress.next())
            .await
            .map_err(|_| too_slow(caller, image, caller.settings.pull_silence))?;
        match next {
            None => return Ok(()),
            Some(Ok(line)) => {
                layers.hear(&line);
                if told.elapsed() >= TELL_EVERY {
                    told = Instant::now();
                    let far = layers.to_string();
                    tracing::info!(engine = %caller.endpoint, image, far, "pulling image");
                    tell(&far);
                }
            }
            Some(Err(error)) => {
                return Err(refused(caller, image, caller.failed(&what, Effect::None, error)));
            }
        }
    }
}

/// How far the image's layers are.
#[derive(Default)]
struct Layers(BTreeMap<String, (u64, u64)>);

impl Layers {
    fn hear(&mut self, line: &CreateImageInfo) {
        let bytes = |amount: Option<i64>| amount.and_then(|amount| u64::try_from(amount).ok());
        let detail = line.progress_detail.as_ref();
        let (current, total) = (
            detail.and_then(|detail| bytes(detail.current)),
            detail.and_then(|detail| bytes(detail.total)),
        );
        if let (Some(layer), Some("Downloading"), Some(current), Some(total)) =
            (&line.id, line.status.as_deref(), current, total)
        {
            self.0.insert(layer.clone(), (current, total));
        } else if let (Some(layer), Some("Download complete" | "Pull complete")) =
            (&line.id, line.status.as_deref())
            && let Some((current, total)) = self.0.get_mut(layer)
        {
            *current = *total;
        }
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |part: fn(&(u64, u64)) -> u64| mib(self.0.values().map(part).sum());
        write!(
            out,
            "{} of {}",
            of(|(current, _)| *current),
            of(|(_, total)| *total)
        )
    }
}

/// The engine reports the registry's refusal, so it is about the image.
fn refused(caller: &Caller, image: &str, failed: Failed) -> EngineError {
    if !matches!(
        failed.error.kind,
        EngineErrorKind::Refused | EngineErrorKind::Failing
    ) {
        return failed.error;
    }
    let said = failed.said.to_lowercase();
    let barred = [
        "unauthorized",
        "denied",
        "no basic auth",
        "authentication required",
    ];
    let advice = if barred.iter().any(|word| said.contains(word)) {
        "; give a name and password under registries in the topology's infrastructure, or log the service's user in with `docker login`; \
         or check the image's name"
    } else {
        "; check its name and tag, and that the machine reaches the registry, or load the image there by hand"
    };
    let message = format!(
        "image '{image}' is not on the machine and could not be pulled: {}{advice}",
        failed.said
    );
    caller.error(EngineErrorKind::Image, Effect::None, message)
}

fn too_slow(caller: &Caller, image: &str, limit: Duration) -> EngineError {
    let what = format!("pull image '{image}'");
    caller.late(&what, Effect::None, limit).error
}

/// Separates the tag from the name. Without a tag the engine would pull all of them, so `latest` is
/// given explicitly; a digest belongs to the name.
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
