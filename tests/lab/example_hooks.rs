//! The hooks in `hooks/`, run as `mapek` runs them, in a container with a real nginx.

use std::process::Output;

use serde_json::{Value, json};

use crate::daemons::Vm;
use crate::http::get;
use crate::images::NGINX;
use crate::process::said;

const POOL: &str = "/ecoware/hooks/tier_hooks/reload_server_pool.sh";
const WORKERS: &str = "/ecoware/hooks/scale_hooks/set_nginx_workers.sh";

/// A balancer in the container `lb`, reached at port 8080, with the hooks in it.
fn start_balancer(vm: &Vm) {
    let run = [
        "run",
        "-d",
        "--name",
        "lb",
        "-p",
        "8080:80",
        "-e",
        "UPSTREAM_PORT=8081",
    ];
    vm.docker(&[&run[..], &[NGINX, "balancer"]].concat());
    let hooks = concat!(env!("CARGO_MANIFEST_DIR"), "/hooks");
    vm.docker(&["cp", hooks, "lb:/ecoware/"]);
}

fn tell_pool(vm: &Vm, allocation: &str) -> Output {
    let exec = ["exec", "-e", "MAPEK_DEPENDENCIES=shop_app", "lb", POOL];
    vm.try_docker(&[&exec[..], &["{}", allocation]].concat())
}

fn tell_workers(vm: &Vm, cores: &str) -> Output {
    let cores = format!("MAPEK_CPU_CORES={cores}");
    vm.try_docker(&["exec", "-e", &cores, "lb", WORKERS])
}

fn file(vm: &Vm, path: &str) -> String {
    vm.docker(&["exec", "lb", "cat", path])
}

/// The lines of the pool in nginx's configuration.
fn pool(vm: &Vm) -> Vec<String> {
    let site = file(vm, "/etc/nginx/conf.d/default.conf");
    let servers = site.lines().map(str::trim);
    let servers = servers.filter(|line| line.starts_with("server ") && line.ends_with(';'));
    servers
        .map(|line| line.split(" max_fails").next().unwrap()[7..].to_owned())
        .collect()
}

/// A VM of an allocation with `cores` of the tier `tier` on it.
fn vm_with(ip: &str, tier: &str, cores: f64) -> Value {
    let used = json!({ tier: {"cpu_cores": cores, "mem_units": 1} });
    json!({"ip": ip, "cpu_cores": 2, "mem_units": 4, "used": used})
}

#[test]
fn the_pool_hook_sends_requests_to_the_servers_of_the_new_allocation() {
    in_lab!(3, async |lab| {
        start_balancer(&lab.vms[0]);
        let address = format!("http://{}:8080/", lab.vms[0].ip);
        assert_eq!(
            get(&address).await,
            (503, "no server in the pool yet\n".to_owned())
        );

        let mut expected = Vec::new();
        for vm in &lab.vms[1..] {
            vm.docker(&["run", "-d", "--name", "app", "-p", "8081:80", NGINX]);
            expected.push(format!("app server {}\n", vm.hostname("app")));
        }
        expected.sort();
        let [vm2, vm3] = [&lab.vms[1].ip, &lab.vms[2].ip];
        let both = json!({
            "vm1": vm_with(&lab.vms[0].ip, "shop_db", 1.0),
            "vm2": vm_with(vm2, "shop_app", 1.0),
            "vm3": vm_with(vm3, "shop_app", 1.0),
            "time": "0.00",
        });
        let told = tell_pool(&lab.vms[0], &both.to_string());
        assert!(told.status.success(), "{}", said(&told));
        let mut seen = vec![get(&address).await.1, get(&address).await.1];
        seen.sort();
        assert_eq!(seen, expected, "each server answers one of two requests");

        // When the hook has ended, no request goes to a server that has left the pool.
        let one = json!({"vm3": vm_with(vm3, "shop_app", 1.0)});
        assert!(tell_pool(&lab.vms[0], &one.to_string()).status.success());
        let left = (200, format!("app server {}\n", lab.vms[2].hostname("app")));
        for _ in 0..10 {
            assert_eq!(get(&address).await, left);
        }

        let told = tell_pool(&lab.vms[0], &one.to_string());
        assert_eq!(said(&told), "the pool is unchanged");

        assert!(tell_pool(&lab.vms[0], "{}").status.success());
        assert_eq!(get(&address).await, (503, "no server in the pool\n".to_owned()));
    });
}

#[test]
fn the_pool_hook_reads_any_json_and_refuses_what_is_not_json() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        start_balancer(vm);
        let odd = r#"{ "a\"b{\\": {"used": { "shop_app" :
            {"mem_units":1,	"cpu_cores" : 1.5 }, "other":{}} ,
            "x":[1,{"used":{"shop_app":{"cpu_cores":9}}},"]"], "ip"
            : "127.0.0.5"},
            "shop_app": {"ip": "127.0.0.6", "used": {"shop_db": {"cpu_cores": 3}}},
            "v2":{"used":{"shop_app":{"cpu_cores":5e-1}},"ip":"::1"}, "time": "0.01"}"#;
        let told = tell_pool(vm, odd);
        assert!(told.status.success(), "{}", said(&told));
        assert_eq!(
            said(&told),
            "the pool is now: 127.0.0.5 (weight 3), [::1] (weight 1)"
        );
        let good = ["127.0.0.5:8081 weight=3", "[::1]:8081 weight=1"];
        assert_eq!(pool(vm), good);

        let nonsense = [
            ("not json at all }", "a bracket too many"),
            (
                r#"{"vm1": {"ip": "127.0.0.1", "used": {}}"#,
                "a bracket is missing",
            ),
            (r#"{"vm1": {"ip": "127.0.0.1"#, "a string without an end"),
            (
                r#"{"vm1": {"ip": "x; } evil", "used": {"shop_app": {"cpu_cores": 1}}}}"#,
                r#"VM vm1 has the address "x; } evil""#,
            ),
            (
                r#"{"vm1": {"used": {"shop_app": {"cpu_cores": 1}}}}"#,
                r#"VM vm1 has the address """#,
            ),
        ];
        for (allocation, why) in nonsense {
            let told = tell_pool(vm, allocation);
            assert!(!told.status.success(), "{allocation}");
            assert!(said(&told).contains(why), "{allocation}: {}", said(&told));
            assert_eq!(pool(vm), good, "{allocation}");
        }
    });
}

#[test]
fn the_pool_hook_puts_back_the_site_that_worked() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        start_balancer(vm);
        let one = json!({"vm1": vm_with("127.0.0.1", "shop_app", 1.0)}).to_string();
        let exec = ["exec", "-e", "MAPEK_DEPENDENCIES=shop_app", "-e"];
        let bad = ["UPSTREAM_PORT=none", "lb", POOL, "{}", &one];
        let told = vm.try_docker(&[&exec[..], &bad[..]].concat());
        assert!(!told.status.success());
        assert!(
            said(&told).contains("the pool is left as it was"),
            "{}",
            said(&told)
        );
        let answer = get(&format!("http://{}:8080/", vm.ip)).await;
        assert_eq!(answer, (503, "no server in the pool yet\n".to_owned()));

        // And it is not in the way of the next one.
        assert!(tell_pool(vm, &one).status.success());
        assert_eq!(pool(vm), ["127.0.0.1:8081 weight=1"]);
    });
}

#[test]
fn the_workers_hook_gives_nginx_two_workers_a_core_and_one_more() {
    in_lab!(1, async |lab| {
        let vm = &lab.vms[0];
        start_balancer(vm);
        let config = |vm| {
            let all = file(vm, "/etc/nginx/nginx.conf");
            let lines: Vec<_> = all.lines().filter(|line| line.contains("worker_proc")).collect();
            lines.join("\n")
        };
        for (cores, workers) in [("1", 3), ("2", 5), ("1.5", 4), ("0.25", 2), ("1.01", 4)] {
            let told = tell_workers(vm, cores);
            assert!(told.status.success(), "{cores}: {}", said(&told));
            assert_eq!(
                config(vm),
                format!("worker_processes {workers};"),
                "{cores} cores"
            );
        }
        let processes = || vm.docker(&["exec", "lb", "ps"]).matches("worker process").count();
        crate::process::wait_until(
            || format!("{} workers run, not 4", processes()),
            || processes() == 4,
        );

        let again = tell_workers(vm, "1.01");
        assert_eq!(said(&again), "nginx has 4 workers already");
        for nonsense in ["", "0", "-1", "two", "1; evil"] {
            let told = tell_workers(vm, nonsense);
            assert!(
                said(&told).contains("not a number of cores"),
                "{nonsense}: {}",
                said(&told)
            );
            assert_eq!(config(vm), "worker_processes 4;");
        }
    });
}
