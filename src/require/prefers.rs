//! `prefers`: how much a tier would rather be on a node.

use std::fmt;
use std::sync::Arc;

use cel::{Program, Value};

use super::compile::{Gives, Mistake, compile, scope};
use super::cost;
use super::facts::{Facts, shown};
use super::requires::told;

/// An expression that gives a number for a node; more is better.
#[derive(Clone)]
pub struct Prefers {
    source: Arc<str>,
    program: Arc<Program>,
    steps: f64,
}

impl PartialEq for Prefers {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Prefers {}

impl fmt::Debug for Prefers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Prefers({:?})", self.source)
    }
}

impl Prefers {
    /// Compiles it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn compile(source: &str) -> Result<Self, Vec<Mistake>> {
        let program = Arc::new(compile(source, Gives::Number)?);
        let steps = cost::of(program.expression()).unwrap_or(cost::MOST);
        let source = source.into();
        Ok(Self {
            source,
            program,
            steps,
        })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The most steps that it takes for one node.
    #[must_use]
    pub const fn steps(&self) -> f64 {
        self.steps
    }

    /// The number for a node. It is finite.
    ///
    /// # Errors
    ///
    /// Why there is none; the caller then uses 0.
    pub fn score(&self, node: &Facts) -> Result<f64, String> {
        let mut scope = scope();
        scope.add_variable_from_value("node", node.0.clone());
        let source = &self.source;
        let number = match self.program.execute(&scope) {
            #[expect(clippy::cast_precision_loss)]
            Ok(Value::Int(number)) => number as f64,
            #[expect(clippy::cast_precision_loss)]
            Ok(Value::UInt(number)) => number as f64,
            Ok(Value::Float(number)) => number,
            Ok(other) => {
                let is = shown(&other);
                return Err(format!(
                    "prefers: {source} is {is}, not a number, so it counts as 0"
                ));
            }
            Err(error) => {
                let because = told(&error);
                return Err(format!(
                    "prefers: {source} can't be evaluated ({because}), so it counts as 0"
                ));
            }
        };
        if number.is_finite() {
            Ok(number)
        } else {
            Err(format!("prefers: {source} is {number}, so it counts as 0"))
        }
    }
}
