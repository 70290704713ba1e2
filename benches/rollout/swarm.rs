//! Docker's Swarm: a service on every node with a port in host mode, and `docker service update`, with its defaults.

use std::time::Duration;

use crate::daemons::Vm;
use crate::down::LABEL;
use crate::patience::Patience;
use crate::{Contestant, NEW, PORT, START};

/// The three nodes, the first of which manages.
pub struct Swarm;

impl Contestant for Swarm {
    fn name(&self) -> &'static str {
        "`docker service update`"
    }

    async fn set_up(&mut self, nodes: &[Vm]) {
        let manager = &nodes[0];
        manager.docker(&["swarm", "init", "--advertise-addr", &manager.ip]);
        let token = manager.docker(&["swarm", "join-token", "-q", "worker"]);
        for node in &nodes[1..] {
            let at = format!("{}:2377", manager.ip);
            node.docker(&["swarm", "join", "--token", token.trim(), &at]);
        }
        let mut patience = Patience::every(Duration::from_millis(100));
        while manager
            .docker(&["node", "ls", "--format", "{{.Status}}"])
            .lines()
            .filter(|state| *state == "Ready")
            .count()
            < nodes.len()
        {
            patience
                .wait(|| "the swarm's nodes are not ready".to_owned())
                .await;
        }
        let publish = format!("mode=host,target=80,published={PORT}");
        let label = format!("{LABEL}=yes");
        manager.docker(&[
            "service",
            "create",
            "--name",
            "web",
            "--mode",
            "global",
            "--publish",
            &publish,
            "--container-label",
            &label,
            "--no-resolve-image",
            "--stop-signal",
            "SIGQUIT",
            "--health-cmd",
            "wget -q -O /dev/null http://127.0.0.1/",
            "--health-interval",
            "1s",
            "--entrypoint",
            "sh",
            crate::images::NGINX,
            "-c",
            START,
        ]);
    }

    async fn roll_out(&mut self, nodes: &[Vm]) {
        // The command waits for the end, and would keep the flows of requests waiting.
        let socket = nodes[0].socket();
        let update = tokio::task::spawn_blocking(move || {
            std::process::Command::new("docker")
                .arg("--host")
                .arg(format!("unix://{}", socket.display()))
                .args([
                    "service",
                    "update",
                    "--quiet",
                    "--no-resolve-image",
                    "--image",
                    NEW,
                    "web",
                ])
                .output()
                .unwrap()
        });
        let output = update.await.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    async fn clear(&mut self, nodes: &[Vm]) {
        for node in nodes.iter().rev() {
            node.docker(&["swarm", "leave", "--force"]);
        }
        let mut patience = Patience::every(Duration::from_millis(100));
        while nodes.iter().any(|node| !node.containers().is_empty()) {
            patience.wait(|| "the swarm's containers stay".to_owned()).await;
        }
    }
}
