//! `firewall_port`: a port, or a protocol without ports, that the host's firewall lets in. Where no firewall is active
//! there is nothing to do.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::apply::command_failed;
use super::{
    Argument, ArgumentKind, Arguments, Change, Content, LedgerEntry, Look, Module, ModuleError,
    ModuleSpec, Plan, Step, Verdict,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "firewall_port",
    aliases: &[],
    summary: "opens a port in firewalld or ufw, where one of them is active",
    arguments: &[
        Argument::required(
            "port",
            ArgumentKind::Text,
            "the port and its protocol: `443/tcp`; or a protocol that has no ports: `vrrp`",
        ),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["open", "closed"]),
            "`open` by default; `closed` takes the rule away",
        ),
        Argument::optional(
            "address",
            ArgumentKind::Text,
            "an address of the host: firewalld's zone of its interface is meant, by default the default zone",
        ),
        Argument::optional(
            "component",
            ArgumentKind::Text,
            "a ledger: other ports (other protocols) that were opened under it are closed",
        ),
    ],
    examples: r"- name: clients reach the registry
  firewall_port:
    port: 443/tcp
",
    returns: &[(
        "firewall",
        "`firewalld`, `ufw`, or nothing when no firewall is on",
    )],
    free_form: None,
    build,
    check: None,
};

/// `$1` port, `$2` address or nothing. Says `none`, or the firewall, whether the port is open in what runs and in what is
/// kept, and firewalld's zone.
pub(super) const LOOK: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
if command -v firewall-cmd >/dev/null 2>&1 && [ "$(firewall-cmd --state 2>/dev/null)" = running ]; then
  zone=
  if [ -n "$2" ]; then
    interface=$(ip -o addr show to "$2" 2>/dev/null | { read -r _ name _; echo "$name"; })
    if [ -n "$interface" ]; then zone=$(firewall-cmd --get-zone-of-interface="$interface" 2>/dev/null) || zone=; fi
  fi
  [ -n "$zone" ] || zone=$(firewall-cmd --get-default-zone) || exit 1
  case $1 in */*) what=port ;; *) what=protocol ;; esac
  if firewall-cmd --quiet --zone="$zone" --query-$what="$1"; then now=open; else now=closed; fi
  if firewall-cmd --quiet --permanent --zone="$zone" --query-$what="$1"; then then=open; else then=closed; fi
  echo "firewalld $now $then $zone"
  exit 0
fi
if command -v ufw >/dev/null 2>&1; then
  said=$(ufw status) || exit 1
  case $said in
    *"Status: active"*)
      now=closed
      # A protocol without ports is listed as `Anywhere/vrrp`.
      case $1 in */*) wanted=$1 ;; *) wanted=Anywhere/$1 ;; esac
      while read -r port action _; do
        if [ "$port" = "$wanted" ] && [ "$action" = ALLOW ]; then now=open; fi
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

/// `$1` firewall, `$2` port, `$3` zone.
const OPEN: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
case $2 in */*) what=port ;; *) what=protocol ;; esac
case $1-$what in
  firewalld-*)
    firewall-cmd --quiet --permanent --zone="$3" --add-$what="$2" && firewall-cmd --quiet --zone="$3" --add-$what="$2"
    ;;
  ufw-port) ufw allow "$2" >/dev/null ;;
  ufw-protocol) ufw allow proto "$2" from any to any >/dev/null ;;
esac
"#;

/// `$1` firewall, `$2` port, `$3` zone, or nothing for the default zone.
const CLOSE: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
case $2 in */*) what=port ;; *) what=protocol ;; esac
case $1-$what in
  firewalld-*)
    zone=$3
    [ -n "$zone" ] || zone=$(firewall-cmd --get-default-zone) || exit 1
    firewall-cmd --quiet --permanent --zone="$zone" --remove-$what="$2" &&
      firewall-cmd --quiet --zone="$zone" --remove-$what="$2"
    ;;
  ufw-port) ufw delete allow "$2" >/dev/null ;;
  ufw-protocol) ufw delete allow proto "$2" from any to any >/dev/null ;;
esac
"#;

struct FirewallPort {
    port: String,
    is_open: bool,
    address: String,
    component: Option<String>,
}

impl Module for FirewallPort {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let output = look
                .session
                .probe(Command::script(LOOK, [&self.port, &self.address]))
                .await?;
            if !output.success() {
                return Err(command_failed("look at the firewall", &output));
            }
            let answer = output.stdout_text();
            let words: Vec<&str> = answer.split_whitespace().collect();
            let [firewall, now, then, ref zone @ ..] = words[..] else {
                return Ok(Plan::satisfied().with("firewall", serde_json::Value::Null));
            };
            let zone = zone.first().copied().unwrap_or_default();
            let mut plan = match self.is_open {
                true if now == "open" && then == "open" => Plan::satisfied(),
                true => {
                    let step = Step::run(
                        format!("open the port {} in {firewall}", self.port),
                        Command::script(OPEN, [firewall, &self.port, zone]),
                    );
                    let mut plan = Plan::change(format!("open {}", self.port), vec![step]);
                    // A port that was open in one of the two was somebody's wish already.
                    if now != "open" && then != "open" {
                        plan = plan.creating(LedgerEntry::FirewallPort {
                            firewall: firewall.to_owned(),
                            port: self.port.clone(),
                            zone: zone.to_owned(),
                        });
                    }
                    plan
                }
                false if now == "closed" && then == "closed" => Plan::satisfied(),
                false => Plan::change(
                    format!("close {}", self.port),
                    vec![close_port(firewall, &self.port, zone)],
                ),
            };
            if let Some(component) = &self.component {
                plan = self.close_others(look, component, plan).await?;
            }
            Ok(plan.with("firewall", firewall))
        }
        .boxed()
    }
}

impl FirewallPort {
    /// Adds to a plan that other ports of the ledger are closed and forgotten.
    async fn close_others(
        &self,
        look: &Look<'_>,
        component: &str,
        mut plan: Plan,
    ) -> Result<Plan, ModuleError> {
        let mut forgotten = Vec::new();
        for line in look.session.ledger(component).await? {
            let Ok(LedgerEntry::FirewallPort {
                firewall,
                port,
                zone,
            }) = serde_json::from_str(&line)
            else {
                continue;
            };
            if port == self.port || port.contains('/') != self.port.contains('/') {
                continue;
            }
            let mut summary = format!("close {port}");
            if let Verdict::Change(change) = &plan.verdict {
                summary = format!("{}, {summary}", change.summary);
            }
            plan.steps.push(close_port(&firewall, &port, &zone));
            plan.verdict = Verdict::Change(Change {
                summary,
                diff: None,
            });
            forgotten.push(line);
        }
        if !forgotten.is_empty() {
            let (command, input) = look.session.forgetting(component, &forgotten)?;
            plan.steps.push(Step::run_with(
                "write the ledger",
                command,
                Content::public(input),
            ));
        }
        Ok(plan)
    }
}

/// The step that takes a port's rule away.
pub(super) fn close_port(firewall: &str, port: &str, zone: &str) -> Step {
    Step::run(
        format!("close the port {port} in {firewall}"),
        Command::script(CLOSE, [firewall, port, zone]),
    )
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let port = arguments.required_text("port")?;
    let is_port = match port.split_once('/') {
        Some((number, protocol)) => {
            number.parse::<u16>().is_ok_and(|number| number > 0)
                && matches!(protocol, "tcp" | "udp" | "sctp")
        }
        None => matches!(port.as_str(), "vrrp" | "ah" | "esp" | "gre" | "igmp"),
    };
    if !is_port {
        return Err(ModuleError::failed(format!("`{port}` is no port"))
            .with_hint("write the protocol too: `443/tcp`; of those without ports there are vrrp, ah, esp, gre, igmp"));
    }
    Ok(Box::new(FirewallPort {
        port,
        is_open: arguments.text("state").as_deref() != Some("closed"),
        address: arguments.text("address").unwrap_or_default(),
        component: arguments.text("component"),
    }))
}
