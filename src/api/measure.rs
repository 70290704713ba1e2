//! Counts requests: around everything else, so that refused ones count, too.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web;

use crate::meter::Requests;

/// Counts a request, by the pattern of its path.
///
/// # Errors
///
/// Those of the inner service.
pub async fn measure(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let begun = Instant::now();
    let requests = request.app_data::<web::Data<Requests>>().cloned();
    let method = request.method().clone();
    let route = request.match_pattern().unwrap_or_else(|| "other".to_owned());
    let result = next.call(request).await;
    let status = match &result {
        Ok(response) => response.status().as_u16(),
        Err(error) => error.as_response_error().status_code().as_u16(),
    };
    if let Some(requests) = requests {
        requests.count(method.as_str(), &route, status, begun.elapsed().as_secs_f64());
    }
    result
}
