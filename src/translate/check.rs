//! The independent checker: does a translation keep every rule of the contract, in every
//! interleaving of each stage, and does it end where it should?
//!
//! It replays the actions on the allocation and assumes the worst within a stage: what is taken is
//! taken first, and what is released is released last. It must not use anything of the modules
//! that make translations, so that the same mistake is not made twice.
//!
//! Every plan is checked before it is shown, sealed or carried out, so it has to be quick: each action is looked at
//! beside what it touches, and nothing is walked through once for each stage. The tests have a second checker that
//! is slow and plain, and compare the two.
//!
//! Where what runs is out of order to begin with (a VM holds more than it has, two containers
//! share a core or a port), a translation must not make it worse. What others hold on a VM is
//! there all the while.

mod addresses;
mod end;
mod farewell;
mod hooks;
mod leftovers;
mod machine;
mod moment;
mod running;
mod scene;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{Allocation, TierId, Topology, VmId};

use super::{Action, Interrupt, Stage, Translation};
use machine::Machine;
use scene::{Member, Numbers, TierNo, VmNo};

/// A way, and what it was found for.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// What is known of the tiers.
    pub topology: &'a Topology,
    /// What is.
    pub from: &'a Allocation,
    /// What is to be.
    pub to: &'a Allocation,
    /// The way.
    pub stages: &'a [Stage],
    /// Which tiers are said to be down on the way; None where nobody has kept that.
    pub interrupts: Option<&'a [Interrupt]>,
    /// What the way says that it leads to, with cores and all; None where only `to` is known.
    pub target: Option<&'a Allocation>,
    /// Tiers that were to be told of a dependency when they had no container: what is made of them is told then.
    pub untold: &'a BTreeSet<TierId>,
    /// Containers that are there and that `from` has nothing of, which may be removed on the way.
    pub leftovers: &'a BTreeMap<(VmId, TierId), Leftover>,
}

/// When a container that is left over has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// At any time, or never.
    AnyTime,
    /// Before anything else happens on its VM: what it holds is taken to be free.
    First,
}

/// Every breach of a rule, in words; empty when there is none.
///
/// `from` and `to` are those that `translation` was made of.
#[must_use]
pub fn breaches(
    topology: &Topology,
    from: &Allocation,
    to: &Allocation,
    translation: &Translation,
) -> Vec<String> {
    Subject {
        topology,
        from,
        to,
        stages: &translation.stages,
        interrupts: Some(&translation.interrupts),
        target: Some(&translation.target),
        untold: &BTreeSet::new(),
        leftovers: &BTreeMap::new(),
    }
    .breaches()
}

impl Subject<'_> {
    /// Every breach of a rule, in words; empty when there is none.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        let mut breaches = Vec::new();
        let stages = leftovers::apart(self, &mut breaches);
        let mut check = Check::new(self, breaches);
        let last = stages.len().saturating_sub(1);
        let resolved: Vec<Vec<Step<'_>>> = stages.iter().map(|stage| check.resolve(stage)).collect();
        check.nobody_was_told(resolved.first());
        for (index, steps) in resolved.iter().enumerate() {
            check.vms(steps, index, last);
            check.running(steps, index);
            check.log(steps, index);
            let told = check.told(steps, index, resolved.get(index + 1));
            check.containers(steps, index);
            check.all_told(index + 1, &told, resolved.get(index + 1));
        }
        check.end();
        check.said_interrupts();
        check.hooks();
        check.breaches
    }
}

/// An action, and what it is about.
struct Step<'a> {
    action: &'a Action,
    vm: VmNo,
    tier: Option<TierNo>,
}

struct Check<'a> {
    subject: &'a Subject<'a>,
    pinned: bool,
    breaches: Vec<String>,
    numbers: Numbers<'a>,
    tiers: Vec<Member<'a>>,
    machines: Vec<Machine<'a>>,
    log: hooks::Log,
    /// When a container was made.
    arrivals: HashMap<(VmNo, TierNo), usize>,
}

impl<'a> Check<'a> {
    fn breach(&mut self, text: String) {
        self.breaches.push(text);
    }

    /// VMs are made first, and deleted last and empty, and nothing else happens beside that.
    fn vms(&mut self, steps: &[Step<'a>], index: usize, last: usize) {
        if steps.is_empty() {
            self.breach(format!("stage {index} is empty"));
        }
        let of_vms = steps.iter().filter(|step| step.tier.is_none()).count();
        if of_vms > 0 && of_vms < steps.len() {
            self.breach(format!(
                "stage {index}: VMs and containers change beside each other"
            ));
        }
        for step in steps {
            let Some(machine) = self.machines.get_mut(step.vm) else {
                continue;
            };
            let vm = machine.id;
            match step.action {
                Action::CreateVm { .. } => {
                    let needed = machine.wanted && !machine.there;
                    machine.there = true;
                    if index != 0 {
                        self.breach(format!("stage {index}: {vm} is not made first"));
                    }
                    if !needed {
                        self.breach(format!("stage {index}: {vm} is made without need"));
                    }
                }
                Action::DeleteVm { .. } => {
                    let empty = machine.there && machine.is_empty();
                    let early = index != last || machine.wanted;
                    machine.there = false;
                    if early {
                        self.breach(format!("stage {index}: {vm} is deleted too early"));
                    }
                    if !empty {
                        self.breach(format!(
                            "stage {index}: {vm} is deleted, but not there or not empty"
                        ));
                    }
                }
                _ => {}
            }
        }
    }
}
