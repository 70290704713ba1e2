//! What the tests share: engines, specs, and commands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mapek::engine::docker::{DockerEngines, Settings};
use mapek::engine::{Command, ContainerSpec, CpuLimit, Engine, Engines, Limits, Owners};
use mapek::model::{CoreSet, Cpu};

use crate::daemons::Vm;
use crate::images::BUSYBOX;

pub const MIB: u64 = 1024 * 1024;

/// Limits short enough for tests, long enough for a busy machine.
pub fn settings() -> Settings {
    Settings {
        answer: Duration::from_secs(20),
        health: Duration::from_secs(20),
        ..Settings::default()
    }
}

pub fn engines() -> Arc<dyn Engines> {
    Arc::new(DockerEngines::new(settings(), owners()))
}

/// The owner of the containers that the tests' engines make.
pub fn owners() -> Owners {
    Owners::new("engine-tests", [])
}

/// The driver for a VM's engine.
pub fn engine(vm: &Vm) -> Arc<dyn Engine> {
    at(&format!("unix://{}", vm.socket().display()))
}

pub fn at(endpoint: &str) -> Arc<dyn Engine> {
    engines().at(endpoint, None).unwrap()
}

pub fn cores(cores: &[u32], memory_mib: u64) -> Limits {
    Limits {
        cpu: CpuLimit::Cores(CoreSet(cores.iter().copied().collect())),
        memory: memory_mib * MIB,
    }
}

pub fn quota(hundredths: u64, memory_mib: u64) -> Limits {
    Limits {
        cpu: CpuLimit::Quota(Cpu::hundredths(hundredths)),
        memory: memory_mib * MIB,
    }
}

/// A container that runs a shell script and stops at once when it is told to.
pub fn spec(name: &str, script: &str) -> ContainerSpec {
    let (app, tier) = name.split_once('_').unwrap();
    let script = format!("trap 'exit 0' TERM; {script}");
    ContainerSpec {
        name: name.to_owned(),
        app: app.to_owned(),
        tier: tier.to_owned(),
        revision: None,
        image: BUSYBOX.to_owned(),
        digest: None,
        login: None,
        limits: cores(&[0], 32),
        fixed: Default::default(),
        ports: Vec::new(),
        arguments: Some(vec!["sh".to_owned(), "-c".to_owned(), script]),
        entrypoint: None,
        environment: BTreeMap::new(),
        volumes: Vec::new(),
        healthcheck: None,
        probe: None,
        bake: Duration::ZERO,
        stop_grace_s: Some(2),
        labels: BTreeMap::new(),
        user: None,
        runtime: Default::default(),
        extra_hosts: Vec::new(),
    }
}

/// A script that runs until it is told to stop.
pub const FOREVER: &str = "while :; do sleep 1 & wait $!; done";

pub fn command(argv: &[&str]) -> Command {
    Command {
        argv: argv.iter().map(|&part| part.to_owned()).collect(),
        environment: BTreeMap::new(),
        folder: None,
        deadline: Duration::from_secs(30),
    }
}

pub fn shell(script: &str) -> Command {
    command(&["sh", "-c", script])
}
