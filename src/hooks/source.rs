//! Where hooks come from, as the topology writes it. Pure.

use std::path::PathBuf;

use crate::fault::Secrets;

/// A place where hooks come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Fetched with git: a URL, or `user@host:path`.
    Remote(String),
    /// On this machine: a git repository or a plain folder.
    Local(PathBuf),
}

/// Reads `hooks_git_repo`.
pub fn read(repo: &str) -> Source {
    if repo.contains("://") || is_scp_like(repo) {
        Source::Remote(repo.to_owned())
    } else {
        Source::Local(PathBuf::from(repo))
    }
}

/// Whether this is `user@host:path`, SSH in git's short notation. A local path that looks like this
/// can be given with `./` in front.
fn is_scp_like(repo: &str) -> bool {
    repo.split_once(':')
        .is_some_and(|(host, path)| !host.is_empty() && !host.contains('/') && !path.is_empty())
}

/// The repository as it may be shown: without user name, password, query and fragment.
#[must_use]
pub fn shown(repo: &str) -> String {
    let Some((scheme, rest)) = repo.split_once("://") else {
        return repo.to_owned();
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (place, path) = match rest.split_once('/') {
        Some((place, path)) => (place, Some(path)),
        None => (rest, None),
    };
    let place = place.rsplit('@').next().unwrap_or_default();
    match path {
        Some(path) => format!("{scheme}://{place}/{path}"),
        None => format!("{scheme}://{place}"),
    }
}

/// A message without anything that [`shown`] hides.
pub fn without_secrets(message: &str, repo: &str) -> String {
    let query = repo.split_once('?').map_or("", |(_, query)| query);
    let known = Secrets::of(&[format!("REPO={repo}"), format!("QUERY={query}")], &[]);
    known.mask(&message.replace(repo, &shown(repo)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_and_paths_are_told_apart() {
        for remote in [
            "https://h/r.git",
            "ssh://git@h/r",
            "git@h:r.git",
            "h:r",
            "file:///r",
            "git://h/r",
        ] {
            assert_eq!(read(remote), Source::Remote(remote.to_owned()));
        }
        for local in ["/srv/hooks", "hooks", "./odd:name", "../x", "a/b:c"] {
            assert_eq!(read(local), Source::Local(PathBuf::from(local)));
        }
    }

    #[test]
    fn what_is_shown_of_a_url_holds_no_secret() {
        for (repo, expected) in [
            ("https://me:pw@h:1/r.git?token=t#f", "https://h:1/r.git"),
            ("https://token@h", "https://h"),
            ("https://a@b:p@h/x@y", "https://h/x@y"),
            ("git@h:r.git", "git@h:r.git"),
            ("/srv/hooks", "/srv/hooks"),
        ] {
            assert_eq!(shown(repo), expected);
        }
    }

    proptest! {
        #[test]
        fn no_message_keeps_the_password(password in "[a-zA-Z0-9]{6,20}", before in ".{0,20}") {
            let repo = format!("https://me:{password}%21@host/r.git");
            for message in [
                format!("{before}{repo}"),
                format!("{before} {password}%21 {password}!"),
                format!("{before}me:{password}%21@host"),
            ] {
                let said = without_secrets(&message, &repo);
                prop_assert!(!said.replace(&before, "").contains(&password), "{}", said);
            }
        }
    }
}
