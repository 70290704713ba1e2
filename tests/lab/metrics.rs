//! What a real execution leaves in the metrics.

use serde_json::json;

use crate::http;
use crate::service::Service;
use crate::topologies::{idle, on_hosts, plan, with};

#[test]
fn an_execution_is_counted_with_its_times_and_its_calls_to_engines() {
    in_lab!(2, async |lab| {
        let service = Service::start_with(&[("MAPEK_OBSERVE_EVERY_S", "1")]);
        let two = with(idle(), json!({"depends_on": ["one"]}));
        service
            .put_topology(&on_hosts(lab.hosts(2), json!({"one": idle(), "two": two})))
            .await;
        service.execute(&plan(&[("one", 1.0, 1), ("two", 2.0, 5)])).await;
        let (status, text) = http::get(&service.api.url("/metrics")).await;
        assert_eq!(status, 200);
        for line in [
            "mapek_executions_total{outcome=\"succeeded\"} 1",
            "mapek_execution_duration_seconds_count{outcome=\"succeeded\"} 1",
            "mapek_execution_stage_duration_seconds_count{stage=\"1\"} 1",
            "mapek_actions_total{kind=\"create_vm\",outcome=\"succeeded\"} 2",
            "mapek_action_duration_seconds_count{kind=\"create_vm\"} 2",
            "mapek_cpu_cores{share=\"used\"} 3.0",
            "mapek_cpu_cores{share=\"free\"} 1.0",
            "mapek_memory_units{share=\"used\"} 6",
            "mapek_memory_units{share=\"free\"} 2",
            "mapek_vms 2",
            "mapek_drift_containers 0",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
        for call in [
            "container_list",
            "container_create",
            "container_start",
            "container_inspect",
        ] {
            let series = format!(
                "mapek_remote_calls_total{{service=\"docker\",call=\"{call}\",outcome=\"answered\"}}"
            );
            assert!(text.contains(&series), "{series} is not in\n{text}");
        }
        assert!(
            !text.contains("call=\"other\""),
            "a call without a name in\n{text}"
        );

        // An engine that is gone shows.
        lab.vms[0].unplug();
        service.api.get("/api/inspect").await.expect(200);
        lab.vms[0].plug_in();
        let (_, text) = http::get(&service.api.url("/metrics")).await;
        let lost = |line: &str| {
            line.contains("service=\"docker\"") && (line.contains("failed") || line.contains("given_up"))
        };
        assert!(text.lines().any(lost), "{text}");
    });
}
