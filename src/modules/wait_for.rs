//! `wait_for`: until a port answers or a path is there, or until it is not any more. Changes nothing.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::apply::command_failed;
use super::arguments::Given;
use super::attributes::{about_function, values_of};
use super::line_edit::expression;
use super::wait_for_drained::Connections;
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    Step, StepOutput,
};
use crate::connect::Command;
use crate::python_regex::PythonRegex as Regex;

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
            ArgumentKind::Choice(&["started", "present", "stopped", "absent", "drained"]),
            "`started`/`present` (the default), `stopped`/`absent`, or `drained`: nobody is connected to the port",
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
        Argument::optional(
            "connect_timeout",
            ArgumentKind::Integer,
            "seconds that one attempt to connect may take; 5 by default",
        ),
        Argument::optional(
            "search_regex",
            ArgumentKind::Text,
            "what must be in the file, or in what the port says first",
        ),
        Argument::optional(
            "exclude_hosts",
            ArgumentKind::Texts,
            "with `drained`: hosts whose connections do not count",
        ),
        Argument::optional(
            "active_connection_states",
            ArgumentKind::Texts,
            "with `drained`: the states that count; ESTABLISHED, FIN_WAIT1, FIN_WAIT2, SYN_RECV, SYN_SENT and TIME_WAIT by default",
        ),
        Argument::optional("msg", ArgumentKind::Text, "what to say when the time is up"),
    ],
    examples: r"- name: the service answers
  wait_for:
    port: 8080
    delay: 2
    timeout: 60

- name: it says that it is ready
  wait_for:
    path: /var/log/app.log
    search_regex: ready on port \d+
",
    returns: &[
        ("elapsed", "how many seconds it took"),
        ("port", "the port"),
        ("path", "the path"),
        ("state", "the state that was waited for"),
        (
            "match_groups",
            "with `search_regex`: what its groups matched",
        ),
        ("match_groupdict", "the same for groups with names"),
    ],
    free_form: None,
    build,
    check: Some(check),
};

/// `$1` `yes` (be there) or `no`, `$2` address, `$3` port or nothing, `$4` path, `$5` seconds, `$6` between looks, `$7` before.
/// Ends with 0 once it is so, with 20 when the time is up, with 21 when nothing on the host can connect to a port.
const WAIT: &str = concat!(
    about_function!(),
    r#"
wanted=$1 host=$2 port=$3 path=$4 limit=$5 pause=$6 delay=$7 connect=$8 pattern=$9
if echo | grep -qP '' 2>/dev/null; then grep='grep -P'; else grep='grep -E'; fi
if [ -n "$port" ]; then
  if command -v bash >/dev/null 2>&1; then with=bash
  elif command -v nc >/dev/null 2>&1; then with=nc
  elif command -v python3 >/dev/null 2>&1; then with=python3
  elif command -v curl >/dev/null 2>&1; then with=curl
  else exit 21
  fi
  if command -v timeout >/dev/null 2>&1; then limited="timeout $connect"; else limited=; fi
fi
there() {
  if [ -n "$pattern" ]; then
    if [ -z "$port" ]; then
      [ -f "$path" ] && said=$($grep -e "$pattern" -- "$path")
    else
      said=$($limited bash -c 'exec 3<>"/dev/tcp/$1/$2"; while IFS= read -r line <&3; do printf "%s\\n" "$line"; done' bash "$host" "$port" 2>/dev/null | $grep -m 1 -e "$pattern")
    fi
    status=$?
    [ "$status" -eq 0 ] && [ "$wanted" = yes ] && printf 'match=%s\n' "$said"
    return "$status"
  fi
  if [ -z "$port" ]; then
    if [ -e "$path" ] || [ -L "$path" ]; then return 0; fi
    # It may have come between the two looks.
    said=$(ls -d -- "$path" 2>&1) && return 0
    case $said in
      *"No such file or directory"*|*"Not a directory"*) return 1 ;;
      *) printf '%s\n' "$said" >&2; exit 1 ;;
    esac
  fi
  case $with in
    bash) $limited bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$host" "$port" 2>/dev/null ;;
    nc) $limited nc -w "$connect" "$host" "$port" </dev/null >/dev/null 2>&1 ;;
    python3) python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]))' "$host" "$port" "$connect" 2>/dev/null ;;
    curl)
      case $host in *:*) host="[$host]" ;; esac
      curl --silent --output /dev/null --noproxy '*' --connect-timeout "$connect" --max-time "$connect" "http://$host:$port/"
      case $? in 6|7|28) return 1 ;; *) return 0 ;; esac
      ;;
  esac
}
sleep "$delay"
start=$(date +%s)
while :; do
  if there; then is=yes; else is=no; fi
  now=$(date +%s)
  if [ "$is" = "$wanted" ]; then
    echo "elapsed=$((now - start + delay))"
    if [ -z "$port" ]; then about "$path"; fi
    exit 0
  fi
  [ $((now - start)) -lt "$limit" ] || exit 20
  sleep "$pause"
done
"#
);

const ONLY_PORTS: &str =
    "state=drained should only be used for checking a port in the wait_for module";
const ONLY_DRAINED: &str = "exclude_hosts should only be with state=drained";

struct WaitFor {
    wanted: bool,
    host: String,
    port: Option<i64>,
    path: String,
    timeout: i64,
    sleep: i64,
    delay: i64,
    message: Option<String>,
    connect: i64,
    pattern: Option<Regex>,
    state: String,
    /// With `drained`.
    connections: Option<Connections>,
}

impl WaitFor {
    fn command(&self, timeout: i64, delay: i64) -> Command {
        if let (Some(connections), Some(port)) = (&self.connections, self.port) {
            return connections.command(port, timeout, self.sleep, delay);
        }
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
                self.connect.to_string(),
                self.pattern
                    .as_ref()
                    .map_or_else(String::new, |pattern| pattern.as_str().to_owned()),
            ],
        )
    }

    /// Ansible's words for a wait that came to nothing.
    fn in_vain(&self) -> String {
        let (host, path) = (&self.host, &self.path);
        match (self.port, self.state.as_str(), &self.pattern) {
            (Some(port), "absent" | "stopped", _) => {
                format!("Timeout when waiting for {host}:{port} to stop.")
            }
            (None, "absent" | "stopped", _) => {
                format!("Timeout when waiting for {path} to be absent.")
            }
            (Some(port), "drained", _) => {
                format!("Timeout when waiting for {host}:{port} to drain")
            }
            (Some(port), _, Some(pattern)) => {
                format!("Timeout when waiting for search string {pattern} in {host}:{port}")
            }
            (Some(port), _, None) => format!("Timeout when waiting for {host}:{port}"),
            (None, _, Some(pattern)) => {
                format!("Timeout when waiting for search string {pattern} in {path}")
            }
            (None, _, None) => format!("Timeout when waiting for file {path}"),
        }
    }

    fn describe(&self) -> String {
        let what = match self.port {
            Some(port) => format!("port {port} of {}", self.host),
            None => format!("`{}`", self.path),
        };
        let verb = match (self.port.is_some(), self.wanted) {
            _ if self.connections.is_some() => "to drain",
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
            if look.check_mode {
                return Ok(Plan::skipped(
                    "waiting changes nothing that a check could foresee",
                ));
            }
            if self.port.is_none() && self.path.is_empty() {
                let step = Step::Run {
                    command: Command::new("sleep").arg((self.timeout + self.delay).to_string()),
                    stdin: None,
                    timeout: None,
                    any_status: false,
                    purpose: "wait".to_owned(),
                };
                return Ok(Plan::unknown("waits", vec![step])
                    .with("elapsed", self.timeout + self.delay)
                    .with("match_groups", Vec::<Value>::new())
                    .with("match_groupdict", Map::new())
                    .with("path", Value::Null)
                    .with("port", Value::Null)
                    .with("search_regex", Value::Null)
                    .with("state", self.state.as_str()));
            }
            if self.delay == 0 {
                let output = look.session.probe(self.command(0, 0)).await?;
                match output.status.code() {
                    0 => {
                        let plan = Plan::satisfied();
                        let result = self.values(&output);
                        return Ok(Plan { result, ..plan });
                    }
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
            Some(StepOutput::Ran(output)) if self.port.is_some() || !self.path.is_empty() => {
                Ok(Conclusion {
                    result: self.values(output),
                    changed: Some(false),
                })
            }
            _ => Ok(Conclusion {
                result: Map::new(),
                changed: Some(false),
            }),
        }
    }
}

impl WaitFor {
    /// What came of it, in Ansible's words.
    fn values(&self, output: &crate::connect::Output) -> Map<String, Value> {
        let mut result = Map::new();
        result.insert("state".to_owned(), self.state.as_str().into());
        result.insert("port".to_owned(), self.port.into());
        let path = Some(self.path.as_str()).filter(|path| !path.is_empty());
        result.insert("path".to_owned(), path.into());
        let text = output.stdout_text();
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        let elapsed = value("elapsed=").and_then(|text| text.parse::<i64>().ok());
        result.insert("elapsed".to_owned(), elapsed.unwrap_or(0).into());
        let pattern = self.pattern.as_ref().map(Regex::as_str);
        result.insert("search_regex".to_owned(), pattern.into());
        // What is there has all that is told of a path, its kind instead of the state among it.
        result.extend(values_of(&[StepOutput::Ran(output.clone())]));
        let (mut groups, mut names) = (Vec::new(), Map::new());
        let captures = self
            .pattern
            .as_ref()
            .and_then(|pattern| pattern.first(value("match=")?));
        if let (Some(captures), Some(pattern)) = (captures, &self.pattern) {
            let word = |group: Option<crate::python_regex::Match<'_>>| {
                group.map_or(Value::Null, |group| group.as_str().into())
            };
            groups.extend(captures.iter().skip(1).map(word));
            for name in pattern.names() {
                names.insert(name.to_owned(), word(captures.name(name)));
            }
        }
        result.insert("match_groups".to_owned(), groups.into());
        result.insert("match_groupdict".to_owned(), names.into());
        result
    }

    fn failed(&self, output: &crate::connect::Output) -> ModuleError {
        match output.status.code() {
            20 => {
                let failed = ModuleError::failed(self.message.clone().unwrap_or_else(|| {
                    format!("waited {} s for {}", self.timeout, self.describe())
                }));
                let said = self.message.clone().unwrap_or_else(|| self.in_vain());
                failed
                    .saying(said)
                    .with_value("elapsed", self.timeout + self.delay)
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
    if port.is_some() && !path.is_empty() {
        return Err(ModuleError::failed("give either `port` or `path`"));
    }
    let pattern = arguments
        .filled("search_regex")
        .map(|pattern| expression(&pattern))
        .transpose()
        .map_err(ModuleError::failed)?;
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
    let state = arguments
        .filled("state")
        .unwrap_or_else(|| "started".to_owned());
    let host = arguments
        .text("host")
        .unwrap_or_else(|| "127.0.0.1".to_owned());
    let excluded = arguments.texts("exclude_hosts");
    let connections = match (state.as_str(), port) {
        ("drained", Some(_)) => {
            let states = arguments.texts("active_connection_states");
            let connections = Connections::new(&host, &excluded, &states);
            Some(connections.map_err(ModuleError::failed)?)
        }
        ("drained", None) => return Err(ModuleError::failed(ONLY_PORTS)),
        _ if !excluded.is_empty() => return Err(ModuleError::failed(ONLY_DRAINED)),
        _ => None,
    };
    Ok(Box::new(WaitFor {
        wanted: !matches!(state.as_str(), "stopped" | "absent"),
        host,
        connections,
        port,
        path,
        timeout: seconds("timeout", 300)?,
        sleep: seconds("sleep", 1)?.max(1),
        delay: seconds("delay", 0)?,
        message: arguments.text("msg"),
        connect: seconds("connect_timeout", 5)?.max(1),
        pattern,
        state,
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
    let state = given.literals.get("state").and_then(Value::as_str);
    if state == Some("drained") && given.has("path") {
        return Err(ONLY_PORTS.to_owned());
    }
    if given.has("exclude_hosts")
        && (!given.has("state") || state.is_some_and(|state| state != "drained"))
    {
        return Err(ONLY_DRAINED.to_owned());
    }
    if given.has("port") && given.has("path") {
        Err("give either `port` or `path`".to_owned())
    } else {
        Ok(())
    }
}
