//! `timezone`: the time zone of the host.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::apply::command_failed;
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan, Step};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "timezone",
    aliases: &[],
    summary: "sets the time zone",
    arguments: &[Argument::required(
        "name",
        ArgumentKind::Text,
        "the zone, as in `Europe/Berlin`",
    )],
    examples: r"- community.general.timezone: {name: Etc/UTC}
",
    returns: &[("diff", "the zone before and after")],
    free_form: None,
    build,
    check: None,
};

/// `$1` the wanted zone: says which there is. Status 3: there is no such zone.
const LOOK: &str = r#"
if [ -d /usr/share/zoneinfo ] && [ ! -f "/usr/share/zoneinfo/$1" ]; then exit 3; fi
path=$(readlink -f /etc/localtime 2>/dev/null)
case $path in
  */zoneinfo/*) printf '%s\n' "${path#*/zoneinfo/}" ;;
  *) if [ -f /etc/timezone ]; then sed -n 1p /etc/timezone; else echo; fi ;;
esac
case $path in
  */zoneinfo/*) if [ -f /etc/timezone ]; then sed -n 1p /etc/timezone; else printf '%s\n' "${path#*/zoneinfo/}"; fi ;;
  *) echo ;;
esac
"#;

const SET: &str = r#"
if [ -d /run/systemd/system ] && command -v timedatectl >/dev/null 2>&1; then
  timedatectl set-timezone "$1" || exit 1
else
  ln -sfn -- "/usr/share/zoneinfo/$1" /etc/localtime || exit 1
fi
if [ -f /etc/timezone ]; then printf '%s\n' "$1" >/etc/timezone; fi
"#;

struct Timezone {
    name: String,
}

impl Module for Timezone {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let output = look
                .session
                .probe(Command::script(LOOK, [self.name.clone()]))
                .await?;
            match output.status.code() {
                0 => {}
                3 => {
                    return Err(ModuleError::failed(format!(
                        "the host knows no time zone `{}`",
                        self.name
                    ))
                    .with_hint(
                        "the package `tzdata` has them; `timedatectl list-timezones` lists them",
                    ));
                }
                _ => return Err(command_failed("look up the time zone", &output)),
            }
            let text = output.stdout_text();
            let mut lines = text.lines();
            let (link, file) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
            let plan = if link == self.name && (file == self.name || file.is_empty()) {
                Plan::satisfied()
            } else {
                Plan::change(
                    format!("{link} -> {}", self.name),
                    vec![Step::run(
                        "set the time zone",
                        Command::script(SET, [self.name.clone()]),
                    )],
                )
            };
            Ok(plan.with(
                "diff",
                serde_json::json!({"before": {"name": link}, "after": {"name": self.name}}),
            ))
        }
        .boxed()
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let name = arguments.required_text("name")?;
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte);
    if name.is_empty() || name.starts_with('/') || !name.bytes().all(fine) {
        return Err(ModuleError::failed(format!("`{name}` is no time zone")));
    }
    Ok(Box::new(Timezone { name }))
}
