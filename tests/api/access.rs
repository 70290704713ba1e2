//! Tries each role, and each missing or wrong token, on each operation in the API's description.

use reqwest::Method;
use serde_json::Value;

use crate::auth::{READER, WRITER, tokens};
use crate::openapi::description;
use crate::requests::headers;
use crate::server::Server;

/// Method, path, and the role that the description requires.
fn operations() -> Vec<(Method, String, Option<String>)> {
    let mut found = Vec::new();
    for (path, operations) in description()["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let role = operation["security"].as_array().unwrap().first();
            let role = role.map(|role| role["token"][0].as_str().unwrap().to_owned());
            let path = path.replace("{id}", "00000000-0000-0000-0000-000000000000");
            found.push((method.to_uppercase().parse().unwrap(), path, role));
        }
    }
    found
}

#[tokio::test]
async fn each_role_and_each_bad_token_is_tried_on_each_operation() {
    let server = Server::start_with(&["--tokens", &tokens()]);
    let status = async |method: &Method, path: &str, authorization: Option<&str>| {
        let fields: Vec<_> = authorization
            .map(|value| ("authorization", value))
            .into_iter()
            .collect();
        // Only the beginning: the stream of events has no end.
        server.status(method.clone(), path, headers(&fields)).await
    };
    let (reader, writer) = (format!("Bearer {READER}"), format!("Bearer {WRITER}"));
    let longer = format!("{writer}x");
    let bad = [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Bearer wrong-token-wrong-token"),
        Some("Basic d3JpdGVyOndyaXRlcg=="),
        Some(WRITER),
        Some(longer.as_str()),
    ];
    let (mut open, mut read, mut write) = (0, 0, 0);
    for (method, path, role) in operations() {
        let what = format!("{method} {path} needs {role:?}");
        for authorization in bad {
            let status = status(&method, &path, authorization).await;
            assert_eq!(
                status == 401,
                role.is_some(),
                "{what}: {authorization:?} was answered {status}"
            );
            assert_ne!(status, 403, "{what}: {authorization:?}");
        }
        let (as_reader, as_writer) = (
            status(&method, &path, Some(&reader)).await,
            status(&method, &path, Some(&writer)).await,
        );
        assert_eq!(
            as_reader == 403,
            matches!(role.as_deref(), Some("write" | "node")),
            "{what}: a reader was answered {as_reader}"
        );
        assert!(
            ![401, 403].contains(&as_writer) && as_reader != 401,
            "{what}: {as_reader} {as_writer}"
        );
        match role.as_deref() {
            None => open += 1,
            Some("read") => read += 1,
            Some(_) => write += 1,
        }
    }
    assert!(open >= 3 && read >= 9 && write >= 6, "{open} {read} {write}");
}

#[tokio::test]
async fn every_path_of_the_service_is_described() {
    let server = Server::start();
    let paths: Vec<String> = operations().into_iter().map(|(_, path, _)| path).collect();
    // A path that exists answers a wrong method with 405, any other with 404.
    for path in &paths {
        let (status, got, _) = server.raw(Method::PATCH, path, headers(&[])).await;
        assert_eq!(status, 405, "{path}");
        let allowed = got["allow"].to_str().unwrap();
        for (method, at, _) in operations().iter().filter(|(_, at, _)| at == path) {
            assert!(
                allowed.split(", ").any(|one| one == method.as_str()),
                "{at}: {allowed} lacks {method}"
            );
        }
    }
    let source = include_str!("../../src/api/mod.rs");
    let routed = source
        .split("route(\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap());
    let described: Vec<Value> = description()["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(|path| path.as_str().into())
        .collect();
    for path in routed.filter(|path| !path.starts_with("/docs") && *path != "/" && !path.starts_with("/ui")) {
        assert!(described.contains(&path.into()), "{path} is not described");
    }
}
