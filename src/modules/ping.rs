//! `ping`: whether the host answers.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::apply::command_failed;
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "ping",
    aliases: &[],
    summary: "runs a command that does nothing on the host, and answers `pong`",
    arguments: &[Argument::optional(
        "data",
        ArgumentKind::Text,
        "what is answered; `pong` by default, and `crash` fails",
    )],
    examples: r"- name: is everybody there?
  ping:
",
    returns: &[("ping", "the value of `data`")],
    free_form: None,
    build,
    check: None,
};

struct Ping {
    data: String,
}

impl Module for Ping {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let output = look.session.probe(Command::script(":", [""; 0])).await?;
            if !output.success() {
                return Err(command_failed("run a command that does nothing", &output));
            }
            if self.data == "crash" {
                // In Ansible this is a module that dies of an exception.
                return Err(ModuleError::failed("boom")
                    .with_value("rc", 1)
                    .with_value("module_stdout", "")
                    .with_value("module_stderr", "Exception: boom"));
            }
            Ok(Plan::satisfied().with("ping", self.data.as_str()))
        }
        .boxed()
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    Ok(Box::new(Ping {
        data: arguments
            .filled("data")
            .unwrap_or_else(|| "pong".to_owned()),
    }))
}
