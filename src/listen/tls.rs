//! TLS, with certificates that can be replaced while connections last.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::rt::net::TcpStream;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::pem;

/// Where certificates are: PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The service's certificate, followed by those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authorities of the clients' certificates. If set, a client without a certificate is not let
    /// in.
    pub clients: Option<PathBuf>,
}

/// Why certificates can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or has nothing usable in it.
    #[error("{0}: {1}")]
    File(&'static str, String),
    /// They don't go together.
    #[error("the TLS certificate and key can't be used together: {0}")]
    Mismatch(rustls::Error),
}

/// Encryption with the current certificates.
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

    /// Reads the files again, for new connections. If they can't be used, the old ones stay.
    ///
    /// # Errors
    ///
    /// When they can't be used.
    pub fn reload(&self) -> Result<(), TlsError> {
        let new = Arc::new(read(&self.files)?);
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Performs the handshake.
    ///
    /// # Errors
    ///
    /// When the client does not speak TLS, or lacks the certificate that it needs.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner).clone();
        TlsAcceptor::from(now).accept(stream).await
    }
}

fn read(files: &Files) -> Result<ServerConfig, TlsError> {
    let bad = |what| move |error: String| TlsError::File(what, error);
    let chain = pem::certificates(&files.certificate).map_err(bad("the service's certificate"))?;
    let key = pem::key(&files.key).map_err(bad("the service's key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Mismatch)?;
    let builder = match &files.clients {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let what = "the authorities of the clients";
            let roots = pem::authorities(path).map_err(bad(what))?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| bad(what)(error.to_string()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Mismatch)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
