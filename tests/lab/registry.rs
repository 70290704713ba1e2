//! A real image registry on the lab's network.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::daemons::Vm;
use crate::process::Daemon;
use crate::{images, network};

const PORT: u16 = 5000;
/// Who may use a guarded registry.
pub const USER: &str = "puller";
/// With this.
pub const PASSWORD: &str = "s3cret-of-the-lab";
/// The password as `htpasswd -B` writes it.
const HASH: &str = "$2a$05$abcdefghijklmnopqrstuu.FHsGI67e4M.3i1EwS16iJebjpzAusS";
/// A folder with Docker's configuration of a user.
pub const CONFIG: &str = "/run/lab/docker-config";

/// A running `docker-registry`.
pub struct Registry {
    _daemon: Daemon,
}

impl Registry {
    /// Starts one that holds nothing.
    pub fn start() -> Self {
        Self::with("")
    }

    /// The same, for [`USER`] with [`PASSWORD`] alone.
    pub fn guarded() -> Self {
        let users = Path::new("/run/lab/registry-users");
        std::fs::write(users, format!("{USER}:{HASH}\n")).unwrap();
        let auth = format!("auth: {{htpasswd: {{realm: lab, path: {}}}}}\n", users.display());
        Self::with(&auth)
    }

    fn with(auth: &str) -> Self {
        let folder = Path::new("/run/lab/registry");
        std::fs::create_dir_all(folder).unwrap();
        let config = folder.join("config.yml");
        let settings = format!(
            "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{}:{PORT}'}}\n{auth}",
            folder.join("data").display(),
            network::HOST
        );
        std::fs::write(&config, settings).unwrap();
        let mut command = Command::new(images::registry_binary());
        command.arg("serve").arg(&config);
        let mut daemon = Daemon::start("registry", &folder.join("log"), &mut command);
        let address = (network::HOST, PORT);
        daemon.wait_ready(|| TcpStream::connect(address).is_ok());
        Self { _daemon: daemon }
    }

    /// The name in this registry of an image such as `team/web:1`.
    pub fn name(&self, image: &str) -> String {
        format!("{}:{PORT}/{image}", network::HOST)
    }

    /// Pushes the image `local` of an engine under the name `image`; the engine then no longer has
    /// that name.
    pub fn push(&self, vm: &Vm, local: &str, image: &str) {
        let name = self.name(image);
        vm.docker(&["tag", local, &name]);
        vm.docker(&["--config", CONFIG, "push", "--quiet", &name]);
        vm.docker(&["rmi", &name]);
    }

    /// Keeps name and password in the configuration that [`Registry::push`] uses, as `docker login` does.
    pub fn log_in(&self, vm: &Vm) {
        let host = format!("{}:{PORT}", network::HOST);
        vm.docker(&["--config", CONFIG, "login", "-u", USER, "-p", PASSWORD, &host]);
    }
}
