//! The command line and the settings that follow from it: flags, environment and file, in this
//! order of precedence, over the defaults.

pub mod agent;
pub mod backup;
pub mod client;
mod decided;
mod defaults;
pub mod hooks;
pub mod offline;
mod options;
mod secret;
mod table;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use agent::AgentOptions;
use backup::{BackupOptions, RestoreOptions};
use client::{
    AdoptOptions, AppCommand, CandidatesOptions, ClientOptions, CompletionsOptions, DiffOptions,
    DrainOptions, EventsOptions, ExecuteOptions, ExecutionArgument, ExecutionsOptions, GiveUpOptions,
    HowOptions, IntentsOptions, LogsOptions, MigrateOptions, NodesArgument, NodesOptions, TopOptions,
    TopologyCommand, TranslateOptions,
};
use hooks::HooksCommand;
use offline::ValidateOptions;

pub use decided::{Config, ConfigError, TlsFiles};
pub use options::{LogFormat, OnRestart, Options};
pub use secret::{Secret, TokenSource};
pub use table::options_text;

/// Shown at the end of the help.
const EXIT_CODES: &str = "\
Exit codes:
  0   it worked; an execution succeeded
  1   something else went wrong, on this side
  2   the command line is wrong
  3   the service refused: the request makes no sense, or has no solution
  4   a conflict: another execution is running, or the sealed plan no longer applies
  5   the execution started and did not succeed
  6   the service can't be reached
  7   the token is missing, unknown or not enough
  8   the service, an engine, a cloud or the hooks failed
  9   not confirmed, so nothing was done
  10  something differs (`diff --exit-code`)
  130 interrupted; an execution that has started goes on";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "mapek", version, about, after_help = EXIT_CODES)]
pub struct CommandLine {
    /// What to do; the service is started without one.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of the service.
    #[command(flatten)]
    pub serve: Options,
    /// Options of the commands that ask a service.
    #[command(flatten)]
    pub client: ClientOptions,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the service (the default)
    Serve(Options),
    /// Show or put the topology
    #[command(subcommand)]
    Topology(TopologyCommand),
    /// Show what putting a topology would change; nothing is changed
    Diff(DiffOptions),
    /// Check topologies, plans and what-ifs on this machine, and report every problem with line and column
    Validate(ValidateOptions),
    /// Show the current plan: since when, who sent it, and whether it was reached
    Plan,
    /// Show what a plan would change; nothing is changed
    Translate(TranslateOptions),
    /// Show what a plan would change, ask, and carry it out
    Execute(ExecuteOptions),
    /// Go back to the plan before the current one: show what that would change, ask, and carry it out
    Undo(HowOptions),
    /// Show the VMs in use and what the containers on them hold
    Allocation,
    /// Show what runs, live from the engines
    Inspect,
    /// Show every VM that could be used: whether it is ready, what is free on it, what it is able
    /// to do
    Nodes(NodesOptions),
    /// Show which nodes could take a tier now, and why the others could not
    Candidates(CandidatesOptions),
    /// Let nodes take nothing new; what is on them stays
    Cordon(NodesArgument),
    /// Let nodes be used again
    Uncordon(NodesArgument),
    /// Let nodes take nothing new, and move everything away from them
    Drain(DrainOptions),
    /// Move a container of a tier to another node
    Migrate(MigrateOptions),
    /// Register this machine and its engine at a service, again and again, and let it leave on SIGTERM
    Agent(AgentOptions),
    /// Show what is wanted of nodes and tiers besides plans, or take an intent back that has not begun
    Intents(IntentsOptions),
    /// Put, show or remove one app, without the whole topology
    #[command(subcommand)]
    App(AppCommand),
    /// Show a container's output
    Logs(LogsOptions),
    /// Try out the hooks of a tier
    #[command(subcommand)]
    Hooks(HooksCommand),
    /// Show what the containers use of their limits, measured by the engines
    Top(TopOptions),
    /// Give up a VM that is gone for good, with what was on it
    GiveUp(GiveUpOptions),
    /// Take over the containers that a lost data directory left running
    Adopt(AdoptOptions),
    /// Show the history of executions, or one with its actions
    Executions(ExecutionsOptions),
    /// Follow what happens
    Events(EventsOptions),
    /// Stop an execution after its running actions
    Cancel(ExecutionArgument),
    /// Finish an execution that is held
    Resume(ExecutionArgument),
    /// Undo what an execution that is held has done
    Rollback(ExecutionArgument),
    /// Copy the journal to a file, even while the service runs
    Backup(BackupOptions),
    /// Restore the journal from a backup; the service must not be running
    Restore(RestoreOptions),
    /// Place a plan without any service, engine, host or cloud: reads {"topology", "allocation", "plan"} and writes the answer of POST /api/solve
    Solve(SolveOptions),
    /// Check what the service needs on this machine, and say how to get what is missing
    Doctor(Options),
    /// Write completions for a shell to standard output
    Completions(CompletionsOptions),
    /// Write a description of the service to standard output
    #[command(hide = true)]
    Describe {
        /// Which
        what: Description,
        /// The folder to write man pages into
        #[arg(required_if_eq("what", "man"))]
        into: Option<PathBuf>,
    },
}

impl Command {
    /// Whether it talks to a service.
    fn asks(&self) -> bool {
        match self {
            Self::Serve(_)
            | Self::Completions(_)
            | Self::Describe { .. }
            | Self::Backup(_)
            | Self::Restore(_)
            | Self::Validate(_)
            | Self::Hooks(_)
            | Self::Doctor(_) => false,
            Self::Solve(options) => options.remote,
            Self::Topology(_)
            | Self::Translate(_)
            | Self::Execute(_)
            | Self::Allocation
            | Self::Inspect
            | Self::Nodes(_)
            | Self::Agent(_)
            | Self::Candidates(_)
            | Self::Cordon(_)
            | Self::Uncordon(_)
            | Self::Drain(_)
            | Self::Migrate(_)
            | Self::Intents(_)
            | Self::App(_)
            | Self::Executions(_)
            | Self::Events(_)
            | Self::Cancel(_)
            | Self::Resume(_)
            | Self::Rollback(_)
            | Self::Adopt(_)
            | Self::Diff(_)
            | Self::Plan
            | Self::Undo(_)
            | Self::Logs(_)
            | Self::Top(_)
            | Self::GiveUp(_) => true,
        }
    }

    /// Whether it shows something as `--output` says, without talking to a service.
    fn shows_alone(&self) -> bool {
        match self {
            Self::Solve(options) => !options.remote,
            Self::Validate(_) | Self::Hooks(_) | Self::Doctor(_) => true,
            _ => false,
        }
    }
}

impl CommandLine {
    /// Reads the command line; a mistake ends the program with usage.
    #[must_use]
    pub fn read() -> Self {
        let mut command = Self::described();
        let matches = command.get_matches_mut();
        let read = <Self as clap::FromArgMatches>::from_arg_matches(&matches);
        let line = read.unwrap_or_else(|error| error.format(&mut command).exit());
        if let Some(stray) = line.stray(&matches) {
            command
                .error(clap::error::ErrorKind::ArgumentConflict, stray)
                .exit();
        }
        line
    }

    /// The definition of the command line. The help of a command shows only the options that it
    /// uses.
    #[must_use]
    pub fn described() -> clap::Command {
        let ids = |options: clap::Command| -> Vec<clap::Id> {
            options
                .get_arguments()
                .map(|option| option.get_id().clone())
                .collect()
        };
        let empty = || clap::Command::new("options");
        let of_service = ids(<Options as clap::Args>::augment_args(empty()));
        let of_clients = ids(<ClientOptions as clap::Args>::augment_args(empty()));
        let hidden = |argument: clap::Arg, ids: &[clap::Id]| {
            let hide = ids.contains(argument.get_id());
            if hide { argument.hide(true) } else { argument }
        };
        let mut command =
            <Self as clap::CommandFactory>::command().mut_args(|argument| hidden(argument, &of_service));
        for (name, keeps) in [
            ("serve", None),
            ("backup", None),
            ("restore", None),
            ("completions", None),
            ("validate", Some("output")),
            ("doctor", Some("output")),
            ("hooks", Some("output")),
        ] {
            let ids: Vec<_> = of_clients
                .iter()
                .filter(|id| Some(id.as_str()) != keeps)
                .cloned()
                .collect();
            // Options of all commands that this one defines once more stay as they are here.
            command = command.mut_subcommand(name, |command| {
                let about = command.get_about().cloned().unwrap_or_default();
                let command = <ClientOptions as clap::Args>::augment_args(command).about(about);
                command.mut_args(|argument| hidden(argument, &ids))
            });
        }
        command
            .mut_subcommand("serve", defaults::told)
            .mut_subcommand("doctor", defaults::told)
    }

    /// Options of the service before a command, or of clients without one, would be ignored, which
    /// is never what was meant.
    fn stray(&self, matches: &clap::ArgMatches) -> Option<String> {
        // These commands talk to no service, and yet show their result as `--output` says.
        let answered_here = self.command.as_ref().is_some_and(Command::shows_alone);
        let given = |options: clap::Command| {
            let ids: Vec<_> = options
                .get_arguments()
                .map(|option| option.get_id().clone())
                .filter(|id| !(answered_here && id.as_str() == "output"))
                .collect();
            ids.into_iter()
                .find(|id| matches.value_source(id.as_str()) == Some(clap::parser::ValueSource::CommandLine))
        };
        let name = |id: clap::Id| format!("--{}", id.as_str().replace('_', "-"));
        let empty = || clap::Command::new("options");
        match &self.command {
            None => given(<ClientOptions as clap::Args>::augment_args(empty()))
                .map(|id| format!("{} is for the commands that ask a service: which one?", name(id))),
            Some(command) => {
                let client = given(<ClientOptions as clap::Args>::augment_args(empty()));
                let client = client.filter(|_| !command.asks()).map(|id| {
                    let name = name(id);
                    format!("{name} is for the commands that ask a service, and this one asks none")
                });
                let service = given(<Options as clap::Args>::augment_args(empty()));
                let home = |id: clap::Id| match command {
                    Command::Backup(_) if id.as_str() == "data_dir" => "backup",
                    Command::Restore(_) if id.as_str() == "data_dir" => "restore",
                    _ => "serve",
                };
                client.or(service.map(|id| {
                    let (name, home) = (name(id.clone()), home(id));
                    format!("{name} is an option of `{home}`: put it behind `{home}`")
                }))
            }
        }
    }
}

/// What the program can describe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Description {
    /// openapi.json
    Openapi,
    /// docs/errors.md
    Errors,
    /// The table of options in docs/configuration.md
    Options,
    /// Man pages, a file for each command, into a folder
    Man,
}

/// Options of `mapek solve`.
#[derive(Debug, Args)]
pub struct SolveOptions {
    /// The file to read; - or nothing for standard input
    pub file: Option<PathBuf>,
    /// Milliseconds to search before answering with the best placement found [default: the file's
    /// deadline_ms, else 2000]
    #[arg(long)]
    pub deadline_ms: Option<u64>,
    /// Search until the answer is proven to be the cheapest
    #[arg(long)]
    pub exact: bool,
    /// Let the service search, instead of this machine
    #[arg(long)]
    pub remote: bool,
}
