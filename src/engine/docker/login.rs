//! Names and passwords for registries: from the topology, or from Docker's own configuration of the
//! user that the service runs as. They are given to the engine with a pull, and not stored.

use std::time::Duration;

use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError, DockerCredential};

use super::call::Caller;
use crate::engine::{Effect, EngineError, EngineErrorKind, secret};
use crate::model::topology::{Login, Variable, registry_of};

/// How long a credential helper may take to answer.
const HELPER: Duration = Duration::from_secs(20);
/// The name of Docker Hub in Docker's configuration.
const HUB: &str = "https://index.docker.io/v1/";

/// The credentials for the image's registry; None if none are known, as for public images.
///
/// # Errors
///
/// When the topology names a password that can't be read.
pub async fn of(
    caller: &Caller,
    image: &str,
    login: Option<&Login>,
) -> Result<Option<DockerCredentials>, EngineError> {
    let registry = registry_of(image);
    let Some(login) = login else {
        return Ok(configured(registry.to_owned()).await);
    };
    let password = secret::resolve(&Variable::Reference(login.password.clone())).map_err(|problem| {
        let message = format!("pull image '{image}': the password for {registry} can't be read: {problem}");
        caller.error(EngineErrorKind::Secret, Effect::None, message)
    })?;
    Ok(Some(DockerCredentials {
        username: Some(login.username.clone()),
        password: Some(password),
        serveraddress: Some(address(registry)),
        ..DockerCredentials::default()
    }))
}

fn address(registry: &str) -> String {
    if registry == "docker.io" {
        HUB.to_owned()
    } else {
        registry.to_owned()
    }
}

/// From Docker's `config.json`, and the credential helpers that it names. On a thread of its own,
/// since a helper may ask a person.
async fn configured(registry: String) -> Option<DockerCredentials> {
    let place = address(&registry);
    let asked = tokio::task::spawn_blocking({
        let place = place.clone();
        move || docker_credential::get_credential(&place)
    });
    let found = match tokio::time::timeout(HELPER, asked).await {
        Ok(Ok(found)) => found,
        Ok(Err(_)) | Err(_) => {
            tracing::warn!(registry, "Docker's configuration gives no credentials in time");
            return None;
        }
    };
    match found {
        Ok(DockerCredential::UsernamePassword(username, password)) => Some(DockerCredentials {
            username: Some(username),
            password: Some(password),
            serveraddress: Some(place),
            ..DockerCredentials::default()
        }),
        Ok(DockerCredential::IdentityToken(token)) => Some(DockerCredentials {
            identitytoken: Some(token),
            serveraddress: Some(place),
            ..DockerCredentials::default()
        }),
        Err(CredentialRetrievalError::ConfigNotFound | CredentialRetrievalError::NoCredentialConfigured) => {
            None
        }
        // The error may repeat the helper's output.
        Err(_) => {
            tracing::warn!(registry, "Docker's configuration can't be used for this registry");
            None
        }
    }
}
