//! `requires`: what must be true of a node.

use std::fmt;
use std::sync::Arc;

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};
use cel::{Context, ExecutionError, Program, Value};

use super::compile::{Gives, Mistake, compile, scope};
use super::conjuncts::split;
use super::cost;
use super::facts::{Facts, shown};

/// An expression that must be true of a node for a tier to be on it.
#[derive(Clone)]
pub struct Requires {
    source: Arc<str>,
    conjuncts: Arc<[Conjunct]>,
    steps: f64,
}

/// One part of a conjunction, as it was written.
struct Conjunct {
    text: String,
    program: Program,
}

impl PartialEq for Requires {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Requires {}

impl fmt::Debug for Requires {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Requires({:?})", self.source)
    }
}

impl Requires {
    /// Compiles it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn compile(source: &str) -> Result<Self, Vec<Mistake>> {
        let whole = compile(source, Gives::Truth)?;
        let steps = cost::of(whole.expression()).unwrap_or(cost::MOST);
        let is_conjunction =
            matches!(&whole.expression().expr, Expr::Call(call) if call.func_name == operators::LOGICAL_AND);
        let parts = if is_conjunction { split(source) } else { Vec::new() };
        let parts: Result<Vec<Conjunct>, _> = parts
            .into_iter()
            .map(|text| compile(text, Gives::Truth).map(|program| conjunct(text, program)))
            .collect();
        let conjuncts = match parts {
            Ok(parts) if parts.len() > 1 => parts,
            // A comment may extend over several of them.
            _ => vec![conjunct(source, whole)],
        };
        Ok(Self {
            source: source.into(),
            conjuncts: conjuncts.into(),
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

    /// Why it is certainly not true of a node that has reported nothing yet. A part that can't be
    /// evaluated because capabilities or health are missing may still be true.
    #[must_use]
    pub fn refuted(&self, node: &Facts) -> Vec<String> {
        self.reasons(node, true)
    }

    /// Why it is not true of a node: a sentence for each part that is not true. Empty if it is
    /// true.
    #[must_use]
    pub fn unmet(&self, node: &Facts) -> Vec<String> {
        self.reasons(node, false)
    }

    fn reasons(&self, node: &Facts, forgiving: bool) -> Vec<String> {
        let mut scope = scope();
        scope.add_variable_from_value("node", node.0.clone());
        let mut reasons = Vec::new();
        for conjunct in self.conjuncts.iter() {
            match conjunct.program.execute(&scope) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => {
                    let because = seen(conjunct.program.expression(), &scope);
                    reasons.push(format!("requires: {} is false{because}", conjunct.text));
                }
                Ok(other) => {
                    let is = shown(&other);
                    reasons.push(format!("requires: {} is {is}, not true or false", conjunct.text));
                }
                // An earlier part is false already.
                Err(_) if !reasons.is_empty() => {}
                // For a node that has reported nothing, only what it reports itself is unknown: its
                // labels are given.
                Err(_)
                    if forgiving
                        && ["capabilities", "health"]
                            .iter()
                            .any(|told| conjunct.text.contains(told)) => {}
                Err(error) => {
                    let because = told(&error);
                    reasons.push(format!(
                        "requires: {} can't be evaluated ({because}), so it counts as false",
                        conjunct.text
                    ));
                }
            }
        }
        reasons
    }
}

fn conjunct(text: &str, program: Program) -> Conjunct {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Conjunct { text, program }
}

/// Why an expression could not be evaluated, for people.
pub(super) fn told(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => format!("there is no {name}"),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::IndexOutOfBounds(_) => "no such place in the list".to_owned(),
        ExecutionError::Overflow(..) => "the number is too large".to_owned(),
        other => {
            let said = other.to_string();
            said.chars().take(160).collect()
        }
    }
}

/// The values of those parts of the node that an expression names, in brackets.
fn seen(expression: &IdedExpr, scope: &Context<'_, '_>) -> String {
    /// How many are shown at most.
    const MOST: usize = 4;
    let mut paths: Vec<&IdedExpr> = Vec::new();
    collect(expression, &mut paths);
    let mut told: Vec<(String, String)> = Vec::new();
    for path in paths {
        let Some(name) = path_of(path) else { continue };
        let value = scope
            .resolve(path)
            .map_or_else(|_| "not there".to_owned(), |value| shown(&value));
        if !told.iter().any(|(known, _)| *known == name) && told.len() < MOST {
            told.push((name, value));
        }
    }
    match told.as_slice() {
        [] => String::new(),
        [(_, value)] => format!(" ({value})"),
        several => {
            let several: Vec<String> = several
                .iter()
                .map(|(name, value)| format!("{name} is {value}"))
                .collect();
            format!(" ({})", several.join(", "))
        }
    }
}

/// The longest paths into the node, from left to right.
fn collect<'e>(of: &'e IdedExpr, paths: &mut Vec<&'e IdedExpr>) {
    if path_of(of).is_some() {
        paths.push(of);
        return;
    }
    match &of.expr {
        Expr::Call(call) => {
            for part in call.target.as_deref().into_iter().chain(&call.args) {
                collect(part, paths);
            }
        }
        Expr::Select(select) => collect(&select.operand, paths),
        Expr::List(list) => list.elements.iter().for_each(|element| collect(element, paths)),
        Expr::Comprehension(of) => collect(&of.iter_range, paths),
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Map(_) | Expr::Struct(_) => {}
    }
}

/// `node.labels.zone` or `node.labels['zone']`, if it is such a path.
fn path_of(of: &IdedExpr) -> Option<String> {
    match &of.expr {
        Expr::Select(select) if !select.test => {
            let operand = root_or_path(&select.operand)?;
            Some(format!("{operand}.{}", select.field))
        }
        Expr::Call(call) if call.func_name == operators::INDEX => {
            let [operand, index] = call.args.as_slice() else {
                return None;
            };
            let Expr::Literal(LiteralValue::String(index)) = &index.expr else {
                return None;
            };
            Some(format!("{}.{}", root_or_path(operand)?, index.inner()))
        }
        _ => None,
    }
}

fn root_or_path(of: &IdedExpr) -> Option<String> {
    match &of.expr {
        Expr::Ident(name) if name == "node" => Some(name.clone()),
        _ => path_of(of),
    }
}
