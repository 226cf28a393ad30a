//! `systemd`: units started, stopped, enabled.

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
    ],
    free_form: None,
    build,
    check: Some(check),
};

const SHOW: &str = r#"
if ! [ -d /run/systemd/system ]; then echo "systemd does not run here" >&2; exit 3; fi
exec systemctl show -p LoadState -p ActiveState -p SubState -p UnitFileState -p NeedDaemonReload -p CanReload -p FragmentPath -- "$1"
"#;

/// Starts and the like: what the unit last said is worth more than systemctl's own words.
const ACT: &str = r#"
if [ "$3" = failed ]; then systemctl reset-failed -- "$2" 2>/dev/null || :; fi
systemctl "$1" -- "$2" && exit 0
status=$?
{
  systemctl --no-pager --full --lines=0 status -- "$2"
  journalctl --no-pager --unit="$2" --lines=20 --output=cat
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
            let Some(name) = &self.name else {
                return Ok(Plan::unknown("units are read again", vec![reload_step()]));
            };
            let output = look
                .session
                .probe(Command::script(SHOW, [name.clone()]))
                .await?;
            if output.status.code() == 3 {
                return Err(
                    ModuleError::failed("systemd does not run on this host").with_hint(
                        "kk manages services by systemd only; use a host that boots with it",
                    ),
                );
            }
            if !output.success() {
                return Err(command_failed(
                    &format!("look at the unit `{name}`"),
                    &output,
                ));
            }
            let properties = Properties::parse(&output.stdout_text());
            let plan = self.compare(name, &properties, look.check_mode)?;
            Ok(plan
                .with("name", name.as_str())
                .with("status", properties.0))
        }
        .boxed()
    }

    fn conclude(&self, _outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        Ok(Conclusion {
            result: Map::new(),
            // As in Ansible: reading units again alone is no change.
            changed: self.name.is_none().then_some(false),
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
            steps.push(reload_step());
            words.push("unit files read again".to_owned());
        }
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
            Step::run(
                format!("{verb} `{name}`"),
                Command::new("systemctl")
                    .literal(verb)
                    .literal("--")
                    .arg(name),
            )
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
                Command::script(ACT, [verb, name, active]),
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
        if steps.is_empty() {
            Ok(Plan::satisfied())
        } else {
            Ok(Plan::change(words.join(", "), steps))
        }
    }
}

fn reload_step() -> Step {
    Step::run(
        "read unit files again",
        Command::new("systemctl daemon-reload"),
    )
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
    let name = arguments
        .text("name")
        .filter(|name| !name.is_empty())
        .map(|name| unit_name(&name));
    let daemon_reload = arguments.boolean("daemon_reload", false);
    let enabled = optional("enabled");
    let masked = optional("masked");
    if name.is_none() && (state.is_some() || enabled.is_some() || masked.is_some()) {
        return Err(ModuleError::failed("`name` is missing"));
    }
    if name.is_none() && !daemon_reload {
        return Err(ModuleError::failed("there is nothing to do: give `name`"));
    }
    Ok(Box::new(Systemd {
        name,
        state,
        enabled,
        masked,
        daemon_reload,
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
    if given.has("daemon_reload") {
        Ok(())
    } else {
        Err("there is nothing to do: give `name`".to_owned())
    }
}
