//! `modprobe`: modules of the kernel.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::apply::command_failed;
use super::attributes::pairs_of;
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan, Step};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "modprobe",
    aliases: &[],
    summary: "loads a module into the kernel, or takes it out",
    arguments: &[
        Argument::required("name", ArgumentKind::Text, "the module"),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "absent"]),
            "`present` by default",
        ),
        Argument::optional("params", ArgumentKind::Text, "its parameters"),
        Argument::optional(
            "persistent",
            ArgumentKind::Choice(&["disabled", "present", "absent"]),
            "whether a boot loads it, by `/etc/modules-load.d` and `/etc/modprobe.d`; `disabled`, the default, leaves these alone",
        ),
    ],
    examples: r"- name: bridges are seen by the firewall, after a boot too
  community.general.modprobe:
    name: br_netfilter
    persistent: present
",
    returns: &[
        ("name", "the module"),
        ("params", "its parameters"),
        ("state", "`present` or `absent`"),
    ],
    free_form: None,
    build,
    check: None,
};

/// `$1` module, `$2` parameters: whether it is loaded, and whether a boot loads it, and with these parameters.
const LOOK: &str = r#"
name=$(printf '%s' "$1" | tr - _)
loaded=no
if grep -q "^$name " /proc/modules 2>/dev/null || [ -d "/sys/module/$name" ]; then loaded=yes; fi
if [ "$loaded" = no ]; then
  for file in "/lib/modules/$(uname -r)/modules.builtin"; do
    [ -r "$file" ] || continue
    while IFS= read -r path; do
      path=${path##*/}
      if [ "$(printf '%s' "${path%%.ko*}" | tr - _)" = "$name" ]; then loaded=yes; fi
    done <"$file"
  done
fi
echo "loaded=$loaded"
boot=no
for file in /etc/modules-load.d/*.conf /etc/modules; do
  [ -f "$file" ] || continue
  if grep -Eq "^[[:space:]]*$1[[:space:]]*([#;].*)?$" "$file"; then boot=yes; fi
done
echo "boot=$boot"
params=no
for file in /etc/modprobe.d/*.conf; do
  [ -f "$file" ] || continue
  while IFS= read -r line; do
    case $line in "options $1 $2") params=yes ;; "options $1 "*) [ -n "$2" ] || params=other ;; esac
  done <"$file"
done
echo "params=$params"
"#;

/// `$1` module, `$2` parameters, `$3` `present` or `absent`.
const BOOT: &str = r#"
if [ "$3" = present ]; then
  mkdir -p /etc/modules-load.d /etc/modprobe.d || exit 1
  printf '%s\n' "$1" >"/etc/modules-load.d/$1.conf" || exit 1
  if [ -n "$2" ]; then printf 'options %s %s\n' "$1" "$2" >"/etc/modprobe.d/$1.conf"; fi
  exit 0
fi
for file in /etc/modules-load.d/*.conf /etc/modules /etc/modprobe.d/*.conf; do
  [ -f "$file" ] || continue
  grep -Eq "^[[:space:]]*(options[[:space:]]+$1[[:space:]].*|$1[[:space:]]*([#;].*)?)$" "$file" || continue
  sed -i -E "s/^[[:space:]]*(options[[:space:]]+$1[[:space:]].*|$1[[:space:]]*([#;].*)?)$/#\1/" "$file" || exit 1
done
"#;

struct Modprobe {
    name: String,
    params: String,
    is_present: bool,
    persistent: String,
}

impl Module for Modprobe {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let command = Command::script(LOOK, [self.name.clone(), self.params.clone()]);
            let output = look.session.probe(command).await?;
            if !output.success() {
                return Err(command_failed("list the modules of the kernel", &output));
            }
            let answer = pairs_of(&output.stdout_text());
            let is = |key: &str| {
                answer
                    .get(key)
                    .and_then(|value| value.as_str())
                    .unwrap_or("")
            };
            let (mut steps, mut words) = (Vec::new(), Vec::new());
            if (is("loaded") == "yes") != self.is_present {
                let mut command = Command::new("modprobe");
                if !self.is_present {
                    command = command.literal("-r");
                }
                command = command.arg(&self.name);
                if self.is_present {
                    command = command.args(self.params.split_whitespace());
                }
                let verb = if self.is_present { "load" } else { "unload" };
                words.push(verb);
                steps.push(Step::run(
                    format!("{verb} the module `{}`", self.name),
                    command,
                ));
            }
            let boot_differs = match self.persistent.as_str() {
                "present" => {
                    is("boot") != "yes" || !self.params.is_empty() && is("params") != "yes"
                }
                "absent" => is("boot") == "yes" || is("params") != "no",
                _ => false,
            };
            if boot_differs {
                words.push("at boot");
                steps.push(Step::run(
                    format!("settle whether a boot loads `{}`", self.name),
                    Command::script(
                        BOOT,
                        [
                            self.name.clone(),
                            self.params.clone(),
                            self.persistent.clone(),
                        ],
                    ),
                ));
            }
            let plan = if steps.is_empty() {
                Plan::satisfied()
            } else {
                Plan::change(words.join(", "), steps)
            };
            let state = if self.is_present { "present" } else { "absent" };
            Ok(plan
                .with("name", self.name.as_str())
                .with("params", self.params.as_str())
                .with("state", state))
        }
        .boxed()
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let name = arguments.required_text("name")?;
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty() || !name.bytes().all(fine) {
        return Err(ModuleError::failed(format!(
            "`{name}` cannot name a module of the kernel"
        )));
    }
    let persistent = arguments
        .filled("persistent")
        .unwrap_or_else(|| "disabled".to_owned());
    let is_present = arguments.text("state").as_deref() != Some("absent");
    if persistent == "absent" && is_present || persistent == "present" && !is_present {
        return Err(ModuleError::failed(format!(
            "`persistent: {persistent}` contradicts the state"
        )));
    }
    Ok(Box::new(Modprobe {
        name,
        params: arguments.filled("params").unwrap_or_default(),
        is_present,
        persistent,
    }))
}
