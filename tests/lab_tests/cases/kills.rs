//! `kill -9` at more than twenty moments of an installation, a change and a removal. Whatever the moment, the next run
//! makes a working registry of what it finds.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rustix::process::Signal;

use crate::lab_tests::client::assert_registry_works;
use crate::lab_tests::hosts::Host;
use crate::lab_tests::lab::{self, Case};
use crate::lab_tests::site::Site;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    takes: BTreeMap<Victim, Duration>,
    port: u16,
    /// The number of this host, so that each takes another part of the time.
    number: u32,
    hosts: u32,
}

impl Killing<'_> {
    fn endpoint(&self) -> String {
        format!("{}:{}", self.host.address, self.port)
    }

    /// A moment of a victim's time. There are as many parts of it as there are kills of this kind on all hosts, and
    /// each kill takes a moment in another part.
    fn moment(&mut self, index: usize) -> Duration {
        let victim = PLAN[index];
        let of_kind =
            |plan: &[Victim]| -> u32 { plan.iter().map(|other| u32::from(*other == victim)).sum() };
        let parts = of_kind(&PLAN) * self.hosts;
        let part = of_kind(&PLAN[..index]) * self.hosts + self.number;
        let within: f64 = self.random.random_range(0.0..1.0);
        self.takes[&victim].mul_f64((f64::from(part) + within) / f64::from(parts))
    }

    /// Starts a victim and kills it at a moment; false when it had ended by then.
    fn kill_once(&mut self, index: usize) -> bool {
        let victim = PLAN[index];
        let words = match victim {
            Victim::Install => {
                lab::call(&["reset", &self.host.name]);
                "init registry -o jsonl"
            }
            Victim::Change => {
                self.port += 1;
                self.site
                    .set("image_registry.https_port", &self.port.to_string());
                "init registry -o jsonl"
            }
            Victim::Delete => "delete registry -o jsonl",
        };
        let moment = self.moment(index);
        let mut running = self.site.kk(words).start();
        let ended = running.ends_within(moment);
        if !ended {
            running.signal(Signal::KILL);
        }
        let killed = running.wait();
        let at = killed
            .stdout
            .lines()
            .rev()
            .find(|line| line.contains("\"task_started\""))
            .and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .and_then(|event| Some(event["name"].as_str()?.to_owned()))
            .unwrap_or_else(|| "before the first task".to_owned());
        println!(
            "           {}: {victim:?} killed after {:.1} s: {}",
            self.host.name,
            moment.as_secs_f64(),
            if ended { "had ended" } else { &at }
        );
        if ended {
            self.takes.insert(victim, killed.took.mul_f64(0.8));
        }
        !ended
    }

    fn kill(&mut self, index: usize) {
        while !self.kill_once(index) {
            // Whatever it is, it is there again or gone before the next attempt.
            self.site.init(0);
        }
        self.site.init(0);
        assert_registry_works(&self.site, self.host, &self.endpoint());
        self.host.assert_no_remains();
        if index.is_multiple_of(2) {
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
        let hosts = u32::try_from(case.hosts.len()).unwrap();
        let threads: Vec<_> = case
            .hosts
            .iter()
            .zip(0_u32..)
            .map(|(host, number)| {
                scope.spawn(move || {
                    let mut site = Site::of(std::slice::from_ref(host), 1);
                    let port = 8443;
                    site.set("image_registry.https_port", &port.to_string());
                    let whole = site.init(0).took;
                    let mut killing = Killing {
                        host,
                        site,
                        random: StdRng::seed_from_u64(seed.wrapping_add(number.into())),
                        takes: BTreeMap::from([
                            (Victim::Install, whole),
                            (Victim::Change, whole / 3),
                            (Victim::Delete, whole / 8),
                        ]),
                        port,
                        number,
                        hosts,
                    };
                    for index in 0..PLAN.len() {
                        killing.kill(index);
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
