//! HTTP as the lab's clients speak it.

use reqwest::header::CONTENT_TYPE;
use serde_json::Value;

/// A client that never goes through a proxy and never reuses a connection. It waits for an answer
/// for as long as something happens: the sandbox's watchdog takes care of that.
pub fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

/// Status and body of a GET.
pub async fn get(url: &str) -> (u16, String) {
    let answer = client().get(url).send().await;
    let answer = answer.unwrap_or_else(|error| panic!("GET {url}: {error:?}"));
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// A client of `mapek`'s API.
#[derive(Clone)]
pub struct Api {
    base: String,
    client: reqwest::Client,
    token: Option<String>,
}

impl Api {
    /// For the service at `base`, such as `http://127.0.0.1:8000`.
    pub fn at(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            client: client(),
            token: None,
        }
    }

    /// Sends this token from now on.
    pub fn take_token(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.client.get(format!("{}{path}", self.base))).await
    }

    /// PUT, with the content type that `curl -d` sends; null is sent as no body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        let request = self.client.put(format!("{}{path}", self.base));
        let form = "application/x-www-form-urlencoded";
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(request.header(CONTENT_TYPE, form).body(body)).await
    }

    /// POST.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = self.client.post(format!("{}{path}", self.base));
        self.send(request.body(body.to_string())).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.client.delete(format!("{}{path}", self.base)))
            .await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let (client, request) = request.build_split();
        let request = request.unwrap();
        let what = format!("{} {}", request.method(), request.url().path());
        let answer = client.execute(request).await;
        let answer = answer.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer { what, status, body }
    }
}

/// An answer of the service.
#[derive(Debug)]
pub struct Answer {
    what: String,
    /// Its status.
    pub status: u16,
    /// Its body; a JSON string if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The body, given that the status is `status`.
    pub fn expect(self, status: u16) -> Value {
        let Self { what, body, .. } = &self;
        assert_eq!(self.status, status, "{what} was answered with {body:#}");
        self.body
    }

    /// The `error` text, given that the status is one of `statuses`.
    pub fn error(self, statuses: &[u16]) -> String {
        let Self { what, status, body } = &self;
        assert!(statuses.contains(status), "{what}: {status}, {body:#}");
        let text = body["error"].as_str();
        text.unwrap_or_else(|| panic!("{what}: no error text in {body:#}"))
            .to_owned()
    }
}
