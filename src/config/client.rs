//! Options of the commands that ask a running service.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Secret;

/// Where the service is, and how to show what it answers.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of the commands that ask a service")]
pub struct ClientOptions {
    /// URL of the service, http:// or https://
    #[arg(
        long,
        global = true,
        env = "MAPEK_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8000"
    )]
    pub server: String,
    /// Token for the service; other users can see flags, so prefer the environment or a file
    #[arg(
        long,
        global = true,
        env = "MAPEK_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: Option<Secret>,
    /// File with the token
    #[arg(
        long,
        visible_alias = "token-file",
        global = true,
        value_name = "FILE",
        conflicts_with = "token"
    )]
    pub token_from: Option<PathBuf>,
    /// Authorities to trust instead of the system's (PEM)
    #[arg(long, global = true, env = "MAPEK_CA_CERT", value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// Client certificate, for a service that asks for one (PEM)
    #[arg(
        long,
        global = true,
        env = "MAPEK_CLIENT_CERT",
        value_name = "FILE",
        requires = "client_key"
    )]
    pub client_cert: Option<PathBuf>,
    /// Key of that certificate (PEM)
    #[arg(
        long,
        global = true,
        env = "MAPEK_CLIENT_KEY",
        value_name = "FILE",
        requires = "client_cert"
    )]
    pub client_key: Option<PathBuf>,
    /// How answers are shown [default: table; json for `topology get` and `solve`]
    #[arg(short, long, global = true, value_name = "FORMAT")]
    pub output: Option<Output>,
}

/// How answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For programs: the service's answer, one JSON document (one a line for `events`).
    Json,
    /// For people.
    Table,
}

/// A file to read.
#[derive(Debug, Args)]
pub struct FileArgument {
    /// The file to read; - for standard input
    pub file: PathBuf,
}

/// What to do with the topology.
#[derive(Debug, Subcommand)]
pub enum TopologyCommand {
    /// Show the topology as it was put
    Get,
    /// Put a topology
    Put(FileArgument),
}

/// Options of `mapek translate`.
#[derive(Debug, Args)]
pub struct TranslateOptions {
    /// The plan; - for standard input
    pub plan: PathBuf,
    /// Also list the actions, stage by stage
    #[arg(long)]
    pub stages: bool,
}

/// Options of `mapek execute`.
#[derive(Debug, Args)]
pub struct ExecuteOptions {
    /// The plan; - for standard input
    pub plan: PathBuf,
    /// How it is carried out.
    #[command(flatten)]
    pub how: HowOptions,
}

/// How a plan is carried out.
#[derive(Debug, Args)]
pub struct HowOptions {
    /// Do not ask before changing anything
    #[arg(short, long)]
    pub yes: bool,
    /// What to do when an action fails for good [default: what the topology says]
    #[arg(long, value_name = "WHAT")]
    pub on_failure: Option<OnFailureChoice>,
    /// What to do when the cloud gives fewer VMs than asked for [default: what the topology says]
    #[arg(long, value_name = "WHAT")]
    pub on_shortage: Option<OnShortageChoice>,
    /// Do not wait for the end: print the execution's id and exit
    #[arg(long)]
    pub detach: bool,
    /// Also list the actions, stage by stage
    #[arg(long)]
    pub stages: bool,
}

/// What to do when an action fails for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnFailureChoice {
    /// What was done is kept.
    Stop,
    /// What was done is undone.
    Rollback,
    /// What does not depend on the failed action is done.
    Continue,
}

impl OnFailureChoice {
    /// As the API has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Rollback => "rollback",
            Self::Continue => "continue",
        }
    }
}

/// What to do when fewer VMs come than are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnShortageChoice {
    /// That is a failure.
    Fail,
    /// The plan is placed again, on the VMs that came; the result may differ from what was shown.
    Replan,
}

impl OnShortageChoice {
    /// As the API has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Replan => "replan",
        }
    }
}

/// Options of `mapek executions`.
#[derive(Debug, Args)]
pub struct ExecutionsOptions {
    /// Only this execution, with its actions; `last` for the newest
    #[arg(conflicts_with_all = ["limit", "before", "state", "since"])]
    pub id: Option<String>,
    /// How many at most [default: 200]
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<u32>,
    /// Only executions that began before this one
    #[arg(long, value_name = "ID")]
    pub before: Option<String>,
    /// Only executions in this state: running, or how they ended
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Only executions that were accepted then or later, such as 2026-11-21T16:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
}

/// Options of `mapek cancel`, `resume` and `rollback`.
#[derive(Debug, Args)]
pub struct ExecutionArgument {
    /// The execution; the one that is running, or held, unless given
    pub id: Option<String>,
}

/// Options of `mapek adopt`.
#[derive(Debug, Args)]
pub struct AdoptOptions {
    /// The id of the data directory that was lost, as the label mapek.owner of its containers shows it
    pub owner: String,
}

/// Options of `mapek events`.
#[derive(Debug, Args)]
pub struct EventsOptions {
    /// Begin after the event with this number instead of now; 0 shows all that are kept
    #[arg(long, value_name = "NUMBER")]
    pub after: Option<u64>,
    /// Only events of this execution
    #[arg(long, value_name = "ID")]
    pub execution: Option<String>,
}

/// Options of `mapek diff`.
#[derive(Debug, Args)]
pub struct DiffOptions {
    /// The topology to compare with the service's; - for standard input
    pub file: PathBuf,
    /// Exit with code 10 if anything would change
    #[arg(long)]
    pub exit_code: bool,
}

/// Options of `mapek give-up`.
#[derive(Debug, Args)]
pub struct GiveUpOptions {
    /// The VM, as the allocation names it
    pub vm: String,
    /// Do not ask first
    #[arg(short, long)]
    pub yes: bool,
}

/// Options of `mapek nodes`.
#[derive(Debug, Args)]
pub struct NodesOptions {
    /// Only this node, with everything known about it
    pub id: Option<String>,
}

/// Options of `mapek candidates`.
#[derive(Debug, Args)]
pub struct CandidatesOptions {
    /// The tier, by its flat name APP_TIER
    pub tier: String,
    /// Cores of the container to be placed [default: the fewest]
    #[arg(long, value_name = "CORES")]
    pub cpu_cores: Option<f64>,
    /// Memory units of the container to be placed [default: 1]
    #[arg(long, value_name = "UNITS")]
    pub mem_units: Option<u32>,
    /// Gigabytes of disk that its container is to have [default: 0]
    #[arg(long, value_name = "GB")]
    pub disk_gb: Option<u32>,
    /// GPUs that its container is to have [default: 0]
    #[arg(long, value_name = "COUNT")]
    pub gpus: Option<u32>,
}

/// Some nodes.
#[derive(Debug, Args)]
pub struct NodesArgument {
    /// The nodes
    #[arg(required = true, value_name = "NODE")]
    pub nodes: Vec<String>,
}

/// Options of `mapek drain`.
#[derive(Debug, Args)]
pub struct DrainOptions {
    /// The nodes
    #[arg(required = true, value_name = "NODE")]
    pub nodes: Vec<String>,
    /// Do not wait for the end: print the intents' ids and exit
    #[arg(long)]
    pub detach: bool,
}

/// Options of `mapek migrate`.
#[derive(Debug, Args)]
pub struct MigrateOptions {
    /// The tier, by its flat name APP_TIER
    pub tier: String,
    /// The node that it leaves; needed if the tier is on several
    #[arg(long, value_name = "NODE")]
    pub from: Option<String>,
    /// A node that it may go to; can be given several times
    #[arg(long, value_name = "NODE", required_unless_present = "to_where")]
    pub to: Vec<String>,
    /// It may go to any node for which this expression is true
    #[arg(long, value_name = "EXPRESSION", conflicts_with = "to")]
    pub to_where: Option<String>,
    /// Do not wait for the end: print the intent's id and exit
    #[arg(long)]
    pub detach: bool,
}

/// Options of `mapek intents`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct IntentsOptions {
    /// What to do with one, where it is not to be shown
    #[command(subcommand)]
    pub command: Option<IntentsCommand>,
    /// Only this intent
    #[arg(conflicts_with_all = ["limit", "before", "state", "since"])]
    pub id: Option<String>,
    /// How many at most [default: 200]
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<u32>,
    /// Only intents that were taken before this one
    #[arg(long, value_name = "ID")]
    pub before: Option<String>,
    /// Only intents in this state, such as pending
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Only intents that were taken then or later, such as 2026-11-21T16:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
}

/// What to do with an intent.
#[derive(Debug, Subcommand)]
pub enum IntentsCommand {
    /// Take an intent back that has not begun
    Cancel {
        /// The intent
        id: String,
    },
}

/// What `mapek app` does.
#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// Put an app, or another version of it, and wait until it is deployed
    Put(AppPutOptions),
    /// Show the apps
    List,
    /// Show one app
    Show {
        /// Its name
        name: String,
    },
    /// Remove an app with all that it runs, and wait until that is done
    Remove(AppRemoveOptions),
}

/// Options of `mapek app put`.
#[derive(Debug, Args)]
pub struct AppPutOptions {
    /// The app's name
    pub name: String,
    /// Its tiers and its plan: {"tiers", "plan"}, or a Compose stack as `docker compose config --format json` writes it; - for standard input
    pub file: PathBuf,
    /// Do not wait for the end
    #[arg(long)]
    pub detach: bool,
}

/// Options of `mapek app remove`.
#[derive(Debug, Args)]
pub struct AppRemoveOptions {
    /// The app's name
    pub name: String,
    /// Do not wait for the end
    #[arg(long)]
    pub detach: bool,
}

/// Options of `mapek logs`.
#[derive(Debug, Args)]
pub struct LogsOptions {
    /// The container, as VM/CONTAINER; CONTAINER alone is enough if only one VM has it
    pub container: String,
    /// Keep printing what the container writes, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last LINES lines
    #[arg(short = 'n', long, value_name = "LINES")]
    pub tail: Option<u32>,
    /// Only what was written since then: a time such as 2026-11-21T16:00:00Z, or how long ago, such as 10m
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
}

/// Options of `mapek top`.
#[derive(Debug, Args)]
pub struct TopOptions {
    /// Keep measuring, until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
}

/// Options of `mapek completions`.
#[derive(Debug, Args)]
pub struct CompletionsOptions {
    /// The shell to write completions for
    pub shell: clap_complete::Shell,
}
