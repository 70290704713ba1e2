//! A proxy between `mapek` and moto that does what AWS does and moto does not: it refuses, answers
//! late, starts instances slowly or not at all, and loses answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::aws::{only_loopback, texts};
use crate::fault_http::read_head;

/// What happens to a call.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// AWS refuses, with this status, code and message.
    Refuse(u16, &'static str, &'static str),
    /// It is done, and the connection ends instead of the answer.
    CutAfter,
    /// It is done at once; the answer comes this much later.
    LateAnswer(Duration),
    /// It is done, and the answer is 500 without anything that could be read.
    ErrorAfter,
}

/// A fault for the next calls of an action; None for all from now on.
pub type Rule = (&'static str, Fault, Option<u32>);

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    /// How long instances are Pending.
    pending_for: Duration,
    seen: HashMap<String, Instant>,
    /// At most this many instances; AWS has no more.
    most: Option<u32>,
    short: u32,
    calls: Vec<String>,
}

/// A proxy in front of moto.
#[derive(Clone)]
pub struct AwsProxy {
    /// Where it answers.
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

impl AwsProxy {
    /// Puts one in front of `upstream`.
    pub async fn before(upstream: &str) -> Self {
        let upstream = only_loopback(Some(upstream)).unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Self {
            endpoint,
            state: Arc::default(),
        };
        let serving = proxy.clone();
        tokio::spawn(async move {
            let client = crate::http::client();
            while let Ok((stream, _)) = listener.accept().await {
                let (proxy, client, upstream) = (serving.clone(), client.clone(), upstream.clone());
                // An error means that the connection has ended, for whatever reason.
                tokio::spawn(async move { drop(proxy.serve(stream, &client, &upstream).await) });
            }
        });
        proxy
    }

    /// Breaks this, and nothing else, from now on.
    pub fn set(&self, rules: &[Rule]) {
        self.state.lock().unwrap().rules = rules.to_vec();
    }

    /// From now on, instances are Pending for this long.
    pub fn pending_for(&self, time: Duration) {
        self.state.lock().unwrap().pending_for = time;
    }

    /// From now on, there can be no more instances than this.
    pub fn at_most(&self, most: u32) {
        self.state.lock().unwrap().most = Some(most);
    }

    /// How often an action was called.
    pub fn calls(&self, action: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.calls.iter().filter(|call| *call == action).count()
    }

    /// The actions that were called, each once, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.state.lock().unwrap().calls.clone();
        names.sort();
        names.dedup();
        names
    }

    async fn serve(
        &self,
        stream: TcpStream,
        client: &reqwest::Client,
        upstream: &str,
    ) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        let Some(head) = read_head(&mut stream).await? else {
            return Ok(());
        };
        let body = head.body(&mut stream).await?;
        let mut form = String::from_utf8_lossy(&body.content).into_owned();
        let action = field(&form, "Action").unwrap_or_default();
        let fault = self.fault(&action);
        if let Some(Fault::Refuse(status, code, message)) = fault {
            let said = match action.as_str() {
                "DescribeInstances" => format!(
                    "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>\
                     <RequestID>lab</RequestID></Response>"
                ),
                _ => format!(
                    "<ErrorResponse xmlns=\"http://autoscaling.amazonaws.com/doc/2011-01-01/\"><Error>\
                     <Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
                     <RequestId>lab</RequestId></ErrorResponse>"
                ),
            };
            return stream.write_all(answer(status, &said).as_bytes()).await;
        }
        self.bound(&action, &mut form);
        let authorization = head
            .text
            .lines()
            .find_map(|line| {
                line.split_once(": ")
                    .filter(|(name, _)| name.eq_ignore_ascii_case("authorization"))
            })
            .map_or("", |(_, value)| value);
        let request = client
            .post(upstream)
            .header("Authorization", authorization)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form);
        let answered = request.send().await.map_err(std::io::Error::other)?;
        let status = answered.status().as_u16();
        let text = answered.text().await.map_err(std::io::Error::other)?;
        let text = self.as_aws_would(&action, text);
        match fault {
            Some(Fault::CutAfter) => return Ok(()),
            Some(Fault::ErrorAfter) => {
                return stream
                    .write_all(answer(500, "<html>Oops</html>").as_bytes())
                    .await;
            }
            Some(Fault::LateAnswer(delay)) => tokio::time::sleep(delay).await,
            Some(Fault::Refuse(..)) | None => {}
        }
        stream.write_all(answer(status, &text).as_bytes()).await
    }

    fn fault(&self, action: &str) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        state.calls.push(action.to_owned());
        let rule = state
            .rules
            .iter_mut()
            .find(|(name, _, times)| (*name == action || *name == "*") && *times != Some(0))?;
        if let Some(times) = &mut rule.2 {
            *times -= 1;
        }
        Some(rule.1)
    }

    /// If AWS is short of instances, moto is asked for no more than there are.
    fn bound(&self, action: &str, form: &mut String) {
        let mut state = self.state.lock().unwrap();
        if let ("SetDesiredCapacity", Some(most)) = (action, state.most) {
            let wanted: u32 = field(form, "DesiredCapacity").unwrap().parse().unwrap();
            state.short = wanted.saturating_sub(most);
            let (from, to) = (
                format!("DesiredCapacity={wanted}"),
                format!("DesiredCapacity={}", wanted.min(most)),
            );
            *form = form.replace(&from, &to);
        }
    }

    fn as_aws_would(&self, action: &str, mut text: String) -> String {
        let mut state = self.state.lock().unwrap();
        match action {
            "DescribeAutoScalingGroups" => {
                for id in texts(&text, "InstanceId") {
                    let since = *state.seen.entry(id.clone()).or_insert_with(Instant::now);
                    if since.elapsed() < state.pending_for {
                        let at = text.find(&id).unwrap();
                        let (before, after) = text.split_at(at);
                        let after = after.replacen(">InService<", ">Pending<", 1);
                        text = format!("{before}{after}");
                    }
                }
                if state.short > 0 {
                    let is: u32 = texts(&text, "DesiredCapacity")[0].parse().unwrap();
                    let open = "<DesiredCapacity>";
                    text = text.replace(&format!("{open}{is}<"), &format!("{open}{}<", is + state.short));
                }
                text
            }
            "DescribeScalingActivities" if state.short > 0 => {
                let activity = "<member><ActivityId>lab</ActivityId><Description>Launching a new EC2 instance</Description>\
                    <Cause>short</Cause><StartTime>2099-01-01T00:00:00Z</StartTime><StatusCode>Failed</StatusCode>\
                    <StatusMessage>We currently do not have sufficient t3.small capacity in zone a.</StatusMessage>\
                    <Progress>100</Progress></member>";
                text.replace("<Activities/>", &format!("<Activities>{activity}</Activities>"))
            }
            _ => text,
        }
    }
}

fn field(form: &str, name: &str) -> Option<String> {
    form.split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

fn answer(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Lab\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}
