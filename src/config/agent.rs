//! Options of `mapek agent`.

use clap::Args;

/// The machine's name, where its engine is, and what it offers.
#[derive(Clone, Debug, Args)]
pub struct AgentOptions {
    /// Name of this node [default: the machine's name]
    #[arg(long, env = "MAPEK_NODE_ID", value_name = "NAME")]
    pub id: Option<String>,
    /// The engine's endpoint for the agent: unix:///path, tcp://IP:2375, https://IP:2376
    #[arg(
        long,
        env = "MAPEK_NODE_DOCKER",
        value_name = "URL",
        default_value = "unix:///var/run/docker.sock"
    )]
    pub docker: String,
    /// The engine's endpoint for the service [default: that of --docker]
    #[arg(long, env = "MAPEK_NODE_ENDPOINT", value_name = "URL")]
    pub endpoint: Option<String>,
    /// Address of published ports [default: the one from which the machine reaches the service]
    #[arg(long, env = "MAPEK_NODE_IP", value_name = "ADDRESS")]
    pub ip: Option<std::net::IpAddr>,
    /// Seconds between two refreshes; the node is silent when one is overdue
    #[arg(long, env = "MAPEK_NODE_REFRESH_S", value_name = "SECONDS", default_value_t = 10,
        value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub refresh_s: u32,
    /// Cores that it offers [default: all]
    #[arg(long, env = "MAPEK_NODE_CPU_CORES", value_name = "CORES")]
    pub cpu_cores: Option<f64>,
    /// Memory units that it offers [default: all of the memory]
    #[arg(long, env = "MAPEK_NODE_MEM_UNITS", value_name = "UNITS")]
    pub mem_units: Option<u64>,
    /// A label; can be given several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    pub labels: Vec<(String, String)>,
    /// A capability that can't be measured; a value that is valid JSON is read as JSON; can be
    /// given several times
    #[arg(long = "capability", value_name = "NAME=VALUE", value_parser = pair)]
    pub capabilities: Vec<(String, String)>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("should be NAME=VALUE".to_owned()),
    }
}
