//! The hosts' clocks against each other and against this machine.

use super::super::rule::{Judgement, Judgements, Look};
use crate::facts::Facts;

/// Seconds from the median at which the user should know.
const WARN: f64 = 5.0;
/// Seconds from the median that break tokens, certificates and replication.
const FAIL: f64 = 30.0;
/// Seconds from this machine at which a certificate made here may not be valid there yet.
const FAIL_CONTROL: f64 = 300.0;

pub(in crate::precheck) fn clock(look: &Look<'_>) -> Judgements {
    let required = "within 30 s of the hosts' median and 300 s of this machine; a warning from 5 s";
    let remedy = "set the clock, best by a time server: `timedatectl set-ntp true` or chrony";
    let mut offsets: Vec<f64> = look
        .facts()
        .filter_map(|(_, facts)| facts.time_offset_seconds)
        .collect();
    offsets.sort_by(f64::total_cmp);
    let median = median(&offsets);
    let judge = |facts: Option<&Facts>| {
        let Some(facts) = facts else {
            return Judgement::not_looked_at();
        };
        let uncertainty = facts.time_uncertainty_seconds.unwrap_or_default();
        match (facts.time_offset_seconds, median) {
            (Some(offset), Some(median)) => {
                let from_median = offset - median;
                let measured = if offsets.len() > 1 {
                    format!(
                        "{} from the median, {} from this machine",
                        signed(from_median),
                        signed(offset)
                    )
                } else {
                    format!("{} from this machine", signed(offset))
                };
                // What may be an error of measurement is not held against the host.
                let beyond = |distance: f64, limit: f64| distance.abs() - uncertainty >= limit;
                if beyond(from_median, FAIL) || beyond(offset, FAIL_CONTROL) {
                    Judgement::fail(measured, required, remedy)
                } else if beyond(from_median, WARN) || beyond(offset, FAIL) {
                    Judgement::warn(measured, required, remedy)
                } else {
                    Judgement::pass(measured, required)
                }
            }
            _ => Judgement::unknown(
                "the host did not say its time",
                required,
                "run `date +%s` on the host",
            ),
        }
    };
    look.input
        .hosts
        .iter()
        .map(|(host, state)| (Some(host.clone()), judge(state.connection.facts())))
        .collect()
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*sorted.get(middle - 1)?, upper))
}

fn signed(seconds: f64) -> String {
    if seconds.abs() < 0.05 {
        "0.0 s".to_owned()
    } else {
        format!("{seconds:+.1} s")
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Status;
    use super::super::super::testing::*;

    fn statuses(offsets: &[f64], uncertainty: f64) -> Vec<Status> {
        let names: Vec<String> = (1..=offsets.len())
            .map(|number| format!("node{number}"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut world = World::new(&names);
        for (name, offset) in names.iter().zip(offsets) {
            world.facts(name).time_offset_seconds = Some(*offset);
            world.facts(name).time_uncertainty_seconds = Some(uncertainty);
        }
        world
            .findings("clock")
            .iter()
            .map(|found| found.status)
            .collect()
    }

    #[test]
    fn against_the_median() {
        use Status::{Fail, Pass, Warn};
        assert_eq!(statuses(&[0.1, 0.2, 4.0], 0.0), [Pass, Pass, Pass]);
        assert_eq!(statuses(&[0.0, 0.0, 6.0], 0.0), [Pass, Pass, Warn]);
        assert_eq!(statuses(&[0.0, 0.0, -31.0], 0.0), [Pass, Pass, Fail]);
        // All of them far from this machine: it is this machine's clock, but certificates are made by it.
        assert_eq!(statuses(&[40.0, 40.0, 40.0], 0.0), [Warn, Warn, Warn]);
        assert_eq!(statuses(&[400.0, 400.0], 0.0), [Fail, Fail]);
        assert_eq!(statuses(&[], 0.0), []);
    }

    #[test]
    fn a_slow_line_is_no_wrong_clock() {
        assert_eq!(statuses(&[0.0, 0.0, 6.0], 1.5)[2], Status::Pass);
    }

    #[test]
    fn a_host_that_says_no_time_is_unknown() {
        let mut world = World::new(&["node1"]);
        world.facts("node1").time_offset_seconds = None;
        assert_eq!(
            world.finding("clock", Some("node1")).status,
            Status::Unknown
        );
    }
}
