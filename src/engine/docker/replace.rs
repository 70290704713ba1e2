//! Replaces a container with another one on the same engine.
//!
//! The successor is made under a name of its own, with the labels that it is going to keep. So it
//! can be recognised: its labels name a tier, and its name is not that tier's. The old one keeps
//! its name, running or stopped, until the successor is up. Each step can be seen from what is
//! there, so that an interrupted replacement can be continued, or taken back.

use std::time::Duration;

use bollard::query_parameters::RenameContainerOptionsBuilder;

use super::call::Caller;
use super::look::{self, Found};
use super::start::{self, Started};
use super::{ensure, resize, runtime, spec, wait};
use crate::engine::{
    ContainerSpec, Effect, EngineError, EngineErrorKind, LABEL_APP, LABEL_SPEC, LABEL_TIER, Observed, State,
    successor,
};
use crate::model::{Handover, RevisionId};

/// How often to look and act before giving up.
const ROUNDS: usize = 8;

/// See [`crate::engine::Engine::replace`].
pub async fn with(
    caller: &Caller,
    asked: &ContainerSpec,
    handover: Handover,
) -> Result<Observed, EngineError> {
    let fingerprint = spec::fingerprint(asked);
    let as_asked = |found: &Found| is_as_asked(&found.seen, &fingerprint, asked);
    let temporary = successor(&asked.name);
    let mut fresh = false;
    for _ in 0..ROUNDS {
        let old = ours(caller, &asked.name).await?;
        let next = next_of(caller, &asked.name).await?;
        match (old, next) {
            // It was done before.
            (Some(old), next) if as_asked(&old) => {
                if let Some(next) = next {
                    ensure::remove(caller, &next).await?;
                }
                // It was seen to be well for as long as it must.
                let seen = ContainerSpec {
                    bake: Duration::ZERO,
                    ..asked.clone()
                };
                return ensure::running(caller, &seen).await;
            }
            (None, None) => return ensure::running(caller, asked).await,
            (None, Some(next)) if as_asked(&next) => rename(caller, &next, &asked.name).await?,
            (Some(old), Some(next)) if as_asked(&next) && startable(next.seen.state) => {
                if handover == Handover::StopFirst && old.seen.state.holds() {
                    ensure::stop(caller, &old).await?;
                }
                match up(caller, asked, &next, left_to_bake(handover, asked.bake)).await {
                    Started::Up(_) => {}
                    Started::Broken(error) if !fresh => {
                        tracing::warn!(engine = %caller.endpoint, container = next.seen.name, %error, "making a successor anew that can't be started");
                        ensure::remove(caller, &next).await?;
                        continue;
                    }
                    Started::Broken(error) | Started::Failed(error) => return Err(last(error, handover)),
                }
                ensure::remove(caller, &old).await?;
                rename(caller, &next, &asked.name).await?;
            }
            // Left over from an earlier attempt at something else.
            (_, Some(next)) if next.seen.state == State::Removing => wait::gone(caller, &next.seen).await?,
            (_, Some(next)) => ensure::remove(caller, &next).await?,
            (Some(_), None) => {
                ensure::create(caller, asked, &temporary, heir(handover, asked)).await?;
                fresh = true;
            }
        }
    }
    let message = format!(
        "gave up on replacing container '{}' after {ROUNDS} rounds: something else on the machine keeps changing it",
        asked.name
    );
    Err(caller.error(EngineErrorKind::Refused, Effect::Unknown, message))
}

/// See [`crate::engine::Engine::prepare_replacement`].
pub async fn prepare(
    caller: &Caller,
    asked: &ContainerSpec,
    handover: Handover,
) -> Result<bool, EngineError> {
    let fingerprint = spec::fingerprint(asked);
    let as_asked = |found: &Found| is_as_asked(&found.seen, &fingerprint, asked);
    let temporary = successor(&asked.name);
    for _ in 0..ROUNDS {
        let old = ours(caller, &asked.name).await?;
        if old.is_none_or(|old| as_asked(&old)) {
            return Ok(false);
        }
        match next_of(caller, &asked.name).await? {
            None => ensure::create(caller, asked, &temporary, heir(handover, asked)).await?,
            Some(next) if as_asked(&next) && startable(next.seen.state) => {
                if handover == Handover::StartFirst {
                    match up(caller, asked, &next, asked.bake).await {
                        Started::Up(_) => {}
                        Started::Broken(error) | Started::Failed(error) => return Err(error),
                    }
                }
                return Ok(true);
            }
            Some(next) if next.seen.state == State::Removing => wait::gone(caller, &next.seen).await?,
            Some(next) => ensure::remove(caller, &next).await?,
        }
    }
    Ok(true)
}

/// See [`crate::engine::Engine::take_back`].
pub async fn back(caller: &Caller, name: &str) -> Result<(), EngineError> {
    let old = ours(caller, name).await?;
    // A container of another tier with that name stays.
    let next = ours(caller, &successor(name)).await?;
    match (old, next.filter(|next| is_successor(&next.seen, name))) {
        (Some(old), next) => {
            if let Some(next) = next {
                ensure::remove(caller, &next).await?;
            }
            match old.seen.state {
                State::Created | State::Exited => match start::start(caller, &old, Duration::ZERO).await {
                    Started::Up(_) => Ok(()),
                    Started::Failed(error) | Started::Broken(error) => Err(error),
                },
                State::Running | State::Paused | State::Restarting | State::Removing | State::Dead => Ok(()),
            }
        }
        (None, Some(next)) => rename(caller, &next, name).await,
        (None, None) => Ok(()),
    }
}

/// Whose GPUs a successor takes over: those of the one that is stopped before it starts.
fn heir(handover: Handover, asked: &ContainerSpec) -> Option<&str> {
    (handover == Handover::StopFirst).then_some(asked.name.as_str())
}

/// Whether a container is the one that is asked for: made alike, of that revision, and from that image.
fn is_as_asked(seen: &Observed, fingerprint: &str, asked: &ContainerSpec) -> bool {
    let alike = seen
        .labels
        .get(LABEL_SPEC)
        .is_some_and(|label| label == fingerprint);
    alike && is_of(seen, asked.revision.as_ref(), asked.digest.as_deref())
}

/// Whether a container says that it was made from these, as far as they are asked for. Two revisions can be made alike: a
/// dependency that does not run has no address to be told. The label would name the old one for ever then.
fn is_of(seen: &Observed, revision: Option<&RevisionId>, digest: Option<&str>) -> bool {
    let same = revision.is_none() || seen.revision().as_ref() == revision;
    same && (digest.is_none() || seen.digest() == digest)
}

/// Whether a container in this state can be started, or runs.
const fn startable(state: State) -> bool {
    matches!(state, State::Created | State::Running | State::Exited)
}

async fn ours(caller: &Caller, name: &str) -> Result<Option<Found>, EngineError> {
    match look::one(caller, name).await? {
        Some(found) if !found.seen.managed => Err(look::foreign(caller, &found.seen)),
        found => Ok(found),
    }
}

/// The successor of a container, if there is one. A tier may have a name that ends like a
/// successor's: its container is then in the way, and is left alone.
async fn next_of(caller: &Caller, name: &str) -> Result<Option<Found>, EngineError> {
    let next = ours(caller, &successor(name)).await?;
    match next {
        Some(next) if !is_successor(&next.seen, name) => {
            let message = format!(
                "container '{name}' can't be replaced: its successor needs the name '{}', which the container of another \
                 tier has; name that tier differently",
                next.seen.name
            );
            Err(caller.error(EngineErrorKind::Refused, Effect::None, message))
        }
        next => Ok(next),
    }
}

/// Whether a container's labels name the tier whose containers have this name.
fn is_successor(seen: &Observed, name: &str) -> bool {
    let label = |label: &str| seen.labels.get(label).map_or("", String::as_str);
    name == format!("{}_{}", label(LABEL_APP), label(LABEL_TIER))
}

/// How long a running successor must still stay well before the old one is removed. With
/// `start_first`, it was seen to stay well when it was prepared, and the old one was drained since:
/// no time should be lost.
const fn left_to_bake(handover: Handover, bake: Duration) -> Duration {
    match handover {
        Handover::StartFirst => Duration::ZERO,
        Handover::StopFirst => bake,
    }
}

/// Starts the successor if it does not run, and waits until it is up. One that already runs must
/// stay well for as long as `left`.
async fn up(caller: &Caller, asked: &ContainerSpec, next: &Found, left: Duration) -> Started {
    let runs = next.seen.state == State::Running;
    let made = runtime::difference(&asked.runtime, &next.host, next.stop_signal.as_deref());
    if let Some(wrong) = made.filter(|_| !runs) {
        return Started::Failed(ensure::not_as_asked(caller, &next.seen.name, &wrong));
    }
    if let Err(error) = resize::to(caller, &next.seen, &asked.limits).await {
        return Started::Failed(error);
    }
    if !runs {
        return start::start(caller, next, asked.bake).await;
    }
    match wait::up(caller, &next.seen, wait::Since::Earlier, left).await {
        Ok(seen) => Started::Up(seen),
        Err(error) => Started::Failed(error),
    }
}

/// What comes of it that an engine does not start a successor. While the old one is stopped nobody waits for an engine
/// that has answered no, and has no process of it, to change its mind: the old one is to run again.
fn last(error: EngineError, handover: Handover) -> EngineError {
    let kind = match (handover, error.kind, error.effect) {
        (Handover::StopFirst, EngineErrorKind::Failing, Effect::None) => EngineErrorKind::Refused,
        (_, kind, _) => kind,
    };
    EngineError { kind, ..error }
}

/// Gives the successor its predecessor's name.
async fn rename(caller: &Caller, next: &Found, name: &str) -> Result<(), EngineError> {
    let what = format!("rename container '{}' to '{name}'", next.seen.name);
    let options = RenameContainerOptionsBuilder::new().name(name).build();
    match caller
        .change(&what, caller.docker.rename_container(&next.seen.id, options))
        .await
    {
        Ok(()) => Ok(()),
        // The name was taken, or the container removed, meanwhile: the next look shows by what. If
        // the answer to an earlier try was lost, it already has the name.
        Err(failed) if matches!(failed.status, Some(404 | 409)) => Ok(()),
        Err(failed) => {
            let now = look::one(caller, &next.seen.id).await;
            match now {
                Ok(Some(now)) if now.seen.name == name => Ok(()),
                _ => Err(failed.error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{LABEL_DIGEST, LABEL_REVISION};

    fn labelled(labels: &[(&str, &str)]) -> Observed {
        Observed {
            name: "app_tier".to_owned(),
            id: "id".to_owned(),
            managed: true,
            image: "image".to_owned(),
            state: State::Running,
            health: None,
            cpuset: String::new(),
            nano_cpus: 0,
            memory: 0,
            memory_swap: 0,
            fixed: Default::default(),
            exit_code: None,
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ports: Vec::new(),
            addresses: None,
        }
    }

    #[test]
    fn a_successor_that_started_first_is_not_watched_twice() {
        let bake = Duration::from_secs(60);
        assert_eq!(left_to_bake(Handover::StartFirst, bake), Duration::ZERO);
        assert_eq!(left_to_bake(Handover::StopFirst, bake), bake);
    }

    #[test]
    fn an_engine_that_refuses_is_not_asked_again_while_the_old_one_is_stopped() {
        let said = |kind, effect| EngineError {
            endpoint: "e".to_owned(),
            message: "unable to find user nosuch".to_owned(),
            kind,
            effect,
        };
        let again = |handover, kind, effect| last(said(kind, effect), handover).may_pass();
        let (stop, start) = (Handover::StopFirst, Handover::StartFirst);
        assert!(!again(stop, EngineErrorKind::Failing, Effect::None));
        assert!(again(start, EngineErrorKind::Failing, Effect::None));
        // Whether it runs is to be found out.
        assert!(again(stop, EngineErrorKind::Failing, Effect::Unknown));
        assert!(again(stop, EngineErrorKind::Unreachable, Effect::None));
    }

    #[test]
    fn a_tier_whose_name_looks_like_a_successors_is_not_one() {
        let of = |tier: &str| labelled(&[(LABEL_APP, "shop"), (LABEL_TIER, tier)]);
        assert!(is_successor(&of("web"), "shop_web"));
        assert!(!is_successor(&of("web.next"), "shop_web"));
        assert!(is_successor(&of("web.next"), "shop_web.next"));
        assert!(!is_successor(&labelled(&[]), "shop_web"));
    }

    #[test]
    fn a_container_that_is_made_alike_is_another_one_at_another_revision_or_of_another_image() {
        let revision = RevisionId::new("new");
        let of = |labels: &[(&str, &str)], revision, digest| is_of(&labelled(labels), revision, digest);
        assert!(of(&[(LABEL_REVISION, "new")], Some(&revision), None));
        assert!(!of(&[(LABEL_REVISION, "old")], Some(&revision), None));
        // An earlier version made it, or it was adopted.
        assert!(!of(&[], Some(&revision), None));
        // Nobody keeps revisions.
        assert!(of(&[], None, None));
        let both = [(LABEL_REVISION, "new"), (LABEL_DIGEST, "sha256:1")];
        assert!(of(&both, Some(&revision), Some("sha256:1")));
        assert!(!of(&both, Some(&revision), Some("sha256:2")));
        assert!(of(&both, Some(&revision), None));
    }
}
