//! Removals of what is there and that the allocation has nothing of: what failed removals left behind, and what nothing
//! asks for any more.

use std::collections::{HashMap, HashSet};

use crate::model::{TierId, VmId};
use crate::translate::Action;

use super::scene::sifted;
use super::{Leftover, Subject};

/// The stages without those removals, each of which is looked at here.
pub(super) fn apart<'a>(subject: &'a Subject<'a>, breaches: &mut Vec<String>) -> Vec<Vec<&'a Action>> {
    let left = |action: &Action| -> Option<Leftover> {
        let Action::DeleteContainer { vm, container, .. } = action else {
            return None;
        };
        if subject.leftovers.is_empty() || subject.from.container(vm, container).is_some() {
            return None;
        }
        subject.leftovers.get(&(vm.clone(), container.clone())).copied()
    };
    if subject.leftovers.is_empty() {
        return sifted(subject.stages, |_, _| true);
    }
    // The first stage in which something is made or changed, by place and by VM, and in which a VM is deleted.
    let mut made: HashMap<(&VmId, &TierId), usize> = HashMap::new();
    let mut touched: HashMap<&VmId, usize> = HashMap::new();
    let mut gone: HashMap<&VmId, usize> = HashMap::new();
    for (index, stage) in subject.stages.iter().enumerate() {
        for action in stage {
            match (action, action.container()) {
                (Action::DeleteVm { vm }, _) => {
                    gone.entry(vm).or_insert(index);
                }
                (
                    Action::CreateContainer { vm, .. }
                    | Action::UpdateContainer { vm, .. }
                    | Action::ReplaceContainer { vm, .. },
                    Some(tier),
                ) => {
                    made.entry((vm, tier)).or_insert(index);
                    touched.entry(vm).or_insert(index);
                }
                _ => {}
            }
        }
    }
    let mut removed: HashSet<(&VmId, &TierId)> = HashSet::new();
    let stages = sifted(subject.stages, |index, action| {
        let (vm, Some(tier), Some(when)) = (action.vm(), action.container(), left(action)) else {
            return true;
        };
        let place = (vm, tier);
        let mut breach = |text: &str| breaches.push(format!("stage {index}: {action}: {text}"));
        if !removed.insert(place) {
            // The second one removes what was made meanwhile, or nothing: that is no leftover any more.
            return true;
        }
        if made.get(&place).is_some_and(|made| *made <= index) {
            breach("it would remove what the plan makes");
        }
        if gone.get(vm).is_some_and(|gone| *gone <= index) {
            breach("its VM is deleted before");
        }
        if when == Leftover::First && touched.get(vm).is_some_and(|touched| *touched <= index) {
            breach("what it holds is taken before it is free");
        }
        false
    });
    for ((vm, tier), when) in subject.leftovers {
        let stays = !removed.contains(&(vm, tier)) && *when == Leftover::First;
        if stays && touched.contains_key(vm) {
            breaches.push(format!("{tier} on {vm} is taken to be gone, and is not removed"));
        }
    }
    stages
}
