//! Tests of translations: each rule by example, all rules at random, and against every order.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod addresses;
mod checker;
mod cores;
mod dependencies;
mod farewell;
mod foreign;
mod hooks;
mod interruptions;
mod mutations;
mod oracle;
mod random;
mod random_rollouts;
mod reference;
mod resources;
mod rollouts;
mod scale;

use std::collections::BTreeMap;

use super::{Translation, check, translate};
use crate::model::topology::{
    Cloud, CpuMode, DockerAccess, HookName, Infrastructure, PortBinding, Protocol, Tier, Weights,
};
use crate::model::{Allocation, Container, CoreSet, Size, TierId, Topology, Vm, VmId};

/// What runs, and what is wanted instead.
#[derive(Clone, Debug)]
struct Scene {
    topology: Topology,
    from: Allocation,
    to: Allocation,
}

impl Scene {
    fn new() -> Self {
        let infrastructure = Infrastructure {
            cloud: Cloud::Embedded,
            hooks: None,
            vm: Size::new(4, 4),
            shapes: Vec::new(),
            registries: BTreeMap::new(),
            mem_unit_mb: 512,
            max_vms: None,
            min_vms: 0,
            cpu_mode: CpuMode::Cpuset,
            docker: DockerAccess::default(),
            on_failure: crate::model::topology::OnFailure::default(),
            on_shortage: crate::model::topology::OnShortage::default(),
            self_heal: None,
            foreign: crate::model::topology::OnForeign::default(),
            weights: Weights::default(),
        };
        Self {
            topology: Topology {
                infrastructure,
                tiers: BTreeMap::new(),
                apps: vec!["app".into()],
                document: serde_json::Value::Null,
                revisions: crate::model::Revisions::default(),
            },
            from: Allocation::default(),
            to: Allocation::default(),
        }
    }

    fn quota(mut self) -> Self {
        self.topology.infrastructure.cpu_mode = CpuMode::Quota;
        self
    }

    /// A VM that is there before and after.
    fn vm(self, name: &str, cores: u32, mem: u64) -> Self {
        self.old_vm(name, cores, mem).new_vm(name, cores, mem)
    }

    fn old_vm(mut self, name: &str, cores: u32, mem: u64) -> Self {
        self.from
            .vms
            .insert(name.into(), Vm::empty(None, Size::new(cores, mem)));
        self
    }

    fn new_vm(mut self, name: &str, cores: u32, mem: u64) -> Self {
        self.to
            .vms
            .insert(name.into(), Vm::empty(None, Size::new(cores, mem)));
        self
    }

    fn spec(&mut self, name: &str) -> &mut Tier {
        self.topology.tiers.entry(name.into()).or_insert_with(|| Tier {
            id: name.into(),
            app: "app".into(),
            key: name.into(),
            title: name.into(),
            image: "image".into(),
            pull: Default::default(),
            ports: Vec::new(),
            arguments: None,
            entrypoint: None,
            min_node: 1,
            max_node: None,
            max_unavailable: 1,
            depends_on: Vec::new(),
            on_node_scale: Vec::new(),
            on_dependency_scale: None,
            on_node_stop: Vec::new(),
            environment: BTreeMap::new(),
            volumes: Vec::new(),
            healthcheck: None,
            probe: None,
            bake_s: 0,
            stop_grace_s: None,
            labels: BTreeMap::new(),
            user: None,
            requires: None,
            prefers: None,
            spread: crate::model::topology::Spread::Node,
            runtime: Default::default(),
        })
    }

    fn needs(mut self, tier: &str, other: &str) -> Self {
        self.spec(other);
        self.spec(tier).depends_on.push(other.into());
        self
    }

    fn port(mut self, tier: &str, port: u16) -> Self {
        self.spec(tier).ports.push(PortBinding {
            address: None,
            host: port,
            container: port,
            protocol: Protocol::Tcp,
        });
        self
    }

    fn scale_hook(mut self, tier: &str, hook: &str) -> Self {
        self.spec(tier).on_node_scale.push(HookName(hook.into()));
        self
    }

    fn tier_hook(mut self, tier: &str, hook: &str) -> Self {
        self.spec(tier).on_dependency_scale = Some(HookName(hook.into()));
        self
    }

    /// `tier` runs on `vm` now, on the lowest cores that are free.
    fn runs(mut self, tier: &str, vm: &str, cores: u32, mem: u64) -> Self {
        let free = Allocation::free_cores(&self.from.vms[vm]);
        let cores_taken = free.0.into_iter().take(cores as usize).collect();
        self.spec(tier);
        let pinned = self.topology.infrastructure.cpu_mode == CpuMode::Cpuset;
        let container = Container {
            size: Size::new(cores, mem),
            cores: if pinned {
                CoreSet(cores_taken)
            } else {
                CoreSet::default()
            },
            owed: Default::default(),
            revision: None,
            addresses: None,
            digest: None,
        };
        self.from
            .vms
            .get_mut(vm)
            .unwrap()
            .used
            .insert(tier.into(), container);
        self
    }

    /// `tier` runs on `vm` now, pinned to these cores whatever its size says.
    fn runs_on_cores(mut self, tier: &str, vm: &str, cores: u32, mem: u64, pinned: &[u32]) -> Self {
        self.spec(tier);
        let container = Container {
            size: Size::new(cores, mem),
            cores: CoreSet(pinned.iter().copied().collect()),
            owed: Default::default(),
            revision: None,
            addresses: None,
            digest: None,
        };
        self.from
            .vms
            .get_mut(vm)
            .unwrap()
            .used
            .insert(tier.into(), container);
        self
    }

    /// `tier` should have a container on `vm`.
    fn wants(mut self, tier: &str, vm: &str, cores: u32, mem: u64) -> Self {
        self.spec(tier);
        let container = Size::new(cores, mem).into();
        self.to
            .vms
            .get_mut(vm)
            .unwrap()
            .used
            .insert(tier.into(), container);
        self
    }

    fn keeps(self, tier: &str, vm: &str, cores: u32, mem: u64) -> Self {
        self.runs(tier, vm, cores, mem).wants(tier, vm, cores, mem)
    }

    /// The translation, which must pass the checker.
    fn translation(&self) -> Translation {
        let translation = translate(&self.topology, &self.from, &self.to);
        let breaches = check::breaches(&self.topology, &self.from, &self.to, &translation);
        assert!(breaches.is_empty(), "{breaches:#?}\n{}", show(&translation));
        translation
    }

    /// The texts of its stages.
    fn texts(&self) -> Vec<Vec<String>> {
        let stages = self.translation().stages;
        stages
            .iter()
            .map(|stage| stage.iter().map(ToString::to_string).collect())
            .collect()
    }

    /// The names of the interrupted tiers.
    fn interrupted(&self) -> Vec<String> {
        let interrupts = self.translation().interrupts;
        interrupts
            .iter()
            .map(|interrupt| interrupt.tier.to_string())
            .collect()
    }

    /// The stage of an action with this beginning.
    fn stage_of(&self, beginning: &str) -> usize {
        let texts = self.texts();
        let stage = texts
            .iter()
            .position(|stage| stage.iter().any(|text| text.starts_with(beginning)));
        stage.unwrap_or_else(|| panic!("no {beginning} in {texts:#?}"))
    }
}

fn show(translation: &Translation) -> String {
    let mut text = String::new();
    for (index, stage) in translation.stages.iter().enumerate() {
        for action in stage {
            text.push_str(&format!("{index}: {action}\n"));
        }
    }
    for interrupt in &translation.interrupts {
        text.push_str(&format!("interrupts {}: {}\n", interrupt.tier, interrupt.reason));
    }
    text
}

fn vm_id(name: &str) -> VmId {
    name.into()
}

fn tier_id(name: &str) -> TierId {
    name.into()
}
