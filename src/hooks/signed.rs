//! Checks whether a commit is signed by somebody whose hooks may run: not everybody who can push to
//! a repository may run programs in every container. Blocking.
//!
//! Signatures are those that git makes with SSH keys. They are checked as git itself does it, by
//! OpenSSH's own `ssh-keygen`: signers are listed in its format `allowed_signers`, with all that
//! this format allows.

use std::ffi::OsStr;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use git2::{Commit, ErrorCode, Repository};

use super::error::FetchError;
use super::git::unreadable;

/// The program that checks signatures.
const PROGRAM: &str = "ssh-keygen";
/// The namespace that git signs with.
const NAMESPACE: &str = "git";
const BEGINS: &[u8] = b"-----BEGIN SSH SIGNATURE-----";

/// Checks that one of `signers` has signed the commit.
///
/// # Errors
///
/// When nobody has, when somebody else has, and when that can't be checked on this machine.
pub fn check(
    repository: &Repository,
    commit: &Commit<'_>,
    signers: &str,
    repo: &str,
) -> Result<(), FetchError> {
    let untrusted = |problem: String| FetchError::Untrusted {
        repo: repo.to_owned(),
        commit: commit.id().to_string(),
        problem,
    };
    let (signature, signed) = match repository.extract_signature(&commit.id(), None) {
        Ok(both) => both,
        Err(error) if error.code() == ErrorCode::NotFound => {
            return Err(untrusted("is not signed".to_owned()));
        }
        Err(error) => return Err(unreadable(repo, &error)),
    };
    if !signature.starts_with(BEGINS) {
        return Err(untrusted("is signed, but not with an SSH key".to_owned()));
    }
    let failed = |error: std::io::Error| FetchError::Unreadable {
        repo: repo.to_owned(),
        problem: if error.kind() == ErrorKind::NotFound {
            format!(
                "signatures can't be checked: there is no {PROGRAM} on this machine; install openssh-client"
            )
        } else {
            format!("signatures can't be checked: {error}")
        },
    };
    let folder = tempfile::tempdir().map_err(failed)?;
    let (allowed, sig) = (
        folder.path().join("allowed_signers"),
        folder.path().join("signature"),
    );
    std::fs::write(&allowed, format!("{signers}\n")).map_err(failed)?;
    std::fs::write(&sig, &*signature).map_err(failed)?;
    let found = keygen("find-principals", &allowed, &sig, &[], &[]).map_err(failed)?;
    let names = String::from_utf8_lossy(&found.stdout).into_owned();
    let mut said = String::from_utf8_lossy(&found.stderr).into_owned();
    for name in names.lines().map(str::trim).filter(|name| !name.is_empty()) {
        let who = ["-I".as_ref(), name.as_ref(), "-n".as_ref(), NAMESPACE.as_ref()];
        let verified = keygen("verify", &allowed, &sig, &who, &signed).map_err(failed)?;
        if verified.status.success() {
            tracing::info!(repo, commit = %commit.id(), signer = name, "the hooks are signed");
            return Ok(());
        }
        said = String::from_utf8_lossy(&verified.stderr).into_owned();
    }
    let mut problem = "is not signed by any of hooks_signers".to_owned();
    let said = said.trim();
    if !said.is_empty() {
        problem.push_str(&format!(" ({PROGRAM}: {said})"));
    }
    Err(untrusted(problem))
}

fn keygen(
    what: &str,
    allowed: &Path,
    signature: &Path,
    more: &[&OsStr],
    input: &[u8],
) -> std::io::Result<Output> {
    let mut child = Command::new(PROGRAM)
        .args(["-Y", what, "-f"])
        .arg(allowed)
        .arg("-s")
        .arg(signature)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it stops reading early, it has already decided.
        match stdin.write_all(input) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    child.wait_with_output()
}
