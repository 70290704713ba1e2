//! What a plan would do, for people: VM by VM what is created, changed, removed and run, what is
//! interrupted on the way, and how good the placement is. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::action::{Action, Kind};
use super::style::{CHANGE, CREATE, DELETE, FAINT, HOOK, STRONG, count, number, paint};

/// The answer of translate or solve as text, with colours.
#[must_use]
pub fn summary(proposal: &Value, with_stages: bool) -> String {
    let mut lines = Vec::new();
    let stages = array(proposal, "stages");
    let actions: Vec<Action<'_>> = stages
        .iter()
        .filter_map(Value::as_array)
        .flatten()
        .map(Action)
        .collect();
    if actions.is_empty() {
        lines.push(paint(STRONG, "Nothing to do: the plan is already in place."));
    } else {
        by_vm(&actions, &mut lines);
    }
    if with_stages {
        by_stage(proposal, &mut lines);
    }
    for (index, interrupt) in array(proposal, "interrupts").iter().enumerate() {
        if index == 0 {
            lines.extend([String::new(), paint(DELETE, "Interrupted on the way:")]);
        }
        lines.push(format!(
            "  ! {}: {}",
            text(interrupt, "tier"),
            text(interrupt, "reason")
        ));
    }
    let warnings = array(proposal, "warnings");
    if !warnings.is_empty() {
        lines.extend([String::new(), paint(CHANGE, "Warnings:")]);
        lines.extend(warnings.iter().map(warning));
    }
    lines.push(String::new());
    if !actions.is_empty() {
        lines.push(totals(&actions, stages.len()));
    }
    lines.extend(quality(proposal));
    if let Some(seal) = proposal.get("plan_id").and_then(Value::as_str) {
        lines.push(paint(FAINT, format!("Sealed as {seal}")));
    }
    lines.join("\n")
}

fn by_vm(actions: &[Action<'_>], lines: &mut Vec<String>) {
    let mut vms: BTreeMap<&str, Vec<Action<'_>>> = BTreeMap::new();
    for action in actions {
        vms.entry(action.vm()).or_default().push(*action);
    }
    let width = actions
        .iter()
        .map(|action| action.container().chars().count())
        .max()
        .unwrap_or(0);
    for (vm, actions) in vms {
        let has = |kind| actions.iter().any(|action: &Action<'_>| action.kind() == kind);
        let only_hooks = actions.iter().all(|action| action.kind() == Kind::Hook);
        let (sign, style) = match (has(Kind::CreateVm), has(Kind::DeleteVm)) {
            (true, _) => ("+", CREATE),
            (_, true) => ("-", DELETE),
            _ if only_hooks => (" ", STRONG),
            _ => ("~", CHANGE),
        };
        lines.push(format!(
            "{} {}",
            paint(style, sign),
            paint(STRONG, format!("VM {vm}"))
        ));
        for action in actions {
            let container = format!("{:width$}", action.container());
            let line = match action.kind() {
                Kind::CreateVm | Kind::DeleteVm => continue,
                Kind::Create => format!("    {} {container}  {}", paint(CREATE, "+"), action.sizes()),
                Kind::Update => format!("    {} {container}  {}", paint(CHANGE, "~"), action.sizes()),
                Kind::Delete => format!("    {} {container}  {}", paint(DELETE, "-"), action.sizes()),
                Kind::Hook => {
                    format!(
                        "    {} {container}  {} {}",
                        paint(HOOK, ">"),
                        action.hook_kind(),
                        action.hooks()
                    )
                }
                Kind::Other => format!("    ? {}", action.0),
            };
            lines.push(line);
        }
    }
}

fn by_stage(proposal: &Value, lines: &mut Vec<String>) {
    for (index, stage) in array(proposal, "actions").iter().enumerate() {
        if index == 0 {
            lines.extend([String::new(), "In this order:".to_owned()]);
        }
        for action in stage.as_array().into_iter().flatten().filter_map(Value::as_str) {
            lines.push(format!("  stage {}  {action}", index + 1));
        }
    }
}

fn warning(warning: &Value) -> String {
    let problem = warning.as_str().unwrap_or_else(|| text(warning, "problem"));
    match text(warning, "path") {
        "" => format!("  ! {problem}"),
        path => format!("  ! {path}: {problem}"),
    }
}

fn totals(actions: &[Action<'_>], stages: usize) -> String {
    let of = |kind| actions.iter().filter(|action| action.kind() == kind).count();
    let parts = [
        (of(Kind::CreateVm), CREATE, "VM", "to create"),
        (of(Kind::DeleteVm), DELETE, "VM", "to delete"),
        (of(Kind::Create), CREATE, "container", "to create"),
        (of(Kind::Update), CHANGE, "container", "to change"),
        (of(Kind::Delete), DELETE, "container", "to delete"),
        (of(Kind::Hook), HOOK, "hook run", ""),
        (of(Kind::Other), FAINT, "other action", ""),
    ];
    let told: Vec<String> = parts
        .into_iter()
        .filter(|(number, ..)| *number > 0)
        .map(|(number, style, noun, what)| paint(style, format!("{} {what}", count(number, noun)).trim_end()))
        .collect();
    format!("{} in {}.", told.join(", "), count(stages, "stage"))
}

/// How good the placement is.
fn quality(proposal: &Value) -> Option<String> {
    let of = |key: &str| proposal.get(key).and_then(Value::as_f64);
    let objective = of("objective")?;
    // Method names are words joined by underscores.
    let by = proposal.get("proved_by").and_then(Value::as_str);
    let by = by.map(|by| format!(" by {}", by.replace('_', " ")));
    let proof = match (
        proposal.get("proven_optimal").and_then(Value::as_bool),
        of("bound"),
        of("gap"),
    ) {
        (Some(true), ..) => format!("proven to be the least{}", by.unwrap_or_default()),
        (_, Some(bound), Some(gap)) => {
            let proven = by.map(|by| format!("proven{by}: ")).unwrap_or_default();
            format!(
                "{proven}none can cost less than {} (gap {} %)",
                number(bound),
                number(gap * 100.0)
            )
        }
        _ => "without a bound".to_owned(),
    };
    let time = of("solve_ms")
        .map(|ms| format!(", found in {} ms", number(ms.round())))
        .unwrap_or_default();
    Some(format!(
        "The placement costs {}, {proof}{time}.",
        number(objective)
    ))
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_plan_is_told_vm_by_vm_with_its_price() {
        let size = |cpu: f64, mem: u32| json!({ "cpu_cores": cpu, "mem_units": mem });
        let proposal = json!({
            "stages": [
                [{ "kind": "create_vm", "vm": "new_vm0" }],
                [{ "kind": "create_container", "vm": "new_vm0", "container": "shop_web", "cpu_cores": 0.5, "mem_units": 2, "cores": [] },
                 { "kind": "update_container", "vm": "vm1", "container": "shop_db", "cpu_cores": 1, "mem_units": 2, "cores": [],
                   "was": size(0.5, 2), "was_cores": [] }],
                [{ "kind": "run_scale_hook", "vm": "vm1", "container": "shop_db", "hooks": ["a.sh", "b.sh"] }],
                [{ "kind": "delete_container", "vm": "vm2", "container": "shop_old", "was": size(1.0, 1), "was_cores": [] }],
                [{ "kind": "delete_vm", "vm": "vm2" }],
            ],
            "interrupts": [{ "tier": "shop_db", "reason": "it is alone" }],
            "warnings": [{ "path": "plan.shop", "problem": "odd" }],
            "objective": 37.5, "bound": 30.0, "gap": 0.2, "proven_optimal": false, "proved_by": "relaxation_in_parts",
            "solve_ms": 12.3, "plan_id": "abc",
        });
        let expected = "\
+ VM new_vm0
    + shop_web  cpu_cores 0.5, mem_units 2
~ VM vm1
    ~ shop_db   cpu_cores 0.5 -> 1, mem_units 2
    > shop_db   scale hook a.sh, b.sh
- VM vm2
    - shop_old  cpu_cores 1, mem_units 1

Interrupted on the way:
  ! shop_db: it is alone

Warnings:
  ! plan.shop: odd

1 VM to create, 1 VM to delete, 1 container to create, 1 container to change, 1 container to delete, 1 hook run in 5 stages.
The placement costs 37.5, proven by relaxation in parts: none can cost less than 30 (gap 20 %), found in 12 ms.
Sealed as abc";
        assert_eq!(plain(&summary(&proposal, false)), expected);
    }

    #[test]
    fn a_plan_that_changes_nothing_says_so() {
        let text = plain(&summary(
            &json!({ "stages": [], "objective": 11, "proven_optimal": true }),
            true,
        ));
        assert_eq!(
            text,
            "Nothing to do: the plan is already in place.\n\nThe placement costs 11, proven to be the least."
        );
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z_]{0,6}".prop_map(Value::from),
        ];
        let key = prop_oneof![
            Just("stages"),
            Just("kind"),
            Just("vm"),
            Just("was"),
            Just("hooks"),
            Just("warnings")
        ];
        leaf.prop_recursive(4, 40, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((key.clone(), inner), 0..4).prop_map(|fields| fields
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_a_service_answers_is_shown_without_a_panic(answer in any_json()) {
            let _ = summary(&answer, true);
        }
    }
}
