//! A real headless browser, driven through WebDriver.

// Shared by test binaries, none of which uses all of it.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};
use thirtyfour::prelude::*;

use crate::patience::Patience;

/// The screen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    Desk,
    Phone,
}

/// A page in the browser.
pub struct Page {
    driver: WebDriver,
}

struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Opens a browser, and closes it again however `body` ends.
pub async fn browse(screen: Screen, body: impl AsyncFnOnce(&Page)) {
    let profile = tempfile::tempdir().unwrap();
    let (driver, port) = start();
    let mut capabilities = DesiredCapabilities::chrome();
    for argument in [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        "--no-proxy-server",
        "--window-size=1280,1500",
    ] {
        capabilities.add_arg(argument).unwrap();
    }
    capabilities
        .add_arg(&format!("--user-data-dir={}", profile.path().display()))
        .unwrap();
    if screen == Screen::Phone {
        let phone =
            json!({ "deviceMetrics": { "width": 390, "height": 844, "pixelRatio": 2.0, "touch": true } });
        capabilities
            .add_experimental_option("mobileEmulation", phone)
            .unwrap();
    }
    let opened = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities).await;
    let page = Page {
        driver: opened.expect("the browser starts"),
    };
    let result = AssertUnwindSafe(body(&page)).catch_unwind().await;
    let _ = page.driver.quit().await;
    drop(driver);
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

fn start() -> (Driver, u16) {
    let mut child = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is there: `make test` installs it");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = loop {
        let line = lines.next().expect("chromedriver starts").unwrap();
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            break port.trim_end_matches('.').parse().unwrap();
        }
    };
    std::thread::spawn(move || lines.for_each(drop));
    (Driver(child), port)
}

impl Page {
    /// Goes to an address.
    pub async fn open(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    /// The text that an element shows.
    pub async fn text(&self, css: &str) -> String {
        self.driver
            .find(By::Css(css.to_owned()))
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    /// Waits until an element shows a text, and returns everything that it shows.
    pub async fn shows(&self, css: &str, part: &str) -> String {
        let mut patience = Patience::every(Duration::from_millis(30));
        loop {
            let text = match self.driver.find(By::Css(css.to_owned())).await {
                Ok(element) => element.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            };
            if text.contains(part) {
                return text;
            }
            patience
                .wait(|| format!("{css} does not show {part:?} but {text:?}"))
                .await;
        }
    }

    /// Presses something.
    pub async fn press(&self, css: &str) {
        self.driver
            .find(By::Css(css.to_owned()))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
    }

    /// Writes into a field, in place of what is there.
    pub async fn write(&self, css: &str, text: &str) {
        let field = self.driver.find(By::Css(css.to_owned())).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// What a script returns.
    pub async fn script(&self, script: &str) -> Value {
        self.driver
            .execute(script, Vec::new())
            .await
            .unwrap()
            .json()
            .clone()
    }

    /// Saves a picture of the page, for people to look at, to MAPEK_SCREENSHOTS if that is set.
    pub async fn picture(&self, name: &str) {
        let png = self.driver.screenshot_as_png().await.unwrap();
        assert!(png.len() > 5_000, "an empty page?");
        if let Some(folder) = std::env::var_os("MAPEK_SCREENSHOTS") {
            std::fs::write(std::path::Path::new(&folder).join(format!("{name}.png")), png).unwrap();
        }
    }
}
