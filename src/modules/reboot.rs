//! `reboot`: boots the host and waits until it is back.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::apply::command_failed;
use super::wait_for_connection::{elapsed, seconds};
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    Reconnect, Step, StepOutput,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "reboot",
    aliases: &[],
    summary: "boots the host and waits until it answers again, with another boot's number than before",
    arguments: &[
        Argument::optional(
            "reboot_timeout",
            ArgumentKind::Integer,
            "for how many seconds to wait; 600 by default",
        )
        .or(&["reboot_timeout_sec"]),
        Argument::optional(
            "pre_reboot_delay",
            ArgumentKind::Number,
            "seconds before it goes down; 0 by default",
        )
        .or(&["pre_reboot_delay_sec"]),
        Argument::optional(
            "post_reboot_delay",
            ArgumentKind::Number,
            "seconds before the first attempt to reach it; 0 by default",
        )
        .or(&["post_reboot_delay_sec"]),
        Argument::optional(
            "connect_timeout",
            ArgumentKind::Integer,
            "seconds that one attempt may take; 5 by default",
        )
        .or(&["connect_timeout_sec"]),
        Argument::optional(
            "test_command",
            ArgumentKind::Text,
            "what must succeed before it counts as back; `whoami` by default",
        ),
        Argument::optional(
            "boot_time_command",
            ArgumentKind::Text,
            "what says something else after a boot; the number of the boot by default",
        ),
        Argument::optional(
            "reboot_command",
            ArgumentKind::Text,
            "what boots it; `shutdown -r now` by default",
        ),
        Argument::optional(
            "search_paths",
            ArgumentKind::Texts,
            "the folders in which the command that boots it must be; those of the host's `PATH` by default",
        ),
        Argument::optional(
            "msg",
            ArgumentKind::Text,
            "what users are told; `Reboot initiated by Ansible` by default",
        ),
    ],
    examples: r"- name: the new kernel
  reboot:
    msg: a new kernel
    reboot_timeout: 300
",
    returns: &[
        ("rebooted", "true"),
        ("elapsed", "how many seconds it took"),
    ],
    free_form: None,
    build,
    check: None,
};

/// `$1` what says something else after a boot. A container has its machine's number of the boot, whatever it does
/// itself: there it is the start of the first process that tells two boots apart.
const BOOT: &str = r#"
if [ -n "$1" ]; then exec sh -c "$1"; fi
cat /proc/sys/kernel/random/boot_id || exit 1
if read -r line </proc/1/stat; then set -- ${line##*) }; echo "${20}"; fi
"#;

/// The same, after `$2` has succeeded.
const BACK: &str = r#"
sh -c "$2" >/dev/null 2>&1 || exit 1
if [ -n "$1" ]; then exec sh -c "$1"; fi
cat /proc/sys/kernel/random/boot_id || exit 1
if read -r line </proc/1/stat; then set -- ${line##*) }; echo "${20}"; fi
"#;

/// `$1` a program, then folders: the first of them that has it.
const SEARCH: &str = r#"
name=$1
shift
for folder; do
  if [ -e "$folder/$name" ]; then printf '%s\n' "$folder"; exit 0; fi
done
exit 1
"#;

/// `$1` command, `$2` message, `$3` seconds before, `$4` the folder of the command if it is not looked for: boots once this
/// shell has answered.
const REBOOT: &str = r#"
[ -z "$4" ] || PATH=$4:$PATH
if [ -z "$1" ] && ! command -v shutdown >/dev/null 2>&1 && ! command -v reboot >/dev/null 2>&1; then
  echo "there is neither \`shutdown\` nor \`reboot\`" >&2
  exit 1
fi
(
  trap '' HUP
  sleep "$(($3 + 1))"
  if [ -n "$1" ]; then exec sh -c "$1"; fi
  if command -v shutdown >/dev/null 2>&1; then exec shutdown -r now "$2"; fi
  exec reboot
) >/dev/null 2>&1 </dev/null &
"#;

struct Reboot {
    timeout: Duration,
    before: Duration,
    after: Duration,
    attempt: Duration,
    test: String,
    boot: String,
    command: String,
    message: String,
    folders: Vec<String>,
}

impl Module for Reboot {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            if look.session.describe() == "local" {
                return Err(ModuleError::failed(
                    "Running reboot with local connection would reboot the control node.",
                ));
            }
            let output = look
                .session
                .probe(Command::script(BOOT, [self.boot.clone()]))
                .await?;
            if !output.success() {
                return Err(command_failed("read the number of the boot", &output));
            }
            let words = [
                self.command.clone(),
                self.message.clone(),
                self.before.as_secs().to_string(),
                self.folder(look).await?,
            ];
            let steps = vec![
                Step::run("boot the host", Command::script(REBOOT, words)),
                Step::Reconnect(Reconnect {
                    delay: self.before + self.after + Duration::from_secs(2),
                    timeout: self.timeout,
                    pause: Duration::from_secs(2),
                    attempt: self.attempt,
                    test: Command::script(BACK, [self.boot.clone(), self.test.clone()]),
                    unlike: Some(output.stdout_text()),
                }),
            ];
            Ok(Plan::change("reboot", steps)
                .with("rebooted", true)
                .with("elapsed", 0))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        Ok(Conclusion {
            result: elapsed(outputs),
            changed: Some(true),
        })
    }
}

impl Reboot {
    /// The folder of the command that boots the host, where only some are looked into.
    async fn folder(&self, look: &Look<'_>) -> Result<String, ModuleError> {
        let program = self.command.split_whitespace().next().unwrap_or("shutdown");
        if self.folders.is_empty() || program.starts_with('/') {
            return Ok(String::new());
        }
        let command = Command::script(SEARCH, [program]).args(&self.folders);
        let output = look.session.probe(command).await?;
        if output.success() {
            return Ok(output.stdout_text().trim().to_owned());
        }
        let folders = self.folders.join("', '");
        Err(ModuleError::failed(format!(
            "Unable to find command \"{program}\" in search paths: ['{folders}']"
        )))
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let text =
        |name: &str, default: &str| arguments.filled(name).unwrap_or_else(|| default.to_owned());
    Ok(Box::new(Reboot {
        timeout: seconds(&arguments, "reboot_timeout", 600),
        before: seconds(&arguments, "pre_reboot_delay", 0),
        after: seconds(&arguments, "post_reboot_delay", 0),
        attempt: seconds(&arguments, "connect_timeout", 5).max(Duration::from_secs(1)),
        test: text("test_command", "whoami"),
        boot: text("boot_time_command", ""),
        command: text("reboot_command", ""),
        message: text("msg", "Reboot initiated by Ansible"),
        folders: arguments.texts("search_paths"),
    }))
}
