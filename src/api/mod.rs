//! The REST interface: one file for each resource, which turns a request into one typed call to the
//! service. Nothing is decided here.

mod access;
mod adopt;
mod alerts;
mod allocation;
mod answer;
mod apps;
mod body;
mod by;
mod by_hand;
mod candidates;
mod cors;
mod dashboard;
mod door;
mod error;
mod events;
mod execute;
mod executions;
mod gate;
mod health;
mod host;
mod inspect;
mod intents;
mod limit;
mod logs;
mod measure;
mod nodes;
mod openapi;
mod paging;
mod plan;
mod query;
mod registration;
mod schemas;
mod solve;
mod tags;
mod topology;
mod translate;
mod usage;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::fault::{Code, Fault};
use crate::service::Service;

pub use body::BodyLimit;
pub use cors::cors;
pub use door::door;
pub use error::status;
pub use gate::Gate;
pub use host::{OwnHosts, own_host};
pub use limit::RateLimit;
pub use measure::measure;
pub use openapi::{errors_text, openapi_text};

/// Registers every path.
pub fn routes(config: &mut web::ServiceConfig) {
    let route = |path: &str| web::resource(path.to_owned()).default_service(web::to(wrong_method));
    config
        .service(
            route("/api/topology")
                .get(topology::get)
                .route(web::head().to(topology::get))
                .put(topology::put),
        )
        .service(
            route("/api/allocation")
                .get(allocation::get)
                .route(web::head().to(allocation::get)),
        )
        .service(route("/api/allocation/{vm}").delete(allocation::delete))
        .service(route("/api/adopt").post(adopt::post))
        .service(
            route("/api/inspect")
                .get(inspect::get)
                .route(web::head().to(inspect::get)),
        )
        .service(
            route("/api/usage")
                .get(usage::get)
                .route(web::head().to(usage::get)),
        )
        .service(
            route("/api/nodes")
                .get(nodes::list)
                .route(web::head().to(nodes::list)),
        )
        .service(
            route("/api/nodes/{id}")
                .get(nodes::get)
                .route(web::head().to(nodes::get))
                .put(registration::put)
                .delete(registration::delete),
        )
        .service(route("/api/candidates").post(candidates::post))
        .service(route("/api/alerts").post(alerts::post))
        .service(
            route("/api/intents")
                .get(intents::list)
                .route(web::head().to(intents::list))
                .post(intents::post),
        )
        .service(
            route("/api/intents/{id}")
                .get(intents::get)
                .route(web::head().to(intents::get))
                .delete(intents::delete),
        )
        .service(
            route("/api/apps")
                .get(apps::list)
                .route(web::head().to(apps::list)),
        )
        .service(
            route("/api/apps/{app}")
                .get(apps::get)
                .route(web::head().to(apps::get))
                .put(apps::put)
                .delete(apps::delete),
        )
        .service(route("/api/vm/capacity").put(by_hand::capacity))
        .service(route("/api/tier").put(by_hand::tier))
        .service(route("/api/logs/{vm}/{container}").get(logs::get))
        .service(route("/api/plan").get(plan::get).route(web::head().to(plan::get)))
        .service(route("/api/translate").put(translate::put).post(translate::put))
        .service(route("/api/execute").put(execute::put).post(execute::put))
        .service(route("/api/solve").post(solve::post))
        .service(
            route("/api/executions")
                .get(executions::list)
                .route(web::head().to(executions::list)),
        )
        .service(
            route("/api/executions/{id}")
                .get(executions::get)
                .route(web::head().to(executions::get)),
        )
        .service(route("/api/executions/{id}/cancel").post(executions::cancel))
        .service(route("/api/executions/{id}/resume").post(executions::resume))
        .service(route("/api/executions/{id}/rollback").post(executions::rollback))
        .service(
            route("/healthz")
                .get(health::live)
                .route(web::head().to(health::live)),
        )
        .service(
            route("/readyz")
                .get(health::ready)
                .route(web::head().to(health::ready)),
        )
        .service(
            route("/metrics")
                .get(health::metrics)
                .route(web::head().to(health::metrics)),
        )
        .service(
            route("/openapi.json")
                .get(openapi::description)
                .route(web::head().to(openapi::description)),
        )
        .service(
            route("/schemas/{name}")
                .get(schemas::get)
                .route(web::head().to(schemas::get)),
        )
        .service(
            route("/docs")
                .get(openapi::to_docs)
                .route(web::head().to(openapi::to_docs)),
        )
        .service(
            route("/docs/{path:.*}")
                .get(openapi::docs)
                .route(web::head().to(openapi::docs)),
        )
        .service(route("/api/events").get(events::get))
        .service(
            route("/")
                .get(dashboard::page)
                .route(web::head().to(dashboard::page)),
        )
        .service(
            route("/ui/{name}")
                .get(dashboard::asset)
                .route(web::head().to(dashboard::asset)),
        )
        .default_service(web::to(no_such_path));
}

async fn no_such_path(request: HttpRequest, timer: answer::Timer) -> HttpResponse {
    let message = format!("there is nothing at {}", request.path());
    timer.fail(&Fault::new(Code::NotFound, message))
}

/// The methods that a path with that pattern has, for the Allow header: those in the description.
fn allowed(pattern: &str) -> String {
    let described: Vec<_> = openapi::operations()
        .filter(|(path, _, _)| path == pattern)
        .map(|(_, method, _)| method)
        .collect();
    // Pages are not in the description; a stream without an end can't answer HEAD.
    let endless = pattern == "/api/events" || pattern.starts_with("/api/logs/");
    let has = |method: &str| match method {
        "HEAD" => !endless && (described.is_empty() || described.iter().any(|one| one == "GET")),
        "GET" if described.is_empty() => true,
        method => described.iter().any(|one| one == method),
    };
    let methods = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"];
    methods
        .into_iter()
        .filter(|method| has(method))
        .collect::<Vec<_>>()
        .join(", ")
}

async fn wrong_method(request: HttpRequest, timer: answer::Timer) -> HttpResponse {
    let allow = allowed(&request.match_pattern().unwrap_or_default());
    let message = format!("{} takes {allow}, not {}", request.path(), request.method());
    let mut response = timer.fail(&Fault::new(Code::MethodNotAllowed, message));
    if let Ok(allow) = header::HeaderValue::from_str(&allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

type Handle = web::Data<Service>;
