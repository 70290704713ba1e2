//! Debian's nginx with the answers in files.

use std::path::Path;
use std::process::Command;

use crate::images;
use crate::process::Daemon;

const PORT: u16 = 8900;

/// As many workers as cores, no log, files kept open: nginx as one sets it up to be fast.
const CONFIGURATION: &str = "
worker_processes auto;
daemon off;
pid /run/lab/nginx/pid;
error_log /run/lab/nginx/error.log;
events { worker_connections 1024; }
http {
    access_log off;
    default_type application/json;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    open_file_cache max=100;
    client_body_temp_path /run/lab/nginx/body;
    proxy_temp_path /run/lab/nginx/proxy;
    fastcgi_temp_path /run/lab/nginx/fastcgi;
    uwsgi_temp_path /run/lab/nginx/uwsgi;
    scgi_temp_path /run/lab/nginx/scgi;
    server {
        listen 127.0.0.1:8900 reuseport;
        location = /api/allocation { alias /run/lab/nginx/allocation; }
        location = /api/topology { alias /run/lab/nginx/topology; }
        location = /api/translate { error_page 405 =200 /translated; return 405; }
        location = /translated { alias /run/lab/nginx/translate; }
    }
}
";

/// A running nginx.
pub struct Nginx(Daemon);

impl Nginx {
    /// Starts it, and waits for its first answer.
    pub fn start(files: &[(&str, Vec<u8>)]) -> Self {
        let folder = Path::new("/run/lab/nginx");
        std::fs::create_dir_all(folder).unwrap();
        for (name, content) in files {
            std::fs::write(folder.join(name), content).unwrap();
        }
        std::fs::write(folder.join("nginx.conf"), CONFIGURATION).unwrap();
        let binary = images::cache().join("tools/nginx");
        let mut command = Command::new(binary);
        command.args(["-p", "/run/lab/nginx", "-c", "nginx.conf"]);
        let mut daemon = Daemon::start("nginx", &folder.join("log"), &mut command);
        daemon.wait_ready(|| std::net::TcpStream::connect(("127.0.0.1", PORT)).is_ok());
        Self(daemon)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{PORT}")
    }

    /// The first process and its workers.
    pub fn pids(&self) -> Vec<u32> {
        let first = self.0.pid();
        let children =
            std::fs::read_to_string(format!("/proc/{first}/task/{first}/children")).unwrap_or_default();
        std::iter::once(first)
            .chain(children.split_whitespace().map(|pid| pid.parse().unwrap()))
            .collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The workers end with it, and free the port.
        self.0.terminate();
    }
}
