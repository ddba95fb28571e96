//! The loop that owns every unit: news come in, units move, lines go out.
//!
//! ```text
//!   tasks: starts, ends, pauses ──▶ ┐
//!   control socket: requests ─────▶ ├──▶ loop ──▶ settle(unit): one step towards what is wanted
//!   signals, --duration ──────────▶ ┘      └────▶ shutdown: reverse order, always
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use thm_api::{Error, ErrorKind, ExitCode, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::console::Console;
use crate::process::{Folders, Launch, Process, describe_exit, local};
use crate::services::{Running, Service, StartFailure};

use super::control::{self, Action, Request};
use super::plan::Plan;
use super::screen::{self, Asked, Screen, UnitRow};
use super::unit::{AfterEnd, News, State, Unit};
use super::{DevOptions, names, status, welcome};

/// While services start, how often those that are not there yet are named.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);
/// Log lines shown when a service will not be started again.
const DEFAULT_SHOWN_LOG_LINES: usize = 20;
/// Room for news; each unit has at most a few under way.
const DEFAULT_NEWS_CAPACITY: usize = 64;

/// What reaches the loop.
pub(super) enum Event {
    Unit { place: usize, generation: u64, news: News },
    Control(Request),
    Verified(Result<ExitCode>),
}

/// The running stack.
pub(super) struct Stack {
    plan: Plan,
    units: Vec<Unit>,
    folders: Folders,
    console: Console,
    duration: Option<Duration>,
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    /// Set once all have been up together.
    announced: bool,
    /// When the generator is to stop.
    deadline: Option<Instant>,
    /// Status lines, the control socket, the verification: ended with the loop.
    tasks: Vec<JoinHandle<()>>,
    reporter: Option<JoinHandle<()>>,
    /// None where lines are printed instead.
    screen: Option<Screen>,
    plain: bool,
}

/// Signals that end the stack.
struct Signals {
    interrupt: Signal,
    /// None under `nohup`, which asks for just that.
    hangup: Option<Signal>,
    terminate: Signal,
}

impl Signals {
    fn watch() -> Result<Self> {
        let of = |kind| signal(kind).map_err(|error| local("watching for signals", "thm dev", error));
        Ok(Self {
            interrupt: of(SignalKind::interrupt())?,
            hangup: if is_hangup_ignored() { None } else { Some(of(SignalKind::hangup())?) },
            terminate: of(SignalKind::terminate())?,
        })
    }

    /// The exit code that the next signal asks for.
    async fn next(&mut self) -> ExitCode {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => ExitCode::Interrupted,
            _ = hangup => ExitCode::Interrupted,
            _ = self.terminate.recv() => ExitCode::Ok,
        }
    }
}

/// Whether we were started with SIGHUP (bit 0 of the mask) ignored.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

impl Stack {
    pub(super) fn new(mut plan: Plan, folders: Folders, console: Console, options: &DevOptions) -> Result<Self> {
        let (sender, events) = mpsc::channel(DEFAULT_NEWS_CAPACITY);
        let units = plan.units.drain(..).map(|planned| Unit::new(planned.service, planned.after)).collect();
        Ok(Self {
            plan,
            units,
            folders,
            console,
            duration: options.duration,
            sender,
            events,
            announced: false,
            deadline: None,
            tasks: Vec::new(),
            reporter: None,
            screen: None,
            plain: options.plain,
        })
    }

    /// Runs until a signal, a failed first start or the end of the verification; then stops everything.
    pub(super) async fn run(mut self) -> Result<ExitCode> {
        let mut signals = Signals::watch()?;
        let data = self.plan.config_file.parent().unwrap_or(std::path::Path::new("."));
        self.tasks.push(control::serve(data, self.sender.clone())?);
        let (sender, mut asked) = mpsc::unbounded_channel();
        if screen::is_possible(self.plain) {
            self.screen = Some(self.open_screen(sender)?);
        }
        let outcome = tokio::select! {
            outcome = self.serve(&mut signals) => outcome,
            Some(asked) = asked.recv() => Ok(match asked {
                // A stop in the middle of a measured run is no success.
                Asked::Quit if self.duration.is_none() => ExitCode::Ok,
                Asked::Quit | Asked::Interrupt => ExitCode::Interrupted,
            }),
        };
        self.close_screen(outcome.is_err()).await;
        self.shutdown(&mut signals).await;
        outcome
    }

    fn open_screen(&self, asked: mpsc::UnboundedSender<Asked>) -> Result<Screen> {
        let source = screen::Source::new(self.plan.ports.flink);
        let (guide, log) = (welcome::guide(&self.plan), self.folders.log("dev"));
        Screen::open(self.console, source, guide, &log, asked)
            .map_err(|error| local("taking the terminal", "thm dev", error).with_hint("Start it with --plain."))
    }

    /// Gives the terminal back, if it was taken; with everything that was said, if it failed.
    async fn close_screen(&mut self, failed: bool) {
        if let Some(screen) = self.screen.take() {
            screen.close(failed).await;
        }
    }

    /// Shows the units as they are, on the screen if there is one.
    fn show(&self) {
        let Some(screen) = &self.screen else { return };
        let row = |unit: &Unit| UnitRow {
            name: unit.name(),
            state: unit.state.name(),
            ports: unit.service.ports(),
            since: Instant::now(),
            restarts: unit.restarts,
            waits_for: unit
                .after
                .iter()
                .filter_map(|&before| self.units.get(before))
                .filter(|unit| !unit.is_up())
                .map(Unit::name)
                .collect(),
        };
        screen.show(self.units.iter().map(row).collect(), self.announced, self.deadline);
    }

    async fn serve(&mut self, signals: &mut Signals) -> Result<ExitCode> {
        for place in 0..self.units.len() {
            self.settle(place);
        }
        let mut patience = tokio::time::interval(DEFAULT_PATIENCE);
        patience.tick().await;
        loop {
            self.show();
            let deadline = self.deadline;
            let over = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                code = signals.next() => {
                    // A stop in the middle of a measured run is no success.
                    let verified = self.duration.is_none();
                    return Ok(if verified { code } else { ExitCode::Interrupted });
                }
                () = over => self.begin_verification().await,
                _ = patience.tick(), if !self.announced => self.name_the_late(),
                event = self.events.recv() => match event {
                    None => return Ok(ExitCode::Ok),
                    Some(Event::Verified(code)) => return code,
                    Some(Event::Control(request)) => self.obey(request),
                    Some(Event::Unit { place, generation, news }) => self.take(place, generation, news)?,
                },
            }
        }
    }

    /// Moves a unit by what is new about it. An error ends the stack.
    fn take(&mut self, place: usize, generation: u64, news: News) -> Result<()> {
        let Some(unit) = self.units.get_mut(place).filter(|unit| unit.generation == generation) else { return Ok(()) };
        match news {
            News::Started(outcome) => match *outcome {
                Ok(running) => self.has_started(place, running),
                Err(failure) => return self.has_not_started(place, failure),
            },
            News::Ended(status) => self.has_ended(place, status),
            News::Stopped => {
                self.console.fact(unit.name(), "stopped");
                unit.state = State::Idle;
                self.settle(place);
                self.announce_when_complete();
            }
            News::PauseOver => {
                if matches!(unit.state, State::Waiting) {
                    unit.state = State::Idle;
                }
                self.settle(place);
            }
        }
        Ok(())
    }

    /// One step of a unit towards what is wanted of it.
    fn settle(&mut self, place: usize) {
        let Some(unit) = self.units.get_mut(place) else { return };
        match (unit.wanted, &unit.state) {
            (true, State::Idle) => self.begin_start(place),
            (true, State::Up { .. }) => unit.tell(&Ok(format!("{} is running", unit.name()))),
            (false, State::Up { .. } | State::Starting(_)) => self.begin_stop(place),
            (false, State::Waiting | State::Failed | State::Idle) => {
                unit.state = State::Idle;
                unit.tell(&Ok(format!("{} is stopped", unit.name())));
            }
            (_, State::Stopping(_)) | (true, State::Starting(_) | State::Waiting | State::Failed) => {}
        }
    }

    fn begin_start(&mut self, place: usize) {
        let Some(unit) = self.units.get(place) else { return };
        let is_first = unit.generation == 0;
        if is_first && !unit.after.iter().all(|&before| self.units.get(before).is_some_and(Unit::is_up)) {
            return;
        }
        let (service, folders) = (Arc::clone(&unit.service), self.folders.clone());
        let report = self.reporter_of(place);
        let task = tokio::spawn(async move {
            let outcome = Running::start(service, &folders).await;
            report(News::Started(Box::new(outcome))).await;
        });
        if let Some(unit) = self.units.get_mut(place) {
            unit.state = State::Starting(task);
        }
    }

    fn begin_stop(&mut self, place: usize) {
        let report = self.reporter_of(place);
        let Some(unit) = self.units.get_mut(place) else { return };
        let state = std::mem::replace(&mut unit.state, State::Idle);
        unit.state = State::Stopping(tokio::spawn(async move {
            end(state).await;
            report(News::Stopped).await;
        }));
    }

    /// A new generation of a unit, and how its tasks report to the loop.
    fn reporter_of(
        &mut self,
        place: usize,
    ) -> impl FnOnce(News) -> futures::future::BoxFuture<'static, ()> + Send + use<> {
        let generation = self.units.get_mut(place).map_or(0, |unit| {
            unit.generation += 1;
            unit.generation
        });
        let sender = self.sender.clone();
        move |news| {
            Box::pin(async move {
                // The loop is gone only when everything is being stopped.
                let _ = sender.send(Event::Unit { place, generation, news }).await;
            })
        }
    }

    fn has_started(&mut self, place: usize, running: Running<dyn Service>) {
        let report = self.reporter_of(place);
        let Some(unit) = self.units.get_mut(place) else { return };
        let ports: Vec<String> = unit.service.ports().iter().map(|port| format!(":{port}")).collect();
        let text = if ports.is_empty() { "running".to_owned() } else { format!("ready on {}", ports.join(" ")) };
        self.console.fact(unit.name(), &text);
        let ended = running.process().exit_watch();
        tokio::spawn(async move { report(News::Ended(ended.await)).await });
        unit.state = State::Up { running: Arc::new(running), since: Instant::now() };
        self.settle(place);
        if !self.announced {
            for other in 0..self.units.len() {
                self.settle(other);
            }
            self.announce_when_complete();
        }
    }

    /// The first start of the stack is all or nothing; later a service that does not come up is tried again.
    fn has_not_started(&mut self, place: usize, failure: StartFailure) -> Result<()> {
        if !self.announced {
            if !failure.log.is_empty() {
                self.console.plain(&failure.log);
            }
            let kind = match failure.exit_code {
                Some(code) if code == ExitCode::Usage as i32 => ErrorKind::InvalidConfig,
                Some(code) if code == ExitCode::DataSafety as i32 => ErrorKind::DataFolder,
                _ => return Err(failure.error),
            };
            // The engine has said what is wrong with the user's files or data; nothing to add but the name. Its exit
            // code becomes ours.
            let name = self.units.get(place).map_or("", Unit::name);
            let ended = format!("{name} ended with exit code {}", failure.exit_code.unwrap_or_default());
            return Err(Error::new(kind, "starting", ended).with_hint("Correct what is named above, then start again."));
        }
        let Some(unit) = self.units.get_mut(place) else { return Ok(()) };
        unit.tell(&Err(failure.error.to_string()));
        self.come_back(place, failure.exit_code, Duration::ZERO, &failure.error.to_string());
        Ok(())
    }

    fn has_ended(&mut self, place: usize, status: std::process::ExitStatus) {
        let Some(unit) = self.units.get(place) else { return };
        let State::Up { running, since } = &unit.state else { return };
        let (served, log) = (since.elapsed(), running.process().log_tail(DEFAULT_SHOWN_LOG_LINES));
        if status.code().is_some_and(|code| code != 0) {
            self.console.plain(&log);
        }
        self.come_back(place, status.code(), served, &describe_exit(status));
    }

    /// Decides what follows an end or a failed start that nobody asked for.
    fn come_back(&mut self, place: usize, exit_code: Option<i32>, served: Duration, why: &str) {
        let report = self.reporter_of(place);
        let Some(unit) = self.units.get_mut(place) else { return };
        match unit.after_end(exit_code, served) {
            AfterEnd::Done => {
                self.console.fact(unit.name(), "is through");
                (unit.state, unit.wanted) = (State::Idle, false);
            }
            AfterEnd::Fail => {
                let name = unit.name();
                self.console.fact(name, &format!("{why}; not started again: correct it, then `thm dev start {name}`"));
                unit.state = State::Failed;
            }
            AfterEnd::Again(pause) => {
                let text = format!("{why}; starting again in {:.1} s (restart {})", pause.as_secs_f64(), unit.restarts);
                self.console.fact(unit.name(), &text);
                unit.state = State::Waiting;
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    report(News::PauseOver).await;
                });
            }
        }
    }

    fn announce_when_complete(&mut self) {
        if self.announced || !self.units.iter().all(|unit| unit.is_up() || !unit.wanted) {
            return;
        }
        self.announced = true;
        let (console, logs) = (self.console, self.folders.logs.clone());
        if self.screen.is_some() {
            self.console.fact("dev", "everything runs");
            self.reporter = Some(tokio::spawn(status::trim(logs)));
        } else {
            self.console.plain(&welcome::text(&self.plan));
            let source = screen::Source::new(self.plan.ports.flink);
            self.reporter = Some(tokio::spawn(status::report(console, source, logs)));
        }
        self.deadline = self.duration.map(|duration| Instant::now() + duration);
    }

    fn name_the_late(&self) {
        let late = self.units.iter().filter(|unit| matches!(unit.state, State::Starting(_)));
        for unit in late {
            self.console.fact(unit.name(), "still starting");
        }
    }

    fn obey(&mut self, request: Request) {
        let Request { action, service, reply } = request;
        if action == Action::Ps {
            // One who asked and went away does not mind.
            let _ = reply.send(Ok(status::table(&self.units)));
            return;
        }
        let place = names::resolve(&service).and_then(|name| self.units.iter().position(|unit| unit.name() == name));
        let Some(place) = place else {
            let _ = reply.send(Err(format!("there is no service '{service}' here; there are {}", names::all())));
            return;
        };
        let Some(unit) = self.units.get_mut(place) else { return };
        unit.tell_later(reply);
        unit.wanted = action != Action::Stop;
        match (action, &unit.state) {
            (Action::Restart, State::Up { .. } | State::Starting(_)) => self.begin_stop(place),
            (Action::Restart | Action::Start, State::Failed | State::Waiting) => {
                unit.state = State::Idle;
                self.settle(place);
            }
            _ => self.settle(place),
        }
    }

    /// Stops the generator, then compares all sinks with the source.
    async fn begin_verification(&mut self) {
        self.deadline = None;
        // The report is for scrolling, and to stay.
        self.close_screen(false).await;
        if let Some(reporter) = self.reporter.take() {
            reporter.abort();
        }
        self.console
            .fact("verify", "the time is over: stopping the generator, then comparing every sink with the source");
        let generator = self.units.iter().position(|unit| unit.name() == "generator");
        let stopped = generator.map(|place| {
            let (reply, stopped) = oneshot::channel();
            self.obey(Request { action: Action::Stop, service: "generator".to_owned(), reply });
            (place, stopped)
        });
        let (sender, folders) = (self.sender.clone(), self.folders.clone());
        let mut launch = Launch::new(&self.plan.program, ["verify", "--config"]);
        launch.args.push(self.plan.config_file.clone().into());
        launch.inherit_output = true;
        self.tasks.push(tokio::spawn(async move {
            if let Some((_, stopped)) = stopped {
                // Gone or stopped: either way it inserts no more.
                let _ = stopped.await;
            }
            let code = verify(launch, &folders).await;
            let _ = sender.send(Event::Verified(code)).await;
        }));
    }

    /// Stops everything in reverse order. A second signal makes it kill what is left.
    async fn shutdown(&mut self, signals: &mut Signals) {
        for task in self.tasks.drain(..).chain(self.reporter.take()) {
            task.abort();
            let _ = task.await;
        }
        self.console.fact("dev", "stopping everything; once more to kill what is left");
        let mut is_hurried = false;
        for unit in self.units.iter_mut().rev() {
            let name = unit.name();
            let state = std::mem::replace(&mut unit.state, State::Idle);
            if matches!(state, State::Idle | State::Waiting | State::Failed) {
                continue;
            }
            let running = if let State::Up { running, .. } = &state { Some(Arc::clone(running)) } else { None };
            if is_hurried && let Some(running) = &running {
                running.process().identity().kill_group();
            }
            let mut ending = tokio::spawn(end(state));
            tokio::select! {
                _ = &mut ending => {}
                _ = signals.next() => {
                    is_hurried = true;
                    if let Some(running) = &running {
                        running.process().identity().kill_group();
                    }
                    let _ = ending.await;
                }
            }
            self.console.fact(name, "stopped");
        }
    }
}

/// Runs `thm verify`; its exit code is ours.
async fn verify(launch: Launch, folders: &Folders) -> Result<ExitCode> {
    let process = Process::spawn("verify", launch, folders).await?;
    let status = process.ended().await;
    let known = [ExitCode::Ok, ExitCode::Usage, ExitCode::Unreachable, ExitCode::DataSafety];
    let code = known.into_iter().find(|code| status.code() == Some(*code as i32));
    Ok(code.unwrap_or(ExitCode::VerificationFailed))
}

/// Brings whatever runs in a state to its end.
async fn end(state: State) {
    match state {
        State::Up { running, .. } => {
            // Blocks until the process is gone; a panic there is printed by the runtime.
            let _ = tokio::task::spawn_blocking(move || running.stop()).await;
        }
        State::Starting(task) => {
            // Dropping the half-made service stops it.
            task.abort();
            let _ = task.await;
        }
        State::Stopping(task) => {
            let _ = task.await;
        }
        State::Idle | State::Waiting | State::Failed => {}
    }
}
