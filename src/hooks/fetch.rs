//! Fetches hooks within limits: the blocking work is done on a thread of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};

use super::error::FetchError;
use super::set::HookSet;
use super::source::{Source, read, shown};
use super::{cache, folder, git};
use crate::engine::secret;
use crate::model::topology::{Hooks, HooksSource, Variable};

/// The most bytes that a remote may send in one fetch. The hooks themselves have a stricter limit,
/// but their history comes with them.
const MOST_SENT: usize = 256 * 1024 * 1024;

/// Fetches hooks, again each time it is asked.
pub struct Fetcher {
    cache: PathBuf,
    limit: Duration,
    most: usize,
    /// One fetch at a time: two would get in each other's way in the cache.
    turn: Mutex<()>,
}

impl Fetcher {
    /// Keeps what is fetched under the folder `cache`, and waits at most `limit` for a repository.
    #[must_use]
    pub fn new(cache: PathBuf, limit: Duration) -> Self {
        Self {
            cache,
            limit,
            most: MOST_SENT,
            turn: Mutex::new(()),
        }
    }

    /// Accepts at most this many bytes from a remote in one fetch.
    #[must_use]
    pub fn at_most(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// The hooks as they are now.
    ///
    /// # Errors
    ///
    /// When the repository can't be read in time, does not have the reference, or contains
    /// something that can't be used. The result of an earlier fetch is never used instead.
    pub async fn fetch(&self, hooks: &Hooks) -> Result<HookSet, FetchError> {
        let late = || FetchError::TimedOut {
            repo: shown(&hooks.repo),
            limit: self.limit,
        };
        let until = tokio::time::Instant::now() + self.limit;
        let _turn = tokio::time::timeout_at(until, self.turn.lock())
            .await
            .map_err(|_| late())?;
        // libgit2 waits for ever for a remote that accepts a connection and sends nothing. The
        // thread is then abandoned. Unlike the runtime's own blocking threads, it does not keep the
        // process from ending.
        let (send, receive) = oneshot::channel();
        let (wanted, cache, most) = (hooks.clone(), self.cache.clone(), self.most);
        std::thread::Builder::new()
            .name("fetch-hooks".to_owned())
            .spawn(move || {
                // Nobody listens any more after the limit.
                let _ = send.send(blocking(&wanted, &cache, most));
            })
            .map_err(|error| FetchError::Unreadable {
                repo: shown(&hooks.repo),
                problem: format!("no thread to fetch with: {error}"),
            })?;
        match tokio::time::timeout_at(until, receive).await {
            Ok(Ok(fetched)) => fetched,
            Ok(Err(_)) => Err(FetchError::Unreadable {
                repo: shown(&hooks.repo),
                problem: "the fetch ended without an answer".to_owned(),
            }),
            Err(_) => Err(late()),
        }
    }
}

/// Where hooks come from, with what the topology refers to read.
///
/// # Errors
///
/// What can't be read.
pub fn resolved(source: &HooksSource) -> Result<Hooks, String> {
    let read = |field: &str, value: &Variable| {
        secret::resolve(value).map_err(|problem| format!("{field}: {problem}"))
    };
    Ok(Hooks {
        repo: read("hooks_git_repo", &source.repo)?,
        reference: source.reference.clone(),
        signers: source
            .signers
            .as_ref()
            .map(|signers| read("hooks_signers", signers))
            .transpose()?,
    })
}

fn blocking(hooks: &Hooks, folder: &Path, most: usize) -> Result<HookSet, FetchError> {
    let (reference, signers) = (hooks.reference.as_deref(), hooks.signers.as_deref());
    match read(&hooks.repo) {
        Source::Remote(url) => {
            let wanted = cache::Wanted {
                reference,
                signers,
                most,
            };
            cache::remote(&url, &wanted, &folder.join(cache_name(&url)))
        }
        Source::Local(path) => match git::local(&path, reference, signers)? {
            Some(set) => Ok(set),
            None => plain(&path, hooks),
        },
    }
}

fn plain(path: &Path, hooks: &Hooks) -> Result<HookSet, FetchError> {
    let problem = if !path.is_dir() {
        "there is no such folder on this machine"
    } else if hooks.signers.is_some() {
        "it is a plain folder, no git repository, so nobody can have signed what is in it (hooks_signers)"
    } else if hooks.reference.is_some() {
        "it is a plain folder, no git repository, so hooks_ref has no meaning there"
    } else {
        return folder::read(path);
    };
    Err(FetchError::Unreadable {
        repo: path.display().to_string(),
        problem: problem.to_owned(),
    })
}

/// A folder name for each URL, which does not contain what may be secret in the URL.
fn cache_name(url: &str) -> String {
    git2::Oid::hash_object(git2::ObjectType::Blob, url.as_bytes())
        .map_or_else(|_| "default".to_owned(), |hash| hash.to_string())
}
