//! Probes and bake times, against real containers.

use std::time::Duration;

use mapek::engine::probe::Target;
use mapek::engine::{Effect, EngineErrorKind, Health};
use mapek::model::topology::{Ask, PortBinding, Probe, Protocol};

use crate::daemons::Vm;
use crate::helpers::{FOREVER, engine, shell, spec};
use crate::patience::Patience;

/// Asks the container's port 80, which is published at 8080.
fn probe(vm: &Vm, ask: Ask) -> Target {
    Target {
        vm: vm.ip.clone(),
        probe: Probe {
            ask,
            address: None,
            port: 8080,
            interval_s: 1,
            timeout_s: 2,
            retries: 2,
            start_period_s: 20,
        },
    }
}

fn published() -> PortBinding {
    PortBinding {
        address: None,
        host: 8080,
        container: 80,
        protocol: Protocol::Tcp,
    }
}

fn health_of(path: &str) -> Ask {
    Ask::Http {
        path: path.to_owned(),
        status: Some(200),
    }
}

/// Serves `/www` after a moment.
const SERVER: &str = "sleep 2; mkdir /www; echo fine >/www/health; exec busybox httpd -f -p 80 -h /www";

#[test]
fn a_container_is_up_once_its_probe_passes_and_its_health_is_told_from_then_on() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        let mut asked = spec("app_one", SERVER);
        asked.ports = vec![published()];
        asked.probe = Some(probe(vm, health_of("/health")));
        let up = engine.ensure_running(&asked).await.unwrap();
        assert_eq!(up.health, Some(Health::Healthy));
        let served = engine.run("app_one", &shell("cat /www/health")).await.unwrap();
        assert_eq!(served.output.trim(), "fine", "it was waited for");

        let now = async || engine.find("app_one").await.unwrap().unwrap().health;
        engine.run("app_one", &shell("rm /www/health")).await.unwrap();
        let mut patience = Patience::every(Duration::from_millis(100));
        while now().await != Some(Health::Unhealthy) {
            patience.wait(|| "it stays healthy".to_owned()).await;
        }
        engine
            .run("app_one", &shell("echo again >/www/health"))
            .await
            .unwrap();
        while now().await != Some(Health::Healthy) {
            patience.wait(|| "it stays unhealthy".to_owned()).await;
        }

        // A service that was restarted makes the check at once, from the container's labels.
        let other = crate::helpers::engine(vm);
        let seen = other.observe().await.unwrap();
        assert_eq!(seen[0].health, Some(Health::Healthy));
        // The probe is part of the specification, the VM's address is not.
        asked.probe.as_mut().unwrap().vm = "192.0.2.1".to_owned();
        assert_eq!(other.ensure_running(&asked).await.unwrap().id, up.id);
        asked.probe = Some(probe(vm, Ask::Tcp {}));
        assert_ne!(other.ensure_running(&asked).await.unwrap().id, up.id);
    });
}

#[test]
fn a_container_whose_probe_never_passes_is_told_with_what_the_probe_said() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        let mut asked = spec(
            "app_one",
            "mkdir /www; echo 'no such page' >&2; exec busybox httpd -f -p 80 -h /www",
        );
        asked.ports = vec![published()];
        let mut target = probe(vm, health_of("/health"));
        target.probe.start_period_s = 1;
        asked.probe = Some(target);
        let error = engine.ensure_running(&asked).await.unwrap_err();
        assert_eq!(
            (error.kind, error.effect),
            (EngineErrorKind::Unhealthy, Effect::None),
            "{error}"
        );
        assert!(error.message.contains("answered 404, not 200"), "{error}");
        assert!(error.message.contains("no such page"), "{error}");
        assert!(vm.docker(&["ps", "-q"]).is_empty(), "it is stopped again");
    });
}

#[test]
fn a_container_must_stay_well_for_its_bake_time() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        // It dies after a while; without a bake time, nobody notices.
        let dies = "echo token=$TOKEN; sleep 2; echo 'out of luck'; exit 7";
        let mut asked = spec("app_one", dies);
        asked
            .environment
            .insert("TOKEN".to_owned(), "c4ctus-and-4loe".into());
        engine.ensure_running(&asked).await.unwrap();
        engine.ensure_absent("app_one").await.unwrap();
        asked.bake = Duration::from_secs(300);
        let error = engine.ensure_running(&asked).await.unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::Unhealthy, "{error}");
        for told in ["did not stay up", "out of luck", "token=***"] {
            assert!(error.message.contains(told), "{told}: {error}");
        }
        assert!(!error.message.contains("c4ctus"), "{error}");

        // Healthy at first, and not for long.
        let mut asked = spec(
            "app_two",
            "mkdir /www; touch /www/health; busybox httpd -p 80 -h /www; sleep 3; rm /www/health; sleep 1000",
        );
        asked.ports = vec![published()];
        asked.probe = Some(probe(vm, health_of("/health")));
        asked.bake = Duration::from_secs(300);
        let error = engine.ensure_running(&asked).await.unwrap_err();
        assert!(
            error.message.contains("became unhealthy within the 300 s"),
            "{error}"
        );

        let mut asked = spec("app_three", FOREVER);
        asked.bake = Duration::from_secs(1);
        engine.ensure_running(&asked).await.unwrap();
    });
}
