//! `wait_for`: until a port answers or a path is there, or until it is not any more. Changes nothing.

use std::time::Duration;

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
    name: "wait_for",
    aliases: &[],
    summary: "waits on the host until a port answers or a path is there, or until it is not any more",
    arguments: &[
        Argument::optional(
            "host",
            ArgumentKind::Text,
            "the address to connect to from the host; 127.0.0.1 by default",
        ),
        Argument::optional("port", ArgumentKind::Integer, "the TCP port"),
        Argument::optional("path", ArgumentKind::Path, "the path, instead of a port"),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["started", "present", "stopped", "absent"]),
            "`started`/`present` (the default) or `stopped`/`absent`",
        ),
        Argument::optional(
            "timeout",
            ArgumentKind::Integer,
            "for how many seconds at most; 300 by default",
        ),
        Argument::optional(
            "delay",
            ArgumentKind::Integer,
            "seconds before the first look; 0 by default",
        ),
        Argument::optional(
            "sleep",
            ArgumentKind::Integer,
            "seconds between looks; 1 by default",
        ),
        Argument::optional("msg", ArgumentKind::Text, "what to say when the time is up"),
    ],
    free_form: None,
    build,
    check: Some(check),
};

/// `$1` `yes` (be there) or `no`, `$2` address, `$3` port or nothing, `$4` path, `$5` seconds, `$6` between looks, `$7` before.
/// Ends with 0 once it is so, with 20 when the time is up, with 21 when nothing on the host can connect to a port.
const WAIT: &str = r#"
wanted=$1 host=$2 port=$3 path=$4 limit=$5 pause=$6 delay=$7
if [ -n "$port" ]; then
  if command -v bash >/dev/null 2>&1; then with=bash
  elif command -v nc >/dev/null 2>&1; then with=nc
  elif command -v python3 >/dev/null 2>&1; then with=python3
  elif command -v curl >/dev/null 2>&1; then with=curl
  else exit 21
  fi
  if command -v timeout >/dev/null 2>&1; then limited='timeout 5'; else limited=; fi
fi
there() {
  if [ -z "$port" ]; then
    if [ -e "$path" ] || [ -L "$path" ]; then return 0; fi
    said=$(ls -d -- "$path" 2>&1)
    case $said in
      *"No such file or directory"*|*"Not a directory"*) return 1 ;;
      *) printf '%s\n' "$said" >&2; exit 1 ;;
    esac
  fi
  case $with in
    bash) $limited bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$host" "$port" 2>/dev/null ;;
    nc) $limited nc -w 4 "$host" "$port" </dev/null >/dev/null 2>&1 ;;
    python3) python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 4)' "$host" "$port" 2>/dev/null ;;
    curl)
      case $host in *:*) host="[$host]" ;; esac
      curl --silent --output /dev/null --noproxy '*' --connect-timeout 4 --max-time 4 "http://$host:$port/"
      case $? in 6|7|28) return 1 ;; *) return 0 ;; esac
      ;;
  esac
}
sleep "$delay"
start=$(date +%s)
while :; do
  if there; then is=yes; else is=no; fi
  [ "$is" = "$wanted" ] && exit 0
  now=$(date +%s)
  [ $((now - start)) -lt "$limit" ] || exit 20
  sleep "$pause"
done
"#;

struct WaitFor {
    wanted: bool,
    host: String,
    port: Option<i64>,
    path: String,
    timeout: i64,
    sleep: i64,
    delay: i64,
    message: Option<String>,
}

impl WaitFor {
    fn command(&self, timeout: i64, delay: i64) -> Command {
        Command::script(
            WAIT,
            [
                if self.wanted { "yes" } else { "no" }.to_owned(),
                self.host.clone(),
                self.port.map_or_else(String::new, |port| port.to_string()),
                self.path.clone(),
                timeout.to_string(),
                self.sleep.to_string(),
                delay.to_string(),
            ],
        )
    }

    fn describe(&self) -> String {
        let what = match self.port {
            Some(port) => format!("port {port} of {}", self.host),
            None => format!("`{}`", self.path),
        };
        let verb = match (self.port.is_some(), self.wanted) {
            (true, true) => "to answer",
            (true, false) => "to close",
            (false, true) => "to be there",
            (false, false) => "to go",
        };
        format!("{what} {verb}")
    }
}

impl Module for WaitFor {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            if self.delay == 0 {
                let output = look.session.probe(self.command(0, 0)).await?;
                match output.status.code() {
                    0 => return Ok(Plan::satisfied()),
                    20 => {}
                    _ => return Err(self.failed(&output)),
                }
            }
            let seconds = u64::try_from(self.timeout + self.delay).unwrap_or(0);
            let step = Step::Run {
                command: self.command(self.timeout, self.delay),
                stdin: None,
                timeout: Some(Duration::from_secs(seconds + 30)),
                any_status: true,
                purpose: format!("wait for {}", self.describe()),
            };
            Ok(Plan::unknown(
                format!("waits for {}", self.describe()),
                vec![step],
            ))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        match outputs.first() {
            Some(StepOutput::Ran(output)) if !output.success() => Err(self.failed(output)),
            _ => Ok(Conclusion {
                result: Map::new(),
                changed: Some(false),
            }),
        }
    }
}

impl WaitFor {
    fn failed(&self, output: &crate::connect::Output) -> ModuleError {
        match output.status.code() {
            20 => {
                ModuleError::failed(self.message.clone().unwrap_or_else(|| {
                    format!("waited {} s for {}", self.timeout, self.describe())
                }))
            }
            21 => ModuleError::failed(format!(
                "wait for {}: nothing on the host can connect",
                self.describe()
            ))
            .with_hint("one of bash, nc, python3 or curl is needed"),
            _ => command_failed(&format!("wait for {}", self.describe()), output),
        }
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let port = arguments.integer("port");
    let path = arguments.text("path").unwrap_or_default();
    if port.is_some() != path.is_empty() {
        return Err(ModuleError::failed("give either `port` or `path`"));
    }
    if port.is_some_and(|port| !(1..=65535).contains(&port)) {
        return Err(ModuleError::failed("`port` is not between 1 and 65535"));
    }
    let seconds = |name: &str, default: i64| {
        let value = arguments.integer(name).unwrap_or(default);
        if (0..=86400).contains(&value) {
            Ok(value)
        } else {
            Err(ModuleError::failed(format!(
                "`{name}` is not between 0 and 86400 seconds"
            )))
        }
    };
    let state = arguments.text("state");
    Ok(Box::new(WaitFor {
        wanted: !matches!(state.as_deref(), Some("stopped" | "absent")),
        host: arguments
            .text("host")
            .unwrap_or_else(|| "127.0.0.1".to_owned()),
        port,
        path,
        timeout: seconds("timeout", 300)?,
        sleep: seconds("sleep", 1)?.max(1),
        delay: seconds("delay", 0)?,
        message: arguments.text("msg"),
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    let port_is_fine = given
        .literals
        .get("port")
        .and_then(Value::as_i64)
        .is_none_or(|port| (1..=65535).contains(&port));
    if !port_is_fine {
        return Err("`port` is not between 1 and 65535".to_owned());
    }
    if given.has("port") == given.has("path") {
        Err("give either `port` or `path`".to_owned())
    } else {
        Ok(())
    }
}
