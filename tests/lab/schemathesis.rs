//! Requests made up from `openapi.json`, with and without a token: nothing breaks, and every answer
//! is as described.

use std::process::Command;

use serde_json::json;

use crate::images;
use crate::network;
use crate::service::Service;

const TOKEN: &str = "a-token-of-the-lab";

/// A number from the environment: `make fuzz-api` asks for more.
fn wanted(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|value| value.parse().ok())
        .unwrap_or(otherwise)
}

/// Makes up requests; an error contains the report of what was wrong.
fn run(arguments: &[&str]) -> Result<(), String> {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab");
    let cases = wanted("MAPEK_FUZZ_CASES", 6).to_string();
    let output = Command::new(images::schemathesis())
        .arg(format!("--config-file={here}/schemathesis.toml"))
        .args(["run", concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json")])
        .args(["--url", &format!("http://{}:8000", network::HOST)])
        // Its answer has no end.
        .args(["--exclude-path", "/api/events"])
        .args([
            "--checks",
            "all",
            "--continue-on-failure",
            "--max-examples",
            &cases,
            "--request-timeout",
            "60",
        ])
        .args([
            "--suppress-health-check",
            "all",
            "--warnings",
            "off",
            "--no-color",
        ])
        .args(arguments)
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", here)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir("/run/lab")
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &*String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    if output.status.success() {
        Ok(())
    } else {
        Err(said)
    }
}

#[test]
fn made_up_requests_break_nothing_with_and_without_a_token() {
    in_lab!(1, async |lab| {
        let mut service = Service::start_with(&[
            ("MAPEK_TOKENS", &format!("lab:write:{TOKEN}")),
            ("DOCKER_HOST", &lab.vms[0].endpoint()),
            ("MAPEK_SOLVE_DEADLINE_MS", "200"),
            ("MAPEK_RETRY_FOR_S", "1"),
            // Made-up requests come faster than those of any planner.
            ("MAPEK_RATE_LIMIT", "0"),
        ]);
        service.api.take_token(TOKEN);
        let topology = json!({
            "infrastructure": {"cpu_cores": 2, "mem_units": 4, "mem_unit_mb": 64},
            "apps": [{"name": "rubis", "tiers": {"db": {"docker_image": images::BUSYBOX,
                "entrypoint_params": "sleep 1000", "stop_grace_s": 0}}}],
        });
        service.put_topology(&topology).await;
        service
            .execute(&json!({"rubis_db": {"cpu_cores": 1, "mem_units": 1}}))
            .await;
        let seed = wanted("MAPEK_FUZZ_SEED", 1).to_string();
        let bearer = format!("Authorization: Bearer {TOKEN}");
        let with = run(&["--seed", &seed, "--header", &bearer]);
        let without = run(&["--seed", &seed, "--phases", "examples,fuzzing"]);
        assert!(
            with.is_ok() && without.is_ok(),
            "with a token: {}, without: {}",
            with.is_ok(),
            without.is_ok()
        );
        assert!(service.api.get("/healthz").await.expect(200)["status"] == "ok");
        let log = service.daemon.log();
        assert!(!log.contains("panicked"), "{log}");
        assert!(!log.contains(TOKEN), "the token is in the log");
    });
}
