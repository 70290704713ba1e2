//! Remote repositories, fetched into a cache. Blocking.

use std::path::Path;

use git2::{
    AutotagOption, Cred, CredentialType, ErrorClass, FetchOptions, FetchPrune, Oid, RemoteCallbacks,
    Repository,
};

use super::error::FetchError;
use super::git::{hooks_of, resolve, unreadable};
use super::set::HookSet;
use super::source::shown;
use crate::model::mib;

/// Where the HEAD of a remote is stored in the cache.
const HEAD: &str = "refs/mapek/head";
/// How often credentials are offered: libgit2 asks again for as long as something is offered.
const OFFERS: u32 = 3;

/// Fetches `url` into the cache at `cache` and reads the hooks of `reference`, or of HEAD.
///
/// A commit given by its full id can't change, so if it is in the cache, the remote is not asked.
/// Everything else is asked for each time, and if the remote does not answer, that is an error even
/// if the cache has an older answer: otherwise outdated hooks would run without anyone knowing.
///
/// A cache that can't be used is made again. A service that was killed in the middle of a fetch may
/// leave such a cache.
pub fn remote(url: &str, wanted: &Wanted<'_>, cache: &Path) -> Result<HookSet, FetchError> {
    match fetched(url, wanted, cache) {
        Err(trouble) if trouble.cache_suspect => {
            tracing::warn!(repo = shown(url), error = %trouble.error, "making the cache of the hooks again");
            // What can't be removed fails again below, and is reported then.
            let _ = std::fs::remove_dir_all(cache);
            fetched(url, wanted, cache).map_err(|trouble| trouble.error)
        }
        outcome => outcome.map_err(|trouble| trouble.error),
    }
}

/// Which commit is wanted, and within which limits.
pub struct Wanted<'w> {
    /// Branch, tag or commit; None for HEAD.
    pub reference: Option<&'w str>,
    /// Who must have signed it, if that matters.
    pub signers: Option<&'w str>,
    /// The most bytes that the remote may send.
    pub most: usize,
}

/// A failure, and whether the cache may be to blame.
struct Trouble {
    error: FetchError,
    cache_suspect: bool,
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        // Objects that can't be read. Everything else is the repository's own fault.
        let cache_suspect = matches!(error, FetchError::Unreadable { .. });
        Self { error, cache_suspect }
    }
}

fn fetched(url: &str, wanted: &Wanted<'_>, cache: &Path) -> Result<HookSet, Trouble> {
    let reference = wanted.reference;
    let trouble = |error: git2::Error| Trouble {
        cache_suspect: is_about(cache, &error),
        error: unreadable(url, &error),
    };
    let repository = match Repository::open_bare(cache) {
        Ok(repository) => repository,
        Err(_) => Repository::init_bare(cache).map_err(trouble)?,
    };
    let pinned = reference.and_then(full_id);
    if let Some(commit) = pinned.and_then(|id| repository.find_commit(id).ok()) {
        return Ok(hooks_of(&repository, &commit, &shown(url), wanted.signers)?);
    }
    // A remote without a HEAD does not say so, and the last one would be used.
    if let Ok(mut head) = repository.find_reference(HEAD) {
        head.delete().map_err(trouble)?;
    }
    let mut offers = 0;
    let mut callbacks = RemoteCallbacks::new();
    callbacks.credentials(move |_, user, allowed| {
        offers += 1;
        credentials(offers, user, allowed)
    });
    let (most, mut much) = (wanted.most, false);
    callbacks.transfer_progress(|progress| {
        much = progress.received_bytes() > most;
        !much
    });
    let mut options = FetchOptions::new();
    options
        .remote_callbacks(callbacks)
        .prune(FetchPrune::On)
        .download_tags(AutotagOption::None)
        .update_fetchhead(false);
    let everything = [
        format!("+HEAD:{HEAD}"),
        "+refs/heads/*:refs/heads/*".to_owned(),
        "+refs/tags/*:refs/tags/*".to_owned(),
    ];
    let fetch = repository
        .remote_anonymous(url)
        .and_then(|mut remote| remote.fetch(&everything, Some(&mut options), None));
    drop(options);
    if much {
        let error = FetchError::Unreadable {
            repo: shown(url),
            problem: format!(
                "it sends more than {}, too much for hooks: keep them in a repository of their own",
                mib(u64::try_from(most).unwrap_or(u64::MAX))
            ),
        };
        return Err(Trouble {
            error,
            // What was fetched is of no use.
            cache_suspect: false,
        });
    }
    fetch.map_err(trouble)?;
    match resolve(&repository, reference, HEAD, url) {
        Ok(commit) => Ok(hooks_of(&repository, &commit, &shown(url), wanted.signers)?),
        Err(error) => Err(Trouble {
            error,
            cache_suspect: false,
        }),
    }
}

/// Whether an error is about the cache. An error of the operating system may be about the network
/// just as well; if it is about a file, it names the file.
fn is_about(cache: &Path, error: &git2::Error) -> bool {
    error.message().contains(&cache.display().to_string())
        || matches!(
            error.class(),
            ErrorClass::Reference
                | ErrorClass::Odb
                | ErrorClass::Object
                | ErrorClass::Zlib
                | ErrorClass::Indexer
                | ErrorClass::Repository
                | ErrorClass::Config
                | ErrorClass::Filesystem
        )
}

/// Offers the keys of the SSH agent. A user name and password in an HTTP URL are used by libgit2
/// before it asks here.
fn credentials(offers: u32, user: Option<&str>, allowed: CredentialType) -> Result<Cred, git2::Error> {
    let user = user.unwrap_or("git");
    if offers <= OFFERS {
        if allowed.contains(CredentialType::USERNAME) {
            return Cred::username(user);
        }
        if allowed.contains(CredentialType::SSH_KEY) {
            return Cred::ssh_key_from_agent(user);
        }
    }
    Err(git2::Error::from_str(
        "it asks for credentials: put a user name and token into the URL, or load a key into the SSH agent",
    ))
}

fn full_id(reference: &str) -> Option<Oid> {
    (reference.len() == 40)
        .then(|| Oid::from_str(reference).ok())
        .flatten()
}
