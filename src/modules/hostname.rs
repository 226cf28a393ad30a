//! `hostname`: the host's own name.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;

use super::apply::command_failed;
use super::attributes::pairs_of;
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan, Step};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "hostname",
    aliases: &[],
    summary: "gives the host its name, now and after a boot",
    arguments: &[
        Argument::required("name", ArgumentKind::Text, "the name"),
        Argument::optional(
            "use",
            ArgumentKind::Choice(&["systemd", "debian", "alpine", "redhat", "generic"]),
            "how; by hostnamectl where it works, else by `/etc/hostname`",
        ),
    ],
    examples: r#"- name: every host has its name from the inventory
  hostname: {name: "{{ inventory_hostname }}"}
"#,
    returns: &[
        ("name", "the name"),
        (
            "ansible_facts",
            "`ansible_hostname`, `ansible_nodename`, `ansible_fqdn` and `ansible_domain`",
        ),
    ],
    free_form: None,
    build,
    check: None,
};

const LOOK: &str = r#"
now=$(hostname 2>/dev/null || uname -n) || exit 1
printf 'now=%s\n' "$now"
if [ -f /etc/hostname ]; then printf 'file=%s\n' "$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' /etc/hostname | sed -n 1p)"; fi
"#;

/// `$1` name, `$2` how.
const SET: &str = r#"
if [ "${2:-systemd}" = systemd ] && [ -d /run/systemd/system ] && command -v hostnamectl >/dev/null 2>&1; then
  hostnamectl set-hostname "$1" && exit 0
fi
printf '%s\n' "$1" >/etc/hostname || exit 1
if command -v hostname >/dev/null 2>&1; then hostname "$1"; else printf '%s\n' "$1" >/proc/sys/kernel/hostname; fi
"#;

struct Hostname {
    name: String,
    how: String,
}

impl Module for Hostname {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let output = look.session.probe(Command::script(LOOK, [""; 0])).await?;
            if !output.success() {
                return Err(command_failed("look up the host's name", &output));
            }
            let answer = pairs_of(&output.stdout_text());
            let is = |key: &str| answer.get(key).and_then(|value| value.as_str());
            let (now, file) = (is("now"), is("file"));
            let plan = if now == Some(&self.name) && file == Some(&self.name) {
                Plan::satisfied()
            } else {
                let shown = if now == Some(&self.name) { file } else { now };
                Plan::change(
                    format!("{} -> {}", shown.unwrap_or("none"), self.name),
                    vec![Step::run(
                        "set the host's name",
                        Command::script(SET, [self.name.clone(), self.how.clone()]),
                    )],
                )
            };
            let (short, domain) = self.name.split_once('.').unwrap_or((&self.name, ""));
            Ok(plan.with("name", self.name.as_str()).with(
                "ansible_facts",
                json!({
                    "ansible_hostname": short,
                    "ansible_nodename": self.name,
                    "ansible_fqdn": self.name,
                    "ansible_domain": domain,
                }),
            ))
        }
        .boxed()
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let name = arguments.required_text("name")?;
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if name.is_empty() || name.len() > 253 || !name.bytes().all(fine) {
        return Err(ModuleError::failed(format!("`{name}` cannot name a host")));
    }
    Ok(Box::new(Hostname {
        name,
        how: arguments.filled("use").unwrap_or_default(),
    }))
}
