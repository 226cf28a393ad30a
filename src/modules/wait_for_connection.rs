//! `wait_for_connection`: until the host can be reached again.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    Reconnect, Step, StepOutput,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "wait_for_connection",
    aliases: &[],
    summary: "connects anew, again and again, until the host answers",
    arguments: &[
        Argument::optional(
            "timeout",
            ArgumentKind::Integer,
            "for how many seconds at most; 600 by default",
        ),
        Argument::optional(
            "delay",
            ArgumentKind::Integer,
            "seconds before the first attempt; 0 by default",
        ),
        Argument::optional(
            "sleep",
            ArgumentKind::Integer,
            "seconds between attempts; 1 by default",
        ),
        Argument::optional(
            "connect_timeout",
            ArgumentKind::Integer,
            "seconds that one attempt may take; 5 by default",
        ),
    ],
    examples: r"- name: the network is up again
  wait_for_connection: {delay: 5, timeout: 120}
",
    returns: &[("elapsed", "how many seconds it took")],
    free_form: None,
    build,
    check: None,
};

struct WaitForConnection(Reconnect);

impl Module for WaitForConnection {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            if look.check_mode {
                return Ok(Plan::skipped(
                    "waiting changes nothing that a check could foresee",
                ));
            }
            Ok(Plan::unknown(
                "waits for the host",
                vec![Step::Reconnect(self.0.clone())],
            ))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        Ok(Conclusion {
            result: elapsed(outputs),
            changed: Some(false),
        })
    }
}

/// How long the last wait took.
pub(super) fn elapsed(outputs: &[StepOutput]) -> serde_json::Map<String, serde_json::Value> {
    let mut result = serde_json::Map::new();
    if let Some(StepOutput::Answered(seconds)) = outputs.last() {
        result.insert("elapsed".to_owned(), seconds.clone());
    }
    result
}

/// Seconds of an argument.
pub(super) fn seconds(arguments: &Arguments, name: &str, default: u64) -> Duration {
    let given = arguments.number(name).map(|seconds| seconds.max(0.0));
    given
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(Duration::from_secs(default))
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    Ok(Box::new(WaitForConnection(Reconnect {
        delay: seconds(&arguments, "delay", 0),
        timeout: seconds(&arguments, "timeout", 600),
        pause: seconds(&arguments, "sleep", 1).max(Duration::from_secs(1)),
        attempt: seconds(&arguments, "connect_timeout", 5).max(Duration::from_secs(1)),
        test: Command::script(":", [""; 0]),
        unlike: None,
    })))
}
