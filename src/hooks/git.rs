//! Hooks from a git repository: fetched into a cache, read from a commit's tree. Blocking.
//!
//! No work tree is needed: contents come from the commit itself, so that nobody's checkout or
//! unsaved change gets in between.

use std::path::Path;

use git2::{
    AutotagOption, Commit, Cred, CredentialType, ErrorCode, FetchOptions, FetchPrune, ObjectType, Oid,
    RemoteCallbacks, Repository, Tree,
};

use super::error::FetchError;
use super::folder::{DEEPEST, NO_LINKS, no_folders, unusable};
use super::set::{HookSet, Kind, check_size};
use super::source::{shown, without_secrets};

/// Where a remote's HEAD is kept in the cache.
const HEAD: &str = "refs/mapek/head";
/// Times that credentials are offered: libgit2 asks again as long as something is offered.
const OFFERS: u32 = 3;
const SYMBOLIC_LINK: i32 = 0o120_000;

/// Fetches `url` into the cache at `cache` and reads the hooks of `reference`, or of HEAD.
///
/// A commit given by its full id can't change, so a cached one is taken without asking the
/// remote. Everything else is asked for anew each time, and a remote that does not answer is an
/// error even where the cache holds an older answer: hooks that are not the current ones would
/// be run without anyone knowing.
pub fn remote(url: &str, reference: Option<&str>, cache: &Path) -> Result<HookSet, FetchError> {
    let problem = |error: git2::Error| unreadable(url, &error);
    let repository = match Repository::open_bare(cache) {
        Ok(repository) => repository,
        Err(_) => Repository::init_bare(cache).map_err(|error| FetchError::Unreadable {
            repo: shown(url),
            problem: format!("can't make its cache at {}: {}", cache.display(), error.message()),
        })?,
    };
    let pinned = reference.and_then(full_id);
    if let Some(commit) = pinned.and_then(|id| repository.find_commit(id).ok()) {
        return hooks_of(&repository, &commit, &shown(url));
    }
    let mut offers = 0;
    let mut callbacks = RemoteCallbacks::new();
    callbacks.credentials(move |_, user, allowed| {
        offers += 1;
        credentials(offers, user, allowed)
    });
    let mut options = FetchOptions::new();
    options
        .remote_callbacks(callbacks)
        .prune(FetchPrune::On)
        .download_tags(AutotagOption::None)
        .update_fetchhead(false);
    let mut remote = repository.remote_anonymous(url).map_err(problem)?;
    let everything = [
        format!("+HEAD:{HEAD}"),
        "+refs/heads/*:refs/heads/*".to_owned(),
        "+refs/tags/*:refs/tags/*".to_owned(),
    ];
    remote
        .fetch(&everything, Some(&mut options), None)
        .map_err(problem)?;
    let commit = resolve(&repository, reference, HEAD, url)?;
    hooks_of(&repository, &commit, &shown(url))
}

/// Reads the hooks of `reference`, or of HEAD, from the repository at `path`; None when there is
/// no repository. What is not committed does not count.
pub fn local(path: &Path, reference: Option<&str>) -> Result<Option<HookSet>, FetchError> {
    let repo = path.display().to_string();
    let repository = match Repository::open(path) {
        Ok(repository) => repository,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&repo, &error)),
    };
    let commit = resolve(&repository, reference, "HEAD", &repo)?;
    hooks_of(&repository, &commit, &repo).map(Some)
}

/// Offers the SSH agent's keys. A user name and password in an HTTP URL are used by libgit2
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

/// The commit that `reference` names: a branch, else a tag, else a commit.
fn resolve<'a>(
    repository: &'a Repository,
    reference: Option<&str>,
    head: &str,
    repo: &str,
) -> Result<Commit<'a>, FetchError> {
    let Some(reference) = reference else {
        return repository
            .find_reference(head)
            .and_then(|head| head.peel_to_commit())
            .map_err(|_| FetchError::Unreadable {
                repo: shown(repo),
                problem: "it has no HEAD commit; say hooks_ref, or commit something".to_owned(),
            });
    };
    let named = [
        format!("refs/heads/{reference}"),
        format!("refs/remotes/origin/{reference}"),
        format!("refs/tags/{reference}"),
        reference.to_owned(),
    ]
    .into_iter()
    .filter(|name| name.starts_with("refs/"))
    .find_map(|name| repository.find_reference(&name).ok()?.peel_to_commit().ok());
    named
        .or_else(|| {
            let hexadecimal = reference.len() >= 7 && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
            hexadecimal
                .then(|| repository.find_commit_by_prefix(reference).ok())
                .flatten()
        })
        .ok_or_else(|| FetchError::NoSuchReference {
            repo: shown(repo),
            reference: reference.to_owned(),
        })
}

fn full_id(reference: &str) -> Option<Oid> {
    (reference.len() == 40)
        .then(|| Oid::from_str(reference).ok())
        .flatten()
}

fn hooks_of(repository: &Repository, commit: &Commit<'_>, repo: &str) -> Result<HookSet, FetchError> {
    let mut set = HookSet::new(&commit.id().to_string());
    let root = commit.tree().map_err(|error| unreadable(repo, &error))?;
    let mut found = false;
    for kind in Kind::ALL {
        if let Some(entry) = root.get_name(kind.folder()) {
            found = true;
            let tree = match entry.kind() {
                Some(ObjectType::Tree) => repository
                    .find_tree(entry.id())
                    .map_err(|error| unreadable(repo, &error))?,
                _ => return Err(unusable(repo, kind, "", "is no folder".to_owned())),
            };
            read_tree(repository, repo, kind, &tree, "", 0, &mut set)?;
        }
    }
    if found { Ok(set) } else { Err(no_folders(repo)) }
}

fn read_tree(
    repository: &Repository,
    repo: &str,
    kind: Kind,
    tree: &Tree<'_>,
    inside: &str,
    depth: usize,
    set: &mut HookSet,
) -> Result<(), FetchError> {
    let wrong = |path: &str, problem: &str| unusable(repo, kind, path, problem.to_owned());
    if depth > DEEPEST {
        return Err(wrong(inside, &format!("is more than {DEEPEST} folders deep")));
    }
    for entry in tree {
        let Ok(name) = entry.name() else {
            return Err(wrong(inside, "holds a file whose name is no UTF-8"));
        };
        let path = if inside.is_empty() {
            name.to_owned()
        } else {
            format!("{inside}/{name}")
        };
        match entry.kind() {
            _ if entry.filemode() == SYMBOLIC_LINK => return Err(wrong(&path, NO_LINKS)),
            Some(ObjectType::Tree) => {
                let below = repository
                    .find_tree(entry.id())
                    .map_err(|error| unreadable(repo, &error))?;
                read_tree(repository, repo, kind, &below, &path, depth + 1, set)?;
            }
            Some(ObjectType::Blob) => {
                let size = repository
                    .odb()
                    .and_then(|store| store.read_header(entry.id()))
                    .map_err(|error| unreadable(repo, &error))?
                    .0;
                check_size(u64::try_from(size).unwrap_or(u64::MAX))
                    .map_err(|problem| wrong(&path, &problem))?;
                let blob = repository
                    .find_blob(entry.id())
                    .map_err(|error| unreadable(repo, &error))?;
                set.add(kind, &path, blob.content().to_vec())
                    .map_err(|problem| wrong(&path, &problem))?;
            }
            _ => {
                return Err(wrong(
                    &path,
                    "is a submodule, which is not fetched; put the files there",
                ));
            }
        }
    }
    Ok(())
}

fn unreadable(repo: &str, error: &git2::Error) -> FetchError {
    FetchError::Unreadable {
        repo: shown(repo),
        problem: without_secrets(error.message(), repo),
    }
}
