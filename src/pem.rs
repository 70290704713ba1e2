//! Reads certificates and keys from PEM files, and says why they can't be used.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates of a file, at least one.
///
/// # Errors
///
/// When the file can't be read, or has none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error| format!("can't read the certificates in {}: {error}", file.display());
    let found = CertificateDer::pem_file_iter(file)
        .map_err(unreadable)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    if found.is_empty() {
        return Err(format!("there is no certificate in {}", file.display()));
    }
    Ok(found)
}

/// The authorities of a file.
///
/// # Errors
///
/// As [`certificates`], and when one can't be an authority.
pub fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots
            .add(certificate)
            .map_err(|error| format!("can't trust {}: {error}", file.display()))?;
    }
    Ok(roots)
}

/// The first private key of a file.
///
/// # Errors
///
/// When the file can't be read, or has none.
pub fn key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_file(file)
        .map_err(|error| format!("can't read the key in {}: {error}", file.display()))
}
