//! `/api/executions`

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::execute::{Direction, Execution, Halt};
use crate::fault::{Code, Fault};

use super::Handle;
use super::answer::Timer;

/// The most executions that one answer lists.
const MOST: u32 = 200;

/// The newest executions, newest first.
pub async fn list(service: Handle, timer: Timer) -> HttpResponse {
    let executions = service.executions(MOST).await;
    timer.answer(executions.map(|executions| {
        let summaries: Vec<Value> = executions.iter().map(Execution::summary).collect();
        json!({ "executions": summaries })
    }))
}

/// One execution with every action.
pub async fn get(service: Handle, timer: Timer, id: web::Path<String>) -> HttpResponse {
    let result = match parse(&id) {
        Ok(id) => service.execution(id).await,
        Err(fault) => Err(fault),
    };
    timer.answer(result.map(|execution| execution.details()))
}

/// Lets the running actions end and begins no more.
pub async fn cancel(service: Handle, timer: Timer, id: web::Path<String>) -> HttpResponse {
    let result = match parse(&id) {
        Ok(id) => service.cancel(id).await.map(|()| id),
        Err(fault) => Err(fault),
    };
    match result {
        Ok(id) => timer.send(StatusCode::ACCEPTED, json!({ "execution": id })),
        Err(fault) => timer.fail(&fault),
    }
}

/// Carries an execution that is held to its end.
pub async fn resume(service: Handle, timer: Timer, id: web::Path<String>) -> HttpResponse {
    take_up(&service, &timer, &id, Direction::Forward).await
}

/// Undoes what an execution that is held has done.
pub async fn rollback(service: Handle, timer: Timer, id: web::Path<String>) -> HttpResponse {
    take_up(&service, &timer, &id, Direction::Back).await
}

async fn take_up(service: &Handle, timer: &Timer, id: &str, direction: Direction) -> HttpResponse {
    let result = match parse(id) {
        Ok(id) => service.take_up(id, direction, Halt::No).await.map(|()| id),
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
