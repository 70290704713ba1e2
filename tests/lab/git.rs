//! Git repositories with hooks, and a real git server for them over HTTP.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::network;
use crate::process::{Daemon, run};

const ROOT: &str = "/run/lab/git";
const PORT: u16 = 8418;

/// `git http-backend` behind a small HTTP server, serving every [`Repository`].
pub struct GitServer {
    _daemon: Daemon,
}

impl GitServer {
    /// Starts the server.
    pub fn start() -> Self {
        std::fs::create_dir_all(ROOT).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/git_server.py");
        let mut command = Command::new("python3");
        command.args([script, network::HOST, &PORT.to_string(), ROOT]);
        let mut daemon = Daemon::start("git server", Path::new("/run/lab/git.log"), &mut command);
        let address = (network::HOST, PORT);
        daemon.wait_ready(|| TcpStream::connect(address).is_ok());
        Self { _daemon: daemon }
    }

    /// Where a repository is served.
    pub fn url(&self, repository: &Repository) -> String {
        let name = repository.folder.file_name().unwrap().to_string_lossy();
        format!("http://{}:{PORT}/{name}", network::HOST)
    }
}

/// A repository with a branch `main`.
pub struct Repository {
    folder: PathBuf,
}

impl Repository {
    /// Makes an empty one.
    pub fn new(name: &str) -> Self {
        let folder = Path::new(ROOT).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let repository = Self { folder };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    /// Its path.
    pub fn path(&self) -> &str {
        self.folder.to_str().unwrap()
    }

    /// Writes a hook, executable, such as `tier_hooks/tell.sh`.
    pub fn write(&self, hook: &str, content: &str) {
        use std::os::unix::fs::PermissionsExt;
        let file = self.folder.join(hook);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Commits everything and returns the commit's id.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Runs git in it.
    pub fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command
            .current_dir(&self.folder)
            .args(["-c", "user.name=Lab", "-c", "user.email=lab@localhost"])
            .args(arguments);
        run(&mut command)
    }
}
