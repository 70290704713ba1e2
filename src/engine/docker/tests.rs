//! What is pure in the driver: limits, specs, and what Docker reports.

use std::collections::BTreeMap;

use bollard::models::{
    ContainerInspectResponse, ContainerSummary, HostConfig, HostConfig as Config, RestartPolicyNameEnum,
};
use proptest::prelude::*;

use super::{limits, read, runtime, spec};
use crate::engine::{
    ContainerSpec, CpuLimit, Health, LABEL_APP, LABEL_MANAGED, LABEL_OWNER, LABEL_SPEC, LABEL_TIER, Limits,
    Observed, Owners, State,
};
use crate::model::topology::{Healthcheck, Pids, PortBinding, Protocol, RuntimeOptions, Ulimit};
use crate::model::{CoreSet, Cpu};

const MACHINE_CORES: u32 = 8;

fn owners() -> Owners {
    Owners::new("us", [])
}

fn sample() -> ContainerSpec {
    ContainerSpec {
        name: "shop_web".to_owned(),
        app: "shop".to_owned(),
        tier: "web".to_owned(),
        revision: None,
        image: "web:1".to_owned(),
        digest: None,
        login: None,
        limits: Limits {
            cpu: CpuLimit::Cores(CoreSet([1, 3].into())),
            memory: 1 << 30,
        },
        fixed: Default::default(),
        ports: vec![PortBinding {
            address: "127.0.0.1".parse().ok(),
            host: 8080,
            container: 80,
            protocol: Protocol::Tcp,
        }],
        arguments: Some(vec!["--fast".to_owned()]),
        entrypoint: None,
        environment: BTreeMap::from([("A".to_owned(), "1".into())]),
        volumes: vec!["/scratch".to_owned(), "data:/data".to_owned()],
        healthcheck: Some(Healthcheck {
            test: vec!["curl".to_owned(), "-f".to_owned(), "localhost".to_owned()],
            interval_s: Some(5),
            timeout_s: None,
            retries: Some(2),
            start_period_s: Some(1),
        }),
        probe: None,
        bake: std::time::Duration::ZERO,
        stop_grace_s: Some(7),
        labels: BTreeMap::from([("team".to_owned(), "blue".to_owned())]),
        user: Some("7".to_owned()),
        runtime: RuntimeOptions::default(),
        extra_hosts: vec![("db".to_owned(), "10.0.0.1".to_owned())],
    }
}

#[test]
fn a_spec_becomes_what_docker_is_told() {
    let body = spec::body(&sample(), vec!["A=1".to_owned()], "us");
    let host = body.host_config.unwrap_or_default();
    assert_eq!(host.cpuset_cpus.as_deref(), Some("1,3"));
    assert_eq!((host.memory, host.memory_swap), (Some(1 << 30), Some(1 << 30)));
    assert_eq!(host.nano_cpus, None);
    assert_eq!(host.binds, Some(vec!["data:/data".to_owned()]));
    assert_eq!(body.volumes, Some(vec!["/scratch".to_owned()]));
    assert_eq!(host.extra_hosts, Some(vec!["db:10.0.0.1".to_owned()]));
    let policy = host.restart_policy.and_then(|policy| policy.name);
    assert_eq!(policy, Some(RestartPolicyNameEnum::UNLESS_STOPPED));
    let check = body.healthcheck.unwrap_or_default();
    let test = ["CMD", "curl", "-f", "localhost"].map(str::to_owned).to_vec();
    assert_eq!((check.test, check.interval), (Some(test), Some(5_000_000_000)));
    assert_eq!((check.timeout, check.retries), (None, Some(2)));
    let labels = body.labels.unwrap_or_default();
    for (name, value) in [
        (LABEL_MANAGED, "true"),
        (LABEL_OWNER, "us"),
        (LABEL_APP, "shop"),
        (LABEL_TIER, "web"),
        ("team", "blue"),
    ] {
        assert_eq!(labels.get(name).map(String::as_str), Some(value));
    }
    assert_eq!(labels.get(LABEL_SPEC), Some(&spec::fingerprint(&sample())));
}

#[test]
fn the_fingerprint_tells_all_changes_but_those_of_limits() {
    // It is stored in labels of containers that outlive this build: it must never change.
    let before = spec::fingerprint(&sample());
    assert_eq!(before, "e3bea0660b8d6c91");
    let with = |change: &dyn Fn(&mut ContainerSpec)| {
        let mut changed = sample();
        change(&mut changed);
        spec::fingerprint(&changed)
    };
    assert_eq!(with(&|spec| spec.limits.memory = 1), before);
    assert_eq!(with(&|spec| spec.limits.cpu = CpuLimit::Quota(Cpu::CORE)), before);
    let changes: [&dyn Fn(&mut ContainerSpec); 17] = [
        &|spec| spec.name.push('x'),
        &|spec| spec.app.push('x'),
        &|spec| spec.tier.push('x'),
        &|spec| spec.image.push('x'),
        &|spec| spec.ports.clear(),
        &|spec| spec.arguments = None,
        &|spec| spec.arguments = Some(Vec::new()),
        &|spec| spec.entrypoint = Some(Vec::new()),
        &|spec| spec.environment.clear(),
        &|spec| spec.volumes.reverse(),
        &|spec| spec.healthcheck = None,
        &|spec| spec.stop_grace_s = None,
        &|spec| spec.labels.clear(),
        &|spec| spec.user = None,
        &|spec| spec.extra_hosts.clear(),
        &|spec| spec.runtime.init = Some(true),
        &|spec| spec.runtime.pids = Some(Pids::Unlimited),
    ];
    let mut seen: Vec<String> = changes.iter().map(|change| with(change)).collect();
    seen.push(before);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), changes.len() + 1);
}

/// Each option that a tier may have.
fn options() -> RuntimeOptions {
    RuntimeOptions {
        pids: Some(Pids::AtMost(50)),
        ulimits: BTreeMap::from([(
            "nofile".to_owned(),
            Ulimit {
                soft: Some(10),
                hard: None,
            },
        )]),
        read_only: Some(true),
        tmpfs: BTreeMap::from([("/run".to_owned(), "size=1m".to_owned())]),
        shm_size: Some(1 << 20),
        cap_add: vec!["NET_ADMIN".to_owned()],
        cap_drop: vec!["CHOWN".to_owned(), "KILL".to_owned()],
        no_new_privileges: Some(false),
        init: Some(true),
        stop_signal: Some("SIGQUIT".to_owned()),
    }
}

#[test]
fn what_the_engine_reports_of_a_containers_options_is_held_against_what_was_asked() {
    let made = |options: &RuntimeOptions| {
        let mut asked = sample();
        asked.runtime = options.clone();
        let body = spec::body(&asked, Vec::new(), "us");
        (body.host_config.unwrap_or_default(), body.stop_signal)
    };
    let all = options();
    for asked in [RuntimeOptions::default(), all.clone()] {
        let (mut host, signal) = made(&asked);
        assert_eq!(runtime::difference(&asked, &host, signal.as_deref()), None);
        // As written by engines since 20.10.
        for names in [&mut host.cap_add, &mut host.cap_drop] {
            names
                .iter_mut()
                .flatten()
                .for_each(|name| *name = format!("CAP_{name}"));
        }
        assert_eq!(runtime::difference(&asked, &host, signal.as_deref()), None);
    }
    let plain = RuntimeOptions::default();
    let changes: [(&str, RuntimeOptions); 10] = [
        (
            "pids_limit",
            RuntimeOptions {
                pids: None,
                ..all.clone()
            },
        ),
        (
            "ulimit nofile",
            RuntimeOptions {
                ulimits: plain.ulimits.clone(),
                ..all.clone()
            },
        ),
        (
            "read_only",
            RuntimeOptions {
                read_only: None,
                ..all.clone()
            },
        ),
        (
            "tmpfs",
            RuntimeOptions {
                tmpfs: plain.tmpfs.clone(),
                ..all.clone()
            },
        ),
        (
            "shm_size",
            RuntimeOptions {
                shm_size: None,
                ..all.clone()
            },
        ),
        (
            "cap_add",
            RuntimeOptions {
                cap_add: Vec::new(),
                ..all.clone()
            },
        ),
        (
            "cap_drop",
            RuntimeOptions {
                cap_drop: Vec::new(),
                ..all.clone()
            },
        ),
        (
            "no_new_privileges",
            RuntimeOptions {
                no_new_privileges: None,
                ..all.clone()
            },
        ),
        (
            "init",
            RuntimeOptions {
                init: None,
                ..all.clone()
            },
        ),
        (
            "stop_signal",
            RuntimeOptions {
                stop_signal: None,
                ..all.clone()
            },
        ),
    ];
    for (name, other) in changes {
        let (host, signal) = made(&other);
        let wrong = runtime::difference(&all, &host, signal.as_deref()).unwrap_or_default();
        assert!(wrong.contains(name), "{name}: {wrong:?}");
        assert!(!wrong.contains(';'), "{name} alone: {wrong}");
    }
    // A kernel that can't count processes matters only if the topology asks for a limit.
    let (mut host, signal) = made(&plain);
    host.pids_limit = None;
    assert_eq!(runtime::difference(&plain, &host, signal.as_deref()), None);
    let few = RuntimeOptions {
        pids: Some(Pids::AtMost(5)),
        ..plain
    };
    assert!(runtime::difference(&few, &host, signal.as_deref()).is_some());
}

#[test]
fn an_inspection_is_read() {
    let json = serde_json::json!({
        "Id": "abc", "Name": "/shop_web",
        "State": {"Status": "running", "ExitCode": 0, "Health": {"Status": "starting"}},
        "Config": {"Image": "web:1", "Labels": {"mapek.managed": "true", "mapek.owner": "us"}},
        "HostConfig": {"CpusetCpus": "0-1", "NanoCpus": 0, "Memory": 5, "MemorySwap": -1},
        "NetworkSettings": {"Ports": {
            "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}],
            "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "53"}],
            "9/tcp": null
        }}
    });
    let read: Option<ContainerInspectResponse> = serde_json::from_value(json).ok();
    let seen = read::inspected(read.unwrap_or_default(), &owners());
    assert_eq!(
        (seen.name.as_str(), seen.managed, seen.state),
        ("shop_web", true, State::Running)
    );
    assert_eq!((seen.health, seen.exit_code), (Some(Health::Starting), None));
    assert_eq!(
        (seen.memory, seen.memory_swap, seen.cpuset.as_str()),
        (5, -1, "0-1")
    );
    let ports: Vec<String> = seen.ports.iter().map(PortBinding::to_string).collect();
    assert_eq!(ports, ["8080:80/tcp", "127.0.0.1:53:53/udp"]);
}

#[test]
fn a_list_is_read_and_a_label_of_another_value_is_not_ours() {
    let json = serde_json::json!({
        "Id": "abc", "Names": ["/other/alias", "/holder"], "Image": "x", "State": "exited",
        "Labels": {"mapek.managed": "false", "mapek.owner": "us"},
        "Ports": [{"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}, {"PrivatePort": 81, "Type": "tcp"}]
    });
    let read: Option<ContainerSummary> = serde_json::from_value(json).ok();
    let seen = read::listed(read.unwrap_or_default(), &owners());
    assert_eq!(
        (seen.name.as_str(), seen.managed, seen.state),
        ("holder", false, State::Exited)
    );
    assert_eq!(seen.ports.len(), 1);
}

/// What an engine makes of a creation, then of an update, as Docker documents it: what is absent or
/// zero stays as it was.
fn after(host: &HostConfig, now: Option<&Observed>) -> Observed {
    let kept = |new: Option<i64>, old: u64| {
        new.filter(|&new| new != 0)
            .and_then(|new| u64::try_from(new).ok())
            .unwrap_or(old)
    };
    let mut seen = now
        .cloned()
        .unwrap_or_else(|| read::inspected(ContainerInspectResponse::default(), &owners()));
    if let Some(cpuset) = host.cpuset_cpus.clone().filter(|cpuset| !cpuset.is_empty()) {
        seen.cpuset = cpuset;
    }
    seen.nano_cpus = kept(host.nano_cpus, seen.nano_cpus);
    seen.memory = kept(host.memory, seen.memory);
    seen.memory_swap = host.memory_swap.unwrap_or(seen.memory_swap);
    seen
}

fn any_limits() -> impl Strategy<Value = Limits> {
    let cores = proptest::collection::btree_set(0..MACHINE_CORES, 1..5)
        .prop_map(|cores| CpuLimit::Cores(CoreSet(cores)));
    let quota = (1..u64::from(MACHINE_CORES) * 100).prop_map(|share| CpuLimit::Quota(Cpu::hundredths(share)));
    (prop_oneof![cores, quota], 1_u64..1 << 40).prop_map(|(cpu, memory)| Limits { cpu, memory })
}

proptest! {
    #[test]
    fn whatever_the_limits_were_a_change_makes_them_as_asked(chain in proptest::collection::vec(any_limits(), 1..6)) {
        let mut now: Option<Observed> = None;
        for asked in &chain {
            let mut host = Config::default();
            match &now {
                None => limits::apply(asked, &mut host),
                Some(seen) => {
                    let body = limits::change(seen, asked, MACHINE_CORES);
                    host.cpuset_cpus = body.cpuset_cpus;
                    host.nano_cpus = body.nano_cpus;
                    host.memory = body.memory;
                    host.memory_swap = body.memory_swap;
                }
            }
            let seen = after(&host, now.as_ref());
            prop_assert_eq!(limits::difference(asked, &seen, MACHINE_CORES, true), None);
            now = Some(seen);
        }
    }

    #[test]
    fn limits_that_differ_are_told_apart(asked in any_limits(), other in any_limits()) {
        let mut host = Config::default();
        limits::apply(&other, &mut host);
        let difference = limits::difference(&asked, &after(&host, None), MACHINE_CORES, true);
        prop_assert_eq!(difference.is_none(), asked == other);
    }
}
