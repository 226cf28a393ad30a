//! `sysctl`: settings of the kernel, in a file and now.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::apply::command_failed;
use super::arguments::Given;
use super::attributes::{Attributes, GROUP, MODE, OWNER, UNSAFE_WRITES};
use super::edited_file::EditedFile;
use super::file_state::{Care, host_path};
use super::{
    Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan, Step, Verdict,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "sysctl",
    aliases: &[],
    summary: "keeps a setting of the kernel in a file, and sets it",
    arguments: &[
        Argument::required(
            "name",
            ArgumentKind::Text,
            "the setting, as in `vm.swappiness`",
        )
        .or(&["key"]),
        Argument::optional(
            "value",
            ArgumentKind::Text,
            "its value; yes and no count as 1 and 0",
        )
        .or(&["val"]),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "absent"]),
            "in the file or out of it; `present` by default",
        ),
        Argument::optional(
            "sysctl_file",
            ArgumentKind::Path,
            "the file; `/etc/sysctl.conf` by default",
        ),
        Argument::optional(
            "sysctl_set",
            ArgumentKind::Boolean,
            "compare with the running kernel and set it there; false by default",
        ),
        Argument::optional(
            "reload",
            ArgumentKind::Boolean,
            "let the kernel read the file after a change; true by default",
        ),
        Argument::optional(
            "ignoreerrors",
            ArgumentKind::Boolean,
            "settings that the kernel does not know are no failure; false by default",
        ),
        MODE,
        OWNER,
        GROUP,
        UNSAFE_WRITES,
    ],
    examples: r#"- name: packets may pass
  ansible.posix.sysctl:
    name: net.ipv4.ip_forward
    value: "1"
    sysctl_set: true
    sysctl_file: /etc/sysctl.d/90-app.conf
"#,
    returns: &[],
    free_form: None,
    build,
    check: Some(check),
};

struct Sysctl {
    name: String,
    value: Option<String>,
    file: EditedFile,
    set: bool,
    reload: bool,
    lenient: bool,
}

/// The value with single blanks, which is how two of them compare.
fn plain(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the file should hold.
fn edited(text: &str, name: &str, value: Option<&str>) -> String {
    let setting = |line: &str| {
        let line = line.trim();
        let is_comment = line.starts_with(['#', ';']);
        let (key, value) = line.split_once('=').filter(|_| !is_comment)?;
        Some((key.trim().to_owned(), value.trim().to_owned()))
    };
    let mut is_there = false;
    let mut lines = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    let mut is_changed = false;
    for line in text.lines() {
        let Some((key, old)) = setting(line) else {
            lines.push(line.to_owned());
            continue;
        };
        if seen.contains(&key) {
            is_changed |= key == name;
            continue;
        }
        seen.push(key.clone());
        if key != name {
            lines.push(format!("{key}={old}"));
            continue;
        }
        is_there = true;
        match value {
            None => is_changed = true,
            Some(value) => {
                is_changed |= plain(&old) != plain(value);
                lines.push(format!("{key}={value}"));
            }
        }
    }
    if let Some(value) = value
        && !is_there
    {
        is_changed = true;
        lines.push(format!("{name}={value}"));
    }
    if is_changed {
        lines.iter().map(|line| format!("{line}\n")).collect()
    } else {
        text.to_owned()
    }
}

impl Module for Sysctl {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let edit = |old: &str| edited(old, &self.name, self.value.as_deref());
            let mut plan = self.file.plan(look, edit).await?.0;
            if self.reload && !plan.is_satisfied() {
                let mut command = Command::new("sysctl -p");
                if self.lenient {
                    command = command.literal("-e");
                }
                plan.steps.push(Step::run(
                    format!("let the kernel read `{}`", self.file.path),
                    command.arg(&self.file.path),
                ));
            }
            if let Some(value) = &self.value
                && self.set
            {
                let output = look
                    .session
                    .probe(Command::new("sysctl -n -e").arg(&self.name))
                    .await?;
                if !output.success() && !self.lenient {
                    return Err(command_failed(&format!("read `{}`", self.name), &output));
                }
                let now = output.stdout_text();
                if plain(&now) != plain(value) {
                    let mut command = Command::new("sysctl -w");
                    if self.lenient {
                        command = command.literal("-e");
                    }
                    let step = Step::run(
                        format!("set `{}`", self.name),
                        command.arg(format!("{}={value}", self.name)),
                    );
                    let words = format!("{} -> {value}", plain(&now));
                    match &mut plan.verdict {
                        Verdict::Change(change) => {
                            change.summary = format!("{}, {words}", change.summary);
                            plan.steps.push(step);
                        }
                        _ => plan = Plan::change(words, vec![step]),
                    }
                }
            }
            Ok(plan)
        }
        .boxed()
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let is_present = arguments.text("state").as_deref() != Some("absent");
    let value = arguments
        .filled("value")
        .map(|value| match value.trim().to_lowercase().as_str() {
            "yes" | "true" | "on" | "y" | "t" => "1".to_owned(),
            "no" | "false" | "off" | "n" | "f" => "0".to_owned(),
            _ => value.trim().to_owned(),
        });
    if is_present && value.is_none() {
        return Err(ModuleError::failed("`value` is missing"));
    }
    let path = match arguments.value("sysctl_file") {
        Some(Value::String(_)) => host_path(&arguments, "sysctl_file")?,
        _ => "/etc/sysctl.conf".to_owned(),
    };
    Ok(Box::new(Sysctl {
        name: arguments.required_text("name")?.trim().to_owned(),
        value: value.filter(|_| is_present),
        file: EditedFile {
            path,
            attributes: Attributes::from_arguments(&arguments),
            create: true,
            word: "Path",
            care: Care::default(),
        },
        set: arguments.boolean("sysctl_set", false),
        reload: arguments.boolean("reload", true),
        lenient: arguments.boolean("ignoreerrors", false),
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    if !given.has("value") && !given.has("state") {
        return Err("`value` is missing".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::edited;

    #[test]
    fn a_setting_is_there_once() {
        let text = "# a\nx = 1\ny=2\nx=3\n";
        assert_eq!(edited(text, "x", Some("5")), "# a\nx=5\ny=2\n");
        assert_eq!(edited("x = 1  2\n", "x", Some("1 2")), "x = 1  2\n");
        assert_eq!(edited(text, "y", None), "# a\nx=1\n");
        assert_eq!(edited("", "z", Some("1")), "z=1\n");
        assert_eq!(edited("x=1\n", "z", None), "x=1\n");
    }
}
