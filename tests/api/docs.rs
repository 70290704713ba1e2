//! `/docs` in a real browser: the description is shown, and calls can be tried from it.

use serde_json::{Value, json};

use crate::browser::{Screen, browse};
use crate::server::Server;

/// How many operations the description has.
fn operations(description: &Value) -> usize {
    let paths = description["paths"].as_object().unwrap().values();
    paths.map(|methods| methods.as_object().unwrap().len()).sum()
}

#[tokio::test]
async fn every_operation_is_drawn_and_can_be_tried_without_anything_from_elsewhere() {
    let server = Server::start();
    let described = operations(&server.get("/openapi.json").await.body);
    assert!(described > 15, "{described}");
    browse(Screen::Desk, async |page| {
        // Without its slash, as people type it.
        page.open(&format!("{}/docs", server.base())).await;
        page.shows(".info .title", "mapek").await;
        page.shows("#operations-state-get_allocation", "/api/allocation")
            .await;
        let drawn = "return document.querySelectorAll('.opblock').length";
        assert_eq!(page.script(drawn).await, json!(described));

        page.press("#operations-state-get_allocation .opblock-summary-control")
            .await;
        page.shows("#operations-state-get_allocation .try-out__btn", "Try it out")
            .await;
        page.press("#operations-state-get_allocation .try-out__btn").await;
        page.shows("#operations-state-get_allocation .execute", "Execute")
            .await;
        page.press("#operations-state-get_allocation .execute").await;
        let live = "#operations-state-get_allocation .live-responses-table .response";
        let answer = page.shows(live, "200").await;
        assert!(answer.contains("\"time\""), "{answer}");

        let loaded = page
            .script("return performance.getEntriesByType('resource').map((one) => new URL(one.name, location).href)")
            .await;
        let loaded: Vec<&str> = loaded.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let (own, drawn) = (format!("{}/", server.base()), "data:");
        assert!(loaded.iter().any(|url| url.ends_with("/api/allocation")), "{loaded:?}");
        let elsewhere = |url: &&&str| !url.starts_with(&own) && !url.starts_with(drawn);
        assert_eq!(loaded.iter().find(elsewhere), None, "{loaded:?}");
        page.picture("docs").await;
    })
    .await;
}
