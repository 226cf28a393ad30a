//! First the parts, then what runs them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test program without a harness: clippy knows tests by `#[test]`"
)]

mod answer;
mod case;
mod differences;
mod expressions;
mod oracle;
mod pages;
#[path = "../ssh/people.rs"]
#[expect(dead_code, reason = "the tests of SSH use all of it")]
mod people;
mod program;
#[path = "../ssh/server.rs"]
#[expect(dead_code, reason = "the tests of SSH use all of it")]
mod server;
mod users;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use answer::Aspect;
use case::Case;
use differences::Difference;
use oracle::Oracle;
use program::Hosts;

/// What became of a case.
struct Verdict {
    /// `ok`, or why not.
    failure: Option<String>,
    /// Differs as it is known to.
    is_known: bool,
}

/// Folder of everything that the cases leave.
fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ansible")
}

/// Runs the cases that the command line names.
pub fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let started = Instant::now();
    let all = case::all();
    let known = differences::read();
    for name in known.keys() {
        assert!(
            all.iter().any(|case| case.name == *name),
            "tests/ansible/differences.yaml names `{name}`, which is no case"
        );
    }
    let cases: Vec<&Case> = all
        .iter()
        .filter(|case| words.is_empty() || words.iter().any(|word| case.name.contains(word)))
        .collect();
    let oracle = match Oracle::find() {
        Ok(oracle) => oracle,
        Err(reason) => {
            println!("SKIPPED ansible-core: {reason}");
            return ExitCode::SUCCESS;
        }
    };
    let evaluated = expressions::run(&words, &oracle);
    let hosts = Hosts::start(&cases);
    let verdicts = run(&cases, &oracle, &hosts, &known);
    let failed = verdicts
        .values()
        .filter(|verdict| verdict.failure.is_some())
        .count();
    let differing = verdicts.values().filter(|verdict| verdict.is_known).count();
    println!(
        "{} expressions: {} agree, {} differ as listed, {} failed",
        evaluated.all,
        evaluated.all - evaluated.differing - evaluated.failed,
        evaluated.differing,
        evaluated.failed
    );
    println!(
        "{} cases: {} agree, {differing} differ as listed, {failed} failed; {} answers of ansible-core were new; {} s",
        verdicts.len(),
        verdicts.len() - differing - failed,
        oracle.asked(),
        started.elapsed().as_secs()
    );
    if failed + evaluated.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(
    cases: &[&Case],
    oracle: &Oracle,
    hosts: &Hosts,
    known: &BTreeMap<String, Difference>,
) -> BTreeMap<String, Verdict> {
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(BTreeMap::new());
    let jobs = std::env::var("KK_ANSIBLE_JOBS")
        .ok()
        .and_then(|text| text.parse().ok())
        .or_else(|| {
            std::thread::available_parallelism()
                .ok()
                .map(|n| n.get() + 1)
        })
        .unwrap_or(3);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = judge(case, oracle, hosts, known.get(&case.name));
                    // One write: threads print at the same time.
                    print!("{}", line(case, &verdict, known.get(&case.name)));
                    verdicts.lock().unwrap().insert(case.name.clone(), verdict);
                }
            });
        }
    });
    verdicts.into_inner().unwrap()
}

fn line(case: &Case, verdict: &Verdict, known: Option<&Difference>) -> String {
    match (&verdict.failure, known) {
        (Some(failure), _) => format!("FAILED  {}\n{}\n", case.name, indent(failure)),
        (None, Some(difference)) => {
            format!("ok      {} (differs: {})\n", case.name, difference.why)
        }
        (None, None) => format!("ok      {}\n", case.name),
    }
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("        {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Runs a case under both programs and compares.
fn judge(case: &Case, oracle: &Oracle, hosts: &Hosts, known: Option<&Difference>) -> Verdict {
    let failed = |failure: String| Verdict {
        failure: Some(failure),
        is_known: false,
    };
    if case.users && !hosts.has_users() {
        println!("SKIPPED {}: it needs root, sudo and sshd", case.name);
        return Verdict {
            failure: None,
            is_known: false,
        };
    }
    let theirs = match oracle.answer(case, hosts) {
        Ok(answer) => answer,
        Err(reason) => return failed(reason),
    };
    let place = hosts.place(case, "k");
    let ours = program::run_kk(case, &place, hosts);
    if hosts.is_password_told(&ours.said) {
        return failed(format!("a password is in {}", place.log().display()));
    }
    let found = theirs.differences(&ours.answer);
    let expected: Vec<Aspect> = known.map(|known| known.what.clone()).unwrap_or_default();
    let surprising: Vec<&(Aspect, String)> = found
        .iter()
        .filter(|(aspect, _)| !expected.contains(aspect))
        .collect();
    if !surprising.is_empty() {
        let mut text: String = surprising
            .iter()
            .map(|(aspect, text)| format!("{}: {text}\n", aspect.name()))
            .collect();
        text.push_str(&format!(
            "what kk said (all in {}):\n{}",
            place.log().display(),
            indent(&program::tail(&ours.said, 25))
        ));
        return failed(text);
    }
    for aspect in expected {
        if !found.iter().any(|(other, _)| *other == aspect) {
            return failed(format!(
                "the difference that tests/ansible/differences.yaml lists is gone: {} agrees now",
                aspect.name()
            ));
        }
    }
    Verdict {
        failure: None,
        is_known: known.is_some(),
    }
}
