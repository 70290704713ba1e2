//! The dashboard in a real browser. `tests/lab/dashboard.rs` tests it with engines.

use serde_json::json;

use crate::auth::{READER, tokens};
use crate::bad_input::topology;
use crate::browser::{Screen, browse};
use crate::server::Server;

#[tokio::test]
async fn the_page_is_whole_without_anything_from_elsewhere() {
    let server = Server::start();
    browse(Screen::Desk, async |page| {
        page.open(server.base()).await;
        page.shows("#link", "live").await;
        page.shows("#vms", "No VM is in use.").await;
        page.shows("#history", "No executions yet.").await;
        let loaded = page
            .script("return performance.getEntriesByType('resource').map((one) => new URL(one.name).origin)")
            .await;
        let loaded = loaded.as_array().unwrap();
        assert!(
            loaded.len() >= 5 && loaded.iter().all(|origin| origin == server.base()),
            "{loaded:?}"
        );
        // Only its own files are run, even if somebody gets others into the page.
        let injected = "const one = document.createElement('script'); one.textContent = 'window.bad = 1'; \
                        document.body.append(one); document.body.setAttribute('onclick', 'window.bad = 2'); \
                        document.body.click(); return window.bad ?? 'none'";
        assert_eq!(page.script(injected).await, "none");
        page.picture("empty").await;
    })
    .await;
}

#[tokio::test]
async fn a_pasted_plan_is_shown_as_what_it_would_change_and_changes_nothing() {
    let server = Server::start();
    server.put("/api/topology", &topology()).await;
    browse(Screen::Desk, async |page| {
        page.open(server.base()).await;
        page.shows("#link", "live").await;
        page.write(
            "#plan",
            r#"{"rubis": {"web": {"cpu_cores": 3, "mem_units": 4}, "db": {"cpu_cores": 1, "mem_units": 2}}}"#,
        )
        .await;
        page.press("#ask button.main").await;
        let shown = page.shows("#proposal", "The placement costs").await;
        for part in [
            "+ VM vm1",
            "rubis_web",
            "1 core, 2 memory units",
            "proven to be the least",
            "would not get far",
        ] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        page.picture("proposal").await;

        page.write(
            "#plan",
            r#"{"rubis": {"web": {"cpu_cores": 300, "mem_units": 4}, "<img src=x>": {}}}"#,
        )
        .await;
        page.press("#ask button.main").await;
        let shown = page.shows("#proposal", "<img src=x>").await;
        assert!(!shown.contains("The placement costs"), "{shown}");
        page.write("#plan", "{ nonsense").await;
        page.press("#ask button.main").await;
        page.shows("#proposal", "not JSON").await;

        // An event comes by itself.
        let mut other = topology();
        other["remark"] = serde_json::json!("another one");
        server.put("/api/topology", &other).await;
        page.shows("#events", "topology put").await;
    })
    .await;
    assert_eq!(server.get("/api/executions").await.body["executions"], json!([]));
}

#[tokio::test]
async fn the_theme_is_the_systems_unless_somebody_chooses() {
    let server = Server::start();
    browse(Screen::Desk, async |page| {
        page.open(server.base()).await;
        let colour = "return getComputedStyle(document.body).backgroundColor";
        let mut seen = Vec::new();
        for theme in ["auto", "light", "dark"] {
            assert_eq!(page.text("#theme").await, format!("Theme: {theme}"));
            seen.push(page.script(colour).await.as_str().unwrap().to_owned());
            page.press("#theme").await;
        }
        assert_eq!(seen[0], seen[1], "a browser without wishes is light");
        assert_ne!(seen[1], seen[2]);
    })
    .await;
}

#[tokio::test]
async fn a_service_that_goes_away_and_comes_back_is_noticed() {
    let mut server = Server::start();
    browse(Screen::Desk, async |page| {
        page.open(server.base()).await;
        page.shows("#link", "live").await;
        assert!(server.terminate());
        page.shows("#link", "connection lost").await;
        // On the same address, so that the page finds it.
        server.start_again();
        page.shows("#link", "live").await;
        server.put("/api/topology", &topology()).await;
        server.put("/api/execute", &json!({})).await;
        page.shows("#history", "succeeded").await;
    })
    .await;
}

#[tokio::test]
async fn the_files_carry_what_keeps_a_browser_from_harm() {
    let server = Server::start();
    for path in ["/", "/ui/app.js", "/ui/style.css", "/ui/icon.svg"] {
        let response = reqwest::get(format!("{}{path}", server.base())).await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        let text = response.text().await.unwrap();
        assert!(!text.contains("https://"), "{path} names something elsewhere");
    }
    assert_eq!(server.get("/ui/nothing.js").await.status, 404);
}

#[tokio::test]
async fn a_token_is_asked_for_where_the_service_wants_one_and_kept_for_the_tab() {
    let server = Server::start_with(&["--tokens", &tokens()]);
    browse(Screen::Desk, async |page| {
        page.open(server.base()).await;
        page.shows("#why", "token").await;
        page.write("#token", "a-token-that-is-none").await;
        page.press("#login button.main").await;
        page.shows("#why", "does not know this token").await;
        page.picture("login").await;
        page.write("#token", READER).await;
        page.press("#login button.main").await;
        // Events, too: they are read with the token.
        page.shows("#link", "live").await;
        page.shows("#vms", "No VM is in use.").await;
        assert_eq!(
            page.script("return Object.values(sessionStorage)[0]").await,
            READER
        );
        assert_eq!(
            page.script("return Object.keys(localStorage).join()").await,
            "mapek.theme"
        );
        page.press("#forget").await;
        page.shows("#why", "token").await;
        assert_eq!(page.script("return sessionStorage.length").await, 0);
    })
    .await;
}
