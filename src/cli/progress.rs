//! Shows the progress of an execution: bars on a terminal, plain lines elsewhere. To standard
//! error, so that standard output has only the answer.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use super::style::{CREATE, DELETE, FAINT, HOOK, paint};
use super::track::{Change, State, Track};

/// Something that shows an execution.
pub enum Progress {
    /// On a terminal.
    Bars(Bars),
    /// In a pipe or a file.
    Lines,
}

impl Progress {
    /// Bars if `live`, else lines.
    #[must_use]
    pub fn new(live: bool, track: &Track) -> Self {
        if live {
            Self::Bars(Bars::new(track))
        } else {
            Self::Lines
        }
    }

    /// Shows what an event changed.
    pub fn show(&mut self, track: &Track, change: &Change) {
        let line = line(track, change);
        let said = said(track, change);
        match self {
            Self::Lines => said.iter().chain(&line).for_each(|line| say(line)),
            Self::Bars(bars) => {
                said.iter().for_each(|line| bars.say(line));
                // Errors stay on the screen.
                let tell = matches!(
                    change,
                    Change::Over(_, _, Some(_)) | Change::Again(..) | Change::Resumed | Change::Lost(_)
                );
                if let Some(line) = line.filter(|_| tell) {
                    bars.say(&line);
                }
                bars.show(track);
            }
        }
    }

    /// Takes the moving parts off the screen.
    pub fn end(&mut self) {
        if let Self::Bars(bars) = self {
            bars.end();
        }
    }
}

/// What a hook says, each line behind the action that runs it. When that is over, its last line is, too.
fn said(track: &Track, change: &Change) -> Vec<String> {
    let (index, lines) = match change {
        Change::Said(index, lines) => (index, lines.as_slice()),
        Change::Over(index, ..) => (index, &[][..]),
        _ => return Vec::new(),
    };
    let Some(step) = track.steps.get(*index) else {
        return Vec::new();
    };
    let last = Some(&step.unended).filter(|line| step.state.is_over() && !line.is_empty());
    let head = format!(
        "{}  {}  {}",
        track.stage_name(step.stage),
        paint(HOOK, "hook"),
        step.text
    );
    let lines = lines.iter().chain(last);
    lines.map(|line| format!("{head}: {line}")).collect()
}

/// A line to standard error. If nobody reads it any more, that does not matter.
pub fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "{text}");
}

fn line(track: &Track, change: &Change) -> Option<String> {
    let of = |index: &usize| {
        track
            .steps
            .get(*index)
            .map(|step| (track.stage_name(step.stage), &step.text))
    };
    match change {
        Change::Began(_) | Change::Said(..) | Change::Ended(_) => None,
        Change::Over(index, took, None) => {
            let (stage, text) = of(index)?;
            let took = took
                .map(|took| paint(FAINT, format!("  {took:.2} s")))
                .unwrap_or_default();
            Some(format!("{stage}  {}  {text}{took}", paint(CREATE, "done")))
        }
        Change::Over(index, _, Some(why)) => {
            let (stage, text) = of(index)?;
            let skipped = track
                .steps
                .get(*index)
                .is_some_and(|step| step.state == State::Skipped);
            let (word, why) = if skipped {
                ("skipped", String::new())
            } else {
                ("failed", format!(": {why}"))
            };
            Some(format!("{stage}  {}  {text}{why}", paint(DELETE, word)))
        }
        Change::Again(index, why) => {
            let (stage, text) = of(index)?;
            Some(format!("{stage}  again  {text}: {why}"))
        }
        Change::Pulling(what) => Some(format!("pulling  {what}")),
        Change::Lost(what) => Some(format!("{}  {what}", paint(DELETE, "lost"))),
        Change::Anew => {
            Some("fewer VMs came than were asked for: the plan is placed on those that are there".to_owned())
        }
        Change::Unplaced(why) => Some(format!(
            "the plan can't be placed on the VMs that are there: {why}"
        )),
        Change::Back => Some("undoing what was done".to_owned()),
        Change::Resumed => Some("the service was started again, and goes on".to_owned()),
    }
}

/// A bar for each stage that was begun, and under it what runs on each VM.
pub struct Bars {
    screen: MultiProgress,
    whole: ProgressBar,
    stages: BTreeMap<usize, ProgressBar>,
    vms: BTreeMap<String, ProgressBar>,
}

const TICK: Duration = Duration::from_millis(120);

impl Bars {
    fn new(track: &Track) -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let actions = u64::try_from(track.steps.len()).unwrap_or(u64::MAX);
        let whole = screen
            .add(ProgressBar::new(actions).with_style(style("{spinner} {pos}/{len} actions, {elapsed}")));
        whole.enable_steady_tick(TICK);
        let mut bars = Self {
            screen,
            whole,
            stages: BTreeMap::new(),
            vms: BTreeMap::new(),
        };
        bars.show(track);
        bars
    }

    fn say(&self, line: &str) {
        // Through the screen, so that no bar is drawn over it.
        self.screen.suspend(|| say(line));
    }

    fn show(&mut self, track: &Track) {
        let mut over = 0;
        for stage in 0..track.stages() {
            let (done, all) = track.done(stage);
            over += done;
            let begun = done > 0
                || track
                    .steps
                    .iter()
                    .any(|step| step.stage == stage && step.state != State::Pending);
            if begun {
                self.stage(track, stage, done, all);
            }
        }
        let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        self.whole.set_length(whole(track.steps.len()));
        self.whole.set_position(whole(over));
        self.running(track);
    }

    fn stage(&mut self, track: &Track, stage: usize, done: usize, all: usize) {
        let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let (screen, last) = (&self.screen, &self.whole);
        let bar = self.stages.entry(stage).or_insert_with(|| {
            let bar = ProgressBar::new(whole(all))
                .with_style(style("{prefix:12} [{bar:24.green}] {pos}/{len}"))
                .with_finish(ProgressFinish::Abandon);
            screen.insert_before(last, bar)
        });
        bar.set_prefix(track.stage_name(stage));
        bar.set_position(whole(done));
        if done == all {
            bar.abandon();
        }
    }

    fn running(&mut self, track: &Track) {
        let running = track.running();
        let gone: Vec<String> = self
            .vms
            .keys()
            .filter(|vm| !running.contains_key(vm.as_str()))
            .cloned()
            .collect();
        for vm in gone {
            if let Some(bar) = self.vms.remove(&vm) {
                bar.finish_and_clear();
                self.screen.remove(&bar);
            }
        }
        for (vm, texts) in running {
            let (screen, last) = (&self.screen, &self.whole);
            let bar = self.vms.entry(vm.to_owned()).or_insert_with(|| {
                let bar = ProgressBar::new_spinner()
                    .with_style(style("  {spinner} {prefix:12} {wide_msg} {elapsed}"));
                let bar = screen.insert_before(last, bar.with_prefix(vm.to_owned()));
                bar.enable_steady_tick(TICK);
                bar
            });
            let more = texts.len().saturating_sub(1);
            let first = texts.first().copied().unwrap_or_default();
            let message = if more == 0 {
                first.to_owned()
            } else {
                format!("{first} (and {more} more)")
            };
            bar.set_message(message);
        }
    }

    fn end(&mut self) {
        for bar in self.vms.values() {
            bar.finish_and_clear();
        }
        self.whole.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
