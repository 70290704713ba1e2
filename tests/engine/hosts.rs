//! Hosts: taken into use and released.

use async_trait::async_trait;
use mapek::cloud::{Cloud, CloudError, CloudErrorKind, Hosts, LOCALHOST, More, Notebook, Wish, embedded};
use mapek::model::topology::{CpuMode, DockerAccess, Host, Infrastructure, Weights};
use mapek::model::{Size, VmId};

use crate::helpers::{FOREVER, engine, engines, spec};
use crate::images::{BUSYBOX, NGINX};

/// A notebook in which nothing should be written: hosts have names of their own.
struct Blank;

#[async_trait]
impl Notebook for Blank {
    fn fellows(&self) -> Vec<VmId> {
        panic!("hosts need to know of no others")
    }

    async fn read(&self) -> Result<Option<serde_json::Value>, CloudError> {
        panic!("there is nothing to be read")
    }

    async fn write(&self, note: serde_json::Value) -> Result<(), CloudError> {
        panic!("there is nothing to be written, and this was: {note}")
    }

    async fn tell(&self, _progress: &str) {}

    fn wish(&self) -> Wish {
        Wish::Go
    }
}

fn infrastructure(vm: Size) -> Infrastructure {
    Infrastructure {
        cloud: mapek::model::topology::Cloud::Embedded,
        hooks: None,
        vm,
        shapes: Vec::new(),
        registries: std::collections::BTreeMap::new(),
        mem_unit_mb: 512,
        max_vms: None,
        min_vms: 0,
        cpu_mode: CpuMode::Cpuset,
        docker: DockerAccess::default(),
        weights: Weights::default(),
        on_failure: mapek::model::topology::OnFailure::default(),
        on_shortage: mapek::model::topology::OnShortage::default(),
        self_heal: None,
        foreign: mapek::model::topology::OnForeign::default(),
    }
}

fn host(name: &str, docker: &str, ip: Option<&str>) -> Host {
    Host {
        name: VmId::new(name),
        docker: docker.to_owned(),
        ip: ip.map(str::to_owned),
        cpu: None,
        mem: None,
        disk_gb: None,
        gpus: None,
        labels: std::collections::BTreeMap::new(),
    }
}

#[test]
fn hosts_are_checked_when_they_are_taken_into_use_and_kept_while_something_runs() {
    in_lab!(2, async |lab| {
        let (first, second) = (&lab.vms[0], &lab.vms[1]);
        let hosts = vec![
            host("one", &first.endpoint(), None),
            host("two", &format!("unix://{}", second.socket().display()), None),
            host("three", "tcp://10.77.1.200:2375", Some("192.0.2.3")),
            host("four", "unix:///run/lab/none.sock", None),
        ];
        let cloud = Hosts::new(hosts.clone(), &infrastructure(Size::new(2, 2)), engines());

        // Every host is offered, whether it answers or not.
        let offer = cloud.offer().await.unwrap();
        assert_eq!(offer.more, More::Named);
        let ips: Vec<Option<&str>> = offer.vms.iter().map(|vm| vm.ip.as_deref()).collect();
        assert_eq!(
            ips,
            [Some("10.77.1.1"), Some("172.20.2.1"), Some("192.0.2.3"), None]
        );

        let one = cloud.ensure_vm(&VmId::new("one"), &Blank).await.unwrap();
        assert_eq!(one, offer.vms[0]);
        assert_eq!(
            cloud.ensure_vm(&VmId::new("two"), &Blank).await.unwrap(),
            offer.vms[1]
        );
        for name in ["three", "four"] {
            let error = cloud.ensure_vm(&VmId::new(name), &Blank).await.unwrap_err();
            assert_eq!(error.kind, CloudErrorKind::Unreachable, "{error}");
            assert!(error.message.contains(name), "{error}");
        }
        let unknown = cloud.ensure_vm(&VmId::new("five"), &Blank).await.unwrap_err();
        assert_eq!(unknown.kind, CloudErrorKind::Misconfigured);

        let greedy = Hosts::new(hosts, &infrastructure(Size::new(64, 1)), engines());
        let error = greedy.ensure_vm(&VmId::new("one"), &Blank).await.unwrap_err();
        assert_eq!(error.kind, CloudErrorKind::Misconfigured);
        assert!(
            error.message.contains("cpu_cores is 64, and it has 2 cores"),
            "{error}"
        );

        engine(first)
            .ensure_running(&spec("app_one", FOREVER))
            .await
            .unwrap();
        let error = cloud.ensure_vm_absent(&VmId::new("one")).await.unwrap_err();
        assert_eq!(error.kind, CloudErrorKind::Refused);
        assert!(error.message.contains("app_one"), "{error}");
        engine(first).ensure_absent("app_one").await.unwrap();
        cloud.ensure_vm_absent(&VmId::new("one")).await.unwrap();
        cloud.ensure_vm_absent(&VmId::new("five")).await.unwrap();
    });
}

#[test]
fn the_embedded_default_is_one_host_at_the_address_that_its_containers_reach() {
    in_lab!(1, async |lab| {
        let endpoint = format!("unix://{}", lab.vms[0].socket().display());
        let cloud = embedded(&endpoint, &infrastructure(Size::new(1, 1)), engines());
        let offer = cloud.offer().await.unwrap();
        assert_eq!(offer.vms.len(), 1);
        assert_eq!(offer.vms[0].name.as_str(), LOCALHOST);
        assert_eq!(offer.vms[0].ip.as_deref(), Some("172.20.1.1"));
        cloud.ensure_vm(&VmId::new(LOCALHOST), &Blank).await.unwrap();
    });
}

#[test]
fn a_newly_installed_engine_has_an_address_that_its_containers_reach() {
    in_lab!(0, async |lab| {
        let vm = lab.launcher().just_installed().start(1);
        let gateway = vm.docker(&[
            "network",
            "inspect",
            "bridge",
            "--format",
            "{{(index .IPAM.Config 0).Gateway}}",
        ]);
        assert_eq!(
            gateway.trim(),
            "",
            "this version of Docker writes it down at once"
        );
        let endpoint = format!("unix://{}", vm.socket().display());
        let cloud = embedded(&endpoint, &infrastructure(Size::new(1, 1)), engines());
        let ip = cloud.offer().await.unwrap().vms[0].ip.clone().unwrap();
        vm.docker(&["run", "-d", "--name", "app", "-p", "8081:80", NGINX]);
        let url = format!("http://{ip}:8081/");
        let seen = vm.docker(&["run", "--rm", BUSYBOX, "wget", "-q", "-O-", &url]);
        assert_eq!(seen, format!("app server {}\n", vm.hostname("app")));
    });
}
