//! `package`: packages, with whatever the host has for them.

use std::sync::OnceLock;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::apply::{command_failed, output_values};
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    Step, StepOutput,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "package",
    aliases: &[],
    summary: "installs, upgrades and removes packages with apt-get, dnf, yum, zypper or apk, whichever the host has",
    arguments: &[
        Argument::required("name", ArgumentKind::Texts, "the packages").or(&["pkg"]),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "installed", "latest", "absent", "removed"]),
            "what is wanted; `present` by default",
        ),
        Argument::optional(
            "use",
            ArgumentKind::Choice(&["auto", "apt", "dnf", "dnf5", "yum", "zypper", "apk"]),
            "which of them; what the host has by default",
        ),
        Argument::optional(
            "update_cache",
            ArgumentKind::Boolean,
            "read the lists of packages anew first; false by default",
        ),
        Argument::optional(
            "enablerepo",
            ArgumentKind::Texts,
            "with dnf and yum: repositories to use as well",
        ),
        Argument::optional(
            "disablerepo",
            ArgumentKind::Texts,
            "with dnf and yum: repositories to leave out",
        ),
    ],
    examples: r"- name: time is kept
  package: {name: chrony, state: present}
",
    returns: &[
        ("stdout", "what the program said, when it ran"),
        ("rc", "its exit status"),
    ],
    free_form: None,
    build,
    check: None,
};

const WHICH: &str = r#"
for tool in apt-get dnf yum microdnf zypper apk; do
  if command -v "$tool" >/dev/null 2>&1; then echo "$tool"; exit 0; fi
done
echo "none of apt-get, dnf, yum, zypper and apk is there" >&2
exit 4
"#;

/// `$1` program, then names: those that are missing, a line each.
const MISSING: &str = r#"
tool=$1
shift
for name; do
  case $tool in
    apk) apk info -e "$name" >/dev/null 2>&1 || printf '%s\n' "$name" ;;
    *) rpm -q -- "$name" >/dev/null 2>&1 || rpm -q --whatprovides -- "$name" >/dev/null 2>&1 || printf '%s\n' "$name" ;;
  esac
done
"#;

struct Package {
    names: Vec<String>,
    state: &'static str,
    with: Option<String>,
    update: bool,
    /// For dnf and yum.
    options: Vec<String>,
    /// The module that does it, once that is known.
    chosen: OnceLock<Box<dyn Module>>,
}

impl Module for Package {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let known = look
                .facts
                .and_then(|facts| facts.facts().package_manager.clone());
            let tool = if let Some(tool) = self.with.clone().or(known) {
                tool
            } else {
                let output = look.session.probe(Command::script(WHICH, [""; 0])).await?;
                if !output.success() {
                    return Err(command_failed("find the program for packages", &output));
                }
                output.stdout_text().trim().to_owned()
            };
            if matches!(tool.as_str(), "apt" | "apt-get" | "zypper" | "apk")
                && !self.options.is_empty()
            {
                return Err(ModuleError::failed(
                    "`enablerepo` and `disablerepo` are for dnf and yum",
                ));
            }
            let chosen = self.chosen.get_or_init(|| match tool.as_str() {
                "apt" | "apt-get" => super::apt::plain(self.names.clone(), self.state, self.update),
                "zypper" | "apk" => Box::new(Plain {
                    tool: if tool == "apk" { "apk" } else { "zypper" },
                    names: self.names.clone(),
                    state: self.state,
                    update: self.update,
                }),
                _ => super::dnf::plain(
                    self.names.clone(),
                    self.state,
                    self.update,
                    self.options.clone(),
                ),
            });
            chosen.plan(look).await
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        match self.chosen.get() {
            Some(chosen) => chosen.conclude(outputs),
            None => Ok(Conclusion::default()),
        }
    }
}

/// zypper and apk.
struct Plain {
    tool: &'static str,
    names: Vec<String>,
    state: &'static str,
    update: bool,
}

impl Module for Plain {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let command = Command::script(MISSING, [self.tool]).args(&self.names);
            let output = look.session.probe(command).await?;
            if !output.success() {
                return Err(command_failed("look at the packages", &output));
            }
            let missing = output.stdout_text().lines().count();
            let is_done = match self.state {
                "present" => missing == 0,
                "absent" => missing == self.names.len(),
                _ => false,
            };
            if is_done {
                return Ok(Plan::satisfied());
            }
            let command = match (self.tool, self.state) {
                ("apk", "absent") => Command::new("apk del"),
                ("apk", "latest") => Command::new("apk add --upgrade"),
                ("apk", _) => Command::new("apk add"),
                (_, "absent") => Command::new("zypper --non-interactive remove"),
                (_, "latest") if missing == 0 => Command::new("zypper --non-interactive update"),
                _ => Command::new("zypper --non-interactive install"),
            };
            let mut steps = Vec::new();
            if self.update {
                let command = match self.tool {
                    "apk" => Command::new("apk update"),
                    _ => Command::new("zypper --non-interactive refresh"),
                };
                steps.push(Step::run("read the lists of packages", command));
            }
            let names = self.names.join(", ");
            steps.push(Step::run(
                format!("{} {names}", self.state),
                command.args(&self.names),
            ));
            Ok(if self.state == "latest" {
                Plan::unknown("it depends on what is to be had", steps)
            } else {
                Plan::change(format!("{} {names}", self.state), steps)
            })
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let mut conclusion = Conclusion::default();
        if let Some(StepOutput::Ran(output)) = outputs.last() {
            conclusion.result = output_values(output);
            let text = output.stdout_text();
            let did = match self.tool {
                "apk" => text.lines().any(|line| line.starts_with('(')),
                _ => !text.contains("Nothing to do"),
            };
            conclusion.changed = Some(did);
        }
        Ok(conclusion)
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let mut names = arguments.texts("name");
    names.retain(|name| !name.is_empty());
    if let Some(name) = names.iter().find(|name| name.starts_with('-')) {
        return Err(ModuleError::failed(format!(
            "`{name}` cannot name a package"
        )));
    }
    let mut options = Vec::new();
    for name in ["enablerepo", "disablerepo"] {
        let repositories = arguments.texts(name);
        options.extend(
            repositories
                .iter()
                .filter(|repository| !repository.is_empty())
                .map(|repository| format!("--{name}={repository}")),
        );
    }
    Ok(Box::new(Package {
        names,
        options,
        state: match arguments.text("state").as_deref() {
            Some("latest") => "latest",
            Some("absent" | "removed") => "absent",
            _ => "present",
        },
        with: arguments.filled("use").filter(|tool| tool != "auto"),
        update: arguments.boolean("update_cache", false),
        chosen: OnceLock::new(),
    }))
}
