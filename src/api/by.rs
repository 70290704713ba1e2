//! Who asks: filled in by the doorkeeper before a handler runs.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::execute::By;

/// Whether the asker may know what only those may that were let in.
#[derive(Clone, Copy)]
pub struct Trusted(pub bool);

impl FromRequest for Trusted {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request
            .extensions()
            .get::<Self>()
            .copied()
            .unwrap_or(Self(false))))
    }
}

/// Who asks for a change.
pub struct Asked(pub By);

impl FromRequest for Asked {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let by = request.extensions().get::<By>().cloned();
        ready(Ok(Self(by.unwrap_or_else(|| By {
            name: "anonymous".to_owned(),
            address: request.peer_addr().map(|peer| peer.ip().to_string()),
            request_id: None,
        }))))
    }
}
