//! TLS, with certificates that can be replaced while connections last.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::rt::net::TcpStream;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Where certificates are: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The service's certificate, with those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities of the clients' certificates; with it, a client without one is not let in.
    pub clients: Option<PathBuf>,
}

/// Why certificates can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or has nothing of use.
    #[error("{0} can't be used as {1}: {2}")]
    File(String, &'static str, String),
    /// They don't go together.
    #[error("the TLS certificate and key can't be used together: {0}")]
    Mismatch(rustls::Error),
}

/// Encryption with the certificates of the moment.
pub struct Tls {
    files: Files,
    now: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// When they can't be used.
    pub fn load(files: Files) -> Result<Self, TlsError> {
        let now = RwLock::new(Arc::new(read(&files)?));
        Ok(Self { files, now })
    }

    /// Reads the files again, for connections to come. Where they can't be used, it stays as it was.
    ///
    /// # Errors
    ///
    /// When they can't be used.
    pub fn reload(&self) -> Result<(), TlsError> {
        let new = Arc::new(read(&self.files)?);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Shakes hands.
    ///
    /// # Errors
    ///
    /// When the client does not speak TLS, or has not the certificate that it needs.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(now).accept(stream).await
    }
}

fn read(files: &Files) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&files.certificate, "the service's certificate")?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| {
        let path = files.key.display().to_string();
        TlsError::File(path, "the service's key", error.to_string())
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Mismatch)?;
    let builder = match &files.clients {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let what = "the authorities of the clients";
            let bad = |error: String| TlsError::File(path.display().to_string(), what, error);
            let mut roots = RootCertStore::empty();
            for authority in certificates(path, what)? {
                roots.add(authority).map_err(|error| bad(error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| bad(error.to_string()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &PathBuf, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = |error: String| TlsError::File(path.display().to_string(), what, error);
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| bad(error.to_string()))?
        .collect();
    let found = found.map_err(|error| bad(error.to_string()))?;
    if found.is_empty() {
        return Err(bad("it has no certificate".to_owned()));
    }
    Ok(found)
}
