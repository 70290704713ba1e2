//! Options of `mapek hooks`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with hooks.
#[derive(Debug, Subcommand)]
pub enum HooksCommand {
    /// Run a tier's hooks in a throw-away container, with a made-up allocation, and show what they say
    Test(HooksTestOptions),
}

/// Options of `mapek hooks test`.
#[derive(Debug, Args)]
pub struct HooksTestOptions {
    /// The tier, by its flat name APP_TIER; TIER alone is enough if only one app has it
    pub tier: String,
    /// The topology; - for standard input
    #[arg(long, value_name = "FILE", default_value = "topology.json")]
    pub topology: PathBuf,
    /// Where the hooks are, instead of where the topology says: a folder, or a git repository
    #[arg(long, value_name = "PLACE")]
    pub hooks: Option<String>,
    /// The Docker engine to run the container on
    #[arg(
        long,
        env = "DOCKER_HOST",
        value_name = "ENDPOINT",
        default_value = "unix:///var/run/docker.sock"
    )]
    pub docker: String,
    /// Only this hook; give it several times for several
    #[arg(long, value_name = "NAME")]
    pub hook: Vec<String>,
    /// What the dependency hook is told that is there, in the shape of GET /api/allocation [default: made up]
    #[arg(long, value_name = "FILE")]
    pub allocation: Option<PathBuf>,
    /// Cores of the container
    #[arg(long, value_name = "CORES", default_value_t = 1.0)]
    pub cpu_cores: f64,
    /// Memory units of the container
    #[arg(long, value_name = "UNITS", default_value_t = 1)]
    pub mem_units: u32,
    /// Seconds that each hook may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub deadline_s: u32,
}
