//! The load balancer in front of the three nodes: nginx, with a site that never changes, and its own habit of trying the
//! next server where one does not answer.

use crate::PORT;
use crate::daemons::Vm;

/// Starts it anew, and answers with its address.
pub fn balance(front: &Vm, nodes: &[Vm]) -> String {
    front.try_docker(&["rm", "-f", "front"]);
    let servers: Vec<String> = nodes
        .iter()
        .map(|vm| format!("server {}:{PORT} max_fails=1 fail_timeout=1s;", vm.ip))
        .collect();
    let site = format!(
        "upstream app {{ {} }}\nserver {{ listen 80; location / {{ proxy_pass http://app; proxy_connect_timeout 1s; }} }}\n",
        servers.join(" ")
    );
    let script = format!("printf '%s' '{site}' >/etc/nginx/conf.d/default.conf; exec nginx -g 'daemon off;'");
    let run = [
        "run",
        "-d",
        "--name",
        "front",
        "-p",
        "8080:80",
        "--entrypoint",
        "sh",
        crate::images::NGINX,
        "-c",
        &script,
    ];
    front.docker(&run);
    format!("http://{}:8080/", front.ip)
}
