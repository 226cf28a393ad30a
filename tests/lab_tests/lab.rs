//! The lab as the cases see it: brought up once, its hosts lent to one case at a time, and the clock of every case.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::hosts::Host;

/// No case takes longer; one that does hangs.
const LIMIT: Duration = Duration::from_secs(600);

/// The running lab.
pub struct Lab {
    variables: BTreeMap<String, String>,
    busy: Mutex<BTreeSet<usize>>,
    released: Condvar,
}

/// The lab, up and running.
pub fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(Lab::up)
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn target() -> PathBuf {
    match std::env::var_os("KK_LAB_TARGET") {
        Some(path) => std::path::absolute(path).unwrap(),
        None => repository().join("target/lab"),
    }
}

/// A call of the lab's own script. It is ended after `limit` seconds: a command in a host that goes down may never come back.
pub fn script(limit: u32, words: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "10", &limit.to_string()]);
    command.arg(repository().join("tests/lab/lab")).args(words);
    command.env("KK_LAB_TARGET", target());
    command
}

/// Runs the lab's script; it has to succeed.
pub fn call(words: &[&str]) {
    // To bring the lab up is to build it, where it was not built before.
    let limit = if words.contains(&"up") { 1200 } else { 180 };
    let output = script(limit, words).stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "tests/lab/lab {}: {}\n{}",
        words.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Lab {
    fn up() -> Self {
        let status = script(60, &["status"]).output().unwrap();
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        let running = status
            .lines()
            .filter(|line| line.starts_with("node") && line.contains(" running "))
            .count();
        let file = target().join("versions.env");
        if running < 3 || !file.exists() {
            call(&["up", "3"]);
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let variables = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let lab = Self {
            variables,
            busy: Mutex::default(),
            released: Condvar::new(),
        };
        // There may be several labs on this machine: the script and the files have to mean the same one.
        let status = script(60, &["status"]).output().unwrap();
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        for number in 1..=3 {
            let Host { name, address } = lab.host(number);
            let same = status.lines().any(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                words.first() == Some(&name.as_str()) && words.contains(&address.as_str())
            });
            assert!(
                same,
                "{} is of another lab than KK_LAB_NAME and KK_LAB_SUBNET:\n{status}",
                file.display()
            );
        }
        lab
    }

    /// A line of `versions.env`.
    pub fn get(&self, key: &str) -> &str {
        self.variables
            .get(key)
            .unwrap_or_else(|| panic!("`{key}` is not in versions.env"))
    }

    /// A host, by its number from 1.
    pub fn host(&self, number: usize) -> Host {
        Host {
            name: format!("node{number}"),
            address: self.get(&format!("NODE{number}")).to_owned(),
        }
    }

    /// An address of the lab's network that nobody has.
    pub fn unused_address(&self) -> String {
        let (network, _) = self.get("SUBNET").rsplit_once('.').unwrap();
        format!("{network}.199")
    }
}

/// A case at work: it has its hosts for itself, pristine at the start, and says what it does and how long it takes.
pub struct Case {
    name: &'static str,
    numbers: Vec<usize>,
    /// The hosts, in the order that was asked for.
    pub hosts: Vec<Host>,
    began: Instant,
    step: Arc<Mutex<Option<(String, Instant)>>>,
    /// Dropped with the case; the watch ends then.
    _watched: Sender<()>,
}

impl Case {
    /// Waits for the hosts of these numbers, resets them and begins.
    pub fn new(name: &'static str, numbers: &[usize]) -> Self {
        let lab = lab();
        let mut busy = lab.busy.lock().unwrap_or_else(PoisonError::into_inner);
        while numbers.iter().any(|number| busy.contains(number)) {
            busy = lab
                .released
                .wait(busy)
                .unwrap_or_else(PoisonError::into_inner);
        }
        busy.extend(numbers);
        drop(busy);
        let step = Arc::default();
        let (watched, over) = channel();
        std::thread::spawn({
            let step = Arc::clone(&step);
            move || watch(name, &step, &over)
        });
        let case = Self {
            name,
            numbers: numbers.to_vec(),
            hosts: numbers.iter().map(|&number| lab.host(number)).collect(),
            began: Instant::now(),
            step,
            _watched: watched,
        };
        println!("\nCASE  {name}");
        case.step("pristine hosts");
        case.reset();
        case
    }

    /// Makes all hosts of the case pristine again. A host that is off is switched on by that.
    pub fn reset(&self) {
        let mut words = vec!["reset"];
        words.extend(self.hosts.iter().map(|host| host.name.as_str()));
        call(&words);
    }

    /// Names what comes next, and says how long the step before it took.
    pub fn step(&self, what: &str) {
        let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        report(step.replace((what.to_owned(), Instant::now())));
    }
}

/// Ends the tests when a case hangs, and says where, and what runs on this machine: a case that waits for something that
/// never comes cannot say it itself.
#[expect(clippy::exit, reason = "a test that hangs cannot be ended otherwise")]
fn watch(name: &str, step: &Mutex<Option<(String, Instant)>>, over: &Receiver<()>) {
    if over.recv_timeout(LIMIT) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let step = step.lock().unwrap_or_else(PoisonError::into_inner);
    println!("FAILED  lab: {name} hangs");
    report(step.clone());
    let columns = "pid,ppid,etimes,stat,wchan:20,args";
    let _ = Command::new("ps")
        .args(["-eo", columns, "--forest"])
        .status();
    std::process::exit(1);
}

fn report(step: Option<(String, Instant)>) {
    if let Some((what, began)) = step {
        println!("  {:6.1} s  {what}", began.elapsed().as_secs_f64());
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        report(step.take());
        drop(step);
        // The form of a line that `tests/run` sorts.
        println!(
            "TIME {:4.0} s  lab: {}",
            self.began.elapsed().as_secs_f64(),
            self.name
        );
        let lab = lab();
        let mut busy = lab.busy.lock().unwrap_or_else(PoisonError::into_inner);
        for number in &self.numbers {
            busy.remove(number);
        }
        lab.released.notify_all();
    }
}
