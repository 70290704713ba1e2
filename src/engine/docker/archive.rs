//! Puts files into a container, as a tar archive.

use bollard::query_parameters::UploadToContainerOptionsBuilder;

use super::call::{Caller, Failed};
use super::look;
use crate::engine::{Effect, EngineError, EngineErrorKind};

/// See [`crate::engine::Engine::unpack`].
pub async fn unpack(caller: &Caller, name: &str, archive: Vec<u8>, folder: &str) -> Result<(), EngineError> {
    let found = look::ours(caller, name).await?;
    let id = found.seen.id.as_str();
    let what = format!("unpack files at {folder} in container '{name}'");
    match upload(caller, &what, id, archive.clone(), folder).await {
        Err(failed) if failed.status == Some(404) => {}
        outcome => return outcome.map_err(EngineError::from),
    }
    make_folder(caller, name, id, folder).await?;
    upload(caller, &what, id, archive, folder)
        .await
        .map_err(EngineError::from)
}

async fn upload(caller: &Caller, what: &str, id: &str, archive: Vec<u8>, folder: &str) -> Result<(), Failed> {
    let options = UploadToContainerOptionsBuilder::new().path(folder).build();
    let body = bollard::body_full(archive.into());
    caller
        .change(what, caller.docker.upload_to_container(id, Some(options), body))
        .await
}

/// Makes the folder, and missing ones above it. Existing folders are left as they are: unpacking
/// one again would change its mode and owner.
async fn make_folder(caller: &Caller, name: &str, id: &str, folder: &str) -> Result<(), EngineError> {
    let what = format!("make the folder {folder} in container '{name}'");
    let parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for there in (0..parts.len()).rev() {
        let (above, missing) = parts.split_at(there);
        let archive = folders(missing).map_err(|error| {
            caller.error(
                EngineErrorKind::Misconfigured,
                Effect::None,
                format!("could not {what}: {error}"),
            )
        })?;
        match upload(caller, &what, id, archive, &format!("/{}", above.join("/"))).await {
            Err(failed) if failed.status == Some(404) => {}
            outcome => return outcome.map_err(EngineError::from),
        }
    }
    let message = format!("could not {what}: the container is gone");
    Err(caller.error(EngineErrorKind::Missing, Effect::None, message))
}

/// An archive of empty folders, each inside the one before.
fn folders(parts: &[&str]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut path = String::new();
    for part in parts {
        path.push_str(part);
        path.push('/');
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        archive.append_data(&mut header, &path, std::io::empty())?;
    }
    archive.into_inner()
}
