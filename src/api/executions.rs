//! `/api/executions`

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::execute::{By, Direction, Execution, Halt};
use crate::fault::{Code, Fault};

use super::Handle;
use super::answer::Timer;
use super::by::Asked;
use super::schema::{Accepted, Details, Executions};

/// The most executions that one answer lists.
const MOST: u32 = 200;

/// The newest executions, newest first.
#[utoipa::path(get, path = "/api/executions", operation_id = "list_executions", tag = "executions",
    responses((status = 200, description = "The newest 200.", body = Executions)))]
pub async fn list(service: Handle, timer: Timer) -> HttpResponse {
    let executions = service.executions(MOST).await;
    timer.answer(executions.map(|executions| {
        let summaries: Vec<Value> = executions.iter().map(Execution::summary).collect();
        json!({ "executions": summaries })
    }))
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
    timer.answer(result.map(|execution| execution.details()))
}

/// Lets the running actions end and begins no more.
///
/// What was done is kept.
#[utoipa::path(post, path = "/api/executions/{id}/cancel", operation_id = "cancel_execution", tag = "executions",
    params(("id" = String, Path, description = "Its id.", format = "uuid")),
    responses((status = 202, description = "It will be.", body = Accepted)))]
pub async fn cancel(service: Handle, timer: Timer, Asked(by): Asked, id: web::Path<String>) -> HttpResponse {
    let result = match parse(&id) {
        Ok(id) => service.cancel(id, by).await.map(|()| id),
        Err(fault) => Err(fault),
    };
    match result {
        Ok(id) => timer.send(StatusCode::ACCEPTED, json!({ "execution": id })),
        Err(fault) => timer.fail(&fault),
    }
}

/// Carries an execution that is held to its end.
///
/// One is held that was cut off, where the service was started with `--on-restart hold`.
#[utoipa::path(post, path = "/api/executions/{id}/resume", operation_id = "resume_execution", tag = "executions",
    params(("id" = String, Path, description = "Its id.", format = "uuid")),
    responses((status = 202, description = "It will be.", body = Accepted)))]
pub async fn resume(service: Handle, timer: Timer, Asked(by): Asked, id: web::Path<String>) -> HttpResponse {
    take_up(&service, &timer, &id, Direction::Forward, by).await
}

/// Undoes what an execution that is held has done.
#[utoipa::path(post, path = "/api/executions/{id}/rollback", operation_id = "rollback_execution", tag = "executions",
    params(("id" = String, Path, description = "Its id.", format = "uuid")),
    responses((status = 202, description = "It will be.", body = Accepted)))]
pub async fn rollback(
    service: Handle,
    timer: Timer,
    Asked(by): Asked,
    id: web::Path<String>,
) -> HttpResponse {
    take_up(&service, &timer, &id, Direction::Back, by).await
}

async fn take_up(service: &Handle, timer: &Timer, id: &str, direction: Direction, by: By) -> HttpResponse {
    let result = match parse(id) {
        Ok(id) => service.take_up(id, direction, Halt::No, by).await.map(|()| id),
        Err(fault) => Err(fault),
    };
    match result {
        Ok(id) => timer.send(StatusCode::ACCEPTED, json!({ "execution": id })),
        Err(fault) => timer.fail(&fault),
    }
}

fn parse(id: &str) -> Result<Uuid, Fault> {
    id.parse()
        .map_err(|_| Fault::new(Code::NotFound, format!("{id:?} is not the id of an execution")))
}
