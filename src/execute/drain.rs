//! What runs in a container before it is stopped: its `on_node_stop` hooks.

use crate::engine::State;
use crate::model::topology::HookName;
use crate::model::{TierId, VmId};

use super::page::Page;
use super::perform::{Failure, run_hook};
use super::world::{View, World};

/// Runs the hooks in the container, one after the other, and returns their output.
///
/// A hook that fails, or does not end in time, is reported, but does not keep the container from
/// being removed. The hooks after it are left out. A hook that was cut off is continued, like other
/// hooks. In a container that does not run there is nothing to do.
///
/// # Errors
///
/// When the engine does not answer, or nothing can be recorded: then the container can't be stopped
/// either.
pub async fn drain(
    world: &World,
    view: &View,
    vm: &VmId,
    container: &TierId,
    hooks: &[HookName],
    page: &Page<'_>,
) -> Result<Option<String>, Failure> {
    if hooks.is_empty() {
        return Ok(None);
    }
    let (_, engine) = world.engine(view, vm)?;
    let seen = engine.find(container.as_str()).await?;
    if seen.is_none_or(|seen| !seen.managed || seen.state != State::Running) {
        return Ok(None);
    }
    let mut output = String::new();
    // Those before the one that was begun last have ended.
    let begun = page.hook().map_or(0, |hook| hook.number);
    for (number, hook) in hooks.iter().enumerate().skip(begun) {
        let line = page.line(number, hook);
        match run_hook(world, view, vm, container, hook, None, &line).await {
            Ok(said) => output.push_str(&said),
            Err(failure) if failure.again && !failure.down => return Err(failure),
            Err(failure) => {
                tracing::warn!(%vm, %container, error = %failure.fault, "a hook failed before its container is removed");
                if !output.is_empty() && !output.ends_with('\n') {
                    output.push('\n');
                }
                output.push_str("the container is removed all the same: ");
                output.push_str(&failure.fault.message);
                break;
            }
        }
    }
    Ok(Some(output))
}
