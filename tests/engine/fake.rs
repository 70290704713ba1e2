//! An engine that misbehaves as it is told to, on a loopback port of its own.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How one request is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A status and a JSON body.
    Json(u16, &'static str),
    /// The connection is closed without an answer.
    Cut,
    /// The connection is kept open without an answer.
    Silence,
    /// Bytes that are not HTTP.
    Bytes(&'static str),
}

/// A running fake.
pub struct Fake {
    /// Its endpoint.
    pub endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Answers each request, such as `GET /containers/app_one/json`, with what `answer` returns.
    pub async fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (list, answer) = (asked.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, list.clone(), answer.clone()));
            }
        });
        Self { endpoint, asked }
    }

    /// The requests so far, without their queries.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    asked: Arc<Mutex<Vec<String>>>,
    answer: Arc<dyn Fn(&str) -> Reply + Send + Sync>,
) {
    let Some(request) = request(&mut stream).await else {
        return;
    };
    asked.lock().unwrap().push(request.clone());
    match answer(&request) {
        Reply::Json(status, body) => {
            let head = format!(
                "HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
        }
        Reply::Cut => {}
        Reply::Silence => {
            // Until the other side closes.
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
        Reply::Bytes(bytes) => {
            let _ = stream.write_all(bytes.as_bytes()).await;
        }
    }
}

/// Reads a whole request; its method and path.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap_or(0);
            if body.len() >= length {
                let mut words = head.split(' ');
                let (method, path) = (words.next()?, words.next()?);
                let path = path.split('?').next()?;
                return Some(format!("{method} {path}"));
            }
        }
        match stream.read(&mut buffer).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&buffer[..read]),
            _ => return None,
        }
    }
}
