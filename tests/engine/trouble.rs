//! Engines that are not there, say nothing, or say nonsense: every call ends, and tells the truth
//! about its effect.

use std::time::Duration;

use mapek::engine::docker::{DockerEngines, Settings};
use mapek::engine::{Effect, Engine, EngineErrorKind, Engines, State, Wanted};

use crate::fake::{Fake, Reply};
use crate::helpers::{FOREVER, owners, spec};

/// Short, so that what never comes is not waited for long.
fn impatient(endpoint: &str) -> std::sync::Arc<dyn Engine> {
    let short = Duration::from_millis(500);
    let settings = Settings {
        connect: short,
        answer: short,
        pull: short,
        pull_silence: short,
        ..Settings::default()
    };
    DockerEngines::new(settings, owners()).at(endpoint, None).unwrap()
}

#[tokio::test]
async fn nobody_there_means_surely_no_effect() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for endpoint in [format!("tcp://{free}"), "unix:///no/such/docker.sock".to_owned()] {
        let error = impatient(&endpoint)
            .ensure_running(&spec("app_one", FOREVER))
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind, error.effect),
            (EngineErrorKind::Unreachable, Effect::None),
            "{error}"
        );
        let text = error.to_string();
        assert!(
            text.contains(&endpoint)
                && text.contains("app_one")
                && text.contains("is a Docker engine running"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_socket_that_never_answers_is_not_waited_for_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docker.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let silent = Fake::start(|_| Reply::Silence).await;
    for endpoint in [format!("unix://{}", path.display()), silent.endpoint.clone()] {
        let engine = impatient(&endpoint);
        for outcome in [
            engine.machine().await.map(drop),
            engine.observe().await.map(drop),
            engine.find("app_one").await.map(drop),
            engine.ensure_image(&Wanted::named("image", None), &|_| {}).await,
            engine.ensure_running(&spec("app_one", FOREVER)).await.map(drop),
            engine.ensure_absent("app_one").await,
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(
                (error.kind, error.effect),
                (EngineErrorKind::TimedOut, Effect::None),
                "{error}"
            );
            assert!(error.message.contains("no answer within 0.5 s"), "{error}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_not_an_engines_is_reported_as_such() {
    for nonsense in [
        Reply::Bytes("SSH-2.0-OpenSSH_9.2\r\n"),
        Reply::Json(200, "<html>hello</html>"),
        Reply::Json(200, "[1, 2"),
    ] {
        let fake = Fake::start(move |_| nonsense.clone()).await;
        let engine = impatient(&fake.endpoint);
        let error = engine.find("app_one").await.unwrap_err();
        assert_eq!(
            (error.kind, error.effect),
            (EngineErrorKind::Garbled, Effect::None),
            "{error}"
        );
        assert_eq!(engine.machine().await.unwrap_err().kind, EngineErrorKind::Garbled);
    }
}

/// One way in which a change goes wrong, and what must be said of it.
type Case = (Reply, EngineErrorKind, Effect);

fn changes_gone_wrong() -> [Case; 7] {
    use EngineErrorKind::{Failing, Garbled, Refused, TimedOut, Unreachable};
    [
        (Reply::Cut, Unreachable, Effect::Unknown),
        (Reply::Silence, TimedOut, Effect::Unknown),
        (Reply::Bytes("nonsense\r\n\r\n"), Garbled, Effect::Unknown),
        (
            Reply::Bytes("HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{"),
            Unreachable,
            Effect::Unknown,
        ),
        (
            Reply::Json(500, r#"{"message": "out of paper"}"#),
            Failing,
            Effect::Unknown,
        ),
        (Reply::Json(502, "Bad Gateway"), Failing, Effect::Unknown),
        (
            Reply::Json(400, r#"{"message": "out of paper"}"#),
            Refused,
            Effect::None,
        ),
    ]
}

#[tokio::test]
async fn a_creation_that_goes_wrong_tells_whether_it_may_have_had_its_effect() {
    for (reply, kind, effect) in changes_gone_wrong() {
        let shown = format!("{reply:?}");
        let fake = Fake::start(move |asked| match asked {
            "GET /containers/app_one/json" => Reply::Json(404, r#"{"message": "No such container"}"#),
            "POST /containers/create" => reply.clone(),
            _ => Reply::Json(200, "{}"),
        })
        .await;
        let error = impatient(&fake.endpoint)
            .ensure_running(&spec("app_one", FOREVER))
            .await
            .unwrap_err();
        assert_eq!((error.kind, error.effect), (kind, effect), "{shown}: {error}");
        assert!(error.message.contains("create container 'app_one'"), "{error}");
        assert_eq!(fake.asked().last().unwrap(), "POST /containers/create");
    }
}

const RUNNING: &str = r#"{"Id": "abc", "Name": "/app_one", "State": {"Status": "running"},
    "Config": {"Labels": {"mapek.managed": "true", "mapek.owner": "engine-tests"}, "StopTimeout": 0}, "HostConfig": {"Memory": 5}}"#;

#[tokio::test]
async fn a_removal_that_goes_wrong_tells_whether_it_may_have_had_its_effect() {
    for (reply, kind, effect) in changes_gone_wrong() {
        // The answer to a removal has no body that could break off.
        if matches!(&reply, Reply::Bytes(bytes) if bytes.contains("201")) {
            continue;
        }
        let shown = format!("{reply:?}");
        let fake = Fake::start(move |asked| match asked {
            "GET /containers/app_one/json" => Reply::Json(200, RUNNING),
            "POST /containers/abc/stop" => Reply::Json(204, ""),
            "DELETE /containers/abc" => reply.clone(),
            other => panic!("{other} was not expected"),
        })
        .await;
        let error = impatient(&fake.endpoint)
            .ensure_absent("app_one")
            .await
            .unwrap_err();
        assert_eq!((error.kind, error.effect), (kind, effect), "{shown}: {error}");
    }
}

#[tokio::test]
async fn limits_other_than_those_asked_for_are_noticed() {
    let fake = Fake::start(|asked| match asked {
        "GET /info" => Reply::Json(200, r#"{"NCPU": 2, "MemTotal": 1000000000, "SwapLimit": true}"#),
        "GET /containers/app_one/json" => Reply::Json(200, RUNNING),
        _ => Reply::Json(200, "{}"),
    })
    .await;
    let limits = spec("app_one", FOREVER).limits;
    let error = impatient(&fake.endpoint)
        .ensure_limits("app_one", &limits)
        .await
        .unwrap_err();
    assert_eq!(error.kind, EngineErrorKind::Mismatch);
    assert!(
        error.message.contains("5 bytes of memory, asked 33554432"),
        "{error}"
    );
    assert!(error.message.contains("cores '', asked '0'"), "{error}");
}

#[test]
fn endpoints_that_can_not_be_used_are_refused_without_showing_secrets() {
    let engines = DockerEngines::new(Settings::default(), owners());
    for endpoint in [
        "",
        "docker",
        "tcp://",
        "ftp://h",
        "https://h:2376",
        "tcp://me:hunter2@h",
    ] {
        let Err(error) = engines.at(endpoint, None) else {
            panic!("{endpoint}")
        };
        assert_eq!(
            (error.kind, error.effect),
            (EngineErrorKind::Misconfigured, Effect::None)
        );
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn a_frozen_engine_is_given_up_and_works_again_when_it_thaws() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        let endpoint = format!("unix://{}", vm.socket().display());
        let asked = spec("app_one", FOREVER);
        crate::helpers::engine(vm).ensure_running(&asked).await.unwrap();

        let engine = impatient(&endpoint);
        vm.daemon.signal("STOP");
        let error = engine.ensure_absent("app_one").await.unwrap_err();
        assert_eq!(error.kind, EngineErrorKind::TimedOut);
        assert!(engine.observe().await.is_err());
        vm.daemon.signal("CONT");

        let seen = crate::helpers::engine(vm).find("app_one").await.unwrap().unwrap();
        assert_eq!(seen.state, State::Running);
    });
}
