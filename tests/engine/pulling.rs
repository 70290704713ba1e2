//! Images that are not on the machine.

use mapek::engine::{Effect, EngineErrorKind};

use crate::helpers::{FOREVER, engine, spec};
use crate::images::BUSYBOX;
use crate::network;
use crate::registry::Registry;

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
        engine.ensure_image(&asked.image).await.unwrap();

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
