//! What can go wrong with hooks.

use std::time::Duration;

use crate::engine::EngineError;

/// Why hooks could not be fetched. No message holds a password, whatever the URL does.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The place can't be read: it is not there, refuses, or holds no hooks.
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
    /// What is there can't be used as hooks: a symbolic link, a file that is too large.
    #[error("hooks from {repo}: {path} {problem}")]
    Unusable {
        /// URL or path, without any secret.
        repo: String,
        /// Path inside the repository.
        path: String,
        /// What is wrong with it.
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

/// Why a hook did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The hooks could not be put into the container.
    #[error("could not put the hooks into container '{container}' on vm '{vm}'")]
    Deliver {
        /// The container.
        container: String,
        /// Its VM.
        vm: String,
        /// What the engine said.
        #[source]
        source: EngineError,
    },
    /// The engine could not run the hook, or lost sight of it.
    #[error("could not run hook '{hook}' in container '{container}' on vm '{vm}'")]
    Engine {
        /// The hook.
        hook: String,
        /// The container.
        container: String,
        /// Its VM.
        vm: String,
        /// What the engine said.
        #[source]
        source: EngineError,
    },
    /// The hook ended with another exit code than 0.
    #[error(
        "hook '{hook}' failed in container '{container}' on vm '{vm}' with exit code {exit_code}{}",
        said(output)
    )]
    Failed {
        /// The hook.
        hook: String,
        /// The container.
        container: String,
        /// Its VM.
        vm: String,
        /// How it ended.
        exit_code: i64,
        /// What it said.
        output: String,
    },
    /// The hook did not end in time.
    #[error(
        "hook '{hook}' in container '{container}' on vm '{vm}' did not end within {} s and {}{}",
        deadline.as_secs_f32(),
        if *killed { "was killed" } else { "may still run there" },
        said(output)
    )]
    TimedOut {
        /// The hook.
        hook: String,
        /// The container.
        container: String,
        /// Its VM.
        vm: String,
        /// The limit.
        deadline: Duration,
        /// Whether it surely runs no more.
        killed: bool,
        /// What it had said until then.
        output: String,
    },
    /// The allocation does not fit into an argument.
    #[error(
        "hook '{hook}' can't be run in container '{container}' on vm '{vm}': its app's part of the allocation is \
         {bytes} bytes as JSON, and Linux takes arguments of at most {most}"
    )]
    TooLong {
        /// The hook.
        hook: String,
        /// The container.
        container: String,
        /// Its VM.
        vm: String,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        most: usize,
    },
}

fn said(output: &str) -> String {
    if output.trim().is_empty() {
        "; it said nothing".to_owned()
    } else {
        format!("; it said:\n{}", output.trim_end())
    }
}
