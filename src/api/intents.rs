//! `/api/intents`

use std::str::FromStr;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use serde_json::{Value, json};
use strum::VariantNames;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::fault::{Code, Fault};
use crate::journal::IntentPage;
use crate::model::intent::{Destination, Intent, State, Wanted};
use crate::model::{TierId, VmId};

use super::Handle;
use super::answer::Timer;
use super::body::{JsonBody, NoBody};
use super::by::Asked;
use super::paging;

/// One intent, and the `time` spent.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "id": "01a1fc6c-c051-7783-a1ac-3b147b0973c0", "kind": "cordon", "node": "vm1", "state": "done",
    "execution": null, "reasons": [], "by": "operator", "created_at": "2026-11-21T06:00:00Z",
    "changed_at": "2026-11-21T06:00:00Z", "time": "0.01" }))]
pub struct IntentShown {
    #[serde(flatten)]
    intent: Intent,
}

impl IntentShown {
    /// As it is answered.
    pub const fn of(intent: Intent) -> Self {
        Self { intent }
    }
}

/// A page of the intents, newest first.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "intents": [], "next": null, "time": "0.00" }))]
#[serde(deny_unknown_fields)]
pub struct Intents {
    /// The intents of this page.
    intents: Vec<Intent>,
    /// What to give as `before` for the next page; null on the last page.
    #[schema(value_type = Option<String>, format = "uuid", example = "01a1fc6c-c051-7783-a1ac-3b147b0973c0")]
    next: Option<Uuid>,
}

/// Wants something of nodes, or of where a tier is.
///
/// `cordon`: the node takes nothing new. `uncordon`: it may be used again. `drain`: it takes
/// nothing new, and everything on it is moved elsewhere. `migrate`: a container of the tier is
/// moved to another node. It is started there; once it is healthy, the dependency hooks run, and
/// the container that it replaces is stopped. If it does not come up, all of that is undone. The
/// intent is recorded before the answer. If the same intent is already there and not done yet, the
/// answer is that one.
#[utoipa::path(post, path = "/api/intents", operation_id = "intend", tag = "intents",
    request_body(content = Wanted, content_type = "application/json"),
    responses((status = 202, description = "It was accepted.", body = IntentShown,
        headers(("Location" = String, description = "Where to look for it.")))))]
pub async fn post(service: Handle, timer: Timer, Asked(by): Asked, JsonBody(body): JsonBody) -> HttpResponse {
    let taken = match body.and_then(|body| read(&body)) {
        Ok(wanted) => service.intend(wanted, by).await,
        Err(fault) => Err(fault),
    };
    match taken {
        Ok(intent) => {
            let location = format!("/api/intents/{}", intent.id);
            let mut response = timer.send(StatusCode::ACCEPTED, json!(intent));
            if let Ok(value) = header::HeaderValue::from_str(&location) {
                response.headers_mut().insert(header::LOCATION, value);
            }
            response
        }
        Err(fault) => timer.fail(&fault),
    }
}

/// What a body asks for. An unknown field is refused, as everywhere.
fn read(body: &Value) -> Result<Wanted, Fault> {
    const KINDS: [(&str, &[&str]); 4] = [
        ("cordon", &["kind", "node"]),
        ("uncordon", &["kind", "node"]),
        ("drain", &["kind", "node"]),
        ("migrate", &["kind", "tier", "from", "to"]),
    ];
    let members = body.as_object().ok_or_else(|| {
        bad("should be an object such as {\"kind\": \"drain\", \"node\": \"vm1\"}".to_owned())
    })?;
    let kind = members.get("kind").and_then(Value::as_str);
    let Some((kind, known)) = KINDS.iter().find(|(name, _)| Some(*name) == kind) else {
        let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
        return Err(bad(format!("kind should be one of {}", names.join(", "))));
    };
    if let Some(stray) = members.keys().find(|member| !known.contains(&member.as_str())) {
        return Err(Fault::unknown("member of this intent", stray, known));
    }
    let text = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(bad(format!("{name} should be a string"))),
    };
    let needed = |name: &str, what: &str| {
        let missing = || bad(format!("{name} is missing: a {kind} names {what}"));
        text(name)?.ok_or_else(missing)
    };
    let node = || needed("node", "a node").map(VmId::new);
    Ok(match *kind {
        "cordon" => Wanted::Cordon { node: node()? },
        "uncordon" => Wanted::Uncordon { node: node()? },
        "drain" => Wanted::Drain { node: node()? },
        _ => Wanted::Migrate {
            tier: TierId::new(needed("tier", "a tier")?),
            from: text("from")?.map(VmId::new),
            to: destination(members.get("to"))?,
        },
    })
}

/// Where a migrate goes to.
fn destination(to: Option<&Value>) -> Result<Destination, Fault> {
    let wrong = |is: &str| {
        bad(format!(
            "to {is}: it should be a list of nodes, such as [\"vm2\"], or an expression that is true of them, such as \
             \"node.labels.zone == 'b'\""
        ))
    };
    match to {
        None | Some(Value::Null) => Err(wrong("is missing")),
        Some(Value::String(expression)) => Ok(Destination::Expression(expression.clone())),
        Some(Value::Array(nodes)) => {
            let named = nodes.iter().map(|node| node.as_str().map(VmId::new));
            let named: Option<Vec<VmId>> = named.collect();
            named
                .map(Destination::Nodes)
                .ok_or_else(|| wrong("has something in it that is no node's name"))
        }
        Some(other) => Err(wrong(&format!("is {other}"))),
    }
}

fn bad(message: String) -> Fault {
    Fault::new(Code::RequestInvalid, message)
}

/// A page of the intents, newest first.
#[utoipa::path(get, path = "/api/intents", operation_id = "list_intents", tag = "intents",
    params(
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
            description = "How many at most; 200 unless given."),
        ("before" = Option<String>, Query, format = "uuid",
            description = "Only intents that came before this one."),
        ("state" = Option<State>, Query, description = "Only intents in this state."),
        ("since" = Option<String>, Query, format = "date-time",
            description = "Only intents that were taken then or later."),
    ),
    responses((status = 200, description = "A page of the intents.", body = Intents)))]
pub async fn list(request: HttpRequest, service: Handle, timer: Timer) -> HttpResponse {
    let listed = match page(request.query_string()) {
        Ok(page) => service.intents(page).await,
        Err(fault) => Err(fault),
    };
    timer.give(listed.map(|(intents, more)| {
        let last = intents.last().map(|last| last.id);
        Intents {
            intents,
            next: last.filter(|_| more),
        }
    }))
}

fn page(query: &str) -> Result<IntentPage, Fault> {
    paging::page(query, "an intent", State::VARIANTS, |text| {
        State::from_str(text).ok()
    })
}

/// One intent, and how far it is.
#[utoipa::path(get, path = "/api/intents/{id}", operation_id = "get_intent", tag = "intents",
    params(("id" = String, Path, description = "Its id.", format = "uuid")),
    responses((status = 200, description = "The intent.", body = IntentShown)))]
pub async fn get(service: Handle, timer: Timer, id: web::Path<String>) -> HttpResponse {
    let intent = match id_of(&id) {
        Ok(id) => service.intent(id).await,
        Err(fault) => Err(fault),
    };
    timer.give(intent.map(|intent| IntentShown { intent }))
}

/// Takes an intent back that has not begun.
///
/// What is wanted no more is `cancelled`. An intent that an execution carries out already is ended by cancelling that
/// execution; one that is over is left as it is. The node of a drain that is taken back stays cordoned.
#[utoipa::path(delete, path = "/api/intents/{id}", operation_id = "cancel_intent", tag = "intents",
    params(("id" = String, Path, description = "Its id.", format = "uuid")),
    responses((status = 200, description = "It is taken back.", body = IntentShown)))]
pub async fn delete(
    service: Handle,
    timer: Timer,
    Asked(by): Asked,
    id: web::Path<String>,
    NoBody(body): NoBody,
) -> HttpResponse {
    let intent = match body.and_then(|()| id_of(&id)) {
        Ok(id) => service.withdraw(id, by).await,
        Err(fault) => Err(fault),
    };
    timer.give(intent.map(|intent| IntentShown { intent }))
}

fn id_of(text: &str) -> Result<Uuid, Fault> {
    let unknown = || Fault::new(Code::NotFound, format!("there is no intent {text}"));
    text.parse().map_err(|_| unknown())
}
