//! Puts the service together: the one place that names concrete drivers.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::middleware::{Condition, from_fn};
use actix_web::{App, web};
use anyhow::Context;
use async_trait::async_trait;
use tokio::signal::unix::{SignalKind, signal};

use crate::api::{self, BodyLimit, Gate, OwnHosts, RateLimit};
use crate::cloud::{AutoScalingGroup, Cloud, Hosts, RegisteredNodes, embedded};
use crate::config::{self, Config};
use crate::engine::docker::{DockerEngines, Settings as DockerSettings};
use crate::engine::{Engines, Owners};
use crate::fault::{Code, Fault};
use crate::hooks::{Fetcher, HookSet, resolved};
use crate::journal::{JOURNAL_FILE, Journal, Retention, SqliteJournal};
#[cfg(debug_assertions)]
use crate::journal::{KillAt, KillingJournal};
use crate::listen::{self, Tls};
use crate::meter::{Calls, Meter};
use crate::model::Topology;
use crate::model::topology::{Cloud as CloudSpec, Infrastructure};
use crate::outside::System;
use crate::service::{OnRestart, Platform, Service, Settings};

/// How long fetching hooks may take.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// What the real service runs in.
struct RealPlatform {
    engines: Arc<dyn Engines>,
    hooks: Fetcher,
    docker_host: String,
    /// Calls to the cloud are counted here.
    calls: Calls,
    /// The Auto Scaling group last used, and the settings that it was made from.
    group: Mutex<Option<(Infrastructure, Arc<AutoScalingGroup>)>>,
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
            CloudSpec::Nodes(nodes) => Ok(Arc::new(RegisteredNodes::new(
                nodes,
                infrastructure,
                self.engines(),
            ))),
            CloudSpec::AutoScaling(spec) => {
                // One driver for as long as the infrastructure stays the same: it remembers what
                // AWS need not be asked twice.
                let mut group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((of, driver)) = group.as_ref()
                    && of == infrastructure
                {
                    return Ok(Arc::clone(driver) as Arc<dyn Cloud>);
                }
                let driver = Arc::new(AutoScalingGroup::new(
                    spec.clone(),
                    infrastructure,
                    self.engines(),
                    self.calls.clone(),
                ));
                *group = Some((infrastructure.clone(), Arc::clone(&driver)));
                Ok(driver)
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
        let hooks = resolved(source).map_err(|problem| Fault::new(Code::SecretUnavailable, problem))?;
        Ok(Some(Arc::new(self.hooks.fetch(&hooks).await?)))
    }
}

/// Runs the service until SIGTERM or Ctrl-C.
///
/// # Errors
///
/// When it can't be started.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    // Everything written from here on, the cache of hooks included, can be read only by its owner.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let journal = journal(&config)?;
    let owners = Owners::new(&journal.owner().to_string(), journal.adopted()?);
    let docker = DockerSettings {
        answer: config.engine_timeout,
        ..DockerSettings::default()
    };
    let meter = Meter::default();
    let platform = RealPlatform {
        engines: Arc::new(DockerEngines::new(docker, owners).measured(meter.calls.clone())),
        hooks: Fetcher::new(config.data_dir.join("hooks"), FETCH_LIMIT),
        docker_host: config.docker_host.clone(),
        calls: meter.calls.clone(),
        group: Mutex::default(),
    };
    let settings = Settings {
        solve_deadline: config.solve_deadline,
        hook_deadline: config.hook_deadline,
        parallel: config.parallel,
        parallel_on_vm: config.parallel_on_vm,
        retry_for: config.retry_for,
        meter: meter.clone(),
        journal_file: Some(config.data_dir.join(JOURNAL_FILE)),
        solves: config.solves,
        outside: Arc::new(System),
        max_what_if: config.max_what_if,
    };
    let service = Service::open(journal, Arc::new(platform), settings)?;
    service.watch_leases();
    service.carry_out_intents();
    service.keep_history(Retention {
        executions: config.keep_executions,
        days: config.keep_days,
    });
    let gate = Gate::new(config.tokens.read()?, config.cors_origins.clone());
    let tls = config.tls.as_ref().map(certificates).transpose()?.map(Arc::new);
    let server = listen_for(&config, &service, &gate, &meter, tls.clone())?;
    let stopper = server.handle();
    let running = tokio::spawn(server);
    tokio::spawn(reload(config.tokens.clone(), gate, tls));
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

/// The server on the configured address.
fn listen_for(
    config: &Config,
    service: &Service,
    gate: &Gate,
    meter: &Meter,
    tls: Option<Arc<Tls>>,
) -> anyhow::Result<actix_web::dev::Server> {
    let limits = listen::Limits {
        connections: connections(config.max_connections),
        head: config.request_timeout,
        idle: config.idle_timeout,
        write: config.request_timeout.saturating_mul(3),
    };
    let socket = listen::bind(config.listen).with_context(|| {
        format!(
            "can't listen on {}: is another mapek running? --listen takes another address",
            config.listen
        )
    })?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let address = socket.local_addr()?;
    let body = BodyLimit::new(config.max_body_bytes, config.request_timeout.saturating_mul(3));
    let (service, gate, origins) = (service.clone(), gate.clone(), config.cors_origins.clone());
    let requests = meter.requests.clone();
    let limit = RateLimit::a_minute(config.rate_limit);
    let hosts = OwnHosts::new(address, &config.allowed_hosts).map_err(|problem| {
        anyhow::anyhow!(
            "--allowed-hosts: {problem}; give names such as mapek.example.org, with commas between"
        )
    })?;
    let server = listen::serve(socket, tls, limits, move || {
        App::new()
            .app_data(web::Data::new(service.clone()))
            .app_data(web::Data::new(gate.clone()))
            .app_data(web::Data::new(limit.clone()))
            .app_data(web::Data::new(hosts.clone()))
            .app_data(body.clone())
            .app_data(web::Data::new(requests.clone()))
            .wrap(from_fn(api::door))
            .wrap(Condition::new(!origins.is_empty(), api::cors(&origins)))
            .wrap(from_fn(api::own_host))
            .wrap(from_fn(api::measure))
            .configure(api::routes)
    })?;
    tracing::info!(data_dir = %config.data_dir.display(), "listening on {scheme}://{address}");
    if config.tokens.read()?.is_empty() {
        tracing::warn!("there are no tokens: anyone who reaches this address may do everything");
    }
    Ok(server)
}

/// As many connections as wanted, if that many files may be open.
fn connections(wanted: usize) -> usize {
    /// For the journal, engines and hooks.
    const OTHERS: u64 = 256;
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let possible = usize::try_from(limit.saturating_sub(OTHERS))
        .unwrap_or(usize::MAX)
        .max(64);
    if possible < wanted {
        tracing::warn!("only {limit} files may be open: taking {possible} connections, not {wanted}");
    }
    wanted.min(possible)
}

fn certificates(files: &config::TlsFiles) -> anyhow::Result<Tls> {
    Ok(Tls::load(listen::Files {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        clients: files.clients.clone(),
    })?)
}

/// Reads tokens and certificates again at every SIGHUP. A file that can't be used changes nothing.
async fn reload(tokens: config::TokenSource, gate: Gate, tls: Option<Arc<Tls>>) {
    let Ok(mut hangups) = signal(SignalKind::hangup()) else {
        tracing::error!("can't wait for SIGHUP; tokens and certificates stay as they are");
        return;
    };
    // To open the service to everyone, it must be started without tokens.
    let closed = tokens.read().is_ok_and(|tokens| !tokens.is_empty());
    while hangups.recv().await.is_some() {
        match tokens.read() {
            Ok(new) if new.is_empty() && closed => {
                tracing::error!("SIGHUP: no tokens are left; the old ones stay");
            }
            Ok(new) => {
                tracing::info!(tokens = new.len(), "SIGHUP: tokens read again");
                gate.replace(new);
            }
            Err(error) => tracing::error!(%error, "SIGHUP: the tokens stay as they were"),
        }
        match tls.as_ref().map(|tls| tls.reload()) {
            None => {}
            Some(Ok(())) => tracing::info!("SIGHUP: certificates read again"),
            Some(Err(error)) => tracing::error!(%error, "SIGHUP: the certificates stay as they were"),
        }
    }
}

fn journal(config: &Config) -> anyhow::Result<Box<dyn Journal>> {
    let journal = SqliteJournal::open(&config.data_dir)?;
    #[cfg(debug_assertions)]
    if let Ok(at) = std::env::var("MAPEK_TEST_KILL") {
        let at = KillAt::parse(&at).context(
            "MAPEK_TEST_KILL should be before:N or after:N, with a number or the name of an event",
        )?;
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
