//! `/` and `/ui/…`: the dashboard's own files. They contain no state: they ask the API for what
//! they show, with a token if one is needed.

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use crate::fault::{Code, Fault};

use super::answer::Timer;

/// Nothing from elsewhere is loaded, run, sent or framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("../ui/index.html");

/// The page.
pub async fn page() -> HttpResponse {
    file("text/html; charset=utf-8", PAGE)
}

/// A file of the page.
pub async fn asset(timer: Timer, name: web::Path<String>) -> HttpResponse {
    match name.as_str() {
        "style.css" => file("text/css; charset=utf-8", include_str!("../ui/style.css")),
        "app.js" => file("text/javascript; charset=utf-8", include_str!("../ui/app.js")),
        "api.js" => file("text/javascript; charset=utf-8", include_str!("../ui/api.js")),
        "view.js" => file("text/javascript; charset=utf-8", include_str!("../ui/view.js")),
        "icon.svg" => file("image/svg+xml", include_str!("../ui/icon.svg")),
        other => timer.fail(&Fault::new(
            Code::NotFound,
            format!("there is nothing at /ui/{other}"),
        )),
    }
}

fn file(kind: &'static str, content: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        // Another version of the service has other files.
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(content)
}
