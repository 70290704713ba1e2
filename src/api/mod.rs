//! The REST interface: one file per resource, each turning a request into one typed call on the
//! service. Nothing is decided here.

mod access;
mod allocation;
mod answer;
mod body;
mod by;
mod dashboard;
mod door;
mod error;
mod events;
mod execute;
mod executions;
mod health;
mod inspect;
mod measure;
mod openapi;
mod schema;
mod solve;
mod tags;
mod topology;
mod translate;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::fault::{Code, Fault};
use crate::service::Service;

pub use body::BodyLimit;
pub use door::{Gate, door};
pub use error::status;
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
        .service(
            route("/api/inspect")
                .get(inspect::get)
                .route(web::head().to(inspect::get)),
        )
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

/// Methods each path takes, for the Allow header.
fn allowed(path: &str) -> &'static str {
    match path {
        "/api/topology" => "GET, HEAD, PUT",
        "/api/translate" | "/api/execute" => "PUT, POST",
        "/api/solve" => "POST",
        path if path.starts_with("/api/allocation/") => "DELETE",
        path if ["/cancel", "/resume", "/rollback"]
            .iter()
            .any(|end| path.ends_with(end)) =>
        {
            "POST"
        }
        "/api/events" => "GET",
        _ => "GET, HEAD",
    }
}

async fn wrong_method(request: HttpRequest, timer: answer::Timer) -> HttpResponse {
    let allow = allowed(request.path());
    let message = format!("{} takes {allow}, not {}", request.path(), request.method());
    let mut response = timer.fail(&Fault::new(Code::MethodNotAllowed, message));
    response
        .headers_mut()
        .insert(header::ALLOW, header::HeaderValue::from_static(allow));
    response
}

type Handle = web::Data<Service>;
