//! What an expression can cost at most, worked out before it is ever evaluated: from its form, and
//! from the sizes within which [`super::Facts`] stays.
//!
//! The language has no endless loops, but it has nested loops, and texts that double: `['x'].map(s,
//! s + s).map(s, s + s)…`. So each part is given the largest shape that its value can have, and its
//! steps are counted with that.

use std::collections::BTreeMap;

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

use super::facts::{MOST_LABELS, WIDEST};

/// The most steps that one evaluation may take.
pub const MOST: f64 = 200_000.0;
/// How deeply loops may be nested.
const DEEPEST: usize = 4;
/// Bytes that are copied or compared in one step.
const BYTES: f64 = 64.0;

/// The largest that a value can be.
#[derive(Clone, Debug)]
struct Shape {
    /// Bytes of a text, or entries of a list or map.
    len: f64,
    /// What is in it; None if it is no list or map.
    item: Option<Box<Shape>>,
    /// Whether it is certainly a map: it is looked up in, and loops go over its names.
    map: bool,
}

impl Shape {
    const fn one(len: f64) -> Self {
        Self {
            len,
            item: None,
            map: false,
        }
    }

    fn list(len: f64, item: Self) -> Self {
        Self {
            len,
            item: Some(Box::new(item)),
            map: false,
        }
    }

    fn map(len: f64, item: Self) -> Self {
        Self {
            map: true,
            ..Self::list(len, item)
        }
    }

    /// Steps to copy or compare all of it.
    fn steps(&self) -> f64 {
        match &self.item {
            None => 1.0 + self.len / BYTES,
            Some(item) => 1.0 + self.len * item.steps(),
        }
    }

    /// Steps to copy the list itself, whose items are shared, or the text.
    fn copied(&self) -> f64 {
        1.0 + self.len / if self.item.is_some() { 4.0 } else { BYTES }
    }

    fn item(&self) -> Self {
        self.item.as_deref().cloned().unwrap_or_else(any)
    }

    /// What a loop over it sees.
    fn looped(&self) -> Self {
        if self.map { any() } else { self.item() }
    }

    /// As large as the larger of the two in every respect.
    fn or(self, other: Self) -> Self {
        let item = match (self.item, other.item) {
            (Some(a), Some(b)) => Some(Box::new(a.or(*b))),
            (a, b) => a.or(b),
        };
        let len = self.len.max(other.len);
        let map = self.map && other.map;
        Self { len, item, map }
    }

    /// As large as both, one after the other.
    fn and(self, other: Self) -> Self {
        let len = self.len + other.len;
        Self {
            len,
            ..self.or(other)
        }
    }
}

/// The largest value that is no list or map.
fn any() -> Shape {
    #[expect(clippy::cast_precision_loss)]
    let widest = WIDEST as f64;
    Shape::one(widest)
}

#[expect(clippy::cast_precision_loss)]
fn count(len: usize) -> f64 {
    len as f64
}

/// Counts steps; None if loops are nested too deeply.
pub fn of(expression: &IdedExpr) -> Option<f64> {
    let mut counter = Counter {
        steps: 0.0,
        variables: BTreeMap::new(),
        loops: 0,
    };
    counter.shape(expression)?;
    Some(counter.steps)
}

struct Counter {
    steps: f64,
    variables: BTreeMap<String, Shape>,
    loops: usize,
}

impl Counter {
    fn shape(&mut self, expression: &IdedExpr) -> Option<Shape> {
        self.steps += 1.0;
        let most = count(MOST_LABELS);
        Some(match &expression.expr {
            Expr::Unspecified => any(),
            Expr::Literal(literal) => match literal {
                LiteralValue::String(text) => Shape::one(count(text.inner().len())),
                LiteralValue::Bytes(bytes) => Shape::one(count(bytes.inner().len())),
                _ => Shape::one(1.0),
            },
            Expr::Ident(name) => match self.variables.get(name) {
                Some(shape) => shape.clone(),
                None => Shape::map(most, Shape::map(most, Shape::list(most, any()))),
            },
            Expr::Select(select) => {
                let operand = self.shape(&select.operand)?;
                let of_node =
                    matches!(&select.operand.expr, Expr::Ident(name) if !self.variables.contains_key(name));
                match select.field.as_str() {
                    "labels" if of_node => Shape::map(most, any()),
                    "capabilities" | "health" if of_node => operand.item(),
                    _ if of_node => any(),
                    _ => operand.item(),
                }
            }
            Expr::List(list) => {
                let mut item = Shape::one(0.0);
                for element in &list.elements {
                    item = item.or(self.shape(element)?);
                }
                Shape::list(count(list.elements.len()), item)
            }
            Expr::Map(map) => {
                let mut item = Shape::one(0.0);
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        item = item.or(self.shape(&entry.key)?).or(self.shape(&entry.value)?);
                    }
                }
                Shape::map(count(map.entries.len()), item)
            }
            Expr::Struct(_) => any(),
            Expr::Call(call) => {
                let mut of = Vec::new();
                for part in call.target.as_deref().into_iter().chain(&call.args) {
                    of.push(self.shape(part)?);
                }
                self.call(&call.func_name, of)
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension)?,
        })
    }

    fn call(&mut self, function: &str, of: Vec<Shape>) -> Shape {
        let mut of = of.into_iter();
        let first = of.next().unwrap_or_else(any);
        match function {
            operators::CONDITIONAL => of.fold(Shape::one(1.0), Shape::or),
            operators::INDEX => {
                self.steps += 1.0;
                first.item()
            }
            operators::ADD => {
                let sum = of.fold(first, Shape::and);
                self.steps += sum.copied();
                sum
            }
            operators::IN => {
                let within = of.next().unwrap_or_else(any);
                let times = if within.map { 1.0 } else { within.len };
                self.steps += 1.0 + times * first.steps();
                Shape::one(1.0)
            }
            "string" | "dyn" | "min" | "max" => {
                let all = of.fold(first, Shape::or);
                self.steps += all.copied();
                Shape {
                    len: all.len + 32.0,
                    ..all
                }
            }
            _ => {
                self.steps += first.steps() + of.map(|part| part.steps()).sum::<f64>();
                Shape::one(32.0)
            }
        }
    }

    fn comprehension(&mut self, of: &ComprehensionExpr) -> Option<Shape> {
        let range = self.shape(&of.iter_range)?;
        let begin = self.shape(&of.accu_init)?;
        if self.loops == DEEPEST {
            return None;
        }
        let times = range.len;
        let names = [Some(&of.iter_var), of.iter_var2.as_ref(), Some(&of.accu_var)];
        let hidden: Vec<(String, Option<Shape>)> = names
            .into_iter()
            .flatten()
            .map(|name| (name.clone(), self.variables.get(name).cloned()))
            .collect();
        for name in [Some(&of.iter_var), of.iter_var2.as_ref()].into_iter().flatten() {
            self.variables.insert(name.clone(), range.looped());
        }
        self.loops += 1;
        let before = self.steps;
        // What one iteration adds to a list, and from that what all of them add. The other macros
        // keep a truth value or a number.
        self.variables.insert(of.accu_var.clone(), begin.clone());
        let once = self.shape(&of.loop_step)?;
        let grows = match &once.item {
            Some(_) => (once.len - begin.len).max(0.0),
            None => 0.0,
        };
        let end = Shape {
            len: begin.len + times * grows,
            ..begin.or(once)
        };
        self.variables.insert(of.accu_var.clone(), end);
        self.steps = before;
        self.shape(&of.loop_cond)?;
        self.shape(&of.loop_step)?;
        self.steps = before + times * (self.steps - before);
        self.loops -= 1;
        let result = self.shape(&of.result)?;
        for (name, shape) in hidden {
            match shape {
                Some(shape) => self.variables.insert(name, shape),
                None => self.variables.remove(&name),
            };
        }
        Some(result)
    }
}
