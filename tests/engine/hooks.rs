//! Hooks: fetched from a real git server, copied into a real container, run there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mapek::engine::{Engine, EngineErrorKind, RunId};
use mapek::hooks::{FetchError, Fetcher, HookCall, HookError, HookSet, Runs};
use mapek::model::topology::{HookName, Hooks, Tier};
use mapek::model::{Allocation, Size, TierId, Vm, VmId};

use crate::git::{GitServer, Repository};
use crate::helpers::{FOREVER, engine, spec};
use crate::process;

fn fetcher() -> Fetcher {
    Fetcher::new(PathBuf::from("/run/lab/cache"), Duration::from_secs(120))
}

fn from(repo: &str, reference: Option<&str>) -> Hooks {
    Hooks {
        repo: repo.to_owned(),
        reference: reference.map(str::to_owned),
        signers: None,
    }
}

fn text(set: &HookSet, path: &str) -> String {
    String::from_utf8_lossy(&set.scale[path]).into_owned()
}

#[test]
fn hooks_are_fetched_from_a_server_by_branch_tag_and_commit() {
    in_lab!(0, async |_lab| {
        let server = GitServer::start();
        let repository = Repository::new("hooks");
        repository.write("scale_hooks/size.sh", "one\n");
        repository.write("scale_hooks/lib/common.sh", "common\n");
        repository.write("README", "not a hook\n");
        let first = repository.commit("One");
        repository.git(&["tag", "v1"]);
        repository.git(&["tag", "-a", "-m", "Annotated", "v1-annotated"]);
        repository.git(&["switch", "--quiet", "-c", "feature/two"]);
        repository.write("scale_hooks/size.sh", "two\n");
        repository.write("tier_hooks/reload.sh", "reload\n");
        let second = repository.commit("Two");
        repository.git(&["switch", "--quiet", "main"]);
        let url = server.url(&repository);
        let fetcher = fetcher();

        let head = fetcher.fetch(&from(&url, None)).await.unwrap();
        assert_eq!(
            (&head.revision, text(&head, "size.sh").as_str()),
            (&first, "one\n")
        );
        assert_eq!(
            head.scale.keys().collect::<Vec<_>>(),
            ["lib/common.sh", "size.sh"]
        );
        for (reference, commit, expected) in [
            ("main", &first, "one\n"),
            ("v1", &first, "one\n"),
            ("v1-annotated", &first, "one\n"),
            ("refs/tags/v1", &first, "one\n"),
            ("feature/two", &second, "two\n"),
            (&second, &second, "two\n"),
            (&second[..10], &second, "two\n"),
        ] {
            let set = fetcher.fetch(&from(&url, Some(reference))).await.unwrap();
            assert_eq!(
                (&set.revision, text(&set, "size.sh").as_str()),
                (commit, expected),
                "{reference}"
            );
        }
        let missing = fetcher.fetch(&from(&url, Some("nope"))).await.unwrap_err();
        assert!(matches!(missing, FetchError::NoSuchReference { .. }), "{missing}");
        assert!(missing.to_string().contains("'nope'"));

        // The same, from the repository itself; uncommitted changes do not count.
        repository.write("scale_hooks/size.sh", "unsaved\n");
        let local = fetcher.fetch(&from(repository.path(), None)).await.unwrap();
        assert_eq!(
            (&local.revision, text(&local, "size.sh").as_str()),
            (&first, "one\n")
        );
        let local = fetcher
            .fetch(&from(repository.path(), Some("feature/two")))
            .await
            .unwrap();
        assert_eq!(local.revision, second);

        // Each fetch gets what is there now, also after a rewrite; a deleted branch is gone.
        repository.git(&["commit", "--quiet", "--all", "--amend", "-m", "Rewritten"]);
        repository.git(&["branch", "-D", "feature/two"]);
        let now = fetcher.fetch(&from(&url, None)).await.unwrap();
        assert_eq!(text(&now, "size.sh"), "unsaved\n");
        let gone = fetcher.fetch(&from(&url, Some("feature/two"))).await.unwrap_err();
        assert!(matches!(gone, FetchError::NoSuchReference { .. }), "{gone}");

        // A cache in which a fetch was cut short, or that is damaged, is made again.
        let caches: Vec<PathBuf> = std::fs::read_dir("/run/lab/cache")
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(caches.len(), 1);
        repository.write("scale_hooks/size.sh", "three\n");
        repository.commit("Three");
        std::fs::write(caches[0].join("refs/heads/main.lock"), "").unwrap();
        let locked = fetcher.fetch(&from(&url, Some("main"))).await.unwrap();
        assert_eq!(text(&locked, "size.sh"), "three\n");
        std::fs::write(caches[0].join("HEAD"), "nonsense").unwrap();
        fetcher.fetch(&from(&url, None)).await.unwrap();
        std::fs::remove_dir_all(caches[0].join("objects")).unwrap();
        std::fs::create_dir(caches[0].join("objects")).unwrap();
        let damaged = fetcher.fetch(&from(&url, Some("main"))).await.unwrap();
        assert_eq!(text(&damaged, "size.sh"), "three\n");

        // If a remote has lost its HEAD, the old one is not used.
        repository.git(&["symbolic-ref", "HEAD", "refs/heads/unborn"]);
        let headless = fetcher.fetch(&from(&url, None)).await.unwrap_err();
        assert!(headless.to_string().contains("no HEAD commit"), "{headless}");
        repository.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        let back = fetcher.fetch(&from(&url, None)).await.unwrap();
        assert_eq!(text(&back, "size.sh"), "three\n");

        // When the server is gone, only a commit given by its full id still works.
        drop(server);
        let error = fetcher.fetch(&from(&url, Some("main"))).await.unwrap_err();
        assert!(matches!(error, FetchError::Unreadable { .. }), "{error}");
        let newest = repository.git(&["rev-parse", "HEAD"]);
        fetcher.fetch(&from(&url, Some(newest.trim()))).await.unwrap();
    });
}

#[test]
fn what_can_not_be_used_as_hooks_is_refused_with_its_path() {
    in_lab!(0, async |_lab| {
        let fetcher = fetcher();
        let plain = Path::new("/run/lab/plain");
        let write = |path: &str, content: &[u8]| {
            let file = plain.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        };
        let fetch = async || fetcher.fetch(&from("/run/lab/plain", None)).await;

        assert!(fetch().await.unwrap_err().to_string().contains("no such folder"));
        std::fs::create_dir_all(plain).unwrap();
        assert!(
            fetch()
                .await
                .unwrap_err()
                .to_string()
                .contains("neither a folder scale_hooks")
        );

        write("scale_hooks/size.sh", b"one");
        let first = fetch().await.unwrap();
        assert!(first.revision.starts_with("folder:"));
        assert_eq!(fetch().await.unwrap(), first);
        write("scale_hooks/size.sh", b"two");
        assert_ne!(fetch().await.unwrap().revision, first.revision);
        let with_reference = fetcher
            .fetch(&from("/run/lab/plain", Some("main")))
            .await
            .unwrap_err();
        assert!(
            with_reference.to_string().contains("hooks_ref has no meaning"),
            "{with_reference}"
        );

        write("tier_hooks/large", &vec![0; 5 * 1024 * 1024]);
        assert!(
            fetch()
                .await
                .unwrap_err()
                .to_string()
                .contains("tier_hooks/large has 5242880 bytes")
        );
        std::fs::remove_file(plain.join("tier_hooks/large")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", plain.join("tier_hooks/link")).unwrap();
        let error = fetch().await.unwrap_err();
        assert!(matches!(error, FetchError::Unusable { .. }));
        assert!(
            error.to_string().contains("tier_hooks/link is a symbolic link"),
            "{error}"
        );

        // The same in a repository.
        let repository = Repository::new("links");
        repository.write("scale_hooks/size.sh", "one\n");
        std::os::unix::fs::symlink("size.sh", Path::new(repository.path()).join("scale_hooks/link")).unwrap();
        repository.commit("A link");
        let error = fetcher.fetch(&from(repository.path(), None)).await.unwrap_err();
        assert!(
            error.to_string().contains("scale_hooks/link is a symbolic link"),
            "{error}"
        );
        let empty = Repository::new("empty");
        let error = fetcher.fetch(&from(empty.path(), None)).await.unwrap_err();
        assert!(error.to_string().contains("no HEAD commit"), "{error}");
    });
}

#[test]
fn credentials_in_a_url_are_used_and_never_told() {
    in_lab!(0, async |_lab| {
        let server = GitServer::start();
        let repository = Repository::new("hooks");
        repository.write("scale_hooks/size.sh", "one\n");
        repository.commit("One");
        let secret = |path: &str| {
            let url = server.url(&repository);
            let (scheme, rest) = url.split_once("://").unwrap();
            format!("{scheme}://robot:hunter2%21@{rest}{path}")
        };
        let fetcher = fetcher();
        fetcher.fetch(&from(&secret(""), None)).await.unwrap();

        for (repo, reference) in [
            (secret("/none"), None),
            (secret(""), Some("nope")),
            ("http://robot:hunter2%21@10.77.1.254:9/x".to_owned(), None),
            ("http://robot:hunter2%21@no-such-host.invalid/x".to_owned(), None),
            ("gopher://robot:hunter2%21@10.77.1.254/x".to_owned(), None),
        ] {
            let error = fetcher.fetch(&from(&repo, reference)).await.unwrap_err();
            for text in [error.to_string(), format!("{error:?}")] {
                assert!(!text.contains("hunter2") && !text.contains("robot"), "{text}");
            }
        }
        // It is not stored on disk either.
        let kept = std::process::Command::new("grep")
            .args(["-r", "hunter2", "/run/lab/cache"])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&kept.stdout), "");
    });
}

#[tokio::test]
async fn a_git_server_that_says_nothing_is_not_waited_for_for_ever() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let cache = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(cache.path().to_owned(), Duration::from_millis(500));
    let url = format!("http://{}/hooks.git", listener.local_addr().unwrap());
    for _ in 0..2 {
        let error = fetcher.fetch(&from(&url, None)).await.unwrap_err();
        assert!(matches!(error, FetchError::TimedOut { .. }), "{error}");
    }
}

#[test]
fn only_commits_that_the_right_people_have_signed_are_taken() {
    in_lab!(0, async |_lab| {
        let (fetcher, repository) = (fetcher(), Repository::new("signed"));
        let server = GitServer::start();
        let key = |name: &str| {
            let file = format!("/run/lab/{name}");
            let made = std::process::Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &file])
                .status();
            assert!(made.unwrap().success());
            let public = std::fs::read_to_string(format!("{file}.pub")).unwrap();
            (file, format!("{name}@shop.test {public}"))
        };
        let ((ops, ops_line), (mallory, _)) = (key("ops"), key("mallory"));
        let sign = |key: &str, message: &str| {
            repository.git(&["add", "--all"]);
            let with = format!("user.signingkey={key}");
            repository.git(&[
                "-c",
                "gpg.format=ssh",
                "-c",
                &with,
                "commit",
                "--quiet",
                "-S",
                "-m",
                message,
            ]);
        };
        let wanted = |repo: &str, signers: &str| Hooks {
            signers: Some(signers.to_owned()),
            ..from(repo, None)
        };
        let url = server.url(&repository);
        let places = [url.as_str(), repository.path()];
        let refused = async |words: &str| {
            for place in places {
                let error = fetcher.fetch(&wanted(place, &ops_line)).await.unwrap_err();
                assert!(matches!(error, FetchError::Untrusted { .. }), "{error}");
                assert!(error.to_string().contains(words), "{words}: {error}");
            }
        };
        repository.write("scale_hooks/size.sh", "one\n");
        repository.commit("Unsigned");
        refused("is not signed;").await;
        repository.write("scale_hooks/size.sh", "two\n");
        sign(&mallory, "By another");
        refused("is not signed by any of hooks_signers").await;
        repository.write("scale_hooks/size.sh", "three\n");
        sign(&ops, "By the right one");
        for place in places {
            let set = fetcher.fetch(&wanted(place, &ops_line)).await.unwrap();
            assert_eq!(text(&set, "size.sh"), "three\n");
        }
        // A key that may only sign other things, or may no longer sign.
        for limit in ["namespaces=\"file\"", "valid-before=\"20200101\""] {
            let line = ops_line.replacen(' ', &format!(" {limit} "), 1);
            let error = fetcher.fetch(&wanted(&url, &line)).await.unwrap_err();
            assert!(matches!(error, FetchError::Untrusted { .. }), "{limit}: {error}");
        }
        // A signature belongs to one commit.
        let signed = repository.git(&["cat-file", "commit", "HEAD"]);
        let forged = signed.replace("By the right one", "By the wrong one");
        std::fs::write("/run/lab/forged", forged).unwrap();
        let id = repository.git(&["hash-object", "-t", "commit", "-w", "/run/lab/forged"]);
        repository.git(&["update-ref", "refs/heads/main", id.trim()]);
        refused("is not signed by any of hooks_signers").await;
        // A plain folder has no signatures.
        let folder = "/run/lab/plain-hooks";
        std::fs::create_dir_all(format!("{folder}/scale_hooks")).unwrap();
        let error = fetcher.fetch(&wanted(folder, &ops_line)).await.unwrap_err();
        assert!(error.to_string().contains("nobody can have signed"), "{error}");
    });
}

#[test]
fn a_remote_that_sends_too_much_is_not_listened_to() {
    in_lab!(0, async |_lab| {
        let repository = Repository::new("large");
        let server = GitServer::start();
        // Data that does not compress.
        let noise: String = (0..40_000)
            .map(|n: u64| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
            .collect();
        repository.write("scale_hooks/size.sh", "one\n");
        repository.write("README", &noise);
        repository.commit("Much");
        let url = server.url(&repository);
        let few = fetcher()
            .at_most(20_000)
            .fetch(&from(&url, None))
            .await
            .unwrap_err();
        assert!(few.to_string().contains("too much for hooks"), "{few}");
        let enough = fetcher()
            .at_most(4_000_000)
            .fetch(&from(&url, None))
            .await
            .unwrap();
        assert_eq!(text(&enough, "size.sh"), "one\n");
    });
}

fn tier() -> Tier {
    let topology = serde_json::json!({
        "infrastructure": {"cpu_cores": 2, "mem_units": 4, "hooks_git_repo": "/srv/hooks"},
        "apps": [{"name": "shop", "tiers": {
            "db": {"name": "DB", "docker_image": "db", "ports": [], "max_node": 1},
            "cache": {"name": "Cache", "docker_image": "cache", "ports": []},
            "web": {"name": "Web", "docker_image": "web", "ports": [], "depends_on": ["cache", "db"],
                "on_node_scale": ["size.sh"], "on_dependency_scale": "reload.sh"}
        }}]
    });
    let parsed = mapek::model::Topology::parse(&topology).unwrap();
    parsed.topology.tiers[&TierId::of("shop", "web")].clone()
}

fn hook(set: &mut HookSet, kind: mapek::hooks::Kind, name: &str, script: &str) {
    set.add(kind, name, format!("#!/bin/sh\n{script}\n").into_bytes())
        .unwrap();
}

#[test]
fn hooks_run_in_the_container_and_are_told_what_they_need() {
    in_lab!(1, async |lab| {
        let engine = engine(&lab.vms[0]);
        engine.ensure_running(&spec("shop_web", FOREVER)).await.unwrap();
        let mut set = HookSet::new("revision");
        use mapek::hooks::Kind::{Scale, Tier as Dependency};
        hook(
            &mut set,
            Scale,
            "size.sh",
            "pwd; . lib/say.sh; say; env | grep ^MAPEK | grep -v RUN | sort",
        );
        hook(&mut set, Scale, "lib/say.sh", "say() { echo \"$# arguments\"; }");
        hook(
            &mut set,
            Dependency,
            "reload.sh",
            "echo \"$# $(pwd)\"; echo \"$1\" >/old; echo \"$2\"",
        );
        hook(&mut set, Dependency, "fail.sh", "echo cannot reload; exit 9");
        hook(
            &mut set,
            Dependency,
            "hang.sh",
            "echo waiting; sleep 4321; echo and it goes on",
        );
        let (tier, vm) = (tier(), VmId::new("vm1"));

        let allocation = |mem| {
            let mut allocation = Allocation::default();
            let mut on = Vm::empty(Some("10.77.1.1".to_owned()), Size::new(2, 4));
            on.used.insert(TierId::of("shop", "db"), Size::new(1, mem).into());
            on.used.insert(TierId::of("other", "db"), Size::new(1, 1).into());
            allocation.vms.insert(vm.clone(), on);
            allocation
        };
        let (old, new) = (allocation(1), allocation(2));
        let scale = HookName::deserialized("size.sh");
        let call = HookCall {
            hook: &scale,
            tier: &tier,
            vm: &vm,
            size: Size::new(2, 3),
            mem_unit_mb: 512,
            change: None,
            deadline: Duration::from_secs(20),
        };
        let said = run(&*engine, &set, &call).await.unwrap();
        assert_eq!(
            said,
            "/ecoware/hooks/scale_hooks\n0 arguments\nMAPEK_APP=shop\nMAPEK_CONTAINER=shop_web\nMAPEK_CPU_CORES=2\n\
             MAPEK_DEPENDENCIES=shop_cache shop_db\nMAPEK_DISK_GB=0\nMAPEK_GPUS=0\nMAPEK_MEM_UNITS=3\nMAPEK_MEM_UNIT_MB=512\nMAPEK_TIER=web\n\
             MAPEK_VM=vm1\n"
        );

        let reload = HookName::deserialized("reload.sh");
        let change = HookCall {
            hook: &reload,
            change: Some((&old, &new)),
            ..call
        };
        let said = run(&*engine, &set, &change).await.unwrap();
        let (count, second) = said.split_once('\n').unwrap();
        assert_eq!(count, "2 /ecoware/hooks/tier_hooks");
        assert_eq!(serde_json::from_str::<Allocation>(second).unwrap(), new);
        let first = engine
            .run("shop_web", &crate::helpers::command(&["cat", "/old"]))
            .await
            .unwrap()
            .output;
        assert_eq!(serde_json::from_str::<Allocation>(&first).unwrap(), old);

        let name = HookName::deserialized("fail.sh");
        let error = run(
            &*engine,
            &set,
            &HookCall {
                hook: &name,
                ..change
            },
        )
        .await
        .unwrap_err();
        assert!(
            matches!(&error, HookError::Failed { exit_code: 9, .. }),
            "{error:?}"
        );
        assert_eq!(error.output(), Some("cannot reload\n"));
        for word in ["fail.sh", "shop_web", "vm1", "9", "cannot reload"] {
            assert!(error.to_string().contains(word), "{error}");
        }

        let name = HookName::deserialized("hang.sh");
        let hanging = HookCall {
            hook: &name,
            deadline: Duration::from_secs(1),
            ..change
        };
        let error = run(&*engine, &set, &hanging).await.unwrap_err();
        assert!(
            matches!(&error, HookError::TimedOut { killed: true, .. }),
            "{error:?}"
        );
        assert_eq!(error.output(), Some("waiting\n"));
        assert!(!lab.vms[0].docker(&["top", "shop_web"]).contains("4321"));

        // Too much for one argument: it is first cut down to the app's part, then refused.
        let mut wide = new.clone();
        for index in 0..2000 {
            wide.vms.insert(
                VmId::new(&format!("i-{index:017}")),
                Vm::empty(None, Size::new(2, 4)),
            );
        }
        let call = HookCall {
            change: Some((&old, &wide)),
            ..change
        };
        let said = run(&*engine, &set, &call).await.unwrap();
        let told: Allocation = serde_json::from_str(said.split_once('\n').unwrap().1).unwrap();
        assert_eq!(told.vms.len(), 1);
        assert_eq!(told.vms[&vm].used.len(), 1);
        for vm in wide.vms.values_mut() {
            vm.used
                .insert(TierId::of("shop", "cache"), Size::new(1, 1).into());
        }
        let error = run(
            &*engine,
            &set,
            &HookCall {
                change: Some((&old, &wide)),
                ..change
            },
        )
        .await
        .unwrap_err();
        assert!(matches!(error, HookError::TooLong { .. }), "{error}");
    });
}

/// Reports its start and its end, and waits until it is let go.
const SLOW: &str = "echo s >>/log; while [ ! -e /go ]; do sleep 0.05; done; echo e >>/log; exit 3";

/// A hook that is running, and can be cut off as if the service were killed.
struct UnderWay {
    task: tokio::task::JoinHandle<Result<String, HookError>>,
    kept: Arc<Kept>,
}

impl UnderWay {
    fn begin(engine: &Arc<dyn Engine>, earlier: Option<RunId>) -> Self {
        let kept = Arc::new(Kept {
            earlier,
            ..Kept::default()
        });
        let (engine, runs) = (Arc::clone(engine), Arc::clone(&kept));
        let task = tokio::spawn(async move {
            let mut set = HookSet::new("revision");
            hook(&mut set, mapek::hooks::Kind::Scale, "slow.sh", SLOW);
            let name = HookName::deserialized("slow.sh");
            let call = HookCall {
                hook: &name,
                tier: &tier(),
                vm: &VmId::new("vm1"),
                size: Size::new(2, 3),
                mem_unit_mb: 512,
                change: None,
                deadline: Duration::from_secs(600),
            };
            mapek::hooks::run(&*engine, &set, &call, &*runs).await
        });
        Self { task, kept }
    }

    /// Cuts it off; returns what was recorded about it.
    async fn cut_off(self) -> RunId {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
        self.kept.begun.lock().unwrap()[0].clone()
    }

    fn has_begun_none(&self) -> bool {
        self.kept.begun.lock().unwrap().is_empty()
    }
}

#[test]
fn a_hook_that_was_cut_off_is_taken_up_and_never_runs_beside_itself() {
    in_lab!(1, async |lab| {
        let engine: Arc<dyn Engine> = engine(&lab.vms[0]);
        let wanted = spec("shop_web", FOREVER);
        engine.ensure_running(&wanted).await.unwrap();
        let vm = &mut lab.vms[0];
        let log = |vm: &crate::daemons::Vm| {
            let said = vm.try_docker(&["exec", "shop_web", "cat", "/log"]).stdout;
            String::from_utf8(said)
                .unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        let until = |vm: &crate::daemons::Vm, what: &str| {
            process::wait_until(|| format!("{} is not {what}", log(vm)), || log(vm) == what);
        };
        let failed = |ended: Result<String, HookError>| match ended {
            Err(HookError::Failed { exit_code, .. }) => exit_code,
            other => panic!("{other:?}"),
        };

        // The second service waits for the run of the first, and uses its outcome.
        let first = UnderWay::begin(&engine, None);
        until(vm, "s");
        let run = first.cut_off().await;
        let second = UnderWay::begin(&engine, Some(run.clone()));
        vm.docker(&["exec", "shop_web", "touch", "/go"]);
        assert_eq!(failed(second.task.await.unwrap()), 3);
        assert_eq!(log(vm), "s e");
        // So does a third, however late it comes.
        let third = UnderWay::begin(&engine, Some(run));
        assert_eq!(failed(third.task.await.unwrap()), 3);
        assert_eq!(log(vm), "s e");

        // The engine still knows a run that nobody has recorded.
        vm.docker(&["exec", "shop_web", "rm", "/go"]);
        let first = UnderWay::begin(&engine, None);
        until(vm, "s e s");
        first.cut_off().await;
        let second = UnderWay::begin(&engine, None);
        // Time enough to begin, if it did not wait.
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(second.has_begun_none());
        vm.docker(&["exec", "shop_web", "touch", "/go"]);
        assert_eq!(failed(second.task.await.unwrap()), 3);
        assert_eq!(log(vm), "s e s e s e");

        // An engine that was killed has forgotten the run, and has stopped the container with it.
        vm.docker(&["exec", "shop_web", "rm", "/go"]);
        let first = UnderWay::begin(&engine, None);
        until(vm, "s e s e s e s");
        let run = first.cut_off().await;
        vm.kill_engine();
        vm.restart_engine();
        let second = UnderWay::begin(&engine, Some(run.clone()));
        match second.task.await.unwrap() {
            Err(HookError::Engine { source, .. }) => assert_eq!(source.kind, EngineErrorKind::Down),
            other => panic!("{other:?}"),
        }
        engine.ensure_running(&wanted).await.unwrap();
        let third = UnderWay::begin(&engine, Some(run));
        until(vm, "s e s e s e s s");
        vm.docker(&["exec", "shop_web", "touch", "/go"]);
        assert_eq!(failed(third.task.await.unwrap()), 3);
        assert_eq!(log(vm), "s e s e s e s s e");
    });
}

#[test]
fn a_hook_in_a_container_that_is_gone_says_so() {
    in_lab!(1, async |lab| {
        let engine: std::sync::Arc<dyn Engine> = engine(&lab.vms[0]);
        let (tier, vm, name) = (tier(), VmId::new("vm1"), HookName::deserialized("size.sh"));
        let call = HookCall {
            hook: &name,
            tier: &tier,
            vm: &vm,
            size: Size::new(1, 1),
            mem_unit_mb: 512,
            change: None,
            deadline: Duration::from_secs(20),
        };
        let error = run(&*engine, &HookSet::new("r"), &call).await.unwrap_err();
        assert!(matches!(error, HookError::Deliver { .. }), "{error}");
        assert!(error.output().is_none());
    });
}

/// A record of runs that only the test keeps.
#[derive(Default)]
struct Kept {
    earlier: Option<RunId>,
    begun: std::sync::Mutex<Vec<RunId>>,
}

#[async_trait::async_trait]
impl Runs for Kept {
    fn earlier(&self) -> Option<RunId> {
        self.earlier.clone()
    }

    async fn begin(&self, run: &RunId) -> Result<(), String> {
        self.begun.lock().unwrap().push(run.clone());
        Ok(())
    }
}

/// Runs a hook that was not run before.
async fn run(engine: &dyn Engine, set: &HookSet, call: &HookCall<'_>) -> Result<String, HookError> {
    mapek::hooks::run(engine, set, call, &Kept::default()).await
}

trait Deserialized {
    fn deserialized(name: &str) -> HookName;
}

impl Deserialized for HookName {
    /// Names come out of documents, so a test gets one in the same way.
    fn deserialized(name: &str) -> HookName {
        serde_json::from_value(name.into()).unwrap()
    }
}
