//! `mapek hooks test`: runs a tier's hooks in a throw-away container on an engine, shows what they say, and leaves nothing
//! behind. It asks no service, and touches no container but its own.

mod container;
mod report;
mod scene;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::config::client::Output;
use crate::config::hooks::HooksTestOptions;
use crate::engine::docker::{DockerEngines, Settings};
use crate::engine::{ContainerSpec, Engine, EngineError, Owners, RunId, Wanted};
use crate::hooks::{Fetcher, HookCall, HookError, HookSet, Kind, Runs, resolved, run};
use crate::model::topology::{HookName, HooksSource, Tier, Variable};
use crate::model::units::hundredths_of;
use crate::model::{Allocation, Cpu, Problems, Size, TierId, Topology, VmId};
use async_trait::async_trait;

use super::input;
use super::problem::{Exit, Problem};
use super::show::print;
use super::style::{FAINT, HOOK, paint};
use container::container;
use report::{Outcome, ending, report};

/// How long the hooks may take to fetch.
const FETCH_LIMIT: Duration = Duration::from_secs(120);

/// A hook that is to be run, and when in a container's life it is.
struct Planned<'t> {
    hook: &'t HookName,
    field: &'static str,
}

impl Planned<'_> {
    fn kind(&self) -> Kind {
        if self.field == "on_dependency_scale" {
            Kind::Tier
        } else {
            Kind::Scale
        }
    }
}

/// Runs the tests.
///
/// # Errors
///
/// When a hook fails, or something is in the way of running them.
pub async fn test(options: &HooksTestOptions, output: Output) -> Result<(), Problem> {
    let topology = topology(options)?;
    let tier = find(&topology, &options.tier)?;
    let planned = planned(tier, &options.hook)?;
    let size = size(options)?;
    let told = told(options, &topology, tier, size)?;
    let set = fetched(options, &topology).await?;
    missing(&set, &planned)?;

    // An owner that nobody else has: whoever looks at the engine leaves the container alone, and nothing else there is ours.
    let id = uuid::Uuid::now_v7();
    let engines = DockerEngines::new(Settings::default(), Owners::new(&id.to_string(), []));
    let engine = engines
        .engine(&options.docker, topology.infrastructure.docker.tls.as_ref())
        .map_err(broken)?;
    let name = format!("mapek-hooks-test-{}", id.simple());
    let spec = container(&topology, tier, &name, size);
    let job = Job {
        engine: engine.as_ref(),
        set: &set,
        tier: Tier {
            id: TierId::new(&name),
            ..tier.clone()
        },
        size,
        mem_unit_mb: topology.infrastructure.mem_unit_mb,
        told,
        deadline: Duration::from_secs(options.deadline_s.into()),
        aloud: output == Output::Table,
    };
    let interrupted = || Problem::new(Exit::Interrupted, "interrupted; the container is removed");
    let result = tokio::select! {
        result = job.all(&spec, &planned) => result,
        () = interruption() => Err(interrupted()),
    };
    // Whatever happened, and also where nobody knows whether it was made.
    let gone = engine.ensure_absent(&name).await;
    let results = result?;
    gone.map_err(|error| {
        let message = format!("{error}; remove the container yourself: docker rm -f {name}");
        Problem::new(Exit::Broken, message)
    })?;
    report(tier, &set, &results, output)
}

/// Ctrl-C, or SIGTERM.
async fn interruption() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn broken(error: impl Into<crate::fault::Fault>) -> Problem {
    Problem::new(Exit::Broken, error.into().message)
}

fn refused(message: impl Into<String>) -> Problem {
    Problem::new(Exit::Refused, message)
}

fn invalid(what: &str, Problems(problems): Problems) -> Problem {
    let lines: Vec<String> = problems
        .iter()
        .map(|one| format!("\n  {}: {}", one.path, one.problem))
        .collect();
    refused(format!("the {what} is not valid:{}", lines.concat()))
}

fn topology(options: &HooksTestOptions) -> Result<Topology, Problem> {
    let parsed = Topology::parse(&input::read(&options.topology)?);
    parsed
        .map(|parsed| parsed.topology)
        .map_err(|problems| invalid("topology", problems))
}

fn find<'t>(topology: &'t Topology, name: &str) -> Result<&'t Tier, Problem> {
    if let Some(tier) = topology.tiers.get(name) {
        return Ok(tier);
    }
    let named: Vec<&Tier> = topology.tiers.values().filter(|tier| tier.key == name).collect();
    match named.as_slice() {
        [tier] => Ok(tier),
        [] => {
            let all: Vec<&str> = topology.tiers.keys().map(TierId::as_str).collect();
            Err(refused(format!(
                "the topology has no tier '{name}'; it has {}",
                all.join(", ")
            )))
        }
        several => {
            let all: Vec<&str> = several.iter().map(|tier| tier.id.as_str()).collect();
            Err(refused(format!(
                "several apps have a tier '{name}': say which, {}",
                all.join(" or ")
            )))
        }
    }
}

/// The tier's hooks in the order of a container's life; only those with these names, where there are any.
fn planned<'t>(tier: &'t Tier, only: &[String]) -> Result<Vec<Planned<'t>>, Problem> {
    let planned = |field| move |hook| Planned { hook, field };
    let all: Vec<Planned<'t>> = (tier.on_node_scale.iter().map(planned("on_node_scale")))
        .chain(
            tier.on_dependency_scale
                .iter()
                .map(planned("on_dependency_scale")),
        )
        .chain(tier.on_node_stop.iter().map(planned("on_node_stop")))
        .collect();
    if all.is_empty() {
        return Err(refused(format!("tier '{}' has no hooks", tier.id)));
    }
    if let Some(other) = only
        .iter()
        .find(|name| !all.iter().any(|one| one.hook.as_str() == name.as_str()))
    {
        let names: Vec<&str> = all.iter().map(|one| one.hook.as_str()).collect();
        let message = format!(
            "tier '{}' has no hook '{other}'; it has {}",
            tier.id,
            names.join(", ")
        );
        return Err(refused(message));
    }
    let wanted = |one: &Planned<'_>| only.is_empty() || only.iter().any(|name| name == one.hook.as_str());
    Ok(all.into_iter().filter(wanted).collect())
}

fn size(options: &HooksTestOptions) -> Result<Size, Problem> {
    let cores = serde_json::Number::from_f64(options.cpu_cores);
    let cores = cores.as_ref().and_then(hundredths_of).filter(|cores| *cores > 0);
    let cores = cores
        .ok_or_else(|| Problem::new(Exit::Usage, "--cpu-cores should be more than 0, in steps of 0.01"))?;
    if options.mem_units == 0 {
        return Err(Problem::new(Exit::Usage, "--mem-units should be 1 at least"));
    }
    Ok(Size {
        cpu: Cpu::hundredths(cores),
        mem: options.mem_units.into(),
        ..Size::ZERO
    })
}

/// What the dependency hook is told that was there, and is.
fn told(
    options: &HooksTestOptions,
    topology: &Topology,
    tier: &Tier,
    size: Size,
) -> Result<(Allocation, Allocation), Problem> {
    let (old, new) = scene::made_up(topology, tier, size);
    let Some(file) = &options.allocation else {
        return Ok((old, new));
    };
    let step = topology.infrastructure.cpu_mode.step();
    let given = Allocation::parse(&input::read(file)?, "allocation", step);
    given
        .map(|(given, _)| (old, given))
        .map_err(|problems| invalid("allocation", problems))
}

async fn fetched(options: &HooksTestOptions, topology: &Topology) -> Result<HookSet, Problem> {
    let source = match &options.hooks {
        Some(place) => HooksSource {
            repo: Variable::from(place.as_str()),
            reference: None,
            signers: None,
        },
        None => topology.infrastructure.hooks.clone().ok_or_else(|| {
            refused("the topology says nowhere where its hooks are (hooks_git_repo); give their place with --hooks")
        })?,
    };
    let hooks = resolved(&source).map_err(refused)?;
    let cache = std::env::temp_dir().join(format!("mapek-hooks-{}", uuid::Uuid::now_v7().simple()));
    let mut folder = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder
        .create(&cache)
        .map_err(|error| Problem::new(Exit::Failed, format!("can't make {}: {error}", cache.display())))?;
    let set = Fetcher::new(cache.clone(), FETCH_LIMIT).fetch(&hooks).await;
    // What can't be removed is an empty folder, or a copy of hooks that anyone who runs this may read.
    let _ = std::fs::remove_dir_all(&cache);
    set.map_err(broken)
}

fn missing(set: &HookSet, planned: &[Planned<'_>]) -> Result<(), Problem> {
    let missing: Vec<String> = planned
        .iter()
        .filter(|one| !set.of(one.kind()).contains_key(one.hook.as_str()))
        .map(|one| format!("{}/{} ({})", one.kind().folder(), one.hook, one.field))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(refused(format!(
        "there is no {} among the hooks",
        missing.join(", no ")
    )))
}

/// All that is needed to run the hooks.
struct Job<'j> {
    engine: &'j dyn Engine,
    set: &'j HookSet,
    /// Under the name of the throw-away container.
    tier: Tier,
    size: Size,
    mem_unit_mb: u64,
    told: (Allocation, Allocation),
    deadline: Duration,
    aloud: bool,
}

impl Job<'_> {
    async fn all(&self, spec: &ContainerSpec, planned: &[Planned<'_>]) -> Result<Vec<Outcome>, Problem> {
        let engine_failed = |error: EngineError| broken(error);
        let wanted = Wanted::named(&spec.image, spec.login.clone());
        self.say(&paint(FAINT, format!("{} from {}", spec.name, spec.image)))?;
        self.engine
            .ensure_image(&wanted, &|_| {})
            .await
            .map_err(engine_failed)?;
        self.engine.ensure_running(spec).await.map_err(engine_failed)?;
        let mut outcomes = Vec::new();
        for one in planned {
            self.say(&format!("{}  {}", paint(HOOK, one.field), one.hook))?;
            let outcome = self.one(one).await;
            self.say(&ending(&outcome))?;
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }

    async fn one(&self, planned: &Planned<'_>) -> Outcome {
        let vm = VmId::new(scene::VM);
        let call = HookCall {
            hook: planned.hook,
            tier: &self.tier,
            vm: &vm,
            size: self.size,
            mem_unit_mb: self.mem_unit_mb,
            change: (planned.kind() == Kind::Tier).then_some((&self.told.0, &self.told.1)),
            deadline: self.deadline,
        };
        let began = Instant::now();
        let listener = Aloud {
            on: self.aloud,
            said: AtomicBool::new(false),
        };
        let result = run(self.engine, self.set, &call, &listener).await;
        let took = began.elapsed();
        let (exit_code, error, output) = match result {
            Ok(output) => (Some(0), None, output),
            Err(HookError::Failed {
                exit_code, output, ..
            }) => (Some(exit_code), None, output),
            Err(error) => {
                let output = error.output().unwrap_or_default().to_owned();
                (None, Some(crate::fault::chain(&error)), output)
            }
        };
        if self.aloud && !listener.said.load(Ordering::Relaxed) {
            listener.write(&output);
        }
        if self.aloud && !output.is_empty() && !output.ends_with('\n') {
            listener.write("\n");
        }
        Outcome {
            field: planned.field,
            hook: planned.hook.to_string(),
            exit_code,
            error,
            output,
            took,
        }
    }

    fn say(&self, line: &str) -> Result<(), Problem> {
        if self.aloud { print(line) } else { Ok(()) }
    }
}

/// Passes on what a hook says.
struct Aloud {
    on: bool,
    said: AtomicBool,
}

impl Aloud {
    fn write(&self, text: &str) {
        // Whoever reads may have gone; the hooks are run to their end all the same.
        let mut out = std::io::stdout();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

#[async_trait]
impl Runs for Aloud {
    fn earlier(&self) -> Option<RunId> {
        None
    }

    async fn begin(&self, _: &RunId) -> Result<(), String> {
        Ok(())
    }

    async fn said(&self, text: String) {
        if self.on {
            self.said.store(true, Ordering::Relaxed);
            self.write(&text);
        }
    }
}
