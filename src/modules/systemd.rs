//! `systemd`: units started, stopped, enabled.

use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::apply::command_failed;
use super::arguments::Given;
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    Step, StepOutput,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "systemd",
    aliases: &["systemd_service", "service"],
    summary: "starts, stops and enables systemd units",
    arguments: &[
        Argument::optional(
            "name",
            ArgumentKind::Text,
            "the unit; `.service` may be left out",
        )
        .or(&["unit", "service"]),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["started", "stopped", "restarted", "reloaded"]),
            "what it should be doing",
        ),
        Argument::optional(
            "enabled",
            ArgumentKind::Boolean,
            "whether it starts at boot",
        ),
        Argument::optional(
            "masked",
            ArgumentKind::Boolean,
            "whether it can be started at all",
        ),
        Argument::optional(
            "daemon_reload",
            ArgumentKind::Boolean,
            "read unit files again first, when systemd says they changed; false by default",
        )
        .or(&["daemon-reload"]),
        Argument::optional(
            "daemon_reexec",
            ArgumentKind::Boolean,
            "start systemd itself anew first; false by default",
        )
        .or(&["daemon-reexec"]),
        Argument::optional(
            "force",
            ArgumentKind::Boolean,
            "links of other units may be replaced when it is enabled; false by default",
        ),
        Argument::optional(
            "no_block",
            ArgumentKind::Boolean,
            "do not wait until it is done; false by default",
        ),
        Argument::optional(
            "scope",
            ArgumentKind::Choice(&["system", "user", "global"]),
            "whose units; `system` by default",
        ),
        Argument::optional(
            "sleep",
            ArgumentKind::Integer,
            "`service`: seconds between stop and start elsewhere; systemd needs none",
        ),
        Argument::optional(
            "pattern",
            ArgumentKind::Text,
            "`service`: how its process is found elsewhere; systemd knows it",
        ),
        Argument::optional(
            "runlevel",
            ArgumentKind::Text,
            "`service`: of OpenRC; without effect",
        ),
        Argument::optional(
            "arguments",
            ArgumentKind::Text,
            "`service`: for an init script; without effect",
        )
        .or(&["args"]),
        Argument::optional(
            "use",
            ArgumentKind::Text,
            "`service`: the init system; systemd in any case",
        ),
    ],
    examples: r"- name: the service runs, now and after a boot
  systemd_service:
    name: app
    state: started
    enabled: true
    daemon_reload: true

- name: app restarts
  service: {name: app, state: restarted}
",
    returns: &[
        ("name", "the unit, as it was written"),
        ("state", "the state that was asked for"),
        (
            "enabled",
            "whether it starts at boot, when that was asked for",
        ),
        (
            "status",
            "what systemd says about the unit, as `systemctl show`",
        ),
    ],
    free_form: None,
    build,
    check: Some(check),
};

const SHOW: &str = r#"
if ! [ -d /run/systemd/system ]; then echo "systemd does not run here" >&2; exit 3; fi
if [ -z "${XDG_RUNTIME_DIR-}" ]; then XDG_RUNTIME_DIR=/run/user/$(id -u); export XDG_RUNTIME_DIR; fi
exec systemctl "$2" show -p LoadState -p ActiveState -p SubState -p UnitFileState -p NeedDaemonReload -p CanReload -p FragmentPath -p Id -p Names -p Description -p MainPID -p Type -p Result -p ExecMainStatus -p ExecMainStartTimestamp -p ActiveEnterTimestamp -p Restart -p User -p WantedBy -p ExecStart -- "$1"
"#;

/// Starts and the like: what the unit last said is worth more than systemctl's own words.
const ACT: &str = r#"
verb=$1 unit=$2 was=$3
shift 3
if [ -z "${XDG_RUNTIME_DIR-}" ]; then XDG_RUNTIME_DIR=/run/user/$(id -u); export XDG_RUNTIME_DIR; fi
if [ "$was" = failed ]; then systemctl "$@" reset-failed -- "$unit" 2>/dev/null || :; fi
if [ -z "$unit" ]; then exec systemctl "$@" "$verb"; fi
systemctl "$@" "$verb" -- "$unit" && exit 0
status=$?
{
  systemctl --no-pager --full --lines=0 status -- "$unit"
  journalctl --no-pager --unit="$unit" --lines=20 --output=cat
} >&2 2>/dev/null
exit "$status"
"#;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Started,
    Stopped,
    Restarted,
    Reloaded,
}

struct Systemd {
    name: Option<String>,
    state: Option<State>,
    enabled: Option<bool>,
    masked: Option<bool>,
    daemon_reload: bool,
    daemon_reexec: bool,
    force: bool,
    no_block: bool,
    scope: String,
    /// The steps of the plan only read units again.
    only_reads: AtomicBool,
}

/// `systemctl show` as pairs.
#[derive(Default)]
struct Properties(Map<String, Value>);

impl Properties {
    fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Self(
            pairs
                .map(|(key, value)| (key.to_owned(), Value::from(value)))
                .collect(),
        )
    }

    fn get(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Module for Systemd {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let Some(given) = &self.name else {
                let mut steps = Vec::new();
                if self.daemon_reload {
                    steps.push(reload_step(&self.scope));
                }
                if self.daemon_reexec {
                    steps.push(reexec_step(&self.scope));
                }
                return Ok(Plan::unknown("units are read again", steps));
            };
            let name = &unit_name(given);
            let scope = format!("--{}", self.scope);
            let output = look
                .session
                .probe(Command::script(SHOW, [name.clone(), scope]))
                .await?;
            if output.status.code() == 3 {
                return Err(ModuleError::failed("systemd does not run on this host")
                    .with_hint("kk manages services by systemd only; use a host that boots with it")
                    .saying(format!(
                        "Could not find the requested service {given}: host"
                    )));
            }
            if !output.success() {
                return Err(command_failed(
                    &format!("look at the unit `{name}`"),
                    &output,
                ));
            }
            let properties = Properties::parse(&output.stdout_text());
            let plan = self.compare(name, &properties, look.check_mode)?;
            let mut plan = plan
                .with("name", given.as_str())
                .with("status", properties.0);
            if let Some(state) = self.state {
                plan = plan.with("state", state.word());
            }
            if let Some(enabled) = self.enabled {
                plan = plan.with("enabled", enabled);
            }
            Ok(plan)
        }
        .boxed()
    }

    fn conclude(&self, _outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        Ok(Conclusion {
            result: Map::new(),
            // As in Ansible: reading units again alone is no change.
            changed: (self.name.is_none() || self.only_reads.load(Ordering::Relaxed))
                .then_some(false),
        })
    }
}

impl Systemd {
    fn compare(
        &self,
        name: &str,
        properties: &Properties,
        check_mode: bool,
    ) -> Result<Plan, ModuleError> {
        let load = properties.get("LoadState");
        let is_missing = load == "not-found" || load.is_empty();
        let mut steps = Vec::new();
        let mut words = Vec::new();
        if self.daemon_reload && (is_missing || properties.get("NeedDaemonReload") == "yes") {
            steps.push(reload_step(&self.scope));
            words.push("unit files read again".to_owned());
        }
        if self.daemon_reexec {
            steps.push(reexec_step(&self.scope));
            words.push("systemd started anew".to_owned());
        }
        let reads = steps.len();
        if is_missing && !self.daemon_reload {
            let is_gone = self.state == Some(State::Stopped) && self.enabled != Some(true);
            if is_gone {
                return Ok(Plan::satisfied());
            }
            if check_mode {
                return Ok(Plan::unknown(
                    format!("there is no unit `{name}` yet"),
                    Vec::new(),
                ));
            }
            return Err(ModuleError::failed(format!("there is no unit `{name}`"))
                .with_hint("`systemctl list-unit-files` on the host shows those there are"));
        }
        let simple = |verb: &'static str| {
            let mut command = Command::new("systemctl")
                .literal(verb)
                .args(self.scope_flag());
            if self.force && matches!(verb, "enable" | "mask") {
                command = command.literal("--force");
            }
            Step::run(format!("{verb} `{name}`"), command.literal("--").arg(name))
        };
        match (self.masked, load == "masked") {
            (Some(true), false) => {
                steps.push(simple("mask"));
                words.push("masked".to_owned());
            }
            (Some(false), true) => {
                steps.push(simple("unmask"));
                words.push("unmasked".to_owned());
            }
            _ => {}
        }
        let file_state = properties.get("UnitFileState");
        let is_enabled = !matches!(file_state, "disabled" | "" | "bad" | "masked" | "linked");
        match self.enabled {
            Some(true) if !is_enabled => {
                steps.push(simple("enable"));
                words.push("enabled".to_owned());
            }
            Some(false) if matches!(file_state, "enabled" | "enabled-runtime") => {
                steps.push(simple("disable"));
                words.push("disabled".to_owned());
            }
            _ => {}
        }
        let active = properties.get("ActiveState");
        let is_active = matches!(active, "active" | "reloading");
        let act = |verb: &str| {
            Step::run(
                format!("{verb} `{name}`"),
                Command::script(ACT, [verb, name, active])
                    .args(self.scope_flag())
                    .args(self.no_block.then_some("--no-block")),
            )
        };
        match self.state {
            Some(State::Started) if !is_active => {
                steps.push(act("start"));
                words.push("started".to_owned());
            }
            Some(State::Stopped) if !matches!(active, "inactive" | "failed") => {
                steps.push(act("stop"));
                words.push("stopped".to_owned());
            }
            Some(State::Restarted) => {
                steps.push(act("restart"));
                words.push("restarted".to_owned());
            }
            Some(State::Reloaded) if is_active => {
                let can_reload = properties.get("CanReload") != "no";
                let verb = if can_reload { "reload" } else { "restart" };
                steps.push(act(verb));
                words.push(if can_reload { "reloaded" } else { "restarted" }.to_owned());
            }
            Some(State::Reloaded) => {
                steps.push(act("start"));
                words.push("started".to_owned());
            }
            _ => {}
        }
        self.only_reads
            .store(steps.len() == reads, Ordering::Relaxed);
        if steps.is_empty() {
            Ok(Plan::satisfied())
        } else {
            Ok(Plan::change(words.join(", "), steps))
        }
    }
}

impl Systemd {
    fn scope_flag(&self) -> Option<String> {
        (self.scope != "system").then(|| format!("--{}", self.scope))
    }
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Restarted => "restarted",
            Self::Reloaded => "reloaded",
        }
    }
}

fn reload_step(scope: &str) -> Step {
    let command = match scope {
        "system" => Command::new("systemctl daemon-reload"),
        scope => Command::script(ACT, ["daemon-reload", "", ""]).arg(format!("--{scope}")),
    };
    Step::run("read unit files again", command)
}

fn reexec_step(scope: &str) -> Step {
    let command = match scope {
        "system" => Command::new("systemctl daemon-reexec"),
        scope => Command::script(ACT, ["daemon-reexec", "", ""]).arg(format!("--{scope}")),
    };
    Step::run("start systemd anew", command)
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let has = |name: &str| arguments.value(name).is_some_and(|value| !value.is_null());
    let optional = |name: &str| has(name).then(|| arguments.boolean(name, false));
    let state = match arguments.text("state").as_deref() {
        Some("started") => Some(State::Started),
        Some("stopped") => Some(State::Stopped),
        Some("restarted") => Some(State::Restarted),
        Some("reloaded") => Some(State::Reloaded),
        _ => None,
    };
    let name = arguments.text("name").filter(|name| !name.is_empty());
    let daemon_reload = arguments.boolean("daemon_reload", false);
    let enabled = optional("enabled");
    let masked = optional("masked");
    if name.is_none() && (state.is_some() || enabled.is_some() || masked.is_some()) {
        return Err(ModuleError::failed("`name` is missing"));
    }
    let daemon_reexec = arguments.boolean("daemon_reexec", false);
    if name.is_none() && !daemon_reload && !daemon_reexec {
        return Err(ModuleError::failed("there is nothing to do: give `name`"));
    }
    Ok(Box::new(Systemd {
        name,
        state,
        enabled,
        masked,
        daemon_reload,
        daemon_reexec,
        force: arguments.boolean("force", false),
        no_block: arguments.boolean("no_block", false),
        scope: arguments
            .text("scope")
            .unwrap_or_else(|| "system".to_owned()),
        only_reads: AtomicBool::new(false),
    }))
}

/// `docker` means `docker.service`.
fn unit_name(name: &str) -> String {
    const KINDS: [&str; 11] = [
        ".service",
        ".socket",
        ".timer",
        ".mount",
        ".path",
        ".target",
        ".slice",
        ".swap",
        ".device",
        ".automount",
        ".scope",
    ];
    if KINDS.iter().any(|kind| name.ends_with(kind)) {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}

fn check(given: &Given<'_>) -> Result<(), String> {
    let needs_name = ["state", "enabled", "masked"];
    if given.has("name") {
        return Ok(());
    }
    if let Some(argument) = needs_name.iter().find(|argument| given.has(argument)) {
        return Err(format!("`{argument}` needs `name`, the unit"));
    }
    if given.has("daemon_reload") || given.has("daemon_reexec") {
        Ok(())
    } else {
        Err("there is nothing to do: give `name`".to_owned())
    }
}
