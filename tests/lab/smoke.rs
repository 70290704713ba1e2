//! The lab itself: what the other tests take for granted.

use std::path::Path;
use std::process::Command;

use crate::git::{GitServer, Repository};
use crate::http::get;
use crate::images::{BUSYBOX, NGINX};
use crate::registry::Registry;
use crate::{kernel, process};

#[test]
fn containers_reach_the_ports_that_every_vm_publishes() {
    in_lab!(3, async |lab| {
        for vm in &lab.vms {
            vm.docker(&["run", "-d", "--name", "app", "-p", "8081:80", NGINX]);
        }
        for vm in &lab.vms {
            let url = format!("http://{}:8081/", vm.ip);
            let expected = format!("app server {}\n", vm.hostname("app"));
            assert_eq!(get(&url).await, (200, expected.clone()));

            // And from a container on the first VM, this VM's own included.
            let seen = lab.vms[0].docker(&["run", "--rm", BUSYBOX, "wget", "-q", "-O-", &url]);
            assert_eq!(seen, expected);
        }
    });
}

#[test]
fn limits_reach_the_kernel() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let run = ["run", "-d", "--name", "one", "-m", "64m", "--memory-swap", "64m"];
        let limits = ["--cpuset-cpus", "1", BUSYBOX, "sleep", "1000"];
        vm.docker(&[&run[..], &limits[..]].concat());
        assert_eq!(kernel::cores(vm, "one"), "1");
        assert_eq!(kernel::memory(vm, "one"), 64 << 20);

        vm.docker(&["update", "--cpuset-cpus", "0", "one"]);
        assert_eq!(kernel::cores(vm, "one"), "0");
    });
}

#[test]
fn an_engine_that_is_killed_can_be_started_again() {
    in_lab!(2, async |lab| {
        let vm = &mut lab.vms[0];
        vm.docker(&["run", "-d", "--name", "one", BUSYBOX, "sleep", "1000"]);
        let before = vm.inspect("one").unwrap();

        vm.kill_engine();
        assert!(!vm.try_docker(&["ps"]).status.success());
        let pid = before["State"]["Pid"].to_string();
        assert!(Path::new("/proc").join(&pid).exists());

        vm.restart_engine();
        assert_eq!(vm.containers(), ["one"]);
        lab.vms[1].docker(&["ps"]);
    });
}

#[test]
fn nothing_outside_can_be_reached() {
    in_lab!(0, async |_lab| {
        let routes = process::run(Command::new("ip").arg("route"));
        let only = "10.77.1.0/24 dev lab0 proto kernel scope link src 10.77.1.254";
        assert_eq!(routes.trim().trim_end_matches(" linkdown"), only);
        assert!(!Path::new("/var/run/docker.sock").exists());
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        assert!(mounts.contains("lab /run tmpfs"));
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
        // The reaper, this test, containerd.
        assert!(pids.count() <= 3);
    });
}

#[test]
#[should_panic(expected = "failed in its sandbox")]
fn a_body_that_fails_fails_its_test() {
    in_lab!(0, async |_lab| {
        panic!("as this one does");
    });
}

#[test]
fn images_and_repositories_are_served_inside() {
    in_lab!(2, async |lab| {
        let registry = Registry::start();
        registry.push(&lab.vms[0], BUSYBOX, "team/tool:7");
        let image = registry.name("team/tool:7");
        assert!(!lab.vms[1].docker(&["images"]).contains("team/tool"));
        assert_eq!(lab.vms[1].docker(&["run", "--rm", &image, "echo", "hi"]), "hi\n");

        let server = GitServer::start();
        let repository = Repository::new("hooks");
        repository.write("tier_hooks/tell.sh", "#!/bin/sh\n");
        let commit = repository.commit("Tell");
        let mut clone = Command::new("git");
        clone.args(["clone", "--quiet", &server.url(&repository), "/run/lab/clone"]);
        process::run(&mut clone);
        let mut seen = Command::new("git");
        seen.args(["-C", "/run/lab/clone", "rev-parse", "HEAD"]);
        assert_eq!(process::run(&mut seen).trim(), commit);
    });
}
