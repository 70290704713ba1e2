//! Options of the commands that need neither a service nor an engine.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options of `mapek validate`.
#[derive(Debug, Args)]
pub struct ValidateOptions {
    /// The files to check: topologies, plans, what-ifs; - for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What the files are, if it should not be guessed from their content
    #[arg(long = "as", value_name = "KIND")]
    pub kind: Option<Kind>,
    /// The topology that plans are for [default: the one among the files, if there is just one]
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// As PUT /api/topology takes it.
    Topology,
    /// As PUT /api/translate and PUT /api/execute take it.
    Plan,
    /// As POST /api/solve takes it.
    WhatIf,
}

impl Kind {
    /// Its name on the command line and in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Topology => "topology",
            Self::Plan => "plan",
            Self::WhatIf => "what-if",
        }
    }
}
