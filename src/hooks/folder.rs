//! Hooks from a plain folder. Blocking.

use std::fs;
use std::path::Path;

use super::error::FetchError;
use super::set::{HookSet, Kind, check_size};

/// The most levels of nested folders.
pub const DEEPEST: usize = 8;

/// Reads the two folders inside `path`. Their revision is a hash of their whole content.
pub fn read(path: &Path) -> Result<HookSet, FetchError> {
    let repo = path.display().to_string();
    let mut set = HookSet::default();
    let mut found = false;
    for kind in Kind::ALL {
        let folder = path.join(kind.folder());
        match fs::symlink_metadata(&folder) {
            Ok(_) => {
                found = true;
                read_folder(&repo, kind, &folder, "", 0, &mut set)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(&repo, kind, "", format!("can't be read: {error}"))),
        }
    }
    if !found {
        return Err(no_folders(&repo));
    }
    set.revision = content_hash(&set).map_err(|error| FetchError::Unreadable {
        repo,
        problem: error.to_string(),
    })?;
    Ok(set)
}

/// Neither of the two folders is there.
pub fn no_folders(repo: &str) -> FetchError {
    FetchError::Unreadable {
        repo: repo.to_owned(),
        problem: "there is neither a folder scale_hooks nor a folder tier_hooks in it".to_owned(),
    }
}

/// A file or folder that can't be used.
pub fn unusable(repo: &str, kind: Kind, path: &str, problem: String) -> FetchError {
    let path = if path.is_empty() {
        kind.folder().to_owned()
    } else {
        format!("{}/{path}", kind.folder())
    };
    FetchError::Unusable {
        repo: repo.to_owned(),
        path,
        problem,
    }
}

/// What is wrong with a symbolic link: its target may be outside, or missing.
pub const NO_LINKS: &str = "is a symbolic link; put the file itself there";

fn read_folder(
    repo: &str,
    kind: Kind,
    folder: &Path,
    inside: &str,
    depth: usize,
    set: &mut HookSet,
) -> Result<(), FetchError> {
    let wrong = |path: &str, problem: String| unusable(repo, kind, path, problem);
    let unreadable =
        |path: &str, error: std::io::Error| unusable(repo, kind, path, format!("can't be read: {error}"));
    let meta = fs::symlink_metadata(folder).map_err(|error| unreadable(inside, error))?;
    if meta.is_symlink() {
        return Err(wrong(inside, NO_LINKS.to_owned()));
    }
    if !meta.is_dir() {
        return Err(wrong(inside, "is not a folder".to_owned()));
    }
    if depth > DEEPEST {
        return Err(wrong(inside, format!("is more than {DEEPEST} folders deep")));
    }
    for entry in fs::read_dir(folder).map_err(|error| unreadable(inside, error))? {
        let entry = entry.map_err(|error| unreadable(inside, error))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(wrong(inside, "has a file whose name is not UTF-8".to_owned()));
        };
        let path = if inside.is_empty() {
            name.to_owned()
        } else {
            format!("{inside}/{name}")
        };
        let meta = fs::symlink_metadata(entry.path()).map_err(|error| unreadable(&path, error))?;
        if meta.is_symlink() {
            return Err(wrong(&path, NO_LINKS.to_owned()));
        } else if meta.is_dir() {
            read_folder(repo, kind, &entry.path(), &path, depth + 1, set)?;
        } else if meta.is_file() {
            check_size(meta.len()).map_err(|problem| wrong(&path, problem))?;
            let content = fs::read(entry.path()).map_err(|error| unreadable(&path, error))?;
            set.add(kind, &path, content)
                .map_err(|problem| wrong(&path, problem))?;
        } else {
            return Err(wrong(&path, "is not a file".to_owned()));
        }
    }
    Ok(())
}

/// A hash of all names and contents. Its beginning tells it apart from a commit.
fn content_hash(set: &HookSet) -> Result<String, git2::Error> {
    let mut all = Vec::new();
    for (kind, path, content) in set.files() {
        let hash = git2::Oid::hash_object(git2::ObjectType::Blob, content)?;
        all.extend_from_slice(format!("{hash} {}/{path}\0", kind.folder()).as_bytes());
    }
    Ok(format!(
        "folder:{}",
        git2::Oid::hash_object(git2::ObjectType::Blob, &all)?
    ))
}
