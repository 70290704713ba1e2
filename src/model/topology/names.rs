//! Names that become container names, VM names and file names.

use crate::model::reader::{At, Notes};

use super::apps::HookName;

/// The longest name of an app, a tier or a host. A container's name is two of them.
const LONGEST: usize = 100;

/// Notes a problem unless `name` can be part of a container's name: what Docker accepts.
pub fn check(notes: &mut Notes, path: &str, name: &str) -> bool {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if first && rest && name.len() <= LONGEST {
        return true;
    }
    let shown: String = name.chars().take(40).collect();
    notes.problem(
        path,
        format!(
            "{shown:?} can't be a name: a letter or digit, then letters, digits, '_', '.' or '-', \
             {LONGEST} characters at most"
        ),
    );
    false
}

/// The same for the name of a machine.
pub fn check_machine(notes: &mut Notes, path: &str, name: &str) -> bool {
    let reserved = is_reserved(name);
    if let Some(problem) = reserved {
        notes.problem(path, problem);
    }
    check(notes, path, name) && reserved.is_none()
}

/// Why a machine can't have that name; None if it can.
fn is_reserved(name: &str) -> Option<&'static str> {
    // GET /api/allocation and GET /api/inspect answer with an object of VMs by name that also has
    // `time`; and clients of the predecessor take an answer with `error` in it as a failure.
    if ["time", "error"].contains(&name) {
        return Some("is a field of answers that list machines by name; give the machine another name");
    }
    let made_up = name
        .strip_prefix("new_vm")
        .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()));
    made_up
        .then_some("names a VM that does not exist yet (new_vm0, new_vm1, …); give the machine another name")
}

/// The file name of a hook.
pub fn hook(notes: &mut Notes, at: &At<'_>) -> Option<HookName> {
    let name = at.text(notes)?;
    let one_component = !name.contains(['/', '\\']) && name != "." && name != "..";
    if !one_component || name.len() > 255 || name.chars().any(char::is_control) {
        notes.problem(
            &at.path,
            "should be the name of a file in the hooks folder, without any '/'",
        );
        return None;
    }
    Some(HookName(name.to_owned()))
}

/// One hook or a list of hooks.
pub fn hooks(notes: &mut Notes, at: &At<'_>) -> Vec<HookName> {
    if at.value.is_array() {
        at.list(notes).iter().filter_map(|one| hook(notes, one)).collect()
    } else {
        hook(notes, at).into_iter().collect()
    }
}
