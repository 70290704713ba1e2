//! Commands besides the service: its clients, and those that need no service.
//!
//! Clients know only the service's REST interface, so that they work with other versions of it:
//! what they don't know they show as it came, or leave out.

mod action;
mod agent;
mod apps;
mod backup;
mod diff;
mod doctor;
mod events;
mod execute;
mod executions;
mod hooks;
mod http;
mod input;
mod intents;
mod logs;
mod nodes;
mod plan;
mod problem;
mod progress;
mod reached;
mod show;
mod solve;
mod sse;
mod state;
mod style;
mod summary;
mod top;
mod track;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::client::{ClientOptions, Output, TopologyCommand};
use crate::config::hooks::HooksCommand;
use crate::config::{Command, CommandLine};

pub use backup::{BackupError, backup, restore};

use http::Client;
use problem::{Exit, Problem, written};

/// Runs a command, and returns the exit code. `home` is the user's data folder.
#[must_use]
pub fn run(command: &Command, options: &ClientOptions, home: Option<PathBuf>) -> ExitCode {
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(Exit::Failed, error.to_string()))
        .and_then(|runtime| runtime.block_on(dispatch(command, options, home)));
    let Err(problem) = result else {
        return ExitCode::SUCCESS;
    };
    // For scripts, the error is JSON as well. The text for people goes to standard error in any
    // case.
    let json = options.output == Some(Output::Json) || matches!(command, Command::Solve(_));
    if json && problem.exit != Exit::Usage {
        let _ = show::print_json(&problem.to_json());
    }
    progress::say(&format!("mapek: {problem}"));
    ExitCode::from(problem.exit as u8)
}

async fn dispatch(command: &Command, options: &ClientOptions, home: Option<PathBuf>) -> Result<(), Problem> {
    let output = options.output.unwrap_or(Output::Table);
    let client = || Client::new(options);
    match command {
        Command::Serve(_) | Command::Describe { .. } | Command::Backup(_) | Command::Restore(_) => {
            Err(Problem::new(Exit::Usage, "this asks no service"))
        }
        Command::Validate(options) => validate::validate(options, output),
        Command::Doctor(options) => doctor::doctor(options, home, output).await,
        Command::Hooks(HooksCommand::Test(options)) => hooks::test(options, output).await,
        Command::Diff(options) => diff::diff(&client()?, options, output).await,
        Command::Plan => plan::plan(&client()?, output).await,
        Command::Undo(options) => plan::undo(&client()?, options, output).await,
        Command::Logs(options) => logs::logs(&client()?, options).await,
        Command::Top(options) => top::top(&client()?, options, output).await,
        Command::GiveUp(options) => state::give_up(&client()?, options, output).await,
        Command::Topology(TopologyCommand::Get) => state::topology(&client()?, options.output).await,
        Command::Topology(TopologyCommand::Put(file)) => state::put_topology(&client()?, file, output).await,
        Command::Translate(options) => state::translate(&client()?, options, output).await,
        Command::Execute(options) => execute::execute(&client()?, options, output).await,
        Command::Allocation => state::allocation(&client()?, output).await,
        Command::Inspect => state::inspect(&client()?, output).await,
        Command::Nodes(options) => nodes::nodes(&client()?, options, output).await,
        Command::Agent(node) => agent::agent(node, options).await,
        Command::Candidates(options) => nodes::candidates(&client()?, options, output).await,
        Command::Cordon(nodes) => intents::cordon(&client()?, "cordon", nodes, output).await,
        Command::Uncordon(nodes) => intents::cordon(&client()?, "uncordon", nodes, output).await,
        Command::Drain(options) => intents::drain(&client()?, options, output).await,
        Command::Migrate(options) => intents::migrate(&client()?, options, output).await,
        Command::Intents(options) => intents::intents(&client()?, options, output).await,
        Command::App(command) => apps::app(&client()?, command, output).await,
        Command::Adopt(options) => state::adopt(&client()?, &options.owner, output).await,
        Command::Executions(options) => executions::executions(&client()?, options, output).await,
        Command::Events(options) => executions::events(&client()?, options, output).await,
        Command::Cancel(id) => executions::direct(&client()?, id, "cancel", output).await,
        Command::Resume(id) => executions::direct(&client()?, id, "resume", output).await,
        Command::Rollback(id) => executions::direct(&client()?, id, "rollback", output).await,
        Command::Solve(question) => {
            let client = if question.remote { Some(client()?) } else { None };
            solve::solve(question, client.as_ref(), options.output).await
        }
        Command::Completions(options) => {
            let mut script = Vec::new();
            clap_complete::generate(options.shell, &mut CommandLine::described(), "mapek", &mut script);
            written(std::io::Write::write_all(&mut std::io::stdout(), &script))
        }
    }
}
