//! `mapek`: a new topology, and the same plan.

use std::path::Path;

use serde_json::{Value, json};

use crate::daemons::Vm;
use crate::down::LABEL;
use crate::service::Service;
use crate::topologies::{nothing, plan};
use crate::{Contestant, NEW, PORT, START};

/// The service.
pub struct Mapek {
    service: Service,
}

impl Mapek {
    /// Starts it with its state on a real disk.
    pub fn start(_: &[Vm]) -> Self {
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-rollout");
        let _ = std::fs::remove_dir_all(&data);
        Self {
            service: Service::start_at(&data, &[("MAPEK_OBSERVE_EVERY_S", "0"), ("MAPEK_LOG", "warn")]),
        }
    }

    fn topology(nodes: &[Vm], image: &str) -> Value {
        let hosts: serde_json::Map<String, Value> = nodes
            .iter()
            .map(|vm| (vm.name.clone(), json!({"docker": vm.endpoint()})))
            .collect();
        json!({
            "infrastructure": {"cloud_driver": {"hosts": hosts}, "cpu_cores": 2, "mem_units": 8, "mem_unit_mb": 64},
            "apps": [{"name": "shop", "tiers": {"web": {
                "docker_image": image, "command": ["sh", "-c", START], "ports": [format!("{PORT}:80")],
                "labels": {LABEL: "yes"}, "stop_signal": "SIGQUIT",
                "probe": {"http": {"port": 80}, "interval_s": 1},
            }}}],
        })
    }

    /// A server on each node.
    fn plan() -> Value {
        let mut all = plan(&[("web", 6.0, 6)]);
        all["shop"] = all["rubis"].take();
        all.as_object_mut().unwrap().remove("rubis");
        all
    }
}

impl Contestant for Mapek {
    fn name(&self) -> &'static str {
        "`mapek execute`"
    }

    async fn set_up(&mut self, nodes: &[Vm]) {
        self.service
            .put_topology(&Self::topology(nodes, crate::images::NGINX))
            .await;
        self.service.execute(&Self::plan()).await;
    }

    async fn roll_out(&mut self, nodes: &[Vm]) {
        self.service.put_topology(&Self::topology(nodes, NEW)).await;
        self.service.execute(&Self::plan()).await;
    }

    async fn clear(&mut self, _: &[Vm]) {
        self.service.execute(&nothing()).await;
    }
}
