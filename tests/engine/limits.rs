//! Limits: asked of Docker, seen in the kernel.

use mapek::engine::{Effect, EngineErrorKind, State};

use crate::helpers::{FOREVER, MIB, cores, engine, quota, shell, spec};
use crate::kernel;

#[test]
fn a_container_gets_the_cores_and_memory_asked_for_and_no_swap() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        let mut asked = spec("app_one", FOREVER);
        asked.limits = cores(&[1], 64);

        let made = engine.ensure_running(&asked).await.unwrap();
        assert_eq!(made.state, State::Running);
        assert_eq!((made.cpuset.as_str(), made.memory), ("1", 64 * MIB));
        assert_eq!(made.memory_swap, 64 * 1024 * 1024);
        assert_eq!(kernel::cores(vm, "app_one"), "1");
        assert_eq!(kernel::memory(vm, "app_one"), 64 * MIB);
        assert_eq!(kernel::swap(vm, "app_one"), 0);

        // Larger, smaller, the same again: always the very same container.
        for (asked, seen) in [
            (cores(&[0, 1], 128), "0-1"),
            (cores(&[0], 16), "0"),
            (cores(&[0], 16), "0"),
        ] {
            let now = engine.ensure_limits("app_one", &asked).await.unwrap();
            assert_eq!((&now.id, now.memory), (&made.id, asked.memory));
            assert_eq!(kernel::cores(vm, "app_one"), seen);
            assert_eq!(kernel::memory(vm, "app_one"), asked.memory);
            assert_eq!(kernel::swap(vm, "app_one"), 0);
        }

        // Repeating the creation corrects the limits, and keeps the container.
        let again = engine.ensure_running(&asked).await.unwrap();
        assert_eq!((&again.id, again.memory), (&made.id, 64 * MIB));
        assert_eq!(kernel::cores(vm, "app_one"), "1");
    });
}

#[test]
fn a_quota_is_a_share_of_all_cores_and_modes_can_be_switched() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        let mut asked = spec("app_one", FOREVER);
        asked.limits = quota(150, 32);

        let made = engine.ensure_running(&asked).await.unwrap();
        assert_eq!((made.cpuset.as_str(), made.nano_cpus), ("", 1_500_000_000));
        assert_eq!(kernel::cpu_hundredths(vm, "app_one"), 150);
        engine.ensure_limits("app_one", &quota(25, 48)).await.unwrap();
        assert_eq!(kernel::cpu_hundredths(vm, "app_one"), 25);
        assert_eq!(kernel::memory(vm, "app_one"), 48 * MIB);

        // From a quota to cores: the quota must not hold the cores back.
        engine.ensure_limits("app_one", &cores(&[1], 48)).await.unwrap();
        assert_eq!(kernel::cores(vm, "app_one"), "1");
        assert_eq!(kernel::cpu_hundredths(vm, "app_one"), 100);

        // And back: all cores are there for it again.
        let last = engine.ensure_limits("app_one", &quota(50, 48)).await.unwrap();
        assert_eq!(kernel::cores(vm, "app_one"), "0-1");
        assert_eq!(kernel::cpu_hundredths(vm, "app_one"), 50);
        assert_eq!(last.id, made.id);
    });
}

#[test]
fn limits_that_can_not_be_had_are_an_error_that_says_why() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        engine.ensure_running(&spec("app_one", FOREVER)).await.unwrap();

        let cores_missing = engine
            .ensure_limits("app_one", &cores(&[77], 32))
            .await
            .unwrap_err();
        assert_eq!(cores_missing.kind, EngineErrorKind::Refused);
        assert!(cores_missing.message.contains("app_one"), "{cores_missing}");
        let too_small = engine
            .ensure_limits("app_one", &cores(&[0], 1))
            .await
            .unwrap_err();
        assert_eq!(too_small.kind, EngineErrorKind::Refused);
        assert_eq!(kernel::memory(vm, "app_one"), 32 * MIB);

        // Less memory than it uses is refused before it is tried.
        let mut hungry = spec(
            "app_two",
            "x=$(head -c 40000000 /dev/zero | tr '\\0' x); touch /full; while :; do sleep 1 & wait $!; done",
        );
        hungry.limits = cores(&[0], 256);
        engine.ensure_running(&hungry).await.unwrap();
        let full = shell("until [ -e /full ]; do sleep 0.1; done");
        engine.run("app_two", &full).await.unwrap();
        let held = engine.memory_held("app_two").await.unwrap().unwrap();
        assert!((40_000_000..256 * MIB).contains(&held), "{held}");
        let error = engine
            .ensure_limits("app_two", &cores(&[0], 12))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind, error.effect),
            (EngineErrorKind::InUse, Effect::None),
            "{error}"
        );
        assert!(
            error.message.contains("more than the new limit of 12 MiB"),
            "{error}"
        );
        assert_eq!(kernel::memory(vm, "app_two"), 256 * MIB);
        let gone = engine
            .ensure_limits("app_none", &cores(&[0], 32))
            .await
            .unwrap_err();
        assert_eq!(gone.kind, EngineErrorKind::Missing);
        vm.docker(&["stop", "app_one"]);
        let stopped = engine
            .ensure_limits("app_one", &cores(&[0], 32))
            .await
            .unwrap_err();
        assert_eq!(stopped.kind, EngineErrorKind::Down);
    });
}
