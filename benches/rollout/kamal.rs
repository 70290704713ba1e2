//! Kamal's procedure as its documentation has it, step by step, on all hosts at the same time as its default is: pull the
//! image, start the new container beside the old one, wait until it is healthy, have the host's proxy send requests to it,
//! stop the old one. Kamal itself is a Ruby program with a proxy in Go; the steps are made here by Docker's own command, and
//! nginx is the proxy.

use std::process::Command;

use crate::daemons::Vm;
use crate::down::LABEL;
use crate::{Contestant, NEW, PORT, START};

/// Nothing has to be remembered.
pub struct Kamal;

/// All that is done on one host, as a script for a shell in which `docker` is the host's.
fn deploy(version: &str, image: &str, old: &str) -> String {
    format!(
        r#"set -eu
docker image inspect {image} >/dev/null || docker pull {image} >/dev/null
docker run -d --name web-{version} --label {LABEL}=yes --stop-signal SIGQUIT --entrypoint sh {image} -c '{START}' >/dev/null
address=$(docker inspect -f '{{{{.NetworkSettings.IPAddress}}}}' web-{version})
tries=0
until docker exec proxy wget -q -O /dev/null "http://$address/"; do
    tries=$((tries + 1)); [ $tries -lt 30 ] || exit 1
    sleep 1
done
docker exec proxy sh -c "echo 'server {{ listen 80; location / {{ proxy_pass http://$address; }} }}' >/etc/nginx/conf.d/default.conf; nginx -s reload"
if [ -n "{old}" ]; then docker stop web-{old} >/dev/null; docker rm web-{old} >/dev/null; fi
"#
    )
}

async fn everywhere(nodes: &[Vm], script: String) {
    let tasks: Vec<_> = nodes
        .iter()
        .map(|vm| {
            let (socket, script) = (vm.socket(), script.clone());
            tokio::task::spawn_blocking(move || {
                Command::new("sh")
                    .args(["-c", &script])
                    .env("DOCKER_HOST", format!("unix://{}", socket.display()))
                    .output()
                    .unwrap()
            })
        })
        .collect();
    for task in tasks {
        let output = task.await.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Contestant for Kamal {
    fn name(&self) -> &'static str {
        "Kamal's steps"
    }

    async fn set_up(&mut self, nodes: &[Vm]) {
        let proxy = format!(
            "docker run -d --name proxy -p {PORT}:80 --entrypoint sh {} -c \
             'echo \"server {{ listen 80; return 503; }}\" >/etc/nginx/conf.d/default.conf; exec nginx -g \"daemon off;\"' >/dev/null\n",
            crate::images::NGINX
        );
        everywhere(nodes, format!("{proxy}{}", deploy("1", crate::images::NGINX, ""))).await;
    }

    async fn roll_out(&mut self, nodes: &[Vm]) {
        everywhere(nodes, deploy("2", NEW, "1")).await;
    }

    async fn clear(&mut self, nodes: &[Vm]) {
        everywhere(nodes, "docker rm -f web-2 proxy >/dev/null".to_owned()).await;
    }
}
