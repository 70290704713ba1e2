//! What can go wrong with hooks.

use std::fmt;
use std::time::Duration;

use crate::engine::EngineError;

/// Why hooks could not be fetched. No message contains a password, even if the URL does.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The place can't be read: it does not exist, refuses, or has no hooks.
    #[error("hooks from {repo}: {problem}")]
    Unreadable {
        /// URL or path, without any secret.
        repo: String,
        /// What happened and what to do.
        problem: String,
    },
    /// The branch, tag or commit is not there.
    #[error("hooks from {repo}: there is no branch, tag or commit '{reference}'")]
    NoSuchReference {
        /// URL or path, without any secret.
        repo: String,
        /// What was asked for.
        reference: String,
    },
    /// What is there can't be used as hooks, such as a symbolic link or a file that is too large.
    #[error("hooks from {repo}: {path} {problem}")]
    Unusable {
        /// URL or path, without any secret.
        repo: String,
        /// Path inside the repository.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// None of the signers has signed the commit.
    #[error(
        "hooks from {repo}: commit {commit} {problem}; sign it with a key of hooks_signers (git commit -S, with \
         gpg.format ssh), let hooks_ref name a commit that is signed, or add the signer's key to hooks_signers"
    )]
    Untrusted {
        /// URL or path, without any secret.
        repo: String,
        /// The commit.
        commit: String,
        /// What is wrong with its signature.
        problem: String,
    },
    /// No answer in time.
    #[error("hooks from {repo}: not fetched within {} s", limit.as_secs_f32())]
    TimedOut {
        /// URL or path, without any secret.
        repo: String,
        /// The limit.
        limit: Duration,
    },
}

/// Which hook, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The hook's file name.
    pub hook: String,
    /// The container.
    pub container: String,
    /// The container's VM.
    pub vm: String,
}

impl fmt::Display for At {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "hook '{}' in container '{}' on vm '{}'",
            self.hook, self.container, self.vm
        )
    }
}

/// Why a hook did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The hooks do not fit into an archive.
    #[error("{at}: could not pack the hooks")]
    Archive {
        /// Which hook, and where.
        at: At,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The hooks could not be put into the container.
    #[error("{at}: could not put the hooks there")]
    Deliver {
        /// Which hook, and where.
        at: At,
        /// What the engine said.
        #[source]
        source: EngineError,
    },
    /// The engine could not run the hook, or lost track of it.
    #[error("{at}: could not run it")]
    Engine {
        /// Which hook, and where.
        at: At,
        /// What the engine said.
        #[source]
        source: EngineError,
    },
    /// The planned run of the hook could not be recorded, so the hook was not run.
    #[error("{at}: it was not run, since that could not be recorded first: {problem}")]
    Unrecorded {
        /// Which hook, and where.
        at: At,
        /// Why.
        problem: String,
    },
    /// The engine was restarted while the hook ran: the hook no longer runs, and nobody knows how
    /// it ended.
    #[error("{at} was cut off: its engine, or the container, was restarted")]
    Lost {
        /// Which hook, and where.
        at: At,
    },
    /// The hook ended with an exit code other than 0.
    #[error("{at} failed with exit code {exit_code}{}", said(output))]
    Failed {
        /// Which hook, and where.
        at: At,
        /// Its exit code.
        exit_code: i64,
        /// Its output.
        output: String,
    },
    /// The hook did not end in time.
    #[error(
        "{at} did not end within {} s and {}{}",
        deadline.as_secs_f32(),
        if *killed { "was killed" } else { "may still run there" },
        said(output)
    )]
    TimedOut {
        /// Which hook, and where.
        at: At,
        /// The limit.
        deadline: Duration,
        /// Whether it certainly no longer runs.
        killed: bool,
        /// Its output up to then.
        output: String,
    },
    /// The allocation does not fit into an argument.
    #[error(
        "{at} can't be run: its app's part of the allocation is {bytes} bytes as JSON, and Linux takes arguments of \
         at most {most}"
    )]
    TooLong {
        /// Which hook, and where.
        at: At,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
}

impl HookError {
    /// The hook's output before it failed; None if it did not run.
    #[must_use]
    pub fn output(&self) -> Option<&str> {
        match self {
            Self::Failed { output, .. } | Self::TimedOut { output, .. } => Some(output),
            Self::Archive { .. }
            | Self::Deliver { .. }
            | Self::Engine { .. }
            | Self::Unrecorded { .. }
            | Self::Lost { .. }
            | Self::TooLong { .. } => None,
        }
    }

    /// Which hook, and where.
    #[must_use]
    pub fn at(&self) -> &At {
        match self {
            Self::Archive { at, .. }
            | Self::Deliver { at, .. }
            | Self::Engine { at, .. }
            | Self::Unrecorded { at, .. }
            | Self::Lost { at }
            | Self::Failed { at, .. }
            | Self::TimedOut { at, .. }
            | Self::TooLong { at, .. } => at,
        }
    }
}

fn said(output: &str) -> String {
    if output.trim().is_empty() {
        "; it said nothing".to_owned()
    } else {
        format!("; it said:\n{}", output.trim_end())
    }
}
