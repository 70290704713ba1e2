//! As much of HTTP/1.1 as a proxy needs: where a message ends. What passes is kept byte by byte.

use std::io::{Error, ErrorKind, Result};

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The head of a request.
pub struct Head {
    /// All of it, with the empty line.
    pub text: String,
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub target: String,
}

/// The head of an answer.
pub struct Answered {
    text: String,
    status: u16,
    bodiless: bool,
}

/// What follows the first lines.
#[derive(Default)]
pub struct Body {
    /// As it was sent, with the marks between chunks.
    pub sent: Vec<u8>,
    /// Without these.
    pub content: Vec<u8>,
}

/// The next request on a connection; None at its end.
pub async fn read_head(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Head>> {
    let Some(text) = lines(from).await? else {
        return Ok(None);
    };
    let mut words = text.split(' ').map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(ErrorKind::InvalidData.into());
    };
    Ok(Some(Head { text, method, target }))
}

impl Head {
    /// The request's body.
    pub async fn body(&self, from: &mut (impl AsyncBufRead + Unpin)) -> Result<Body> {
        body(&self.text, from, false).await
    }
}

impl Answered {
    /// The next answer on a connection, to `request`; None at its end.
    pub async fn read_head(from: &mut (impl AsyncBufRead + Unpin), request: &Head) -> Result<Option<Self>> {
        let Some(text) = lines(from).await? else {
            return Ok(None);
        };
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status: u16 = status.ok_or_else(|| Error::from(ErrorKind::InvalidData))?;
        let bodiless = request.method == "HEAD" || matches!(status, 204 | 304);
        Ok(Some(Self {
            text,
            status,
            bodiless,
        }))
    }

    /// Its first lines.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether what follows is no longer HTTP, until the connection ends.
    pub fn takes_over(&self) -> bool {
        self.status == 101
    }

    /// Whether its body ends with the connection.
    pub fn ends_with_connection(&self) -> bool {
        !self.bodiless && length(&self.text).is_none() && !chunked(&self.text)
    }

    /// Its body; if the connection is taken over, everything until its end.
    pub async fn body(&self, from: &mut (impl AsyncBufRead + Unpin)) -> Result<Body> {
        if self.bodiless {
            return Ok(Body::default());
        }
        body(&self.text, from, true).await
    }
}

/// Lines up to and with an empty one.
async fn lines(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<String>> {
    let mut text = String::new();
    loop {
        match from.read_line(&mut text).await? {
            0 if text.is_empty() => return Ok(None),
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            _ if text.ends_with("\r\n\r\n") => return Ok(Some(text)),
            _ => {}
        }
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn length(head: &str) -> Option<u64> {
    header(head, "content-length")?.parse().ok()
}

fn chunked(head: &str) -> bool {
    header(head, "transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
}

async fn body(head: &str, from: &mut (impl AsyncBufRead + Unpin), to_the_end: bool) -> Result<Body> {
    let mut body = Body::default();
    if chunked(head) {
        loop {
            let mut line = String::new();
            from.read_line(&mut line).await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| Error::from(ErrorKind::InvalidData))?;
            // The chunk and the line end after it.
            let mut chunk = vec![0; size + 2];
            from.read_exact(&mut chunk).await?;
            body.sent.extend(line.as_bytes());
            body.sent.extend(&chunk);
            body.content.extend(&chunk[..size]);
            if size == 0 {
                return Ok(body);
            }
        }
    }
    match length(head) {
        Some(length) => drop(from.take(length).read_to_end(&mut body.sent).await?),
        None if to_the_end => drop(from.read_to_end(&mut body.sent).await?),
        None => {}
    }
    body.content.clone_from(&body.sent);
    Ok(body)
}
