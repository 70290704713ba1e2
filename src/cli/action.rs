//! One action, read from the service's JSON. Kinds that this version does not know are shown by
//! their text, since the service may be newer.

use serde_json::Value;

use super::show::FURTHER;
use super::style::number;

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A VM is made, or taken into use.
    CreateVm,
    /// A VM is deleted, or released.
    DeleteVm,
    /// A container is made.
    Create,
    /// A container's limits change, or it is replaced.
    Update,
    /// A container is removed.
    Delete,
    /// Hooks run.
    Hook,
    /// Something that this version does not know.
    Other,
}

/// One action.
#[derive(Clone, Copy, Debug)]
pub struct Action<'a>(pub &'a Value);

impl<'a> Action<'a> {
    /// What it does.
    pub fn kind(self) -> Kind {
        match self.text("kind") {
            "create_vm" => Kind::CreateVm,
            "delete_vm" => Kind::DeleteVm,
            "create_container" => Kind::Create,
            "update_container" | "replace_container" => Kind::Update,
            "delete_container" => Kind::Delete,
            "run_scale_hook" | "run_tier_hook" => Kind::Hook,
            _ => Kind::Other,
        }
    }

    /// The VM that it concerns.
    pub fn vm(self) -> &'a str {
        self.text("vm")
    }

    /// The container that it concerns.
    pub fn container(self) -> &'a str {
        self.text("container")
    }

    /// What the container holds afterwards; what it held before, if it is removed; both, if it
    /// changes.
    pub fn sizes(self) -> String {
        let one = |of: &Value, key: &str| of.get(key).and_then(Value::as_f64).map(number);
        let was = self.0.get("was");
        let part = |key: &str| {
            let before = was.and_then(|was| one(was, key));
            match (before, one(self.0, key)) {
                (Some(before), Some(after)) if before != after => format!("{before} -> {after}"),
                (Some(value), _) | (None, Some(value)) => value,
                (None, None) => "?".to_owned(),
            }
        };
        let mut text = format!("cpu_cores {}, mem_units {}", part("cpu_cores"), part("mem_units"));
        for (key, _) in FURTHER {
            // What is left out is none.
            let of = |size: &Value| one(size, key).unwrap_or_else(|| "0".to_owned());
            let said = |size: &Value| size.get(key).is_some();
            match (was.filter(|_| self.kind() != Kind::Create).map(of), of(self.0)) {
                _ if !said(self.0) && !was.is_some_and(said) => {}
                (Some(before), _) if self.kind() == Kind::Delete => {
                    text.push_str(&format!(", {key} {before}"))
                }
                (Some(before), after) if before != after => {
                    text.push_str(&format!(", {key} {before} -> {after}"));
                }
                (_, after) => text.push_str(&format!(", {key} {after}")),
            }
        }
        text
    }

    /// The hooks that it runs.
    pub fn hooks(self) -> String {
        let one = self.0.get("hook").into_iter();
        let several = self
            .0
            .get("hooks")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let names: Vec<&str> = one.chain(several).filter_map(Value::as_str).collect();
        names.join(", ")
    }

    /// The kind of hook that it runs.
    pub fn hook_kind(self) -> &'static str {
        if self.text("kind") == "run_tier_hook" {
            "tier hook"
        } else {
            "scale hook"
        }
    }

    fn text(self, key: &str) -> &'a str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}
