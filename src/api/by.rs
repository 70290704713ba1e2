//! Who sent the request: filled in before a handler runs.

use std::borrow::Cow;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use crate::execute::By;

/// The name of clients without a token.
pub const ANONYMOUS: Cow<'static, str> = Cow::Borrowed("anonymous");

/// What was found out about the client.
pub struct Asker {
    /// The token's name.
    pub name: Cow<'static, str>,
    /// Whether the client may know what is not for everyone.
    pub trusted: bool,
    /// The request's id.
    pub id: String,
    /// Whether he may speak for a node, and nothing else.
    pub node: bool,
}

/// Whether the asker may speak for a node, and nothing else.
#[derive(Clone, Copy)]
pub struct OnlyNode(pub bool);

impl FromRequest for OnlyNode {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        ready(Ok(Self(extensions.get().is_some_and(|asker: &Asker| asker.node))))
    }
}

/// Whether the client may know what is not for everyone.
#[derive(Clone, Copy)]
pub struct Trusted(pub bool);

impl FromRequest for Trusted {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        ready(Ok(Self(
            extensions.get().is_some_and(|asker: &Asker| asker.trusted),
        )))
    }
}

/// Who asks for a change.
pub struct Asked(pub By);

impl FromRequest for Asked {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let asker = extensions.get::<Asker>();
        ready(Ok(Self(By {
            name: asker.map_or(ANONYMOUS, |asker| asker.name.clone()).into_owned(),
            address: request.peer_addr().map(|peer| peer.ip().to_string()),
            request_id: asker.map(|asker| asker.id.clone()),
        })))
    }
}
