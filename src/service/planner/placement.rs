//! The answer of translate and solve: where everything should go, how good that is, and the
//! actions. Pure.

use std::time::Duration;

use serde::{Serialize, Serializer};
use strum::VariantNames;
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

use crate::model::{Allocation, Vm, Warning};
use crate::solve::{EndedBy, Progress, Prover, Step};
use crate::translate::{Action, Interrupt, Stage};

use crate::service::planner::Proposal;

/// Where everything should go, how good that is, and the actions that lead there.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "actions": [["create vm 'new_vm0'"],
        ["create container 'rubis_db' on vm 'new_vm0' with cpu cores=1 and mem_units=2"]],
    "stages": [[{ "kind": "create_vm", "vm": "new_vm0" }],
        [{ "kind": "create_container", "vm": "new_vm0", "container": "rubis_db", "cpu_cores": 1, "mem_units": 2,
            "cores": [0] }]],
    "interrupts": [],
    "allocation": { "new_vm0": { "ip": null, "cpu_cores": 2, "mem_units": 8,
        "used": { "rubis_db": { "cpu_cores": 1, "mem_units": 2 } } } },
    "objective": 35, "bound": 35, "gap": 0, "proven_optimal": true, "proved_by": "volume", "ended_by": "proof", "solve_ms": 0.4,
    "warnings": [], "time": "0.00"
}))]
#[serde(deny_unknown_fields)]
pub struct Placement<'p> {
    /// Stages of action texts: the actions of a stage run at the same time, stages one after the
    /// other.
    #[schema(example = json!([["create vm 'new_vm0'"]]))]
    actions: Vec<Vec<String>>,
    /// The same, structured.
    #[schema(value_type = Vec<Vec<Action>>)]
    stages: &'p [Stage],
    /// Tiers that can't be kept running on the way.
    interrupts: &'p [Interrupt],
    /// The allocation to reach.
    #[schema(value_type = BTreeMap<String, Vm>, example = json!({}))]
    allocation: &'p Allocation,
    /// What the placement costs.
    #[schema(value_type = f64, example = 35)]
    objective: Cost,
    /// No placement can cost less.
    #[schema(value_type = f64, example = 35)]
    bound: Cost,
    /// (objective − bound) / objective.
    #[schema(example = 0)]
    gap: f64,
    /// Whether no placement is cheaper.
    #[schema(example = true)]
    proven_optimal: bool,
    /// The method that proved the bound.
    #[schema(schema_with = proved_by)]
    proved_by: &'static str,
    /// What ended the search.
    #[schema(schema_with = ended_by)]
    ended_by: &'static str,
    /// Milliseconds spent on the placement.
    #[schema(example = 0.4)]
    solve_ms: f64,
    /// What the plan's author should know; for a translation, also what would stop an execution
    /// now.
    warnings: &'p [Warning],
    /// The id under which the translation is sealed: execute it with `?plan_id=` or `If-Match`.
    /// Only in answers of translate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "3f2a9c0d5e6b7a8190b1c2d3e4f50617")]
    plan_id: Option<&'p str>,
    /// The commit, or content hash, of the hooks that the sealed plan runs. Only in answers of
    /// translate, if hooks are run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "9a0392bc73af40c3cad7458f8b9139dd901ae41a")]
    hooks_revision: Option<&'p str>,
    /// What was found and proven on the way, if the request asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Vec<Told>>,
}

/// A cheaper placement that was found, or a higher bound that was proven.
#[derive(Serialize, ToSchema)]
#[schema(as = Progress, example = json!({ "ms": 0.2, "objective": 35, "by": "construct" }))]
#[serde(deny_unknown_fields)]
struct Told {
    /// Milliseconds since the search began.
    #[schema(example = 0.2)]
    ms: f64,
    /// What the placement costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, example = 35)]
    objective: Option<Cost>,
    /// No placement costs less than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, example = 35)]
    bound: Option<Cost>,
    /// The method.
    #[schema(example = "construct")]
    by: &'static str,
}

/// A cost: a whole number, unless there are shapes whose prices are not.
#[derive(Clone, Copy)]
struct Cost {
    steps: u64,
    /// How many steps make one of the topology's weights.
    unit: u64,
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.steps.is_multiple_of(self.unit) {
            to.serialize_u64(self.steps / self.unit)
        } else {
            // Far below 2^53 steps.
            #[expect(clippy::cast_precision_loss)]
            to.serialize_f64(self.steps as f64 / self.unit as f64)
        }
    }
}

impl Told {
    fn of(step: &Step, unit: u64) -> Self {
        let cost = |steps| Some(Cost { steps, unit });
        let (objective, bound, by) = match step.what {
            Progress::Found { objective, by } => (cost(objective), None, by.as_str()),
            Progress::Proved { bound, by } => (None, cost(bound), by.as_str()),
        };
        Self {
            ms: milliseconds(step.at),
            objective,
            bound,
            by,
        }
    }
}

impl Proposal {
    /// The answer of translate and solve.
    #[must_use]
    pub fn placement(&self) -> Placement<'_> {
        let (stages, answer) = (&self.translation.stages, &self.answer);
        let unit = self.unit;
        let cost = |steps| Cost { steps, unit };
        let texts = |stage: &Stage| stage.iter().map(ToString::to_string).collect();
        Placement {
            actions: stages.iter().map(texts).collect(),
            stages,
            interrupts: &self.translation.interrupts,
            allocation: &self.target,
            objective: cost(answer.objective),
            bound: cost(answer.bound),
            gap: answer.gap,
            proven_optimal: answer.proven_optimal,
            proved_by: answer.proved_by.as_str(),
            ended_by: answer.ended_by.as_str(),
            solve_ms: milliseconds(self.solve_time),
            warnings: &self.warnings,
            plan_id: self.plan_id.as_deref(),
            hooks_revision: self.hooks_revision.as_deref(),
            trace: self
                .trace
                .then(|| answer.trace.iter().map(|step| Told::of(step, unit)).collect()),
        }
    }
}

/// To a thousandth.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

fn proved_by() -> RefOr<Schema> {
    one_of::<Prover>(
        "Who proved the bound: what volume forces (`volume`), the relaxation that only counts new containers \
         (`relaxation`, `relaxation_in_parts`), what room costs on the VMs that each tier may be on (`tariff`), what a \
         VM can be worth where each tier is on one (`knapsack`), the linear program over all loads of a VM where each \
         tier is on one new VM (`column_generation`), the solver's own tree (`tree`), or HiGHS on the whole question \
         (`program`).",
    )
}

fn ended_by() -> RefOr<Schema> {
    one_of::<EndedBy>(
        "What ended the search: a proof that nothing is cheaper and that nothing of the same price has fewer \
         actions, a plan that asks for what runs now, the work that it sets itself, its deadline, or a client that \
         disconnected.",
    )
}

/// The schema of a name that the solver uses.
fn one_of<T: VariantNames>(description: &str) -> RefOr<Schema> {
    let first = T::VARIANTS.first().copied();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(T::VARIANTS.iter().copied()))
        .examples(first)
        .into()
}
