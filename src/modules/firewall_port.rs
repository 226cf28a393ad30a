//! `firewall_port`: a port that the host's firewall lets in. Where no firewall is active there is nothing to do.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::apply::command_failed;
use super::{
    Argument, ArgumentKind, Arguments, LedgerEntry, Look, Module, ModuleError, ModuleSpec, Plan,
    Step,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "firewall_port",
    aliases: &[],
    summary: "opens a port in firewalld (default zone) or ufw, where one of them is active",
    arguments: &[
        Argument::required(
            "port",
            ArgumentKind::Text,
            "the port and its protocol: `443/tcp`",
        ),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["open", "closed"]),
            "`open` by default; `closed` takes the rule away",
        ),
    ],
    examples: r#"- name: clients reach the registry
  firewall_port:
    port: 443/tcp
"#,
    returns: &[(
        "firewall",
        "`firewalld`, `ufw`, or nothing when no firewall is on",
    )],
    free_form: None,
    build,
    check: None,
};

/// `$1` port. Says `none`, or the firewall and whether the port is open in what runs and in what is kept.
pub(super) const LOOK: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
if command -v firewall-cmd >/dev/null 2>&1 && [ "$(firewall-cmd --state 2>/dev/null)" = running ]; then
  if firewall-cmd --quiet --query-port="$1"; then now=open; else now=closed; fi
  if firewall-cmd --quiet --permanent --query-port="$1"; then then=open; else then=closed; fi
  echo "firewalld $now $then"
  exit 0
fi
if command -v ufw >/dev/null 2>&1; then
  said=$(ufw status) || exit 1
  case $said in
    *"Status: active"*)
      now=closed
      while read -r port action _; do
        if [ "$port" = "$1" ] && [ "$action" = ALLOW ]; then now=open; fi
      done <<END
$said
END
      echo "ufw $now $now"
      exit 0
      ;;
  esac
fi
echo none
"#;

const OPEN: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
case $1 in
  firewalld) firewall-cmd --quiet --permanent --add-port="$2" && firewall-cmd --quiet --add-port="$2" ;;
  ufw) ufw allow "$2" >/dev/null ;;
esac
"#;

const CLOSE: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
case $1 in
  firewalld) firewall-cmd --quiet --permanent --remove-port="$2" && firewall-cmd --quiet --remove-port="$2" ;;
  ufw) ufw delete allow "$2" >/dev/null ;;
esac
"#;

struct FirewallPort {
    port: String,
    is_open: bool,
}

impl Module for FirewallPort {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let output = look
                .session
                .probe(Command::script(LOOK, [self.port.clone()]))
                .await?;
            if !output.success() {
                return Err(command_failed("look at the firewall", &output));
            }
            let answer = output.stdout_text();
            let words: Vec<&str> = answer.split_whitespace().collect();
            let [firewall, now, then] = words[..] else {
                return Ok(Plan::satisfied().with("firewall", serde_json::Value::Null));
            };
            let plan = match self.is_open {
                true if now == "open" && then == "open" => Plan::satisfied(),
                true => {
                    let step = Step::run(
                        format!("open the port {} in {firewall}", self.port),
                        Command::script(OPEN, [firewall, &self.port]),
                    );
                    let mut plan = Plan::change(format!("open {}", self.port), vec![step]);
                    // A port that was open in one of the two was somebody's wish already.
                    if now != "open" && then != "open" {
                        plan = plan.creating(LedgerEntry::FirewallPort {
                            firewall: firewall.to_owned(),
                            port: self.port.clone(),
                        });
                    }
                    plan
                }
                false if now == "closed" && then == "closed" => Plan::satisfied(),
                false => Plan::change(
                    format!("close {}", self.port),
                    vec![close_port(firewall, &self.port)],
                ),
            };
            Ok(plan.with("firewall", firewall))
        }
        .boxed()
    }
}

/// The step that takes a port's rule away.
pub(super) fn close_port(firewall: &str, port: &str) -> Step {
    Step::run(
        format!("close the port {port} in {firewall}"),
        Command::script(CLOSE, [firewall, port]),
    )
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let port = arguments.required_text("port")?;
    let is_port = port.split_once('/').is_some_and(|(number, protocol)| {
        number.parse::<u16>().is_ok_and(|number| number > 0)
            && matches!(protocol, "tcp" | "udp" | "sctp")
    });
    if !is_port {
        return Err(ModuleError::failed(format!("`{port}` is no port"))
            .with_hint("write the protocol too: `443/tcp`"));
    }
    Ok(Box::new(FirewallPort {
        port,
        is_open: arguments.text("state").as_deref() != Some("closed"),
    }))
}
