//! `mapek validate`: checks topologies, plans and what-ifs without a service, and reports
//! everything that is wrong at once, with line and column.

mod check;
mod spans;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::client::Output;
use crate::config::offline::{Kind, ValidateOptions};
use crate::model::Topology;

use super::input;
use super::problem::{Exit, Problem};
use super::show::{print, print_json};
use super::style::{CHANGE, CREATE, DELETE, count, paint};
use check::{Findings, kind_of};
use spans::{Place, Spans};

/// A file and its problems.
struct Checked {
    name: String,
    kind: Option<Kind>,
    problems: Vec<Told>,
    warnings: Vec<Told>,
}

/// Something that is wrong, or that its author should know, with its place.
struct Told {
    path: String,
    problem: String,
    place: Place,
}

impl Told {
    fn to_json(&self) -> Value {
        json!({ "path": self.path, "problem": self.problem, "line": self.place.line, "column": self.place.column })
    }

    fn line(&self, name: &str, kind: &str) -> String {
        let Place { line, column } = self.place;
        let path = match self.path.as_str() {
            "" => String::new(),
            path => format!("{path}: "),
        };
        format!("{name}:{line}:{column}: {kind}: {path}{}", self.problem)
    }
}

impl Checked {
    fn to_json(&self) -> Value {
        let told = |all: &[Told]| all.iter().map(Told::to_json).collect::<Value>();
        json!({
            "file": self.name,
            "kind": self.kind.map(Kind::as_str),
            "valid": self.problems.is_empty(),
            "problems": told(&self.problems),
            "warnings": told(&self.warnings),
        })
    }

    fn show(&self) -> Result<(), Problem> {
        let (error, warning) = (paint(DELETE, "error"), paint(CHANGE, "warning"));
        for problem in &self.problems {
            print(&problem.line(&self.name, &error))?;
        }
        for told in &self.warnings {
            print(&told.line(&self.name, &warning))?;
        }
        let what = self.kind.map_or("JSON document", Kind::as_str);
        if self.problems.is_empty() {
            let warnings = match self.warnings.len() {
                0 => String::new(),
                some => format!(", with {}", count(some, "warning")),
            };
            print(&format!(
                "{}: {} {what}{warnings}",
                self.name,
                paint(CREATE, "a valid")
            ))
        } else {
            let problems = count(self.problems.len(), "problem");
            print(&format!("{}: not a valid {what}: {problems}", self.name))
        }
    }
}

/// A file as it was read: JSON, or why it is not.
struct File {
    name: String,
    text: String,
    document: Result<Value, Told>,
    kind: Option<Kind>,
}

impl File {
    fn read(path: &Path, kind: Option<Kind>) -> Result<Self, Problem> {
        let (name, text) = input::text(path)?;
        let document = serde_json::from_str::<Value>(&text).map_err(|error| {
            let whole = error.to_string();
            // The place is shown in front.
            let said = whole
                .rsplit_once(" at line ")
                .map_or(whole.as_str(), |(said, _)| said);
            let place = Place {
                line: error.line().max(1),
                column: error.column().max(1),
            };
            Told {
                path: String::new(),
                problem: format!("is not JSON: {said}"),
                place,
            }
        });
        let kind = kind.or(document.as_ref().ok().and_then(kind_of));
        Ok(Self {
            name,
            text,
            document,
            kind,
        })
    }

    fn topology(&self) -> Option<Topology> {
        let document = self.document.as_ref().ok()?;
        let topology = self.kind == Some(Kind::Topology);
        Some(Topology::parse(document).ok().filter(|_| topology)?.topology)
    }

    fn check(self, topology: Option<&Topology>) -> Checked {
        let document = match self.document {
            Ok(document) => document,
            Err(told) => {
                return Checked {
                    name: self.name,
                    kind: None,
                    problems: vec![told],
                    warnings: Vec::new(),
                };
            }
        };
        // What is none of the three is not a topology either.
        let kind = self.kind.unwrap_or(Kind::Topology);
        let Findings { problems, warnings } = check::check(kind, &document, topology);
        let spans = Spans::of(&self.text);
        let told = |all: Vec<crate::model::Problem>| -> Vec<Told> {
            let told = |one: crate::model::Problem| Told {
                place: spans.place(&one.path),
                path: one.path,
                problem: one.problem,
            };
            all.into_iter().map(told).collect()
        };
        let mut warnings = told(warnings);
        let mut problems = told(problems);
        problems.extend(spans.twice().map(|(path, place)| Told {
            path: path.to_owned(),
            problem: "is given more than once; keep one of them".to_owned(),
            place,
        }));
        problems.sort_by_key(|told| (told.place.line, told.place.column));
        warnings.sort_by_key(|told| (told.place.line, told.place.column));
        Checked {
            name: self.name,
            kind: Some(kind),
            problems,
            warnings,
        }
    }
}

/// Checks files, and reports everything that is wrong with them.
///
/// # Errors
///
/// When one can't be read, or is not valid.
pub fn validate(options: &ValidateOptions, output: Output) -> Result<(), Problem> {
    let read = |path: &PathBuf| File::read(path, options.kind);
    let files = options.files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let topology = match &options.topology {
        Some(path) => {
            let file = File::read(path, Some(Kind::Topology))?;
            let topology = file.topology();
            let name = file.name;
            Some(topology.ok_or_else(|| {
                Problem::new(
                    Exit::Failed,
                    format!("{name} is not a valid topology: mapek validate {name} says why"),
                )
            })?)
        }
        // If there is one topology among the files, plans are checked against it.
        None => {
            let mut given = files.iter().filter_map(File::topology);
            given.next().filter(|_| given.next().is_none())
        }
    };
    let checked = files.into_iter().map(|file| file.check(topology.as_ref()));
    let checked: Vec<Checked> = checked.collect();
    let wrong = checked.iter().filter(|file| !file.problems.is_empty()).count();
    let report = json!({
        "valid": wrong == 0,
        "files": checked.iter().map(Checked::to_json).collect::<Value>(),
    });
    match output {
        Output::Table => checked.iter().try_for_each(Checked::show)?,
        Output::Json if wrong == 0 => print_json(&report)?,
        // The report itself is the error message.
        Output::Json => {}
    }
    if wrong == 0 {
        return Ok(());
    }
    Err(Problem {
        exit: Exit::Failed,
        message: format!("{} of {} not valid", wrong, count(checked.len(), "file")),
        answer: Some(report),
    })
}
