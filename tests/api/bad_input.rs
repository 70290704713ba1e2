//! Bad input of every kind: the status, code and place are right, and nothing is changed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::Server;

/// A valid topology, of machines that do not exist.
pub fn topology() -> Value {
    json!({
        "infrastructure": {
            "cloud_driver": { "hosts": {
                "vm1": { "docker": "unix:///nonexistent/1.sock", "ip": "127.0.0.1" },
                "vm2": { "docker": "unix:///nonexistent/2.sock", "ip": "127.0.0.2" }
            } },
            "cpu_cores": 2, "mem_units": 8
        },
        "apps": [{ "name": "rubis", "tiers": {
            "web": { "docker_image": "nginx", "ports": ["8080:80"], "depends_on": ["db"] },
            "db": { "docker_image": "mysql", "max_node": 1 }
        } }]
    })
}

/// [`topology`] with one thing changed.
fn but(pointer: &str, value: Value) -> String {
    let mut document = topology();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match parent {
        Value::Object(map) => drop(map.insert(key.to_owned(), value)),
        Value::Array(list) => list.push(value),
        _ => unreachable!(),
    }
    document.to_string()
}

fn plan(tier: &str, cpu: Value, mem: Value) -> String {
    json!({ "rubis": { tier: { "cpu_cores": cpu, "mem_units": mem } } }).to_string()
}

struct Case {
    name: &'static str,
    method: Method,
    path: &'static str,
    body: String,
    status: u16,
    code: &'static str,
    /// Words that the message must contain: they name the place.
    words: &'static str,
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let case = |name, method, path, body: String, status, code, words| Case { name, method, path, body, status, code, words };
    let topology = |name, body, words| case(name, Method::PUT, "/api/topology", body, 422, "topology_invalid", words);
    let plan_case = |name, body, words| case(name, Method::PUT, "/api/execute", body, 422, "plan_invalid", words);
    let web = "/apps/0/tiers/web";
    let at = |field: &str, value| but(&format!("{web}/{field}"), value);
    let infrastructure = |field: &str, value| but(&format!("/infrastructure/{field}"), value);
    vec![
        case("no body", Method::PUT, "/api/topology", String::new(), 400, "json_unreadable", "empty"),
        case("no JSON", Method::PUT, "/api/translate", "{\"a\":".into(), 400, "json_unreadable", "line 1 column"),
        case("a form", Method::PUT, "/api/execute", "a=1&b=2".into(), 400, "json_unreadable", "not JSON"),
        case("two documents", Method::PUT, "/api/execute", "{}{}".into(), 400, "json_unreadable", "trailing"),
        case("JSON too deep", Method::PUT, "/api/topology", "[".repeat(1000), 400, "json_unreadable", "nested deeper than 127 levels"),
        case("a body too large", Method::PUT, "/api/topology", " ".repeat(17 << 20), 413, "body_too_large", "16777216"),
        case("no such path", Method::GET, "/api/nowhere", String::new(), 404, "not_found", "/api/nowhere"),
        case("no such execution", Method::GET, "/api/executions/0", String::new(), 404, "not_found", "\"0\""),
        case("cancelling nothing", Method::POST, "/api/executions/00000000-0000-0000-0000-000000000000/cancel", String::new(), 404, "not_found", "no execution"),
        case("a wrong method", Method::DELETE, "/api/topology", String::new(), 405, "method_not_allowed", "GET, HEAD, PUT"),
        case("a wrong method with a parameter", Method::DELETE, "/api/topology?x=1", String::new(), 405, "method_not_allowed", "GET, HEAD, PUT"),
        case("a list for a topology", Method::PUT, "/api/topology", "[]".into(), 422, "topology_invalid", "an object"),
        topology("no infrastructure", "{\"apps\":[]}".into(), "infrastructure: is missing"),
        topology("no apps", "{\"infrastructure\":{}}".into(), "apps: is missing"),
        topology("apps as an object", but("/apps", json!({})), "apps: should be a list"),
        topology("a VM without cores", infrastructure("cpu_cores", json!(0)), "infrastructure.cpu_cores: is zero"),
        topology("a VM with negative memory", infrastructure("mem_units", json!(-1)), "infrastructure.mem_units"),
        topology("a VM of absurd size", infrastructure("cpu_cores", json!(1e300)), "infrastructure.cpu_cores"),
        topology("half a core where cores are pinned", infrastructure("cpu_cores", json!(1.5)), "quota"),
        topology("an unknown cpu mode", infrastructure("cpu_mode", json!("shares")), "infrastructure.cpu_mode"),
        topology("more VMs kept than allowed", but("/infrastructure/min_vms", json!(3)), "infrastructure.min_vms"),
        topology("an endpoint that is none", but("/infrastructure/cloud_driver/hosts/vm1", json!({ "docker": "vm1:2375" })), "hosts.vm1.docker"),
        topology("a host with the name of an answer's field", but("/infrastructure/cloud_driver/hosts/time", json!({ "docker": "unix:///x" })), "hosts.time"),
        topology("a host with the name of a VM to be made", but("/infrastructure/cloud_driver/hosts/new_vm0", json!({ "docker": "unix:///x" })), "hosts.new_vm0"),
        topology("two drivers at once", but("/infrastructure/cloud_driver/autoscaling_groupname", json!("g")), "keep one of them"),
        topology("a negative weight", infrastructure("weights", json!({ "vm_create": -1 })), "infrastructure.weights.vm_create"),
        topology("the same app twice", but("/apps/-", topology_app()), "apps[1].name"),
        topology("an app with a bad name", but("/apps/0/name", json!("a b")), "apps[0].name"),
        topology("a tier without an image", but("/apps/0/tiers/db", json!({})), "apps[0].tiers.db.docker_image: is missing"),
        topology("an image that is a number", at("docker_image", json!(5)), "apps[0].tiers.web.docker_image: should be a string"),
        topology("a dependency that is not there", at("depends_on", json!(["dbb"])), "did you mean db?"),
        topology("a tier that depends on itself", at("depends_on", json!(["web"])), "depends_on[0]: web depends on itself"),
        topology("an image in capitals", at("docker_image", json!("UPPER/x")), "apps[0].tiers.web.docker_image"),
        topology("an image with two tags", at("docker_image", json!("a:b:c")), "apps[0].tiers.web.docker_image"),
        topology("a volume beside the service", at("volumes", json!(["/a:/b", "../x:/y"])), "apps[0].tiers.web.volumes[1]"),
        topology("a volume with an unknown option", at("volumes", json!(["xy:/y:zz"])), "apps[0].tiers.web.volumes[0]"),
        topology("a cycle", but("/apps/0/tiers/db", json!({ "docker_image": "x", "depends_on": ["web"] })), "rubis_db -> rubis_web -> rubis_db"),
        topology("a port that is none", at("ports", json!(["99999:80"])), "apps[0].tiers.web.ports[0]"),
        topology("port ranges that do not match", at("ports", json!(["80-90:80-81"])), "different lengths"),
        topology("max_node zero", at("max_node", json!(0)), "apps[0].tiers.web.max_node"),
        topology("min_node above max_node", but("/apps/0/tiers/db", json!({ "docker_image": "x", "max_node": 1, "min_node": 2 })), "apps[0].tiers.db.min_node"),
        topology("a hook that leaves its folder", at("on_node_scale", json!("../../etc/passwd")), "apps[0].tiers.web.on_node_scale"),
        topology("a hook from nowhere", at("on_node_scale", json!("hook.sh")), "infrastructure.hooks_git_repo"),
        topology("several shapes for one group", json!({ "infrastructure": { "cloud_driver": { "autoscaling_groupname": "g" }, "shapes": [
            { "name": "s", "cpu_cores": 1, "mem_units": 1 }, { "name": "l", "cpu_cores": 2, "mem_units": 2 }] }, "apps": [] }).to_string(), "an Auto Scaling group launches VMs of one shape"),
        plan_case("a list for a plan", "[1]".into(), "an object"),
        plan_case("an unknown app", "{\"rubi\":{\"db\":{}}}".into(), "did you mean rubis?"),
        plan_case("an unknown tier", plan("dbs", json!(1), json!(1)), "rubis.dbs"),
        plan_case("an unknown flat name", "{\"rubis_dbs\":{\"cpu_cores\":1,\"mem_units\":1}}".into(), "did you mean rubis_db?"),
        plan_case("negative cores", plan("db", json!(-2), json!(1)), "rubis.db.cpu_cores"),
        plan_case("half a core", plan("db", json!(0.5), json!(1)), "rubis.db.cpu_cores"),
        plan_case("memory in words", plan("db", json!(1), json!("1g")), "rubis.db.mem_units: should be a number"),
        plan_case("cores without memory", plan("db", json!(1), json!(0)), "rubis.db"),
        plan_case("absurd memory", plan("db", json!(1), json!(1e18)), "rubis.db.mem_units"),
        plan_case("a missing amount", "{\"rubis\":{\"db\":{\"cpu_cores\":1}}}".into(), "rubis.db.mem_units: is missing"),
        case("an app twice in one object", Method::PUT, "/api/translate", r#"{"rubis": {}, "rubis": {}}"#.to_owned(), 400, "json_unreadable", "\"rubis\" occurs twice"),
        case("a tier twice in one object", Method::PUT, "/api/topology", self::topology().to_string().replace("\"web\":", "\"db\":"), 400, "json_unreadable", "\"db\" occurs twice"),
        plan_case("a tier twice", json!({ "rubis_db": { "cpu_cores": 1, "mem_units": 1 }, "rubis": { "db": { "cpu_cores": 1, "mem_units": 1 } } }).to_string(), "twice"),
        case("more than one VM has, on one VM", Method::PUT, "/api/translate", plan("db", json!(3), json!(1)), 422, "infeasible", "rubis_db"),
        case("more than all VMs have", Method::PUT, "/api/translate", plan("web", json!(5), json!(5)), 422, "infeasible", "VM"),
        case("engines that are not there", Method::PUT, "/api/execute", plan("db", json!(1), json!(1)), 502, "engine_unreachable", "vm1"),
        case("a what-if without a plan", Method::POST, "/api/solve", "{\"topology\":{}}".into(), 400, "request_invalid", "plan is missing"),
        case("a what-if of a full VM", Method::POST, "/api/solve", what_if(), 422, "allocation_invalid", "allocation.v"),
    ]
}

fn topology_app() -> Value {
    json!({ "name": "rubis", "tiers": {} })
}

fn what_if() -> String {
    let held = json!({ "rubis_db": { "cpu_cores": 2, "mem_units": 1 } });
    let vm = json!({ "ip": "127.0.0.1", "cpu_cores": 1, "mem_units": 1, "used": held });
    json!({ "topology": topology(), "plan": {}, "allocation": { "v": vm } }).to_string()
}

#[tokio::test]
async fn bad_input_is_told_with_its_place_and_changes_nothing() {
    let server = Server::start();
    assert_eq!(server.put("/api/topology", &topology()).await.status, 200);
    let cases = cases();
    assert!(cases.len() >= 40);
    for case in cases {
        let name = case.name;
        let answer = server.send(case.method, case.path, case.body).await;
        assert_eq!(
            (answer.status, answer.body["code"].as_str()),
            (case.status, Some(case.code)),
            "{name}: {}",
            answer.body
        );
        let message = answer.body["error"].as_str().unwrap_or_default();
        assert!(
            message.contains(case.words),
            "{name}: {message:?} does not say {:?}",
            case.words
        );
        assert!(answer.body["details"].is_array(), "{name}: {}", answer.body);
        assert!(
            answer.body["time"]
                .as_str()
                .is_some_and(|time| time.parse::<f64>().is_ok()),
            "{name}: {}",
            answer.body
        );
        let mut kept = server.get("/api/topology").await.body;
        kept.as_object_mut().unwrap().remove("time");
        assert_eq!(kept, topology(), "{name}");
        assert!(server.holds_nothing().await, "{name}");
    }
    assert_eq!(server.get("/api/executions").await.body["executions"], json!([]));
}

#[tokio::test]
async fn without_a_topology_a_plan_is_told_to_wait_for_one() {
    let server = Server::start();
    for path in ["/api/translate", "/api/execute"] {
        let answer = server.put(path, &json!({})).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (409, &json!("topology_missing"))
        );
    }
    let mut topology = server.get("/api/topology").await.body;
    assert!(topology.as_object_mut().unwrap().remove("time").is_some());
    assert_eq!(topology, json!({}));
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones_in_the_allow_header() {
    let server = Server::start();
    for (method, path, allow) in [
        (Method::POST, "/api/topology", "GET, HEAD, PUT"),
        (Method::GET, "/api/execute", "PUT, POST"),
        (Method::PUT, "/api/solve", "POST"),
        (Method::PATCH, "/api/allocation", "GET, HEAD"),
        (Method::GET, "/api/allocation/vm1", "DELETE"),
        (Method::PUT, "/docs", "GET, HEAD"),
    ] {
        let answer = server.send(method, path, "{}").await;
        assert_eq!(
            (answer.status, answer.headers["allow"].to_str().unwrap()),
            (405, allow),
            "{path}"
        );
    }
}

#[tokio::test]
async fn head_is_answered_as_get_is_without_a_body() {
    let server = Server::start();
    for path in [
        "/api/topology",
        "/api/allocation",
        "/api/inspect",
        "/api/executions",
        "/healthz",
    ] {
        assert_eq!(server.head(path).await, (200, String::new()), "{path}");
    }
}
