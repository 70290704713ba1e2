//! The lab's VMs: Docker engines, each in a network namespace of its own, on one containerd.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::process::{Daemon, run, said};
use crate::{images, keys, network};

const CONTAINERD: &str = "/run/lab/containerd.sock";

/// The machines of one lab test.
pub struct Lab {
    /// The VMs; `vms[0]` is named `vm1`. Declared first, so that they go before containerd.
    pub vms: Vec<Vm>,
    launcher: Launcher,
    _containerd: Daemon,
}

/// Starts VMs, also in the middle of a test.
#[derive(Clone)]
pub struct Launcher {
    cgroup: String,
    nat: bool,
    /// More options of the engines.
    options: Vec<String>,
    /// With an SSH server on each VM.
    ssh: bool,
    /// With Docker's own choice of a network.
    fresh: bool,
}

impl Lab {
    /// Starts `count` VMs, named `vm1`, `vm2`, … at 10.77.1.1, 10.77.1.2, …
    pub fn start(cgroup: &str, count: usize) -> Self {
        network::prepare();
        let mut lab = Self {
            vms: Vec::new(),
            launcher: Launcher {
                cgroup: cgroup.to_owned(),
                nat: network::has_nat(),
                options: Vec::new(),
                ssh: false,
                fresh: false,
            },
            _containerd: containerd(),
        };
        for number in 1..=count {
            let vm = lab.launcher.launch(number);
            lab.vms.push(vm);
        }
        // All of them start at the same time; only then is one waited for after the other.
        for vm in &mut lab.vms {
            vm.wait_ready();
        }
        std::thread::scope(|scope| {
            for vm in &lab.vms {
                scope.spawn(|| vm.load_images());
            }
        });
        lab
    }

    /// What starts further VMs.
    pub fn launcher(&self) -> Launcher {
        self.launcher.clone()
    }

    /// The VM of that name.
    pub fn vm(&self, name: &str) -> &Vm {
        self.vms.iter().find(|vm| vm.name == name).unwrap()
    }

    /// The topology's `hosts` with the first `count` VMs.
    pub fn hosts(&self, count: usize) -> Value {
        self.vms[..count]
            .iter()
            .map(|vm| {
                let host = serde_json::json!({"docker": vm.endpoint(), "ip": vm.ip});
                (vm.name.clone(), host)
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

impl Launcher {
    /// VMs whose engines speak TLS, also at the usual port, and only with clients that this
    /// authority has signed.
    pub fn behind_tls(mut self, ca: &Path, certificate: &Path, key: &Path) -> Self {
        self.options = vec![
            "--tlsverify".to_owned(),
            format!("--tlscacert={}", ca.display()),
            format!("--tlscert={}", certificate.display()),
            format!("--tlskey={}", key.display()),
        ];
        self
    }

    /// VMs as they are right after Docker was installed: without any setting about networks.
    #[allow(dead_code)] // The engine tests have one.
    pub fn just_installed(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// VMs with an SSH server, through which root reaches the engine.
    pub fn behind_ssh(mut self) -> Self {
        self.ssh = true;
        self
    }

    /// Starts VM `number`, at 10.77.1.`number`, and waits until it can be used. Nobody can reach it
    /// before it has its images.
    pub fn start(&self, number: usize) -> Vm {
        let mut vm = self.launch(number);
        network::silence(&vm.name);
        let socket = vm.socket();
        vm.daemon.wait_ready(|| answers(&socket));
        vm.load_images();
        vm.ssh = self.ssh.then(|| ssh_server(&vm));
        network::unsilence(&vm.name);
        vm.wait_ready();
        vm
    }

    fn launch(&self, number: usize) -> Vm {
        let name = format!("vm{number}");
        let ip = format!("10.77.1.{number}");
        network::add_machine(&name, &ip);
        // Containers' networks differ from VM to VM, so that the test can tell and reach them.
        network::route(&format!("172.20.{number}.0/24"), &ip);
        let folder = PathBuf::from(format!("/run/lab/{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        // Engines on machines of their own have different ids; these would share this machine's.
        let config = serde_json::json!({"deprecated-key-path": folder.join("key.json")});
        std::fs::write(folder.join("daemon.json"), config.to_string()).unwrap();
        let mut options = vec![
            format!("--cgroup-parent=/{}", self.cgroup),
            // The lab's registry speaks plain HTTP.
            "--insecure-registry=10.77.1.0/24".to_owned(),
        ];
        if !self.fresh {
            options.push(format!("--bip=172.20.{number}.1/24"));
        }
        if !self.nat {
            options.push("--iptables=false".to_owned());
            options.push("--ip-masq=false".to_owned());
        }
        options.extend(self.options.iter().cloned());
        let daemon = dockerd(&name, &ip, &folder, &options);
        Vm {
            ssh: None,
            name,
            ip,
            folder,
            options,
            daemon,
        }
    }
}

/// One VM: a Docker engine with an address.
pub struct Vm {
    /// `vm1`, …
    pub name: String,
    /// The address of its published ports.
    pub ip: String,
    folder: PathBuf,
    options: Vec<String>,
    ssh: Option<Daemon>,
    /// The engine's process, for signals.
    pub daemon: Daemon,
}

impl Vm {
    /// The engine's endpoint on the network, `tcp://IP:2375`.
    pub fn endpoint(&self) -> String {
        format!("tcp://{}:2375", self.ip)
    }

    /// The engine's socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// Runs the `docker` command against this engine, and returns what it prints.
    pub fn docker(&self, arguments: &[&str]) -> String {
        run(self.docker_command().args(arguments))
    }

    /// The same, whether it works or not.
    pub fn try_docker(&self, arguments: &[&str]) -> Output {
        self.docker_command().args(arguments).output().unwrap()
    }

    fn docker_command(&self) -> Command {
        let mut command = Command::new("docker");
        command
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()));
        command
    }

    /// What `docker inspect` says of a container; None when there is none.
    pub fn inspect(&self, container: &str) -> Option<Value> {
        let output = self.try_docker(&["container", "inspect", container]);
        if !output.status.success() {
            let said = said(&output);
            assert!(said.contains("No such container"), "docker inspect: {said}");
            return None;
        }
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        Some(all[0].clone())
    }

    /// The host name that a container has by default; the nginx image puts it into its answers.
    pub fn hostname(&self, container: &str) -> String {
        let seen = self.inspect(container).expect("the container is there");
        seen["Config"]["Hostname"].as_str().unwrap().to_owned()
    }

    /// Names of all containers, running or not, in order.
    pub fn containers(&self) -> Vec<String> {
        let listed = self.docker(&["ps", "--all", "--format", "{{.Names}}"]);
        let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Cuts the VM's network. What runs on it continues.
    pub fn unplug(&self) {
        network::set_link(&self.name, "down");
    }

    /// Restores the network.
    pub fn plug_in(&self) {
        network::set_link(&self.name, "up");
    }

    /// What happens to a machine that is terminated: it is gone from the network at once.
    pub fn terminate(mut self) {
        self.unplug();
        self.daemon.kill();
        if let Some(mut server) = self.ssh.take() {
            server.kill();
        }
    }

    /// Ends the engine with SIGKILL. Its containers continue until it is started again, as after a
    /// crash of Docker.
    pub fn kill_engine(&mut self) {
        self.daemon.kill();
    }

    /// Starts the engine again after [`Vm::kill_engine`]. Docker then stops the containers that
    /// it finds running.
    pub fn restart_engine(&mut self) {
        self.daemon.kill();
        // The pid in it may by now be another process's, and dockerd would then refuse to start.
        let _ = std::fs::remove_file(self.folder.join("dockerd.pid"));
        self.daemon = dockerd(&self.name, &self.ip, &self.folder, &self.options);
        self.wait_ready();
    }

    fn wait_ready(&mut self) {
        let (socket, ip) = (self.socket(), self.ip.clone());
        self.daemon
            .wait_ready(|| answers(&socket) && std::net::TcpStream::connect((ip.as_str(), 2375)).is_ok());
    }

    fn load_images(&self) {
        for archive in images::archives() {
            let archive = archive.to_str().unwrap().to_owned();
            self.docker(&["load", "--quiet", "--input", &archive]);
        }
    }
}

/// An SSH server on a VM. Whoever is let in speaks with that VM's engine, whatever was asked for:
/// the VMs share a file system, and therefore the usual place of the socket.
fn ssh_server(vm: &Vm) -> Daemon {
    let mut command = network::command_in(&vm.name, "dropbear");
    keys::ssh_server(&mut command, &vm.ip, 22);
    let engine = format!("docker --host unix://{} system dial-stdio", vm.socket().display());
    command.args(["-c", &engine]);
    Daemon::start(
        &format!("SSH server of {}", vm.name),
        &vm.folder.join("ssh.log"),
        &mut command,
    )
}

fn containerd() -> Daemon {
    let folder = Path::new("/run/lab/containerd");
    std::fs::create_dir_all(folder).unwrap();
    // Only what Docker uses: the Kubernetes part alone takes longer to start than the rest.
    let config = folder.join("config.toml");
    std::fs::write(
        &config,
        "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n",
    )
    .unwrap();
    let mut command = Command::new("containerd");
    command
        .args(["--log-level", "warn", "--config"])
        .arg(&config)
        .args(["--root", "/run/lab/containerd/root"])
        .args(["--state", "/run/lab/containerd/state"])
        .args(["--address", CONTAINERD]);
    let mut daemon = Daemon::start("containerd", &folder.join("log"), &mut command);
    daemon.wait_ready(|| UnixStream::connect(CONTAINERD).is_ok());
    daemon
}

fn dockerd(name: &str, ip: &str, folder: &Path, options: &[String]) -> Daemon {
    let at = |file: &str| folder.join(file).display().to_string();
    let transport = if options.iter().any(|option| option == "--tlsverify") {
        vec!["--host".to_owned(), format!("tcp://{ip}:2376")]
    } else {
        // Given explicitly, or dockerd waits 15 s for somebody to notice the plain TCP.
        vec!["--tls=false".to_owned()]
    };
    let mut command = network::command_in(name, "dockerd");
    command
        .args(["--host", &format!("unix://{}", at("docker.sock"))])
        .args(["--host", &format!("tcp://{ip}:2375")])
        .args(transport)
        .args(["--log-level", "warn", "--config-file", &at("daemon.json")])
        .args(["--data-root", &at("data")])
        .args(["--exec-root", &at("exec")])
        .args(["--pidfile", &at("dockerd.pid")])
        .args(["--containerd", CONTAINERD])
        .args(["--containerd-namespace", name])
        .args(["--containerd-plugins-namespace", &format!("plugins-{name}")])
        .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
        .args(["--storage-driver", "overlay2"])
        .args(options);
    Daemon::start(
        &format!("dockerd of {name}"),
        &folder.join("dockerd.log"),
        &mut command,
    )
}

/// Whether an engine answers on its socket.
fn answers(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return false;
    };
    let ask = b"GET /_ping HTTP/1.0\r\nHost: lab\r\n\r\n";
    let mut answer = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(5))).is_ok()
        && stream.write_all(ask).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.contains("200 OK")
}
