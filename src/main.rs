//! Parses the command line and runs.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use mapek::config::{Command, CommandLine, Description, Options, options_text};
use mapek::{api, cli, startup, telemetry};

fn main() -> ExitCode {
    let line = CommandLine::read();
    let result = match line.command {
        Some(Command::Describe { what, into }) => describe(what, into),
        Some(Command::Serve(options)) => serve(options),
        Some(Command::Backup(options)) => tell(cli::backup(&options, startup::data_home())),
        Some(Command::Restore(options)) => tell(cli::restore(&options, startup::data_home())),
        Some(command) => return cli::run(&command, &line.client, startup::data_home()),
        None => serve(line.serve),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mapek: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn describe(what: Description, into: Option<PathBuf>) -> anyhow::Result<()> {
    let text = match what {
        Description::Openapi => api::openapi_text()?,
        Description::Errors => api::errors_text(),
        Description::Options => options_text(),
        Description::Man => {
            let folder = into.unwrap_or_default();
            return Ok(clap_mangen::generate_to(CommandLine::described(), folder)?);
        }
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

fn tell(result: Result<String, cli::BackupError>) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", result?)?)
}

fn serve(options: Options) -> anyhow::Result<()> {
    let config = options.decide(startup::data_home())?;
    let _telemetry = telemetry::init(config.log_format, &config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(startup::serve(config))
}
