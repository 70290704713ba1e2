//! The Debian package on a bare Debian, and the image that is built from it.
//!
//! No systemd runs in the sandbox: the program is started as the unit would start it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::http::{Api, client};
use crate::images;
use crate::process::{Daemon, run, said, wait_until};

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const BASE: &str = "http://127.0.0.1:8000";

/// A bare Debian system of the test's own.
struct Debian(PathBuf);

impl Debian {
    fn unpack() -> Self {
        let root = PathBuf::from("/run/lab/debian");
        fs::create_dir_all(&root).unwrap();
        run(Command::new("tar")
            .arg("-xf")
            .arg(images::debian())
            .arg("-C")
            .arg(&root));
        for (kind, at) in [("proc", "proc"), ("tmpfs", "run"), ("tmpfs", "tmp")] {
            run(Command::new("mount").args(["-t", kind, kind]).arg(root.join(at)));
        }
        for device in ["null", "urandom"] {
            let at = root.join("dev").join(device);
            fs::write(&at, "").unwrap();
            run(Command::new("mount")
                .arg("--bind")
                .arg(format!("/dev/{device}"))
                .arg(&at));
        }
        Self(root)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.0).arg(program).env_clear();
        command.env("PATH", PATH);
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        run(self.command(program).args(arguments))
    }

    fn dpkg(&self, what: &str, package: &Path) -> String {
        let name = package.file_name().unwrap();
        fs::copy(package, self.path("/tmp").join(name)).unwrap();
        self.run("dpkg", &[what, &format!("/tmp/{}", name.to_str().unwrap())])
    }

    fn owner_and_mode(&self, path: &str) -> (String, u32) {
        let found = fs::metadata(self.path(path)).unwrap();
        let users = fs::read_to_string(self.path("/etc/passwd")).unwrap();
        let id = found.uid().to_string();
        let owner = users
            .lines()
            .find(|line| line.split(':').nth(2) == Some(&id))
            .unwrap();
        let owner = owner.split(':').next().unwrap().to_owned();
        (owner, found.permissions().mode() & 0o7777)
    }

    /// Starts the program as the unit says: its command line, its user.
    fn start(&self) -> Daemon {
        let unit = fs::read_to_string(self.path("/usr/lib/systemd/system/mapek.service")).unwrap();
        let setting = |name: &str| {
            unit.lines()
                .find_map(|line| line.strip_prefix(&format!("{name}=")))
                .unwrap()
        };
        let mut command = Command::new("chroot");
        command
            .arg(format!("--userspec={0}:{0}", setting("User")))
            .arg(&self.0)
            .args(setting("ExecStart").split(' '))
            .env_clear()
            .env("PATH", PATH);
        let mut daemon = Daemon::start("mapek", Path::new("/run/lab/mapek.log"), &mut command);
        daemon.wait_ready(|| std::net::TcpStream::connect("127.0.0.1:8000").is_ok());
        daemon
    }

    /// A client with the token that the installation made.
    fn api(&self) -> Api {
        let mut api = Api::at(BASE);
        api.take_token(
            fs::read_to_string(self.path("/etc/mapek/admin.token"))
                .unwrap()
                .trim(),
        );
        api
    }
}

/// Packages the program under this version.
fn package(version: &str) -> PathBuf {
    let out = Path::new("/run/lab/packages").join(version);
    run(Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/deb"))
        .args([env!("CARGO_BIN_EXE_mapek"), version])
        .arg(&out));
    fs::read_dir(&out).unwrap().next().unwrap().unwrap().path()
}

fn topology() -> Value {
    json!({
        "infrastructure": { "cpu_cores": 2, "mem_units": 8, "cloud_driver": { "hosts": { "vm1": { "docker": "unix:///run/no.sock" } } } },
        "apps": [{ "name": "shop", "tiers": { "db": { "docker_image": "db" } } }],
    })
}

#[test]
fn the_package_is_installed_started_upgraded_with_its_state_and_removed() {
    in_lab!(0, async |_lab| {
        let debian = Debian::unpack();
        debian.dpkg("--install", &package("0.1.0"));
        assert_eq!(
            debian.owner_and_mode("/var/lib/mapek"),
            ("mapek".to_owned(), 0o700)
        );
        assert_eq!(
            debian.owner_and_mode("/etc/mapek/tokens"),
            ("mapek".to_owned(), 0o600)
        );
        assert_eq!(
            debian.owner_and_mode("/etc/mapek/admin.token"),
            ("root".to_owned(), 0o600)
        );
        for file in [
            "man/man1/mapek.1.gz",
            "man/man1/mapek-serve.1.gz",
            "bash-completion/completions/mapek",
            "zsh/vendor-completions/_mapek",
            "fish/vendor_completions.d/mapek.fish",
        ] {
            let found = fs::metadata(debian.path("/usr/share").join(file));
            assert!(found.is_ok_and(|found| found.len() > 100), "{file}");
        }
        debian.run(
            "systemd-analyze",
            &["security", "--offline=true", "--threshold=40", "mapek.service"],
        );
        let verify = ["verify", "--man=no", "/usr/lib/systemd/system/mapek.service"];
        let verified = debian.command("systemd-analyze").args(verify).output().unwrap();
        assert!(!said(&verified).contains("mapek.service:"), "{}", said(&verified));

        let mut daemon = debian.start();
        let status = client()
            .get(format!("{BASE}/api/topology"))
            .send()
            .await
            .unwrap()
            .status();
        assert_eq!(status, 401, "nobody is let in without a token");
        debian.api().put("/api/topology", &topology()).await.expect(200);

        // What the administrator changed stays, and so does the state.
        let settings = debian.path("/etc/mapek/mapek.toml");
        let changed = fs::read_to_string(&settings).unwrap() + "keep_days = 30\n";
        fs::write(&settings, &changed).unwrap();
        let token = fs::read(debian.path("/etc/mapek/admin.token")).unwrap();
        assert!(daemon.terminate().success());
        debian.dpkg("--install", &package("0.1.1"));
        assert_eq!(fs::read_to_string(&settings).unwrap(), changed);
        assert_eq!(fs::read(debian.path("/etc/mapek/admin.token")).unwrap(), token);
        let mut daemon = debian.start();
        let kept = debian.api().get("/api/topology").await.expect(200);
        assert_eq!(kept["apps"], topology()["apps"]);
        assert!(daemon.terminate().success());

        debian.run("dpkg", &["--remove", "mapek"]);
        assert!(!debian.path("/usr/bin/mapek").exists());
        assert!(settings.exists() && debian.path("/var/lib/mapek/journal.sqlite").exists());
        debian.run("dpkg", &["--purge", "mapek"]);
        for path in ["/etc/mapek", "/var/lib/mapek"] {
            assert!(!debian.path(path).exists(), "{path}");
        }
    });
}

#[test]
fn the_image_is_built_and_runs_as_a_user_of_its_own() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        vm.docker(&["import", images::debian().to_str().unwrap(), "mapek/debian:1"]);
        let package = package("0.1.0");
        vm.docker(&[
            "build",
            "--network=none",
            "--build-arg=BASE=mapek/debian:1",
            "--tag=mapek:test",
            concat!("--file=", env!("CARGO_MANIFEST_DIR"), "/Dockerfile"),
            package.parent().unwrap().to_str().unwrap(),
        ]);
        let token = "0123456789abcdef0123456789abcdef";
        let tokens = format!("MAPEK_TOKENS=admin:write:{token}");
        // Inside, the service can't know under which address its port is published.
        let name = format!("MAPEK_ALLOWED_HOSTS={}", vm.ip);
        vm.docker(&[
            "run",
            "-d",
            "--name",
            "mapek",
            "-p",
            "8000:8000",
            "-e",
            &tokens,
            "-e",
            &name,
            "mapek:test",
        ]);
        let mut api = Api::at(&format!("http://{}:8000", vm.ip));
        api.take_token(token);
        wait_until(
            || vm.docker(&["logs", "mapek"]),
            || std::net::TcpStream::connect((vm.ip.as_str(), 8000)).is_ok(),
        );
        api.put("/api/topology", &topology()).await.expect(200);
        assert_ne!(vm.docker(&["exec", "mapek", "id", "-u"]).trim(), "0");
        // If the image came with a token, everybody would have it.
        assert_eq!(
            vm.docker(&["exec", "mapek", "ls", "/etc/mapek"]).trim(),
            "mapek.toml"
        );
        vm.docker(&["stop", "mapek"]);
        assert_eq!(vm.inspect("mapek").unwrap()["State"]["ExitCode"], 0);
    });
}
