//! Taking a topology.

use serde_json::{Value, json};

use crate::engine::secret;
use crate::execute::By;
use crate::fault::{Code, Fault};
use crate::model::node::Standing;
use crate::model::problem::Warning;
use crate::model::topology::{Cloud, Spread, Variable};
use crate::model::{Allocation, Plan, Problem, Problems, Size, Topology, VmId, path};

use super::Service;
use super::besides::{REQUESTED, is_marked, own_part};
use super::document::Tags;
use super::observed::told;
use super::planner::asked_of;
use super::redact::{with_secrets, without_secrets};
use super::requirements::{Confine, Unknown};

/// The answer to a topology.
#[derive(Clone, Debug, PartialEq)]
pub struct PutTopology {
    /// How often the topology has changed, this time included.
    pub generation: u64,
    /// The tag of the one that was put.
    pub tag: String,
    /// What its author should know.
    pub warnings: Vec<Warning>,
}

impl Service {
    /// Checks a whole topology and takes it, if the old one is one of those that the client has
    /// `seen`, if it gave any.
    ///
    /// # Errors
    ///
    /// When it is not valid, claims more than a machine has, drops what is in use, gives one engine
    /// two names or a VM in use another engine, or an execution runs. The old one then stays.
    pub async fn put_topology(
        &self,
        document: Value,
        seen: Option<Tags>,
        by: By,
    ) -> Result<PutTopology, Fault> {
        let service = self.clone();
        let work = async move {
            let not_valid = |problems| invalid(Code::TopologyInvalid, "topology", &problems);
            let base = service.snapshot();
            let present = base.topology.as_ref().map(|topology| &topology.document);
            if is_marked(&document) {
                return Err(not_valid(marked()));
            }
            let (document, restored) = with_secrets(document, present).map_err(not_valid)?;
            let parsed = Topology::parse(&document).map_err(not_valid)?;
            if let Some(problem) = unmakeable(&parsed.topology) {
                return Err(invalid(Code::TopologyInvalid, "topology", &problem));
            }
            let mut warnings = parsed.warnings;
            warnings.extend(unreadable(&parsed.topology));
            match service.inner.platform.check_machines(&parsed.topology).await {
                Ok(()) => {}
                Err(fault) if fault.code == Code::ShapeTooLarge => return Err(fault),
                Err(fault) => warnings.push(Warning {
                    path: "infrastructure".to_owned(),
                    problem: fault.message,
                }),
            }
            service.check_engines(&parsed.topology).await?;
            let topology = parsed.topology;
            let name = by.name.clone();
            let put = move |store: &mut super::state::Store| {
                // What `***` stood for may be another secret by now.
                if restored && store.generation() != base.generation {
                    let message = "another topology was put at the same moment; send this one again";
                    return Err(Fault::new(Code::Conflict, message));
                }
                store.put_topology(topology, &by, seen.as_ref())
            };
            let now = service.with_store(put).await?;
            let generation = now.generation;
            tracing::info!(generation, by = name, warnings = warnings.len(), "topology taken");
            warnings.extend(service.lonely_tiers().await);
            let tag = now.topology_document().tag.clone();
            Ok(PutTopology {
                generation,
                tag,
                warnings,
            })
        };
        self.to_the_end(work).await
    }
}

impl Service {
    /// Tiers for which there is no node, or only one, as far as nodes answer.
    async fn lonely_tiers(&self) -> Vec<Warning> {
        let Some(topology) = self.snapshot().topology.clone() else {
            return Vec::new();
        };
        let tiers = topology.tiers.values();
        if tiers
            .clone()
            .all(|tier| tier.requires.is_none() && tier.spread == Spread::Node)
        {
            return Vec::new();
        }
        // Who is asked and does not answer says nothing for or against it.
        let (Ok(offer), Ok(mut nodes)) = (self.offer(&topology).await, self.nodes_here().await) else {
            return Vec::new();
        };
        nodes.retain(|_, node| node.standing != Standing::Silent && node.standing != Standing::Lost);
        let some = crate::model::Size::new(1, 1);
        let plan = Plan {
            tiers: tiers.map(|tier| (tier.id.clone(), some)).collect(),
        };
        let confine = Confine::default();
        match asked_of(&topology, &plan, &nodes, &offer, &confine, Unknown::IsFalse) {
            Ok(asked) => asked.lonely().into_iter().map(told).collect(),
            Err(fault) => vec![told(fault.message)],
        }
    }

    /// The topology of a generation as it was put, without its secrets.
    ///
    /// # Errors
    ///
    /// When it is not kept.
    pub async fn topology_of(&self, generation: u64) -> Result<Value, Fault> {
        Ok(without_secrets(&self.kept_topology(generation).await?))
    }

    /// Puts the topology of an earlier generation again, secrets included:
    /// [`Service::put_topology`].
    ///
    /// # Errors
    ///
    /// When it is not kept, and as for every topology.
    pub async fn put_topology_of(
        &self,
        generation: u64,
        seen: Option<Tags>,
        by: By,
    ) -> Result<PutTopology, Fault> {
        let document = self.kept_topology(generation).await?;
        self.put_topology(document, seen, by).await
    }

    async fn kept_topology(&self, generation: u64) -> Result<Value, Fault> {
        let found = self
            .with_store(move |store| store.topology_of(generation))
            .await?;
        let own = found.map(|whole| own_part(&whole));
        own.ok_or_else(|| {
            let message = format!(
                "the topology of generation {generation} is not kept: there was none, or it is one of those before the last 100"
            );
            Fault::new(Code::NotFound, message).with([json!({ "generation": generation })])
        })
    }
}

/// Secrets that can't be read at the moment. They may come later, but a container that is created
/// before that fails.
fn unreadable(topology: &Topology) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut look = |path: String, variable: &Variable| {
        if let (Variable::Reference(_), Err(problem)) = (variable, secret::resolve(variable)) {
            warnings.push(Warning { path, problem });
        }
    };
    if let Some(hooks) = &topology.infrastructure.hooks {
        look("infrastructure.hooks_git_repo".to_owned(), &hooks.repo);
    }
    for tier in topology.tiers.values() {
        let index = topology
            .apps
            .iter()
            .position(|app| *app == tier.app)
            .unwrap_or_default();
        let place = path(&path(&format!("apps[{index}].tiers"), &tier.key), "environment");
        for (name, variable) in &tier.environment {
            look(path(&place, name), variable);
        }
    }
    warnings
}

/// Problems of a document as one answer.
pub(super) fn invalid(code: Code, what: &str, problems: &Problems) -> Fault {
    let count = problems.0.len();
    let message = match problems.0.as_slice() {
        [only] => format!("the {what} is not valid: {only}"),
        _ => format!("the {what} is not valid in {count} places: {problems}"),
    };
    Fault::new(code, message).with(problems.0.iter().map(|problem| json!(problem)))
}

/// Whether VMs of one cloud can't be those of the other.
fn is_elsewhere(old: &Cloud, new: &Cloud) -> bool {
    match (old, new) {
        (Cloud::AutoScaling(old), Cloud::AutoScaling(new)) => {
            (&old.group, &old.region, &old.endpoint_url) != (&new.group, &new.region, &new.endpoint_url)
        }
        _ => std::mem::discriminant(old) != std::mem::discriminant(new),
    }
}

/// Refuses a topology that drops, or gives another meaning to, what containers still use.
pub(super) fn check_against_use(
    old: Option<&Topology>,
    new: &Topology,
    allocation: &Allocation,
) -> Result<(), Fault> {
    let mut faults = Vec::new();
    for (tier, size) in allocation.totals() {
        if !new.tiers.contains_key(&tier) {
            let vms: Vec<&str> = allocation.places(&tier).map(|(vm, _)| vm.as_str()).collect();
            let message = format!("{tier} still has containers on {}", vms.join(", "));
            faults.push((message, json!({ "tier": tier, "vms": vms, "held": size })));
        }
    }
    // A VM of a group is in the allocation even if it holds nothing.
    let group = old.is_some_and(|old| matches!(old.infrastructure.cloud, Cloud::AutoScaling(_)));
    let in_use = |vm: &crate::model::Vm| !group || !vm.used.is_empty();
    if let Cloud::Hosts(hosts) = &new.infrastructure.cloud {
        for (vm, _) in allocation
            .vms
            .iter()
            .filter(|(id, vm)| in_use(vm) && !hosts.iter().any(|host| host.name == **id))
        {
            faults.push((format!("VM '{vm}' is still in use"), json!({ "vm": vm })));
        }
    }
    for (vm, there) in allocation.vms.iter().filter(|(_, vm)| !vm.used.is_empty()) {
        let Some(size) = size_now(new, vm).filter(|size| !there.held().fits(*size)) else {
            continue;
        };
        let each = there
            .used
            .iter()
            .map(|(tier, held)| format!("{tier} ({})", held.size));
        let each: Vec<String> = each.collect();
        let message = format!(
            "VM '{vm}' would have {size}, and its containers hold more: {}",
            each.join(", ")
        );
        faults.push((
            message,
            json!({ "vm": vm, "size": size, "held": there.held(), "containers": there.used }),
        ));
    }
    let changed = old.filter(|_| allocation.vms.values().any(in_use)).map(|old| {
        let (old, new) = (&old.infrastructure, &new.infrastructure);
        [
            ("cpu_mode", old.cpu_mode != new.cpu_mode),
            ("mem_unit_mb", old.mem_unit_mb != new.mem_unit_mb),
            ("cloud_driver", is_elsewhere(&old.cloud, &new.cloud)),
        ]
    });
    for (field, _) in changed.into_iter().flatten().filter(|(_, changed)| *changed) {
        let message = format!("{field} can't change while VMs are in use");
        faults.push((message, json!({ "path": format!("infrastructure.{field}") })));
    }
    if faults.is_empty() {
        return Ok(());
    }
    let messages: Vec<&str> = faults.iter().map(|(message, _)| message.as_str()).collect();
    let message = format!("{}; execute a plan without them first", messages.join("; "));
    Err(Fault::new(Code::InUse, message).with(faults.iter().map(|(_, details)| details.clone())))
}

/// That a member is none of a topology that somebody puts.
fn marked() -> Problems {
    Problems(vec![Problem {
        path: REQUESTED.to_owned(),
        problem: "is a member that only this service writes; leave it out".to_owned(),
    }])
}

/// The size that a topology gives a machine that is there. None of one that its cloud has made: that has the shape that it
/// was launched with.
pub(super) fn size_now(topology: &Topology, vm: &VmId) -> Option<Size> {
    let infrastructure = &topology.infrastructure;
    match &infrastructure.cloud {
        Cloud::AutoScaling(_) => None,
        // One that has left says nothing of its size any more.
        Cloud::Nodes(registered) if !registered.members.contains_key(vm) => None,
        Cloud::Embedded | Cloud::Hosts(_) | Cloud::Nodes(_) => Some(infrastructure.size_of(vm)),
    }
}

/// Gives the machines of an allocation the sizes that the topology gives them by now.
pub(in crate::service) fn resize(topology: &Topology, allocation: &mut Allocation) {
    for (id, vm) in &mut allocation.vms {
        if let Some(size) = size_now(topology, id).filter(|size| vm.held().fits(*size)) {
            vm.capacity = size;
        }
    }
}

/// Why VMs of the topology's shapes can't be made.
fn unmakeable(topology: &Topology) -> Option<Problems> {
    let infrastructure = &topology.infrastructure;
    let why = match (&infrastructure.cloud, infrastructure.shapes.len()) {
        (_, 0) => return None,
        (Cloud::AutoScaling(_), 1) => return None,
        // Said already, where the document is read.
        (Cloud::Nodes(_), _) => return None,
        (Cloud::AutoScaling(_), _) => {
            "an Auto Scaling group launches VMs of one shape: keep that one here; POST /api/solve takes several, \
             to find out which serve best"
        }
        (Cloud::Embedded | Cloud::Hosts(_), _) => {
            "no VM can be made here: this machine is the only one. Give what it has as cpu_cores and mem_units; \
             POST /api/solve takes shapes as they are"
        }
    };
    Some(Problems(vec![Problem {
        path: "infrastructure.shapes".to_owned(),
        problem: why.to_owned(),
    }]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::model::{Container, TierId, Vm};

    /// A host with these cores and memory units.
    fn topology(cores: u32, mem: u64) -> Topology {
        let document = json!({
            "infrastructure": { "cpu_cores": 1, "mem_units": 1, "cloud_driver": { "hosts": {
                "vm1": { "docker": "unix:///1", "cpu_cores": cores, "mem_units": mem } } } },
            "apps": [{ "name": "a", "tiers": { "web": { "docker_image": "x" } } }]
        });
        Topology::parse(&document).unwrap().topology
    }

    fn in_use() -> Allocation {
        let mut vm = Vm::empty(None, Size::new(2, 4));
        vm.used
            .insert(TierId::new("a_web"), Container::from(Size::new(1, 2)));
        Allocation {
            vms: [(VmId::new("vm1"), vm)].into(),
        }
    }

    #[test]
    fn a_host_in_use_has_the_size_that_the_topology_gives_it() {
        let (old, allocation) = (topology(2, 4), in_use());
        for (cores, mem) in [(4, 8), (1, 2)] {
            let new = topology(cores, mem);
            check_against_use(Some(&old), &new, &allocation).unwrap();
            let mut now = allocation.clone();
            resize(&new, &mut now);
            let vm = now.vms.get("vm1").unwrap();
            assert_eq!(vm.capacity, Size::new(cores, mem));
            assert_eq!(vm.used.len(), 1);
        }
    }

    #[test]
    fn a_host_is_not_made_smaller_than_its_containers() {
        let (old, allocation) = (topology(2, 4), in_use());
        let refused = check_against_use(Some(&old), &topology(2, 1), &allocation).unwrap_err();
        assert_eq!(refused.code, Code::InUse);
        assert!(
            refused.message.contains("'vm1'") && refused.message.contains("a_web"),
            "{}",
            refused.message
        );
        // Where it is so already, it keeps the size that it has.
        let mut now = allocation.clone();
        resize(&topology(2, 1), &mut now);
        assert_eq!(now, allocation);
    }
}
