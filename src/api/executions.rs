//! `/api/executions`

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::execute::{By, Details, Direction, Standing, Summary};
use crate::fault::{Code, Fault};
use crate::journal::Page;

use super::Handle;
use super::answer::Timer;
use super::body::NoBody;
use super::by::Asked;
use super::paging;

/// The request was accepted; the execution shows its effect.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "execution": "01a1fc6c-c051-7783-a1ac-3b147b0973c0", "time": "0.01" }))]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// The execution's id.
    #[schema(value_type = String, format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c0")]
    pub execution: Uuid,
}

/// A page of the history, newest first.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "executions": [], "next": null, "time": "0.00" }))]
#[serde(deny_unknown_fields)]
pub struct Executions {
    /// The executions of this page.
    executions: Vec<Summary>,
    /// What to give as `before` for the next page; null on the last page.
    #[schema(value_type = Option<String>, format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c0")]
    next: Option<Uuid>,
}

/// A page of the history, newest first.
///
/// Executions are ordered by when they began, even if the clock was set in between. Give `next` as
/// `before` for the next page; it is null on the last page.
#[utoipa::path(get, path = "/api/executions", operation_id = "list_executions", tag = "executions",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
            description = "How many at most; 200 unless given."),
        ("before" = Option<String>, Query, format = "uuid",
            description = "Only executions that began before this one."),
        ("state" = Option<Standing>, Query, description = "Only executions in this state."),
        ("since" = Option<String>, Query, format = "date-time",
            description = "Only executions that were accepted then or later."),
    ),
    responses((status = 200, description = "A page of the history.", body = Executions)))]
pub async fn list(request: HttpRequest, service: Handle, timer: Timer) -> HttpResponse {
    let listed = match page(request.query_string()) {
        Ok(page) => service.executions(page).await,
        Err(fault) => Err(fault),
    };
    timer.give(listed.map(|listed| {
        let last = listed.executions.last().map(|last| last.id);
        let next = last.filter(|_| listed.more);
        Executions {
            executions: listed.executions,
            next,
        }
    }))
}

/// The page that a query asks for.
fn page(query: &str) -> Result<Page, Fault> {
    let states: Vec<&str> = Standing::ALL.iter().map(|state| state.as_str()).collect();
    paging::page(query, "an execution", &states, Standing::parse)
}

/// One execution with every action: its state, times, attempts, error and hook output.
#[utoipa::path(get, path = "/api/executions/{id}", operation_id = "get_execution", tag = "executions",
    params(("id" = String, Path, description = "Its id.", format = "uuid")),
    responses((status = 200, description = "The execution.", body = Details)))]
pub async fn get(service: Handle, timer: Timer, id: web::Path<String>) -> HttpResponse {
    let result = match parse(&id) {
        Ok(id) => service.execution(id).await,
        Err(fault) => Err(fault),
    };
    timer.answer(result.map(|execution| json!(execution.details())))
}

/// Lets the running actions end and begins no more.
///
/// What was done is kept. The cancel is recorded before the answer, and survives restarts: the
/// execution can only end as `cancelled`.
#[utoipa::path(post, path = "/api/executions/{id}/cancel", operation_id = "cancel_execution", tag = "executions",
    params(("id" = String, Path, description = "Its id.", format = "uuid")),
    responses((status = 202, description = "It will be cancelled.", body = Accepted)))]
pub async fn cancel(
    service: Handle,
    timer: Timer,
    Asked(by): Asked,
    id: web::Path<String>,
    NoBody(body): NoBody,
) -> HttpResponse {
    let result = match body.and_then(|()| parse(&id)) {
        Ok(id) => service.cancel(id, by).await.map(|()| id),
        Err(fault) => Err(fault),
    };
    match result {
        Ok(id) => timer.send(StatusCode::ACCEPTED, json!(Accepted { execution: id })),
        Err(fault) => timer.fail(&fault),
    }
}

/// Continues an execution that is held.
///
/// An execution is held if it was cut off and the service was started with `--on-restart hold`. If
/// several clients ask for this, or for a rollback, only one is accepted.
#[utoipa::path(post, path = "/api/executions/{id}/resume", operation_id = "resume_execution", tag = "executions",
    params(("id" = String, Path, description = "Its id.", format = "uuid")),
    responses((status = 202, description = "It will be continued.", body = Accepted)))]
pub async fn resume(
    service: Handle,
    timer: Timer,
    Asked(by): Asked,
    id: web::Path<String>,
    NoBody(body): NoBody,
) -> HttpResponse {
    take_up(
        &service,
        &timer,
        body.and_then(|()| parse(&id)),
        Direction::Forward,
        by,
    )
    .await
}

/// Undoes what an execution that is held has done.
#[utoipa::path(post, path = "/api/executions/{id}/rollback", operation_id = "rollback_execution", tag = "executions",
    params(("id" = String, Path, description = "Its id.", format = "uuid")),
    responses((status = 202, description = "It will be undone.", body = Accepted)))]
pub async fn rollback(
    service: Handle,
    timer: Timer,
    Asked(by): Asked,
    id: web::Path<String>,
    NoBody(body): NoBody,
) -> HttpResponse {
    take_up(
        &service,
        &timer,
        body.and_then(|()| parse(&id)),
        Direction::Back,
        by,
    )
    .await
}

async fn take_up(
    service: &Handle,
    timer: &Timer,
    id: Result<Uuid, Fault>,
    direction: Direction,
    by: By,
) -> HttpResponse {
    let result = match id {
        Ok(id) => service.take_up(id, direction, by).await.map(|()| id),
        Err(fault) => Err(fault),
    };
    match result {
        Ok(id) => timer.send(StatusCode::ACCEPTED, json!(Accepted { execution: id })),
        Err(fault) => timer.fail(&fault),
    }
}

fn parse(id: &str) -> Result<Uuid, Fault> {
    id.parse()
        .map_err(|_| Fault::new(Code::NotFound, format!("{id:?} is not the id of an execution")))
}
