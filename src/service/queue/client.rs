//! The client that is being served, so that its places in queues are counted for it.

use std::sync::Arc;

tokio::task_local! {
    /// The client that is being served.
    static CLIENT: Arc<str>;
}

/// Serves a client: permits that `work` takes are counted for that client.
pub async fn on_behalf_of<W: Future>(client: Arc<str>, work: W) -> W::Output {
    CLIENT.scope(client, work).await
}

/// Work that continues in a task of its own, for the client that is being served here.
pub(in crate::service) fn carried<W: Future>(work: W) -> impl Future<Output = W::Output> {
    let client = CLIENT.try_with(Arc::clone).ok();
    async move {
        match client {
            Some(client) => CLIENT.scope(client, work).await,
            None => work.await,
        }
    }
}

/// The client that is being served; the service itself if there is none.
pub(in crate::service) fn client() -> Arc<str> {
    CLIENT.try_with(Arc::clone).unwrap_or_else(|_| "mapek".into())
}
