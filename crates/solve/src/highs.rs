//! One HiGHS run: model in, values and proven bound out.
//!
//! `good_lp` builds the model. It is run here, because `good_lp`'s own answer lacks the dual bound,
//! which is what a search that may be cut short needs most.

use good_lp::solvers::highs::HighsProblem;

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// How it ended.
    pub end: End,
    /// Values of the variables in the order they were added; empty if no solution was found.
    pub values: Vec<f64>,
    /// Shadow prices of the rows in the order they were added; empty with integer variables.
    pub duals: Vec<f64>,
    /// Proven: no solution is below this. Minus infinity if nothing is proven.
    pub bound: f64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Proven optimal within the gap asked for.
    Optimal,
    /// Proven to have no solution.
    Infeasible,
    /// Cut short.
    Cut,
}

/// HiGHS's numbers for its model statuses and for "a feasible point is known".
const OPTIMAL: i32 = 7;
const INFEASIBLE: i32 = 8;
/// Statuses at which the bound of a mixed-integer program is one: optimal, or a limit reached
/// (time, iterations, solutions, interrupt).
const LIMITED: [i32; 5] = [OPTIMAL, 13, 14, 16, 17];
const FEASIBLE_POINT: i64 = 2;

/// Options of a run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Seconds until HiGHS should give up. It may take longer.
    pub seconds: f64,
    /// Whether there are integer variables.
    pub integer: bool,
}

/// Runs the model. `None` if HiGHS refuses it.
#[must_use]
pub fn run(problem: HighsProblem, options: Options) -> Option<Run> {
    let mut model = problem.try_into_inner().ok()?;
    model.make_quiet();
    model.try_set_option("parallel", "off").ok()?;
    model
        .try_set_option("time_limit", options.seconds.max(0.001))
        .ok()?;
    if options.integer {
        // All prices are whole numbers, so a difference below one means equal.
        model.try_set_option("mip_abs_gap", 0.99).ok()?;
        model.try_set_option("mip_rel_gap", 0.0).ok()?;
        model.try_set_option("mip_feasibility_tolerance", 1e-7).ok()?;
    }
    let solved = model.try_solve().ok()?;
    let status = solved.status() as i32;
    let end = match status {
        OPTIMAL => End::Optimal,
        INFEASIBLE => End::Infeasible,
        _ => End::Cut,
    };
    // Asked for by name: the binding's own function panics if HiGHS has not computed it.
    let point = solved.int_info_value(c"primal_solution_status");
    let known = point.is_ok_and(|p| p == FEASIBLE_POINT);
    let objective = solved.objective_value();
    let bound = match (end, options.integer) {
        (End::Infeasible, _) => f64::INFINITY,
        (End::Optimal, false) => objective,
        // Otherwise HiGHS may not have reached a bound, and its number means nothing.
        (_, true) if LIMITED.contains(&status) => solved
            .double_info_value(c"mip_dual_bound")
            .unwrap_or(f64::NEG_INFINITY),
        _ => f64::NEG_INFINITY,
    };
    let solution = known.then(|| solved.get_solution());
    let values = solution
        .as_ref()
        .map(|s| s.columns().to_vec())
        .unwrap_or_default();
    let duals = solution
        .filter(|_| !options.integer)
        .map(|s| s.dual_rows().to_vec());
    Some(Run {
        end,
        values,
        duals: duals.unwrap_or_default(),
        bound,
    })
}

/// A floating-point bound on a whole number, rounded up with an allowance for HiGHS's tolerances.
#[must_use]
pub fn round_up(bound: f64) -> Option<i64> {
    let rounded = (bound - 1e-4 - bound.abs() * 1e-7).ceil();
    (rounded.is_finite() && rounded.abs() < 1e15).then_some(rounded as i64)
}
