//! `kill -9` at more than twenty moments of an installation, a change and a removal. Whatever the moment, the next run
//! makes a working registry of what it finds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;

use crate::lab_tests::client::assert_registry_works;
use crate::lab_tests::hosts::Host;
use crate::lab_tests::lab::{self, Case};
use crate::lab_tests::site::Site;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    /// An installation on a bare host.
    Install,
    /// An installation with another port on a host that has a registry.
    Change,
    /// A removal.
    Delete,
}

/// Each host is killed at once for each of these, spread over the time that it takes.
const PLAN: [Victim; 7] = [
    Victim::Install,
    Victim::Change,
    Victim::Install,
    Victim::Install,
    Victim::Delete,
    Victim::Install,
    Victim::Install,
];

fn seed() -> u64 {
    std::env::var("KK_LAB_SEED").map_or_else(
        |_| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::from(now.subsec_nanos()) ^ now.as_secs()
        },
        |seed| seed.parse().expect("KK_LAB_SEED is a number"),
    )
}

struct Killing<'a> {
    host: &'a Host,
    site: Site,
    random: StdRng,
    /// How long each victim takes when it is let alone, as far as known.
    installing: Duration,
    port: u16,
    /// Which of the moments of a kind this is, so that each host takes another part of the time.
    number: usize,
}

impl Killing<'_> {
    fn endpoint(&self) -> String {
        format!("{}:{}", self.host.address, self.port)
    }

    /// A moment in one of as many parts of the whole time as there are kills of this kind.
    fn moment(&mut self, whole: Duration, parts: usize) -> Duration {
        let part = whole / u32::try_from(parts).unwrap();
        let at = part * u32::try_from(self.number % parts).unwrap();
        at + part.mul_f64(self.random.random_range(0.0..1.0))
    }

    fn kill(&mut self, victim: Victim, index: usize, hosts: usize) {
        let words = if victim == Victim::Delete {
            "delete registry -o jsonl"
        } else {
            "init registry -o jsonl"
        };
        let of_kind = PLAN.iter().filter(|other| **other == victim).count();
        let earlier = PLAN[..index]
            .iter()
            .filter(|other| **other == victim)
            .count();
        let number = self.number;
        self.number = earlier * hosts + number;
        let whole = match victim {
            Victim::Install => self.installing,
            Victim::Change => self.installing / 3,
            Victim::Delete => self.installing / 5,
        };
        let moment = self.moment(whole, of_kind * hosts);
        self.number = number;
        if victim == Victim::Install {
            lab::call(&["reset", &self.host.name]);
        }
        if victim == Victim::Change {
            self.port += 1;
            self.site
                .set("image_registry.https_port", &self.port.to_string());
        }
        let mut running = self.site.kk(words).start();
        let ended = running.ends_within(moment);
        if !ended {
            running.signal(Signal::KILL);
        }
        let killed = running.wait();
        let last = killed
            .stdout
            .lines()
            .rev()
            .find(|line| line.contains("\"task_started\""));
        let last = last.map_or("before the first task".to_owned(), |line| {
            let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            event["name"].as_str().unwrap_or_default().to_owned()
        });
        println!(
            "           {}: {victim:?} killed after {:.1} s: {}",
            self.host.name,
            moment.as_secs_f64(),
            if ended { "had ended" } else { &last }
        );

        let ran = self.site.init(0);
        assert_registry_works(&self.site, self.host, &self.endpoint());
        self.host.assert_no_remains();
        if victim == Victim::Install {
            self.installing = self.installing.max(ran.took);
        }
        if index % 2 == 0 {
            self.site
                .init(0)
                .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);
        }
    }
}

#[test]
fn a_run_that_was_killed_is_made_good_by_the_next_one() {
    let case = Case::new("kill -9 at 21 moments", &[1, 2, 3]);
    let seed = seed();
    println!("           KK_LAB_SEED={seed}");
    case.step("the three hosts side by side");
    std::thread::scope(|scope| {
        let hosts = case.hosts.len();
        let threads: Vec<_> = case
            .hosts
            .iter()
            .enumerate()
            .map(|(number, host)| {
                scope.spawn(move || {
                    let mut site = Site::of(std::slice::from_ref(host), 1);
                    let port = 8443;
                    site.set("image_registry.https_port", &port.to_string());
                    let ran = site.init(0);
                    let mut killing = Killing {
                        host,
                        site,
                        random: StdRng::seed_from_u64(seed.wrapping_add(number as u64)),
                        installing: ran.took,
                        port,
                        number,
                    };
                    for (index, victim) in PLAN.into_iter().enumerate() {
                        killing.kill(victim, index, hosts);
                    }
                    // What an installation that was killed over and over left is removed like any other.
                    killing.site.kk("delete registry -o json --with-data").run().expect(0);
                    assert!(host.is("[ ! -e /var/lib/kk ] && [ ! -e /etc/docker-registry ] && ! command -v docker"));
                })
            })
            .collect();
        for thread in threads {
            if let Err(panic) = thread.join() {
                println!("           failed with KK_LAB_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    });
}
