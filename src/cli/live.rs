//! A command at work: its events and who shows them, its connections, and how it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures::future::BoxFuture;
use rustix::process::{Signal, getpid, kill_process};
use tokio_util::sync::CancellationToken;

use super::arguments::{ConnectionFlags, GlobalFlags, HostKeyChecking, OutputFormat};
use super::prepare::Prepared;
use crate::connect::config::{ClientConfig, ConfigFiles};
use crate::connect::ssh::{
    AskHostKey, AskPerson, HostKeyPolicy, HostKeyQuestion, Pace, PersonQuestion,
};
use crate::diagnostic::{Diagnostic, Severity};
use crate::engine::{
    Control, Dial, EventKind, Events, Fleet, InventoryDial, NoticeLevel, RunOptions, RunReport,
    Trust,
};
use crate::exit::Exit;
use crate::inventory::Connection;
use crate::remote::{RemoteError, RunLock};
use crate::report::{self, FindingsView, Format, Pauser, ReportHandle, ReportOptions};
use crate::secret::{Redactor, SecretString};

/// How a command reports.
pub struct LiveOptions<'a> {
    /// What the user asked for, in words.
    pub command: &'a str,
    /// `-v`, colours.
    pub global: &'a GlobalFlags,
    /// What goes to standard output.
    pub output: OutputFormat,
    /// What becomes of findings.
    pub findings: FindingsView,
    /// Nothing is changed.
    pub check_mode: bool,
    /// A log is written.
    pub log: bool,
    /// A page with its timings is written; an empty path is one of the working folder.
    pub timings: Option<&'a std::path::Path>,
}

impl<'a> LiveOptions<'a> {
    /// A command that only looks, prints its own data and writes no log.
    pub fn quiet(command: &'a str, global: &'a GlobalFlags) -> Self {
        Self {
            command,
            global,
            output: OutputFormat::Text,
            findings: FindingsView::Problems,
            check_mode: true,
            log: false,
            timings: None,
        }
    }
}

/// A command at work.
pub struct Live {
    /// Where events go.
    pub events: Events,
    /// How it is stopped.
    pub control: Control,
    /// Identifies the run.
    pub run_id: String,
    timings: Option<std::path::PathBuf>,
    report: ReportHandle,
    signal: Arc<AtomicU8>,
    listener: tokio::task::JoinHandle<()>,
}

impl Live {
    /// Begins to report, and to listen for signals.
    pub fn start(prepared: &Prepared, options: &LiveOptions<'_>) -> anyhow::Result<Self> {
        let run_id = new_run_id()?;
        let log_file = options
            .log
            .then(|| prepared.work_dir.join("logs").join(format!("{run_id}.log")));
        let format = match options.output {
            OutputFormat::Text => Format::Auto,
            OutputFormat::Json => Format::Json,
            OutputFormat::Jsonl => Format::JsonLines,
        };
        let mut report_options = ReportOptions::detect(format, options.global.verbose);
        if options.global.colour == super::arguments::ColourChoice::Never {
            report_options.surroundings.stdout.colour = false;
            report_options.surroundings.stderr.colour = false;
        }
        report_options.log_file.clone_from(&log_file);
        report_options.journal = options
            .log
            .then(|| report::journal::path_of(&prepared.work_dir, &run_id));
        report_options.timings = options
            .timings
            .map(|path| timings_path(path, &prepared.work_dir, &run_id));
        report_options.findings = options.findings;
        let (events, receiver) = Events::channel(prepared.redactor.clone());
        let report =
            report::spawn(receiver, &report_options).context("begin the log of the run")?;
        let timings = report_options.timings;
        let control = Control::default();
        let signal = Arc::new(AtomicU8::new(0));
        // From now on a signal ends nothing by itself, whenever the listener is first run.
        let signals = Signals::take();
        let listener = tokio::spawn(listen(
            signals,
            control.clone(),
            events.clone(),
            Arc::clone(&signal),
        ));
        events.send(EventKind::RunStarted {
            command: options.command.to_owned(),
            run_id: run_id.clone(),
            time: time::OffsetDateTime::now_utc()
                .format(&time::format_description::well_known::Rfc3339)?,
            version: super::local::VERSION.to_owned(),
            hosts: prepared.names.clone(),
            check_mode: options.check_mode,
            log_file: log_file.as_ref().map(|path| path.display().to_string()),
        });
        for warning in &prepared.warnings.0 {
            let level = if warning.severity == Severity::Error {
                NoticeLevel::Error
            } else {
                NoticeLevel::Warning
            };
            events.send(EventKind::Notice {
                level,
                message: warning.to_string(),
                hint: warning.hint.clone(),
            });
        }
        Ok(Self {
            events,
            control,
            run_id,
            timings,
            report,
            signal,
            listener,
        })
    }

    /// For questions to the user while progress is shown.
    pub fn asker(&self) -> Asker {
        Asker {
            pauser: self.report.pauser(),
            stop: self.control.stop.clone(),
            signal: Arc::clone(&self.signal),
        }
    }

    /// Connects to the hosts that take part.
    pub async fn connect(
        &self,
        prepared: &Prepared,
        flags: &ConnectionFlags,
        asked: &Asked,
    ) -> Fleet {
        self.connect_to(prepared, &prepared.names, flags, asked)
            .await
    }

    /// Connects to some of the hosts that take part.
    pub async fn connect_to(
        &self,
        prepared: &Prepared,
        names: &[String],
        flags: &ConnectionFlags,
        asked: &Asked,
    ) -> Fleet {
        let person = report::Surroundings::read().can_ask.then(|| {
            Arc::new(Terminal {
                asker: self.asker(),
                redactor: prepared.redactor.clone(),
            })
        });
        let asking = || match &person {
            Some(terminal) => HostKeyPolicy::Ask(Arc::clone(terminal) as Arc<dyn AskHostKey>),
            None => HostKeyPolicy::Strict,
        };
        let policy = flags.host_key_checking.map(|mode| match mode {
            HostKeyChecking::AcceptNew => HostKeyPolicy::AcceptNew,
            HostKeyChecking::Ask => asking(),
            HostKeyChecking::Strict => HostKeyPolicy::Strict,
        });
        let files = match &flags.ssh_config {
            None => ConfigFiles::Default,
            Some(file) if file.as_os_str() == "none" => ConfigFiles::None,
            Some(file) => ConfigFiles::File(file.clone()),
        };
        let dial: Arc<dyn Dial> = Arc::new(InventoryDial {
            inventory: Arc::new(prepared.inventory.clone()),
            config: ClientConfig::read(files),
            trust: Trust::new(flags.known_hosts.clone(), policy, asking()),
            timeout: flags.timeout,
            pace: flags.bwlimit.map(|rate| Arc::new(Pace::new(rate))),
            lends_keys: flags.relay,
            private_key: flags.private_key.clone(),
            user: flags.user.clone(),
            password: asked.login.clone(),
            person: person.map(|terminal| terminal as Arc<dyn AskPerson>),
            events: self.events.clone(),
        });
        let connecting = Fleet::connect(
            &prepared.inventory,
            names,
            dial.as_ref(),
            usize::from(flags.forks),
            asked.sudo.as_ref(),
        );
        tokio::select! {
            fleet = connecting => fleet.with_dial(Arc::clone(&dial)),
            () = self.control.stop.cancelled() => Fleet::default(),
        }
    }

    /// Takes the run lock of every host that is there, so that no second kk changes it meanwhile; and waits for a step
    /// that a killed run left behind. In check mode nothing is taken.
    pub async fn lock(&self, prepared: &Prepared, fleet: &Fleet, options: &RunOptions) -> Locks {
        if options.check_mode {
            return Locks(Vec::new());
        }
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let holder = format!("kk run {} from {host}", self.run_id);
        let members = fleet.named(&prepared.names);
        let taking = members.filter(|member| member.link.is_ok()).map(|member| {
            let holder = &holder;
            async move {
                let session = member.session_as_root(&self.control.cancel).ok()?;
                match session.lock(&self.run_id, holder, LOCK_WAIT).await {
                    Ok(Some(lock)) => Some(lock),
                    Ok(None) => {
                        let message = format!(
                            "{}: there is no `flock`, so a second kk is not kept out",
                            member.name
                        );
                        self.events.notice(NoticeLevel::Warning, message);
                        None
                    }
                    Err(error) => {
                        let hint = match &error {
                            RemoteError::Failed {
                                hint: Some(hint), ..
                            } => format!("; {hint}"),
                            _ => String::new(),
                        };
                        member.refuse(format!("{error}{hint}"));
                        None
                    }
                }
            }
        });
        let taking: Vec<_> = taking.collect();
        let taken = self.patiently(futures::future::join_all(taking)).await;
        Locks(taken.into_iter().flatten().collect())
    }

    /// Waits for steps that a killed run left behind, so that nobody looks at a host in the middle of a change. Changes
    /// nothing; a host that does not settle is dealt with when its lock is taken.
    pub async fn settle(&self, prepared: &Prepared, fleet: &Fleet) {
        let members = fleet.named(&prepared.names);
        let settling: Vec<_> = members
            .filter(|member| member.link.is_ok())
            .map(|member| async move {
                if let Ok(session) = member.session_as_root(&self.control.cancel) {
                    // What keeps a host from answering is found by the checks that follow.
                    let _ = session.settle(LOCK_WAIT).await;
                }
            })
            .collect();
        self.patiently(futures::future::join_all(settling)).await;
    }

    /// Waits for hosts, and says so when it takes longer than nothing.
    async fn patiently<T>(&self, waiting: impl Future<Output = T>) -> T {
        tokio::pin!(waiting);
        tokio::select! {
            done = &mut waiting => return done,
            () = tokio::time::sleep(SHORT_WAIT) => {}
        }
        self.events.notice(
            NoticeLevel::Info,
            "waiting for what an earlier run left behind on a host: its lock, or a step that still runs",
        );
        waiting.await
    }

    /// Ends all connections, politely but not for long.
    pub async fn close(fleet: &Fleet) {
        let _ = tokio::time::timeout(GOODBYE, fleet.close()).await;
    }

    /// Ends a command that prints its own data and no recap.
    pub async fn end_quietly(self, exit: Exit) -> Exit {
        self.events.send(EventKind::RunFinished {
            recap: Vec::new(),
            duration: self.events.elapsed(),
            exit_code: exit.code(),
        });
        self.listener.abort();
        self.report.finish().await;
        exit
    }

    /// Ends: recap, exit code, the last event. `exit` overrides what the report says.
    pub async fn finish(self, report: &RunReport, exit: Option<Exit>) -> Exit {
        let exit = match (self.signal.load(Ordering::Relaxed), exit) {
            (SIGNAL_TERMINATE, _) => Exit::Terminated,
            (SIGNAL_INTERRUPT, _) => Exit::Interrupted,
            (_, Some(exit)) => exit,
            (_, None) => report.exit(),
        };
        if let Some(path) = &self.timings {
            let words = format!("timings: {}", path.display());
            self.events.notice(NoticeLevel::Info, words);
        }
        self.events.send(EventKind::RunFinished {
            recap: report.recap.clone(),
            duration: self.events.elapsed(),
            exit_code: exit.code(),
        });
        self.listener.abort();
        self.report.finish().await;
        exit
    }
}

/// The run locks of a command.
pub struct Locks(Vec<RunLock>);

impl Locks {
    /// Lets go of all of them.
    pub async fn release(self) {
        futures::future::join_all(self.0.into_iter().map(RunLock::release)).await;
    }
}

/// How long a step that a killed run left behind is waited for.
const LOCK_WAIT: Duration = Duration::from_secs(120);

/// How long hosts may be waited for before the user is told what goes on.
const SHORT_WAIT: Duration = Duration::from_secs(3);

const SIGNAL_INTERRUPT: u8 = 1;
const SIGNAL_TERMINATE: u8 = 2;

/// The signals that stop a run.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Takes them from the system, which would end the program.
    fn take() -> Option<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Some(Self {
            interrupt: signal(SignalKind::interrupt()).ok()?,
            terminate: signal(SignalKind::terminate()).ok()?,
        })
    }
}

/// The first Ctrl-C lets running steps end, the second ends them, the third leaves at once. SIGTERM counts as two.
async fn listen(signals: Option<Signals>, control: Control, events: Events, signal: Arc<AtomicU8>) {
    let Some(Signals {
        mut interrupt,
        mut terminate,
    }) = signals
    else {
        return;
    };
    let mut level = 0_u8;
    loop {
        let kind = tokio::select! {
            _ = interrupt.recv() => SIGNAL_INTERRUPT,
            _ = terminate.recv() => SIGNAL_TERMINATE,
        };
        signal.store(kind, Ordering::Relaxed);
        level = if kind == SIGNAL_TERMINATE {
            level.max(1) + 1
        } else {
            level + 1
        };
        events.send(EventKind::CancelRequested { level });
        control.stop.cancel();
        if level >= 2 {
            control.cancel.cancel();
        }
        if level >= 3 {
            let code = if kind == SIGNAL_TERMINATE {
                Exit::Terminated
            } else {
                Exit::Interrupted
            };
            #[expect(
                clippy::exit,
                reason = "the user asked a third time: nothing is waited for any more"
            )]
            std::process::exit(i32::from(code.code()));
        }
    }
}

/// Where the page with the timings of a run lies.
pub fn timings_path(
    given: &std::path::Path,
    work_dir: &std::path::Path,
    run: &str,
) -> std::path::PathBuf {
    if given.as_os_str().is_empty() {
        work_dir.join("timings").join(format!("{run}.html"))
    } else {
        given.to_owned()
    }
}

/// A name for the run that sorts by time: `20261120-184502-3fa9c1`.
fn new_run_id() -> anyhow::Result<String> {
    let format = time::macros::format_description!("[year][month][day]-[hour][minute][second]");
    let now = time::OffsetDateTime::now_utc().format(format)?;
    Ok(format!("{now}-{:06x}", rand::random::<u32>() & 0x00ff_ffff))
}

/// Passwords that were asked for on the terminal.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    login: Option<SecretString>,
    sudo: Option<SecretString>,
}

impl Asked {
    /// Asks for what `-k` and `-K` want, before anything is shown.
    pub fn ask(flags: &ConnectionFlags, prepared: &Prepared) -> anyhow::Result<Self> {
        let ask = |wanted: bool, prompt: &str| -> anyhow::Result<Option<SecretString>> {
            if !wanted {
                return Ok(None);
            }
            if !report::Surroundings::read().can_ask {
                let diagnostic =
                    Diagnostic::error("a password can only be asked for on a terminal");
                return Err(diagnostic
                    .hint("put it into a file (`--connection-password-file`, `--become-password-file`) or into the inventory (`password`, `become_password`)")
                    .into());
            }
            let password =
                super::terminal::ask_first(prompt, false).context("read the password")?;
            prepared.redactor.learn(&password);
            Ok(Some(SecretString::new(password)))
        };
        let of_file = |flag: &str, file: &Option<std::path::PathBuf>| -> anyhow::Result<_> {
            let Some(file) = file else {
                return Ok(None);
            };
            let password = super::passwords::of_file(flag, file)?;
            prepared.redactor.learn(password.expose());
            Ok(Some(password))
        };
        let login = ask(flags.ask_pass, "SSH password: ")?;
        let login = login.or(of_file(
            "--connection-password-file",
            &flags.connection_password_file,
        )?);
        let sudo = ask(
            flags.ask_become_pass,
            if flags.ask_pass {
                "BECOME password[defaults to SSH password]: "
            } else {
                "BECOME password: "
            },
        )?;
        let sudo = sudo
            .filter(|password| !password.expose().is_empty())
            .or(of_file(
                "--become-password-file",
                &flags.become_password_file,
            )?)
            .or_else(|| login.clone());
        Ok(Self { login, sudo })
    }
}

/// Asks whether this machine may be changed, when no inventory was given.
pub fn confirm_local(prepared: &Prepared, yes: bool, what: &str) -> anyhow::Result<()> {
    let is_local = prepared.implicit
        || prepared
            .inventory
            .hosts
            .values()
            .all(|host| host.connection == Connection::Local)
            && prepared.inventory.source.is_none();
    if !is_local || yes {
        return Ok(());
    }
    if !report::Surroundings::read().can_ask {
        let diagnostic = Diagnostic::error(format!(
            "no inventory is given: {what} would change this machine"
        ));
        return Err(diagnostic
            .hint("name an inventory with `-i`, or answer with `-y`")
            .into());
    }
    let question = format!("No inventory is given: {what} changes this machine. Go on? [y/N] ");
    let answer = super::terminal::ask_first(&question, true)?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Diagnostic::error("not confirmed; nothing was changed").into())
}

/// Asks on the terminal while nothing is drawn. Cheap to clone.
#[derive(Clone)]
pub struct Asker {
    pauser: Pauser,
    stop: CancellationToken,
    signal: Arc<AtomicU8>,
}

impl Asker {
    /// The answer; nothing where nobody gave one. Ctrl-C stops the run before anything else can begin.
    pub fn ask(&self, prompt: &str, echo: bool) -> Option<String> {
        self.pauser.pause(|| {
            if self.stop.is_cancelled() {
                return None;
            }
            let answer = super::terminal::ask(prompt, echo);
            if let Err(error) = &answer
                && error.kind() == std::io::ErrorKind::Interrupted
            {
                self.signal.store(SIGNAL_INTERRUPT, Ordering::Relaxed);
                self.stop.cancel();
                // The listener says so.
                let _ = kill_process(getpid(), Signal::INT);
            }
            answer.ok()
        })
    }
}

/// Asks about host keys and for passphrases on the terminal, one at a time, while nothing is drawn.
struct Terminal {
    asker: Asker,
    redactor: Redactor,
}

impl AskPerson for Terminal {
    fn ask(&self, question: &PersonQuestion) -> Option<SecretString> {
        let (prompt, echo) = match question {
            PersonQuestion::Passphrase { key, was_wrong } => {
                let before = if *was_wrong { "That was wrong. " } else { "" };
                (format!("{before}Passphrase of {key}: "), false)
            }
            PersonQuestion::Prompt {
                target,
                words,
                echo,
            } => {
                let words: String = words
                    .chars()
                    .map(|character| {
                        if character.is_control() {
                            ' '
                        } else {
                            character
                        }
                    })
                    .collect();
                (format!("{target} asks: {words} "), *echo)
            }
        };
        let answer = self.asker.ask(&prompt, echo)?;
        self.redactor.learn(&answer);
        Some(SecretString::new(answer)).filter(|answer| !answer.expose().is_empty())
    }
}

impl AskHostKey for Terminal {
    fn ask(&self, question: HostKeyQuestion) -> BoxFuture<'_, bool> {
        let terminal = self.asker.clone();
        Box::pin(async move {
            let asked = tokio::task::spawn_blocking(move || {
                let file = question.file.as_ref().map_or_else(String::new, |file| {
                    format!(" It is added to {}.", file.display())
                });
                let text = format!(
                    "The host key of {} is not known.\n{} {}\nCompare it with what the host's console shows.{file} Trust it? [y/N] ",
                    question.address, question.algorithm, question.fingerprint
                );
                let answer = terminal.ask(&text, true);
                answer.is_some_and(|answer| {
                    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
                })
            });
            asked.await.unwrap_or(false)
        })
    }
}

/// The longest that polite goodbyes may take.
const GOODBYE: Duration = Duration::from_secs(3);
