//! Commands and files in containers.

use std::collections::BTreeMap;
use std::time::Duration;

use mapek::engine::{Command, End, EngineErrorKind};

use crate::helpers::{FOREVER, command, engine, shell, spec};
use crate::images::BUSYBOX;

#[test]
fn a_command_tells_its_output_and_exit_code() {
    in_lab!(1, async |lab| {
        let engine = engine(&lab.vms[0]);
        engine.ensure_running(&spec("app_one", FOREVER)).await.unwrap();

        let done = engine
            .run("app_one", &shell("echo out; echo err >&2; exit 7"))
            .await
            .unwrap();
        assert_eq!(done.end, End::Exited(7));
        assert!(
            done.output.contains("out\n") && done.output.contains("err\n"),
            "{}",
            done.output
        );

        // Arguments arrive as they are, whatever is in them.
        let odd = "a b; $(touch /tmp/x) 'q' \"d\" \n é";
        let echoed = engine
            .run("app_one", &command(&["printf", "%s", odd]))
            .await
            .unwrap();
        assert_eq!((echoed.end, echoed.output.as_str()), (End::Exited(0), odd));
        let long = "x".repeat(128 * 1024 - 1);
        let counted = engine
            .run("app_one", &command(&["sh", "-c", "echo ${#1}", "sh", &long]))
            .await
            .unwrap();
        assert_eq!(counted.output, "131071\n");

        let with = Command {
            environment: BTreeMap::from([("NAME".to_owned(), "some value".to_owned())]),
            ..shell("echo $NAME")
        };
        assert_eq!(engine.run("app_one", &with).await.unwrap().output, "some value\n");

        let missing = engine.run("app_one", &command(&["/no/such/hook"])).await.unwrap();
        assert!(matches!(missing.end, End::Exited(126 | 127)), "{missing:?}");
        assert!(missing.output.contains("no such file"), "{missing:?}");

        let much = engine
            .run("app_one", &shell("seq 1 100000; echo the end"))
            .await
            .unwrap();
        assert!(much.output.len() < 70_000);
        assert!(much.output.starts_with("1\n2\n") && much.output.ends_with("the end\n"));
        assert!(much.output.contains("bytes left out"));
    });
}

#[test]
fn a_command_that_hangs_is_killed_with_its_children_and_what_it_said_is_kept() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        engine.ensure_running(&spec("app_one", FOREVER)).await.unwrap();

        let hanging = Command {
            deadline: Duration::from_secs(1),
            ..shell("trap '' TERM; echo before; sleep 4321 & sleep 4321")
        };
        let given_up = engine.run("app_one", &hanging).await.unwrap();
        assert_eq!(
            (given_up.end, given_up.output.as_str()),
            (End::Killed, "before\n")
        );
        let top = vm.docker(&["top", "app_one"]);
        assert!(!top.contains("4321"), "{top}");
        assert!(top.contains("while :"), "{top}");

        // The same for a user other than root.
        let mut plain = spec("app_two", FOREVER);
        plain.user = Some("7:7".to_owned());
        engine.ensure_running(&plain).await.unwrap();
        assert_eq!(engine.run("app_two", &hanging).await.unwrap().end, End::Killed);
        assert!(!vm.docker(&["top", "app_two"]).contains("4321"));

        // One that ends, but leaves a child that holds its output open, has ended.
        let leaving = shell("echo started; sleep 4321 & exit 0");
        let left = engine.run("app_one", &leaving).await.unwrap();
        assert_eq!((left.end, left.output.as_str()), (End::Exited(0), "started\n"));
        assert!(vm.docker(&["top", "app_one"]).contains("4321"));
    });
}

#[test]
fn without_a_shell_in_the_container_a_hanging_command_is_abandoned() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        // An image with nothing but `sleep`.
        let mut archive = tar::Builder::new(Vec::new());
        let busybox = "/run/lab/busybox";
        vm.docker(&["create", "--name", "source", BUSYBOX]);
        vm.docker(&["cp", "source:/bin/busybox", busybox]);
        archive.append_path_with_name(busybox, "sleep").unwrap();
        std::fs::write("/run/lab/bare.tar", archive.into_inner().unwrap()).unwrap();
        vm.docker(&["import", "/run/lab/bare.tar", "bare:1"]);
        let mut bare = spec("app_bare", "");
        bare.image = "bare:1".to_owned();
        bare.arguments = Some(vec!["/sleep".to_owned(), "1000".to_owned()]);
        bare.stop_grace_s = Some(0);
        engine.ensure_running(&bare).await.unwrap();

        let hanging = Command {
            deadline: Duration::from_secs(1),
            ..command(&["/sleep", "4321"])
        };
        assert_eq!(
            engine.run("app_bare", &hanging).await.unwrap().end,
            End::Abandoned
        );
    });
}

#[test]
fn files_are_unpacked_where_they_are_asked_to_be() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let engine = engine(vm);
        engine.ensure_running(&spec("app_one", FOREVER)).await.unwrap();
        let archive = |content: &str| {
            let mut archive = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o755);
            header.set_size(u64::try_from(content.len()).unwrap());
            archive
                .append_data(&mut header, "hello.sh", content.as_bytes())
                .unwrap();
            archive.into_inner().unwrap()
        };

        engine
            .run("app_one", &shell("mkdir -p /tmp/deep && chmod 1777 /tmp/deep"))
            .await
            .unwrap();
        let script = "#!/bin/sh\necho hello\n";
        engine
            .unpack("app_one", archive(script), "/tmp/deep/er/still")
            .await
            .unwrap();
        engine
            .unpack("app_one", archive(script), "/tmp/deep/er/still")
            .await
            .unwrap();
        let ran = engine
            .run("app_one", &command(&["/tmp/deep/er/still/hello.sh"]))
            .await
            .unwrap();
        assert_eq!(ran.output, "hello\n");
        let mode = engine
            .run("app_one", &shell("stat -c %a /tmp/deep"))
            .await
            .unwrap();
        assert_eq!(mode.output, "1777\n");

        let missing = engine.unpack("app_none", archive(script), "/").await.unwrap_err();
        assert_eq!(missing.kind, EngineErrorKind::Missing);
        vm.docker(&["stop", "app_one"]);
        let stopped = engine.run("app_one", &shell("true")).await.unwrap_err();
        assert_eq!(stopped.kind, EngineErrorKind::Down);
    });
}
