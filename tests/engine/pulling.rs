//! Images that are not on the machine.

use std::path::PathBuf;

use mapek::engine::{Effect, EngineErrorKind, Wanted};
use mapek::model::topology::{Login, Reference};

use crate::helpers::{FOREVER, engine, spec};
use crate::images::{BUSYBOX, NGINX};
use crate::network;
use crate::registry::{PASSWORD, Registry, USER};

#[test]
fn an_absent_image_is_pulled_and_one_that_can_not_be_had_is_named() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        let registry = Registry::start();
        registry.push(vm, BUSYBOX, "team/tool:7");

        let mut asked = spec("app_one", FOREVER);
        asked.image = registry.name("team/tool:7");
        assert!(!vm.docker(&["images"]).contains("team/tool"));
        let made = engine.ensure_running(&asked).await.unwrap();
        assert_eq!(made.image, asked.image);
        let wanted = Wanted::named(&asked.image, None);
        engine.ensure_image(&wanted, &|_| {}).await.unwrap();

        for (image, word) in [
            (registry.name("team/tool:8"), "team/tool:8"),
            (registry.name("team/none"), "team/none"),
            (format!("{}:9/team/tool:7", network::HOST), "connection refused"),
            ("never/heard-of-it:1".to_owned(), "never/heard-of-it:1"),
        ] {
            let mut wrong = spec("app_two", FOREVER);
            wrong.image.clone_from(&image);
            let error = engine.ensure_running(&wrong).await.unwrap_err();
            assert_eq!(
                (error.kind, error.effect),
                (EngineErrorKind::Image, Effect::None),
                "{error}"
            );
            assert!(
                error.message.contains(&image) && error.message.contains(word),
                "{error}"
            );
        }
        assert_eq!(vm.containers(), ["app_one"]);
    });
}

#[test]
fn a_private_registry_is_asked_with_the_password_that_the_topology_names() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        let registry = Registry::guarded();
        registry.log_in(vm);
        registry.push(vm, BUSYBOX, "team/tool:7");
        let file = PathBuf::from("/run/lab/registry-password");
        let mut asked = spec("app_one", FOREVER);
        asked.image = registry.name("team/tool:7");

        let barred = engine.ensure_running(&asked).await.unwrap_err();
        assert_eq!(barred.kind, EngineErrorKind::Image, "{barred}");
        assert!(barred.message.contains("under registries"), "{barred}");

        asked.login = Some(Login {
            username: USER.to_owned(),
            password: Reference::FromFile(file.clone()),
        });
        let unread = engine.ensure_running(&asked).await.unwrap_err();
        assert_eq!(unread.kind, EngineErrorKind::Secret, "{unread}");
        std::fs::write(&file, "wr0ng-password").unwrap();
        let wrong = engine.ensure_running(&asked).await.unwrap_err();
        assert_eq!(wrong.kind, EngineErrorKind::Image, "{wrong}");
        assert!(!wrong.message.contains("wr0ng"), "{wrong}");
        std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
        let wanted = Wanted::named(&asked.image, asked.login.clone());
        let digest = engine.digest(&wanted).await.unwrap().unwrap();
        assert!(digest.starts_with("sha256:"), "{digest}");
        engine.ensure_running(&asked).await.unwrap();
        assert_eq!(
            engine.digest_of("app_one", &asked.image).await.unwrap(),
            Some(digest)
        );
    });
}

#[test]
fn a_tag_that_has_moved_is_seen_when_it_is_asked_for_and_a_digest_stays_what_it_is() {
    in_lab!(2, async |lab| {
        let (first, second) = (engine(&lab.vms[0]), engine(&lab.vms[1]));
        let registry = Registry::start();
        registry.push(&lab.vms[0], BUSYBOX, "team/tool:7");
        let wanted = Wanted::named(&registry.name("team/tool:7"), None);
        first.ensure_image(&wanted, &|_| {}).await.unwrap();
        let old = first.image(&wanted.image).await.unwrap();
        let digest = first.digest(&wanted).await.unwrap();

        registry.push(&lab.vms[1], NGINX, "team/tool:7");
        first.ensure_image(&wanted, &|_| {}).await.unwrap();
        assert_eq!(first.image(&wanted.image).await.unwrap(), old, "nobody asked");
        let told = std::sync::Mutex::new(Vec::new());
        let tell = |progress: &str| told.lock().unwrap().push(progress.to_owned());
        let renewed = Wanted {
            renew: true,
            ..wanted.clone()
        };
        first.ensure_image(&renewed, &tell).await.unwrap();
        assert_ne!(first.image(&wanted.image).await.unwrap(), old);
        let told = told.into_inner().unwrap();
        assert_eq!(
            (told.first().unwrap().as_str(), told.last().unwrap().as_str()),
            ("begun", "done")
        );

        // On every machine, whatever it had under that name.
        let pinned = Wanted {
            digest,
            ..wanted.clone()
        };
        for engine in [&first, &second] {
            engine.ensure_image(&pinned, &|_| {}).await.unwrap();
            assert_eq!(engine.image(&wanted.image).await.unwrap(), old);
        }
    });
}
