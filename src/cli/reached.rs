//! Why the service was not reached, in words, and what to do about it.

use std::error::Error;

use rustls::{AlertDescription, CertificateError, Error as Tls};

use crate::fault::chain;

/// An error with its causes, and advice.
pub fn told(error: &hyper_util::client::legacy::Error, encrypted: bool) -> String {
    let advice = advice(error, encrypted).or_else(|| {
        let dialled = error.is_connect();
        dialled.then_some("is it running? --server, or MAPEK_SERVER, says where it is")
    });
    match advice {
        Some(advice) => format!("{}; {advice}", chain(error)),
        None => chain(error),
    }
}

fn advice(error: &(dyn Error + 'static), encrypted: bool) -> Option<&'static str> {
    if let Some(tls) = find::<Tls>(error) {
        return of_tls(tls);
    }
    // Bytes that are not HTTP, from a server that expects TLS.
    let garbled = find::<hyper::Error>(error).is_some_and(hyper::Error::is_parse);
    (garbled && !encrypted).then_some("does it speak TLS? then --server begins with https://")
}

fn of_tls(error: &Tls) -> Option<&'static str> {
    Some(match error {
        Tls::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "its certificate is not signed by an authority that is trusted here: give the one that signed it with --ca-cert"
        }
        Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "give --server a name that is in its certificate",
        Tls::InvalidCertificate(_) => "its certificate can't be trusted; its operator has to replace it",
        Tls::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::HandshakeFailure,
        ) => "it asks for a certificate that it trusts: give --client-cert and --client-key",
        Tls::InvalidMessage(_) => "does it speak TLS? otherwise --server begins with http://",
        _ => return None,
    })
}

/// The first error of a kind among an error and its causes.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An I/O error contains another one besides its cause.
        let carried = error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref());
        if let Some(found) = carried.and_then(|carried| find(carried)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}
