//! The composition root: the one place that names concrete drivers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use anyhow::Context;
use async_trait::async_trait;
use tokio::signal::unix::{SignalKind, signal};

use crate::api::{self, BodyLimit};
use crate::cloud::{Cloud, Hosts, embedded};
use crate::config::{self, Config};
use crate::engine::Engines;
use crate::engine::docker::{DockerEngines, Settings as DockerSettings};
use crate::fault::{Code, Fault};
use crate::hooks::{Fetcher, HookSet};
use crate::journal::{JOURNAL_FILE, Journal, SqliteJournal};
#[cfg(debug_assertions)]
use crate::journal::{KillAt, KillingJournal};
use crate::meter::Meter;
use crate::model::Topology;
use crate::model::topology::Cloud as CloudSpec;
use crate::service::{OnRestart, Platform, Service, Settings};

/// How long hooks may take to be fetched.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// The world of the real service.
struct RealPlatform {
    engines: Arc<dyn Engines>,
    hooks: Fetcher,
    docker_host: String,
}

#[async_trait]
impl Platform for RealPlatform {
    fn cloud(&self, topology: &Topology) -> Result<Arc<dyn Cloud>, Fault> {
        let infrastructure = &topology.infrastructure;
        match &infrastructure.cloud {
            CloudSpec::Embedded => Ok(Arc::new(embedded(
                &self.docker_host,
                infrastructure,
                self.engines(),
            ))),
            CloudSpec::Hosts(hosts) => Ok(Arc::new(Hosts::new(
                hosts.clone(),
                infrastructure,
                self.engines(),
            ))),
            CloudSpec::AutoScaling(_) => {
                let message = "this build has no driver for Auto Scaling groups yet: use cloud_driver.hosts, or \
                               leave cloud_driver out to use this machine's Docker engine";
                Err(Fault::new(Code::CloudUnsupported, message))
            }
        }
    }

    fn engines(&self) -> Arc<dyn Engines> {
        Arc::clone(&self.engines)
    }

    async fn check_machines(&self, topology: &Topology) -> Result<(), Fault> {
        let infrastructure = &topology.infrastructure;
        if infrastructure.cloud != CloudSpec::Embedded {
            return Ok(());
        }
        let engine = self
            .engines
            .at(&self.docker_host, infrastructure.docker.tls.as_ref())?;
        let machine = engine.machine().await?;
        crate::cloud::check_shape(&machine, infrastructure.vm, infrastructure.mem_unit_mb)
            .map_err(|problem| Fault::new(Code::ShapeTooLarge, problem))
    }

    async fn hooks(&self, topology: &Topology) -> Result<Option<Arc<HookSet>>, Fault> {
        let Some(source) = &topology.infrastructure.hooks else {
            return Ok(None);
        };
        Ok(Some(Arc::new(self.hooks.fetch(source).await?)))
    }
}

/// Runs the service until SIGTERM or Ctrl-C.
///
/// # Errors
///
/// When it can't be started.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    let journal = journal(&config)?;
    let docker = DockerSettings {
        answer: config.engine_timeout,
        ..DockerSettings::default()
    };
    let meter = Meter::default();
    let platform = RealPlatform {
        engines: Arc::new(DockerEngines::new(docker).measured(meter.calls.clone())),
        hooks: Fetcher::new(config.data_dir.join("hooks"), FETCH_LIMIT),
        docker_host: config.docker_host.clone(),
    };
    let settings = Settings {
        solve_deadline: config.solve_deadline,
        hook_deadline: config.hook_deadline,
        parallel: config.parallel,
        parallel_on_vm: config.parallel_on_vm,
        retry_for: config.retry_for,
        meter: meter.clone(),
        journal_file: Some(config.data_dir.join(JOURNAL_FILE)),
    };
    let service = Service::open(journal, Arc::new(platform), settings)?;
    let handle = service.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(handle.clone()))
            .app_data(BodyLimit::default())
            .app_data(web::Data::new(meter.requests.clone()))
            .configure(api::routes)
            .wrap(from_fn(api::measure))
    })
    .workers(2)
    .disable_signals()
    .shutdown_timeout(5)
    .bind(config.listen)
    .with_context(|| {
        format!(
            "can't listen on {}: is another mapek running? --listen takes another address",
            config.listen
        )
    })?;
    for address in server.addrs() {
        tracing::info!(data_dir = %config.data_dir.display(), "listening on http://{address}");
    }
    let server = server.run();
    let stopper = server.handle();
    let running = tokio::spawn(server);
    let on_restart = match config.on_restart {
        config::OnRestart::Resume => OnRestart::Resume,
        config::OnRestart::Rollback => OnRestart::Rollback,
        config::OnRestart::Hold => OnRestart::Hold,
    };
    if let Some(interval) = config.observe_every {
        service.watch_for_drift(interval);
    }
    let compared = service.clone();
    tokio::spawn(async move {
        if let Err(error) = compared.recover(on_restart).await {
            tracing::error!(%error, "an execution that was cut off could not be taken up; it is held");
        }
        if let Err(error) = compared.compare().await {
            tracing::warn!(%error, "what runs could not be compared with the allocation");
        }
    });
    let name = wait_for_signal().await?;
    tracing::info!("{name}: finishing the running actions, then stopping; containers stay");
    service.stop().await;
    stopper.stop(true).await;
    running
        .await
        .context("the server's task failed")?
        .context("the server failed")?;
    tracing::info!("stopped");
    Ok(())
}

fn journal(config: &Config) -> anyhow::Result<Box<dyn Journal>> {
    let journal = SqliteJournal::open(&config.data_dir)?;
    #[cfg(debug_assertions)]
    if let Ok(at) = std::env::var("MAPEK_TEST_KILL") {
        let at = KillAt::parse(&at).context("MAPEK_TEST_KILL should be before:N or after:N")?;
        return Ok(Box::new(KillingJournal::new(journal, at)));
    }
    Ok(Box::new(journal))
}

async fn wait_for_signal() -> anyhow::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate()).context("can't wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't wait for SIGINT")?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

/// The user's data folder.
#[must_use]
pub fn data_home() -> Option<PathBuf> {
    let of = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    of("XDG_DATA_HOME").or_else(|| of("HOME").map(|home| home.join(".local/share")))
}
