//! A story: what clients ask, and what goes wrong, each at its time. It is a plain list, so that it
//! can be shortened by leaving things out.

use std::fmt;
use std::time::Duration;

use mapek::model::topology::OnFailure;
use mapek::service::OnRestart;
use serde_json::Value;

/// All that one run is made from.
#[derive(Clone, Debug)]
pub struct Story {
    /// Its seed, which is also the seed of all random numbers while it is played.
    pub seed: u64,
    /// What stays the same throughout.
    pub setting: Setting,
    /// What happens, in order of time.
    pub events: Vec<Timed>,
}

/// What stays the same throughout a story.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Where VMs come from.
    pub cloud: CloudKind,
    /// Cores of a VM.
    pub cores: u32,
    /// Memory units of a VM.
    pub mem: u64,
    /// Topologies that are put; the first at the beginning.
    pub topologies: Vec<Value>,
    /// Plans that are executed.
    pub plans: Vec<Value>,
    /// Actions at the same time.
    pub parallel: usize,
    /// Actions at the same time on one VM.
    pub parallel_on_vm: usize,
    /// Whether placements are searched for until they are proven.
    pub patient: bool,
    /// Whether clients want something of nodes and tiers as often as they send plans.
    pub wishful: bool,
    /// Whether only little of the history is kept.
    pub forgetful: bool,
    /// What the service does at its start with an execution that was cut off.
    pub on_restart: OnRestart,
}

/// Where VMs come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudKind {
    /// This many machines that exist.
    Hosts(usize),
    /// So many machines that register themselves.
    Nodes(usize),
    /// A group of instances.
    Group {
        /// Its `MinSize`.
        min: u32,
        /// Its `MaxSize`.
        max: u32,
        /// Instances at the beginning.
        start: u32,
    },
}

/// How many MiB a memory unit has.
pub const UNIT_MB: u64 = 64;

/// Something, at its time.
#[derive(Clone, Debug)]
pub struct Timed {
    pub at: Duration,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    Ask(Ask),
    Trouble(Trouble),
}

/// What is put of an app.
#[derive(Clone, Copy, Debug)]
pub struct AppVersion {
    /// Of its image.
    pub tag: &'static str,
    /// Whether it has a second tier, which the first depends on.
    pub second: bool,
    /// Of each tier.
    pub cores: u32,
    /// Of each tier.
    pub mem: u64,
}

/// What a client asks.
#[derive(Clone, Debug)]
pub enum Ask {
    Put {
        topology: usize,
    },
    Execute {
        plan: usize,
        /// Translates first, and executes what was shown.
        sealed: bool,
        /// With this `Idempotency-Key`.
        key: Option<u8>,
        on_failure: Option<OnFailure>,
        /// The same request, this many times at the same instant.
        times: u8,
        /// The client disconnects after waiting this long.
        patience: Option<Duration>,
    },
    Cancel {
        times: u8,
    },
    Resume {
        times: u8,
    },
    RollBack {
        times: u8,
    },
    GiveUp {
        vm: usize,
    },
    /// Asks for something about a node, or that a tier is moved.
    Intend {
        /// What: cordon, uncordon, drain or migrate.
        kind: u8,
        /// Of the VMs in use, the one that it is about.
        node: usize,
        /// The tier, of those that run; and of the VMs in use, the one that it is to go to.
        tier: usize,
    },
    /// Puts an app, or another version of it, or removes it where there is no version.
    App {
        name: &'static str,
        version: Option<AppVersion>,
    },
    /// Sets how many VMs are kept.
    Capacity {
        count: u32,
    },
    /// Sets a container of a tier that runs on a VM in use.
    ByHand {
        node: usize,
        tier: usize,
        cores: u32,
        mem: u64,
    },
    /// Takes an intent back, of those that are not over.
    TakeBack {
        which: usize,
    },
    /// Takes over what a lost record had.
    Adopt,
    /// Everything that only looks.
    Look,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// The connection breaks over the `nth` call from now, before or after its effect.
    LoseAnswer { vm: usize, nth: u32, done: bool },
    /// The engine answers 500 to the `nth` call from now, before or after its effect.
    Fail { vm: usize, nth: u32, done: bool },
    /// The `nth` call from now takes longer.
    Slow { vm: usize, nth: u32, by: Duration },
    /// The engine answers nothing, and does everything once that is over.
    Freeze { vm: usize, length: Duration },
    /// The engine is down; its containers are too, and do not come back with it.
    Restart { vm: usize, length: Duration },
    /// The engine is down, and its containers go on.
    Away { vm: usize, length: Duration },
    /// The machine's agent is killed, and started again after so long.
    AgentDies { vm: usize, length: Duration },
    /// The machine's agent does nothing, and goes on after that.
    AgentFreezes { vm: usize, length: Duration },
    /// What the machine's agent sends is lost, late, or comes twice.
    BadLine { vm: usize, length: Duration },
    /// Neither the machine's agent nor its engine can be reached; its containers go on.
    Partition { vm: usize, length: Duration },
    /// The machine's agent is told to stop, and started again after so long.
    AgentLeaves { vm: usize, length: Duration },
    /// The whole VM is off; it comes back with its containers stopped.
    PowerOff { vm: usize, length: Duration },
    /// A container's process ends, and the engine starts it again.
    Die { vm: usize, container: usize },
    /// Somebody stops a container.
    Stop { vm: usize, container: usize },
    /// Somebody pauses a container.
    Pause { vm: usize, container: usize },
    /// Somebody removes a container.
    Remove { vm: usize, container: usize },
    /// A container fails its health check, and so do new ones.
    Unhealthy { vm: usize, length: Duration },
    /// Containers end as soon as they are started.
    Crash { vm: usize, length: Duration },
    /// Somebody renames a container, and has it from then on.
    Rename { vm: usize, container: usize },
    /// A backup of the VM is made.
    Backup { vm: usize },
    /// The VM is off; it comes back as it was when the backup was made.
    Restore { vm: usize, length: Duration },
    /// Somebody else starts a container, under a tier's name where one is given.
    Foreign {
        vm: usize,
        cores: u64,
        mem: u64,
        named: Option<&'static str>,
        /// It is another `mapek`'s.
        of_another: bool,
    },
    /// Somebody else's containers go.
    ForeignLeave { vm: usize },
    /// The wall clock steps.
    Step { seconds: i64 },
    /// The service is killed so many steps from now, and started again.
    Kill { steps: u64, restart_after: Duration },
    /// The service is killed, and its record is lost. It is started again with none.
    LoseRecord { restart_after: Duration },
    /// The service is told to stop, and started again.
    Terminate { restart_after: Duration },
    /// Nothing can be written.
    DiskFull { length: Duration },
    /// The hooks repository does not answer.
    HooksAway { length: Duration },
    /// The hooks that are run meanwhile fail.
    HooksFail { length: Duration },
    /// The hooks that are run meanwhile take this long.
    HooksSlow { length: Duration, each: Duration },
    /// Launches fail.
    LaunchesFail { length: Duration },
    /// The cloud's calls are throttled.
    Throttle { length: Duration },
    /// The cloud's answers are lost, after the effect.
    CloudLosesAnswers { length: Duration },
    /// The cloud's connections break, before the effect.
    CloudBreaks { length: Duration },
    /// The cloud's answers take longer.
    CloudSlow { length: Duration, by: Duration },
    /// The cloud takes an instance away.
    Reclaim { vm: usize },
}

impl Story {
    pub fn without(&self, gone: std::ops::Range<usize>) -> Self {
        let kept = self.events.iter().enumerate();
        let events = kept.filter(|(index, _)| !gone.contains(index));
        Self {
            events: events.map(|(_, timed)| timed.clone()).collect(),
            ..self.clone()
        }
    }
}

/// Minutes and seconds.
pub fn clock(at: Duration) -> String {
    let millis = at.as_millis();
    format!(
        "{:>3}:{:02}.{:03}",
        millis / 60_000,
        millis / 1000 % 60,
        millis % 1000
    )
}

impl fmt::Display for Story {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting {
            cloud,
            cores,
            mem,
            topologies,
            plans,
            parallel,
            parallel_on_vm,
            on_restart,
            patient,
            forgetful,
            wishful,
        } = &self.setting;
        writeln!(
            out,
            "{cloud:?} of {cores} cores and {mem} mem_units; --parallel {parallel} --parallel-on-vm {parallel_on_vm}, on restart {on_restart:?}, patient {patient}, forgetful {forgetful}, wishful {wishful}"
        )?;
        for (index, topology) in topologies.iter().enumerate() {
            writeln!(out, "topology {index}: {topology}")?;
        }
        for (index, plan) in plans.iter().enumerate() {
            writeln!(out, "plan {index}: {plan}")?;
        }
        for timed in &self.events {
            match &timed.what {
                What::Ask(ask) => writeln!(out, "{}  client: {ask:?}", clock(timed.at))?,
                What::Trouble(trouble) => writeln!(out, "{}  trouble: {trouble:?}", clock(timed.at))?,
            }
        }
        Ok(())
    }
}
