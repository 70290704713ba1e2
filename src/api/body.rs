//! Bodies are JSON, whatever Content-Type says: `curl -d` sends a form type.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::StreamExt;
use serde_json::Value;

use crate::fault::{Code, Fault};

/// The largest body that is taken, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit(pub usize);

impl Default for BodyLimit {
    /// 16 MiB: ten thousand tiers with room to spare.
    fn default() -> Self {
        Self(16 * 1024 * 1024)
    }
}

/// A JSON body, or why there is none. A bad body is the handler's to answer, so that the answer
/// has the same shape as any other.
pub struct JsonBody(pub Result<Value, Fault>);

impl FromRequest for JsonBody {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit = request.app_data::<BodyLimit>().copied().unwrap_or_default().0;
        let payload = web::Payload::from_request(request, payload);
        Box::pin(async move {
            let payload = payload.await?;
            Ok(Self(read(payload, limit).await))
        })
    }
}

async fn read(mut payload: web::Payload, limit: usize) -> Result<Value, Fault> {
    let mut bytes = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        if bytes.len() + chunk.len() > limit {
            let message = format!("the body is larger than {limit} bytes, the most that is taken");
            return Err(Fault::new(Code::BodyTooLarge, message));
        }
        bytes.extend_from_slice(&chunk);
    }
    parse(&bytes)
}

fn broken(error: &PayloadError) -> Fault {
    Fault::new(
        Code::JsonUnreadable,
        format!("the body could not be read to its end: {error}"),
    )
}

fn parse(bytes: &[u8]) -> Result<Value, Fault> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Fault::new(
            Code::JsonUnreadable,
            "the body is empty; it should be a JSON object",
        ));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Fault::new(Code::JsonUnreadable, format!("the body is not JSON: {error}")))
}
