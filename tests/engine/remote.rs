//! Engines on other machines: through TLS with certificates on both sides, and through SSH.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use mapek::engine::{Effect, End, Engine, EngineErrorKind, State};
use mapek::model::topology::Tls;

use crate::helpers::{FOREVER, at, cores, engines, shell, spec};
use crate::images;
use crate::keys;
use crate::network::HOST;
use crate::process::{Daemon, run};

/// Makes a container, resizes it, runs something in it and removes it.
async fn works(engine: Arc<dyn Engine>) {
    let made = engine.ensure_running(&spec("app_one", FOREVER)).await.unwrap();
    assert_eq!(made.state, State::Running);
    engine.ensure_limits("app_one", &cores(&[1], 48)).await.unwrap();
    let ran = engine.run("app_one", &shell("seq 1 3000; exit 5")).await.unwrap();
    assert_eq!(ran.end, End::Exited(5));
    assert!(ran.output.ends_with("2999\n3000\n"));
    engine.ensure_absent("app_one").await.unwrap();
}

/// An engine in the sandbox's own network that speaks TLS, and only with clients whose certificate
/// it trusts. It also listens on a unix socket, through which the test gives it an image.
fn tls_engine([ca, certificate, key]: [&PathBuf; 3]) -> Daemon {
    let socket = Path::new("/run/lab/tls.sock");
    let mut engine = Command::new("dockerd");
    engine
        .args(["--host", &format!("tcp://{HOST}:2376")])
        .args(["--host", &format!("unix://{}", socket.display())])
        .arg("--tlsverify")
        .args([
            Path::new("--tlscacert"),
            ca,
            Path::new("--tlscert"),
            certificate,
            Path::new("--tlskey"),
            key,
        ])
        .args([
            "--log-level",
            "warn",
            "--bip",
            "172.20.200.1/24",
            "--iptables=false",
            "--ip-masq=false",
        ])
        .args([
            "--cgroup-parent",
            &format!("/{}", std::env::var("MAPEK_LAB_INSIDE").unwrap()),
        ])
        .args([
            "--exec-opt",
            "native.cgroupdriver=cgroupfs",
            "--storage-driver",
            "overlay2",
        ])
        .args([
            "--data-root",
            "/run/lab/tls/data",
            "--exec-root",
            "/run/lab/tls/exec",
        ])
        .args([
            "--pidfile",
            "/run/lab/tls.pid",
            "--containerd",
            "/run/lab/containerd.sock",
        ])
        .args([
            "--containerd-namespace",
            "tls",
            "--containerd-plugins-namespace",
            "plugins-tls",
        ]);
    let mut daemon = Daemon::start("dockerd with TLS", Path::new("/run/lab/tls.log"), &mut engine);
    daemon.wait_ready(|| TcpStream::connect((HOST, 2376)).is_ok() && socket.exists());
    let mut load = Command::new("docker");
    load.args([
        "--host",
        &format!("unix://{}", socket.display()),
        "load",
        "--quiet",
        "--input",
    ]);
    run(load.arg(&images::archives()[0]));
    daemon
}

#[test]
fn an_engine_behind_tls_is_reached_by_those_with_the_right_certificates() {
    in_lab!(0, async |_lab| {
        let ca = keys::authority("trusted");
        let others = keys::authority("others");
        let (server, server_key) = keys::signed("trusted", "server", &format!("subjectAltName=IP:{HOST}"));
        let (cert, key) = keys::signed("trusted", "client", "extendedKeyUsage=clientAuth");
        let (wrong, wrong_key) = keys::signed("others", "stranger", "extendedKeyUsage=clientAuth");
        let _daemon = tls_engine([&ca, &server, &server_key]);
        let endpoint = format!("https://{HOST}:2376");
        let good = Tls {
            ca: ca.clone(),
            cert,
            key,
        };

        works(engines().at(&endpoint, Some(&good)).unwrap()).await;

        // The server is not the one that the topology trusts; the server does not trust this
        // client.
        for (tls, word) in [
            (
                Tls {
                    ca: others,
                    ..good.clone()
                },
                "invalid peer certificate",
            ),
            (
                Tls {
                    cert: wrong,
                    key: wrong_key,
                    ..good.clone()
                },
                "trust the certificate",
            ),
        ] {
            let engine = engines().at(&endpoint, Some(&tls)).unwrap();
            // A server that refuses a certificate closes the connection, and now and then that is all that is heard.
            let mut told = String::new();
            for _ in 0..20 {
                let error = engine
                    .ensure_running(&spec("app_one", FOREVER))
                    .await
                    .unwrap_err();
                assert_eq!(
                    (error.kind, error.effect),
                    (EngineErrorKind::Unreachable, Effect::None),
                    "{error}"
                );
                told = error.to_string();
                if told.contains(word) {
                    break;
                }
            }
            assert!(told.contains(word), "{told}");
        }

        // Files that can't be used are named, before any connection is made.
        for tls in [
            Tls {
                ca: "/run/lab/none.pem".into(),
                ..good.clone()
            },
            Tls {
                cert: good.key.clone(),
                ..good.clone()
            },
            Tls {
                key: good.cert.clone(),
                ..good.clone()
            },
        ] {
            let Err(error) = engines().at(&endpoint, Some(&tls)) else {
                panic!("{tls:?}")
            };
            assert_eq!(error.kind, EngineErrorKind::Misconfigured);
            assert!(error.message.contains("/run/lab/"), "{error}");
        }
        // Plain HTTP to a TLS port, and none of the files at all.
        let plain = at(&format!("tcp://{HOST}:2376")).machine().await.unwrap_err();
        assert!(
            plain.message.contains("HTTP request to an HTTPS server"),
            "{plain}"
        );
        let Err(error) = engines().at(&endpoint, None) else {
            panic!("no files")
        };
        assert!(error.message.contains("infrastructure.docker.tls"), "{error}");
    });
}

const SSH_PORT: u16 = 2222;

/// An SSH server that lets root in with the key in the lab's home folder.
fn ssh_server() -> Daemon {
    keys::root_may_log_in();
    let mut server = Command::new("dropbear");
    keys::ssh_server(&mut server, HOST, SSH_PORT);
    let mut daemon = Daemon::start("SSH server", Path::new("/run/lab/ssh.log"), &mut server);
    daemon.wait_ready(|| TcpStream::connect((HOST, SSH_PORT)).is_ok());
    daemon
}

#[test]
fn an_engine_behind_ssh_is_reached_with_the_users_own_keys_and_known_hosts() {
    in_lab!(1, async |lab| {
        let _server = ssh_server();
        let endpoint = format!("ssh://root@{HOST}:{SSH_PORT}");
        let asked = spec("app_one", FOREVER);

        // A host that nobody has vouched for is refused.
        let error = at(&endpoint).ensure_running(&asked).await.unwrap_err();
        assert_eq!(
            (error.kind, error.effect),
            (EngineErrorKind::Unreachable, Effect::None),
            "{error}"
        );
        assert!(error.message.contains("Host key verification failed"), "{error}");
        let known = run(Command::new("ssh-keyscan").args(["-p", &SSH_PORT.to_string(), HOST]));
        std::fs::write("/run/lab/home/.ssh/known_hosts", known).unwrap();

        // Nothing listens at the far end's usual socket.
        let error = at(&endpoint).ensure_running(&asked).await.unwrap_err();
        assert_eq!(
            (error.kind, error.effect),
            (EngineErrorKind::Unreachable, Effect::None),
            "{error}"
        );
        assert!(error.message.contains("docker"), "{error}");

        std::os::unix::fs::symlink(lab.vms[0].socket(), "/run/docker.sock").unwrap();
        works(at(&endpoint)).await;

        // No such login, no such port, nobody there.
        for (endpoint, word) in [
            (
                format!("ssh://nobody-here@{HOST}:{SSH_PORT}"),
                "Permission denied",
            ),
            (format!("ssh://root@{HOST}:9"), "Connection refused"),
            ("ssh://no-such-host.invalid".to_owned(), "no-such-host.invalid"),
        ] {
            let error = at(&endpoint).machine().await.unwrap_err();
            assert_eq!(error.kind, EngineErrorKind::Unreachable, "{error}");
            assert!(error.message.contains(word), "{error}");
        }
    });
}
