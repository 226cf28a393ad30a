//! The program at work: started with words, watched through its events, stopped by signals, and what it said.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// No run of these tests takes longer; one that does hangs.
const LIMIT: Duration = Duration::from_secs(240);

/// The program that is tested.
pub fn program() -> PathBuf {
    std::env::var_os("KK").map_or_else(|| env!("CARGO_BIN_EXE_kk").into(), PathBuf::from)
}

/// A run that is over.
#[derive(Debug)]
pub struct Ran {
    /// The command line, for messages.
    pub line: String,
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Wall clock.
    pub took: Duration,
}

impl Ran {
    /// The exit code has to be this one.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "exit code of `{}`\n{}",
            self.line,
            self.everything()
        );
        self
    }

    /// Everything it said.
    pub fn everything(&self) -> String {
        // The document of a run is long, and what matters of it stands in standard error as well.
        let shown: String = self.stdout.chars().take(6000).collect();
        format!(
            "--- standard output\n{shown}\n--- standard error\n{}",
            self.stderr
        )
    }

    /// Both streams have to hold these words together.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> &Self {
        let text = format!("{}\n{}", self.stdout, self.stderr);
        for word in words {
            assert!(
                text.contains(word),
                "`{}` does not say `{word}`\n{}",
                self.line,
                self.everything()
            );
        }
        self
    }

    /// The document of `-o json`.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("`{}`: no JSON: {error}\n{}", self.line, self.everything())
        })
    }

    /// A counter of a host's recap, of `-o json`.
    #[track_caller]
    pub fn recap(&self, host: &str, counter: &str) -> u64 {
        let document = self.json();
        document["recap"][host][counter]
            .as_u64()
            .unwrap_or_else(|| panic!("no recap of {host}: {}", document["recap"]))
    }

    /// Every host of the recap has these counters.
    #[track_caller]
    pub fn expect_recap(&self, counters: &[(&str, u64)]) {
        let document = self.json();
        let recap = document["recap"].as_object().expect("a recap");
        assert!(!recap.is_empty());
        for (host, row) in recap {
            for (counter, value) in counters {
                assert_eq!(
                    row[counter].as_u64(),
                    Some(*value),
                    "{counter} of {host} in `{}`: {row}; changed: {:#?}\n{}",
                    self.line,
                    self.changed_tasks(),
                    self.stderr
                );
            }
        }
    }

    /// Names of the tasks that changed something, by host, of `-o json`.
    #[track_caller]
    pub fn changed_tasks(&self) -> BTreeMap<String, Vec<String>> {
        let mut changed: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let document = self.json();
        for task in document["tasks"].as_array().into_iter().flatten() {
            for (host, result) in task["results"].as_object().into_iter().flatten() {
                if result["outcome"] == "changed" {
                    let name = task["name"].as_str().unwrap_or_default().to_owned();
                    changed.entry(host.clone()).or_default().push(name);
                }
            }
        }
        changed
    }

    /// The findings of a check on a host (or on the whole), of `-o json`: status and everything it says.
    #[track_caller]
    pub fn finding(&self, check: &str, host: Option<&str>) -> Vec<(String, String)> {
        let document = self.json();
        let findings = document["findings"].as_array().expect("findings");
        findings
            .iter()
            .filter(|finding| finding["check"] == check && finding["host"].as_str() == host)
            .map(|finding| {
                let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
                let said = [text("measured"), text("required"), text("remedy")];
                (text("status"), said.join(" | "))
            })
            .collect()
    }

    /// There is such a finding with this status, and it says all of these words.
    #[track_caller]
    pub fn expect_finding(&self, check: &str, host: Option<&str>, status: &str, words: &[&str]) {
        let found = self.finding(check, host);
        assert!(
            found
                .iter()
                .any(|(is, said)| is == status && words.iter().all(|word| said.contains(word))),
            "no finding `{check}` of {host:?} is `{status}` with {words:?}: {found:#?}"
        );
    }
}

/// A run that goes on.
pub struct Running {
    line: String,
    child: Child,
    began: Instant,
    lines: Receiver<String>,
    seen: Vec<String>,
    stdout: Option<JoinHandle<()>>,
    stderr: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts it.
    pub fn start(mut command: Command, line: String, input: Option<&str>) -> Self {
        let mut child = command
            .stdin(if input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            std::io::Write::write_all(&mut stdin, input.as_bytes()).unwrap();
        }
        let stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (sender, lines) = channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let errors = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Self {
            line,
            child,
            began: Instant::now(),
            lines,
            seen: Vec::new(),
            stdout: Some(reader),
            stderr: Some(errors),
        }
    }

    /// The number of the process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Time since its start.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits for an event of `-o jsonl`.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, test: impl Fn(&Value) -> bool) -> Value {
        loop {
            let left = LIMIT.saturating_sub(self.began.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let event: Value = serde_json::from_str(&line).unwrap_or_default();
                    self.seen.push(line);
                    if test(&event) {
                        return event;
                    }
                }
                Err(error) => {
                    let _ = self.child.kill();
                    let stderr = self.stderr.take().unwrap().join().unwrap();
                    panic!(
                        "`{}`: {what} never came ({error})\n{}\n{stderr}",
                        self.line,
                        self.seen.join("\n")
                    );
                }
            }
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Does something while the program stands still, so that it happens at exactly this point.
    pub fn frozen<T>(&self, work: impl FnOnce() -> T) -> T {
        self.signal(Signal::STOP);
        let done = work();
        self.signal(Signal::CONT);
        done
    }

    /// Waits for the end, at most until a moment after the start; whether it has ended.
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        while self.began.elapsed() < limit {
            if self.child.try_wait().unwrap().is_some() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Waits for the end. A run that hangs is killed and fails the test.
    #[track_caller]
    pub fn wait(mut self) -> Ran {
        let mut hung = false;
        let status: ExitStatus = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.began.elapsed() > LIMIT {
                hung = true;
                let _ = self.child.kill();
            }
            // Whoever waits for lines takes them, or the program waits for a reader.
            match self.lines.recv_timeout(Duration::from_millis(10)) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        };
        let took = self.began.elapsed();
        self.stdout.take().unwrap().join().unwrap();
        self.seen.extend(self.lines.try_iter());
        let mut stdout = self.seen.join("\n");
        if !stdout.is_empty() {
            stdout.push('\n');
        }
        let ran = Ran {
            line: self.line,
            code: status.code(),
            stdout,
            stderr: self.stderr.take().unwrap().join().unwrap(),
            took,
        };
        assert!(!hung, "`{}` hung\n{}", ran.line, ran.everything());
        ran
    }
}

/// An event that says that a host has a good part, but not all, of an upload.
pub fn uploading(event: &Value, host: &str) -> bool {
    event["event"] == "transfer"
        && event["host"] == host
        && event["finished"] == false
        && event["done"].as_u64() > Some(10_000_000)
        && event["done"].as_u64() < event["total"].as_u64()
}

/// An event that says that a host begins a task whose name has these words.
pub fn task_starts(event: &Value, words: &str) -> bool {
    event["event"] == "task_started"
        && event["name"]
            .as_str()
            .is_some_and(|name| name.contains(words))
}
