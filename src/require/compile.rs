//! From text to a program that may be evaluated: every name in it is known, and its cost is
//! bounded.

use std::sync::{Arc, OnceLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr, operators};
use cel::{Context, Env, Program};

use super::{conjuncts, cost};

/// The longest expression that is accepted, in bytes.
pub const LONGEST: usize = 2000;
/// How deeply brackets may be nested.
const DEEPEST: usize = 16;
/// How many operators there may be. The parser and the evaluator go one level deeper for each in a
/// row, and a stack overflow would end the whole process.
const MOST_OPERATORS: usize = 48;
/// How many members and calls may follow each other, for the same reason.
const LONGEST_CHAIN: usize = 24;

/// What an expression may name of a node.
pub const FIELDS: [&str; 11] = [
    "id",
    "source",
    "standing",
    "cpu_cores",
    "mem_units",
    "disk_gb",
    "gpus",
    "labels",
    "capabilities",
    "health",
    "epoch",
];
/// The variable for the node.
const NODE: &str = "node";
const FUNCTIONS: [&str; 11] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "string",
    "int",
    "uint",
    "double",
    "dyn",
    "min",
    "max",
];
const OPERATORS: [&str; 18] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::INDEX,
    operators::IN,
];

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The column, from 1; None if it concerns the whole.
    pub column: Option<usize>,
    /// The line, from 1, if there are several.
    pub line: Option<usize>,
    /// What is wrong, and what to do about it.
    pub problem: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(out, "line {line}, column {column}: {}", self.problem),
            (None, Some(column)) => write!(out, "column {column}: {}", self.problem),
            (_, None) => out.write_str(&self.problem),
        }
    }
}

impl Mistake {
    fn whole(problem: String) -> Self {
        Self {
            column: None,
            line: None,
            problem,
        }
    }

    fn at(source: &str, line: usize, column: usize, problem: String) -> Self {
        let several = source.trim_end().contains('\n');
        Self {
            column: Some(column),
            line: several.then_some(line),
            problem,
        }
    }

    /// After that part of the source.
    fn behind(before: &str, source: &str, problem: String) -> Self {
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Self::at(source, line, column, problem)
    }
}

/// What an expression must result in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// True or false.
    Truth,
    /// A number.
    Number,
}

/// The functions and operators of the language.
pub fn language() -> Arc<Env> {
    static LANGUAGE: OnceLock<Arc<Env>> = OnceLock::new();
    Arc::clone(LANGUAGE.get_or_init(|| Arc::new(Env::stdlib())))
}

/// An empty scope to evaluate in.
pub fn scope<'v>() -> Context<'static, 'v> {
    Context::with_env(language())
}

/// Compiles an expression.
///
/// # Errors
///
/// All that is wrong with it.
pub fn compile(source: &str, gives: Gives) -> Result<Program, Vec<Mistake>> {
    if source.len() > LONGEST {
        let length = source.len();
        return Err(vec![Mistake::whole(format!(
            "the expression has {length} bytes; {LONGEST} is the most"
        ))]);
    }
    if let Some(at) = conjuncts::broken(source) {
        let before = source.get(..at).unwrap_or_default();
        let problem = "it can't be read: the text or operator that begins here is not complete";
        return Err(vec![Mistake::behind(before, source, problem.to_owned())]);
    }
    let code = conjuncts::code(source);
    let sizes = [
        (conjuncts::depth(&code), DEEPEST, "brackets in each other"),
        (conjuncts::operators(&code), MOST_OPERATORS, "operators"),
        (
            conjuncts::chain(&code),
            LONGEST_CHAIN,
            "members or calls in a row",
        ),
    ];
    let too_large: Vec<Mistake> = sizes
        .into_iter()
        .filter(|(found, most, _)| found > most)
        .map(|(found, most, what)| Mistake::whole(format!("it has {found} {what}; {most} are the most")))
        .collect();
    if !too_large.is_empty() {
        return Err(too_large);
    }
    let program = language().compile(source).map_err(|errors| {
        let told = errors.errors.iter().map(|error| {
            let place = |at: isize| usize::try_from(at).unwrap_or(1).max(1);
            Mistake::at(source, place(error.pos.0), place(error.pos.1), syntax(&error.msg))
        });
        let told: Vec<Mistake> = told.collect();
        if told.is_empty() {
            vec![Mistake::whole("it can't be read".to_owned())]
        } else {
            told
        }
    })?;
    let mut checker = Checker {
        source,
        program: &program,
        variables: Vec::new(),
        mistakes: Vec::new(),
    };
    checker.check(program.expression());
    checker.result(program.expression(), gives);
    let mut mistakes = checker.mistakes;
    if mistakes.is_empty() {
        match cost::of(program.expression()) {
            None => mistakes.push(Mistake::whole("loops stand too deep in each other".to_owned())),
            Some(steps) if steps > cost::MOST || steps.is_nan() => mistakes.push(Mistake::whole(
                "it could take too long to evaluate: use fewer or smaller loops".to_owned(),
            )),
            Some(_) => {}
        }
    }
    if mistakes.is_empty() {
        Ok(program)
    } else {
        Err(mistakes)
    }
}

/// The parser's message, without its list of every token that could be there.
fn syntax(said: &str) -> String {
    let said = said.split(" expecting ").next().unwrap_or(said);
    let said = said.strip_prefix("Syntax error: ").unwrap_or(said).trim();
    format!("it can't be read: {said}")
}

struct Checker<'s> {
    source: &'s str,
    program: &'s Program,
    /// Variables of the enclosing loops.
    variables: Vec<String>,
    mistakes: Vec<Mistake>,
}

impl Checker<'_> {
    fn mistake(&mut self, id: u64, problem: String) {
        let start = self.program.source_info().offset_for(id);
        let start = start.and_then(|(start, _)| usize::try_from(start).ok());
        let Some(before) = start.and_then(|start| self.source.get(..start)) else {
            self.mistakes.push(Mistake::whole(problem));
            return;
        };
        self.mistakes.push(Mistake::behind(before, self.source, problem));
    }

    fn check(&mut self, of: &IdedExpr) {
        match &of.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => {
                if name != NODE && !name.starts_with('@') && !self.variables.contains(name) {
                    self.mistake(
                        of.id,
                        format!("{name} is not known here: expressions are over node"),
                    );
                }
            }
            Expr::Select(select) => {
                if matches!(&select.operand.expr, Expr::Ident(name) if name == NODE)
                    && !self.variables.iter().any(|name| name == NODE)
                    && !FIELDS.contains(&select.field.as_str())
                {
                    let known = FIELDS.join(", ");
                    let field = &select.field;
                    self.mistake(of.id, format!("a node has no {field}; it has {known}"));
                }
                self.check(&select.operand);
            }
            Expr::Call(call) => {
                let name = call.func_name.as_str();
                let known = FUNCTIONS.contains(&name) || OPERATORS.contains(&name) || name.starts_with('@');
                if !known {
                    let known = FUNCTIONS.join(", ");
                    self.mistake(
                        of.id,
                        format!(
                            "{name} is not a function here; there are {known}, and the macros has, all, exists, \
                             exists_one, map and filter"
                        ),
                    );
                }
                for part in call.target.as_deref().into_iter().chain(&call.args) {
                    self.check(part);
                }
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.check(element)),
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.check(&entry.key);
                        self.check(&entry.value);
                    }
                }
            }
            Expr::Struct(_) => self.mistake(of.id, "messages can't be made here".to_owned()),
            Expr::Comprehension(of) => {
                self.check(&of.iter_range);
                self.check(&of.accu_init);
                let names = [Some(&of.iter_var), of.iter_var2.as_ref(), Some(&of.accu_var)];
                let outside = self.variables.len();
                self.variables.extend(names.into_iter().flatten().cloned());
                self.check(&of.loop_cond);
                self.check(&of.loop_step);
                self.check(&of.result);
                self.variables.truncate(outside);
            }
        }
    }

    /// What can be said about the result without evaluating it.
    fn result(&mut self, of: &IdedExpr, gives: Gives) {
        use operators::{
            ADD, DIVIDE, EQUALS, GREATER, GREATER_EQUALS, IN, LESS, LESS_EQUALS, LOGICAL_AND, LOGICAL_NOT,
            LOGICAL_OR, MODULO, MULTIPLY, NEGATE, NOT_EQUALS, SUBSTRACT,
        };
        let truths = [
            EQUALS,
            NOT_EQUALS,
            GREATER,
            GREATER_EQUALS,
            LESS,
            LESS_EQUALS,
            IN,
            LOGICAL_AND,
            LOGICAL_OR,
            LOGICAL_NOT,
            "contains",
            "startsWith",
            "endsWith",
        ];
        let numbers = [
            ADD, SUBSTRACT, MULTIPLY, DIVIDE, MODULO, NEGATE, "size", "int", "uint", "double",
        ];
        let found = match &of.expr {
            Expr::Literal(literal) => match literal {
                cel::common::ast::LiteralValue::Boolean(_) => Some(Gives::Truth),
                cel::common::ast::LiteralValue::Int(_)
                | cel::common::ast::LiteralValue::UInt(_)
                | cel::common::ast::LiteralValue::Double(_) => Some(Gives::Number),
                _ => {
                    let wanted = wanted(gives);
                    return self.mistake(of.id, format!("it should give {wanted}"));
                }
            },
            Expr::List(_) | Expr::Map(_) => {
                let wanted = wanted(gives);
                return self.mistake(of.id, format!("it should give {wanted}"));
            }
            Expr::Call(call) if truths.contains(&call.func_name.as_str()) => Some(Gives::Truth),
            Expr::Call(call) if numbers.contains(&call.func_name.as_str()) => Some(Gives::Number),
            Expr::Select(select) if select.test => Some(Gives::Truth),
            _ => None,
        };
        if found.is_some_and(|found| found != gives) {
            let problem = match gives {
                Gives::Truth => "it gives a number, and should give true or false: compare it with something",
                Gives::Number => {
                    "it gives true or false, and should give a number: write `… ? 1 : 0` where it is to count"
                }
            };
            self.mistakes.push(Mistake::whole(problem.to_owned()));
        }
    }
}

const fn wanted(gives: Gives) -> &'static str {
    match gives {
        Gives::Truth => "true or false",
        Gives::Number => "a number",
    }
}
