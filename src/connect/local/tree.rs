//! The processes that a command started, found by who started whom, so that a part of it that made itself a session or
//! a process group of its own is ended as well.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Child;

/// A command that runs. Dropped, it is asked to end; unless it ended by itself.
pub(super) struct Tree {
    root: Option<Pid>,
}

impl Tree {
    /// What a child is the root of. It must lead a process group.
    pub(super) fn of(child: &Child) -> Self {
        let number = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            root: number.and_then(Pid::from_raw),
        }
    }

    /// It ended by itself: what it left running in the background stays.
    pub(super) fn leave(mut self) {
        self.root = None;
    }

    /// Asks all of it to end. What is still there when the result is dropped is killed.
    pub(super) fn end(mut self) -> Killer {
        Killer(self.ask())
    }

    fn ask(&mut self) -> Vec<Member> {
        let Some(root) = self.root.take() else {
            return Vec::new();
        };
        let members = members(root);
        for member in &members {
            member.signal(Signal::TERM);
        }
        members
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.ask();
    }
}

/// Kills what is left of a command when it is dropped.
pub(super) struct Killer(Vec<Member>);

impl Drop for Killer {
    fn drop(&mut self) {
        for member in &self.0 {
            // A number may belong to somebody else by now.
            if member.is_still_there() {
                member.signal(Signal::KILL);
            }
        }
    }
}

/// One process of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    process: Pid,
    leads_group: bool,
    /// When it started, in the system's ticks; tells it from a later process of the same number.
    start: Option<u64>,
}

impl Member {
    /// A failure means that it is gone, or that it belongs to another user; both are as good as can be.
    fn signal(&self, signal: Signal) {
        if self.leads_group {
            let _ = kill_process_group(self.process, signal);
        }
        let _ = kill_process(self.process, signal);
    }

    fn is_still_there(&self) -> bool {
        self.start.is_none()
            || read(self.process.as_raw_nonzero().get())
                .is_some_and(|found| Some(found.start) == self.start)
    }
}

/// A line of the system's table of processes.
struct Entry {
    number: i32,
    parent: i32,
    group: i32,
    start: u64,
}

/// `/proc/N/stat`; the name in it is in parentheses and may hold anything.
fn read(number: i32) -> Option<Entry> {
    let text = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Some(Entry {
        number,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

/// A process and all that descend from it, the root first. Where the system has no such table, the root alone.
fn members(root: Pid) -> Vec<Member> {
    let table: Vec<Entry> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(read)
        .collect();
    let root_number = root.as_raw_nonzero().get();
    let mut found = vec![Member {
        process: root,
        leads_group: true,
        start: table
            .iter()
            .find(|entry| entry.number == root_number)
            .map(|entry| entry.start),
    }];
    let mut parents = vec![root_number];
    while let Some(parent) = parents.pop() {
        for entry in table.iter().filter(|entry| entry.parent == parent) {
            if let Some(process) = Pid::from_raw(entry.number) {
                found.push(Member {
                    process,
                    leads_group: entry.group == entry.number,
                    start: Some(entry.start),
                });
                parents.push(entry.number);
            }
        }
    }
    found
}
