//! Hooks read from a commit of a git repository on this machine. Blocking.
//!
//! No work tree is needed: contents come from the commit itself, so that neither a checkout nor
//! unsaved changes interfere.

use std::path::Path;

use git2::{Commit, ErrorCode, ObjectType, Repository, Tree};

use super::error::FetchError;
use super::folder::{DEEPEST, NO_LINKS, no_folders, unusable};
use super::set::{HookSet, Kind, check_size};
use super::signed;
use super::source::{shown, without_secrets};

const SYMBOLIC_LINK: i32 = 0o120_000;

/// Reads the hooks of `reference`, or of HEAD, from the repository at `path`; None if there is no
/// repository. Uncommitted changes do not count.
pub fn local(
    path: &Path,
    reference: Option<&str>,
    signers: Option<&str>,
) -> Result<Option<HookSet>, FetchError> {
    let repo = path.display().to_string();
    let repository = match Repository::open(path) {
        Ok(repository) => repository,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(&repo, &error)),
    };
    let commit = resolve(&repository, reference, "HEAD", &repo)?;
    hooks_of(&repository, &commit, &repo, signers).map(Some)
}

/// The commit that `reference` names: a branch, else a tag, else a commit.
pub fn resolve<'a>(
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
                problem: "it has no HEAD commit; give hooks_ref, or commit something".to_owned(),
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

/// The hooks in a commit's tree.
///
/// If signers are required, nothing is read of a commit that none of them has signed.
pub fn hooks_of(
    repository: &Repository,
    commit: &Commit<'_>,
    repo: &str,
    signers: Option<&str>,
) -> Result<HookSet, FetchError> {
    if let Some(signers) = signers {
        signed::check(repository, commit, signers, repo)?;
    }
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
                _ => return Err(unusable(repo, kind, "", "is not a folder".to_owned())),
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
            return Err(wrong(inside, "has a file whose name is not UTF-8"));
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

/// libgit2's message, without any secret.
pub fn unreadable(repo: &str, error: &git2::Error) -> FetchError {
    FetchError::Unreadable {
        repo: shown(repo),
        problem: without_secrets(error.message(), repo),
    }
}
