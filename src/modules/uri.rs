//! `uri`: a request to a server, made by the host.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::apply::command_failed;
use super::attributes::{Attributes, GROUP, MODE, OWNER, UNSAFE_WRITES, values_of};
use super::command::{CREATES, Execution, REMOVES};
use super::http::{
    CA_PATH, CIPHERS, CLIENT_CERT, CLIENT_KEY, DECOMPRESS, FORCE_BASIC, HEADERS, HTTP_AGENT,
    Settings, TIMEOUT, URL_PASSWORD, URL_USERNAME, USE_NETRC, USE_PROXY, VALIDATE_CERTS,
    percent_encoded, request_failed,
};
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, FileSource, Look, Module, ModuleError,
    ModuleSpec, Plan, Step, StepOutput,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "uri",
    aliases: &[],
    summary: "lets the host make a request to a server; the host needs curl, else use `delegate_to: localhost`",
    arguments: &[
        Argument::required("url", ArgumentKind::Text, "the URL"),
        Argument::optional("method", ArgumentKind::Text, "the method; `GET` by default"),
        Argument::optional("body", ArgumentKind::Any, "what is sent"),
        Argument::optional(
            "body_format",
            ArgumentKind::Choice(&["raw", "json", "form-urlencoded"]),
            "how `body` is written; `raw` by default",
        ),
        Argument::optional(
            "src",
            ArgumentKind::Text,
            "a file whose content is sent, instead of `body`; of this machine, or of the host with `remote_src`",
        ),
        Argument::optional(
            "remote_src",
            ArgumentKind::Boolean,
            "`src` is a path of the host; false by default",
        ),
        HEADERS,
        Argument::optional(
            "status_code",
            ArgumentKind::Texts,
            "answers that are good; 200 by default",
        ),
        Argument::optional(
            "return_content",
            ArgumentKind::Boolean,
            "the answer's body goes into the result; false by default",
        ),
        Argument::optional(
            "follow_redirects",
            ArgumentKind::Choice(&[
                "all", "yes", "none", "no", "safe", "urllib2", "true", "false",
            ]),
            "`safe`, the default, follows for GET and HEAD",
        ),
        Argument::optional(
            "dest",
            ArgumentKind::Path,
            "a file of the host, or a folder, that the answer's body goes to",
        ),
        CREATES,
        REMOVES,
        MODE,
        OWNER,
        GROUP,
        TIMEOUT,
        URL_USERNAME,
        URL_PASSWORD,
        FORCE_BASIC,
        VALIDATE_CERTS,
        CA_PATH,
        CLIENT_CERT,
        CLIENT_KEY,
        USE_NETRC,
        CIPHERS,
        DECOMPRESS,
        Argument::optional(
            "unix_socket",
            ArgumentKind::Path,
            "a socket of the host to connect to",
        ),
        Argument::optional(
            "force",
            ArgumentKind::Boolean,
            "ask not to be answered from a cache; false by default",
        ),
        USE_PROXY,
        HTTP_AGENT,
        UNSAFE_WRITES,
    ],
    examples: r"- name: the service is well
  uri:
    url: http://127.0.0.1:8080/health
    return_content: true
  register: health
  until: health.status == 200
  retries: 10
  delay: 3

- name: a new user
  uri:
    url: https://example.com/users
    method: POST
    body: {name: anna}
    body_format: json
    status_code: [201, 409]
",
    returns: &[
        ("status", "what the server answered, as in 200"),
        ("msg", "the same for people"),
        ("url", "where the answer came from in the end"),
        ("redirected", "whether that is not where it was asked"),
        (
            "content",
            "the body, with `return_content` or when it fails",
        ),
        ("json", "the body as a value, when it is JSON"),
        (
            "HEADER_NAME",
            "each header of the answer, in small letters with `_`",
        ),
        ("cookies", "cookies that the server set"),
        ("cookies_string", "the same as one text"),
        ("elapsed", "seconds that it took"),
        ("path", "with `dest`: the file"),
    ],
    free_form: None,
    build,
    check: None,
};

/// Settings of curl on standard input. `$1` a file of the host to send, `$2` where the body goes, `$3` the name in it when
/// that is a folder, `$4` mode, `$5` owner, `$6` group. Answers `key=value` lines, `headers`, the headers, a line with a
/// dot, and the body.
const REQUEST: &str = r#"
command -v curl >/dev/null 2>&1 || { echo "there is no program \`curl\`" >&2; exit 4; }
umask 077
place=$(mktemp -d "${TMPDIR:-/tmp}/kk-uri.XXXXXX") || exit 1
trap 'rm -rf -- "$place"' EXIT
trap 'exit 1' HUP INT TERM
source=$1 dest=$2 name=$3 mode=$4 owner=$5 group=$6
if [ -n "$source" ]; then set -- --data-binary "@$source"; else set --; fi
start=$(date +%s)
said=$(curl --dump-header "$place/headers" --output "$place/body" --write-out '%{http_code} %{num_redirects} %{url_effective}' "$@" --config - 2>"$place/error")
status=$?
printf 'curl=%s\nelapsed=%s\nstatus=%s\n' "$status" "$(($(date +%s) - start))" "${said%% *}"
said=${said#* }
printf 'redirects=%s\nurl=%s\n' "${said%% *}" "${said#* }"
if [ "$status" -ne 0 ]; then printf 'error=%s\n' "$(sed -n 1p "$place/error")"; fi
if [ -n "$dest" ] && [ "$status" -eq 0 ]; then
  [ -f "$place/body" ] || : >"$place/body"
  if [ -d "$dest" ]; then dest=${dest%/}/$name; fi
  changed=no
  if ! cmp -s -- "$place/body" "$dest"; then
    cat -- "$place/body" >"$dest.kk-new" && chmod 0644 -- "$dest.kk-new" && mv -f -- "$dest.kk-new" "$dest" || exit 1
    changed=yes
  fi
  before=$(stat -c '%a %u %g' -- "$dest")
  if [ -n "$owner" ]; then chown -- "$owner" "$dest" || exit 1; fi
  if [ -n "$group" ]; then chgrp -- "$group" "$dest" || exit 1; fi
  if [ -n "$mode" ]; then chmod -- "$mode" "$dest" || exit 1; fi
  [ "$before" = "$(stat -c '%a %u %g' -- "$dest")" ] || changed=yes
  printf 'changed=%s\npath=%s\n' "$changed" "$dest"
  stat -c 'kk-about %u %g %U %G %a %s %h %F' -- "$dest"
fi
echo headers
if [ -f "$place/headers" ]; then tr -d '\r' <"$place/headers"; fi
echo .
if [ -f "$place/body" ]; then cat -- "$place/body"; fi
"#;

struct Uri {
    url: String,
    settings: Settings,
    body: Option<String>,
    source: Option<String>,
    remote_source: String,
    wanted: Vec<i64>,
    returns_content: bool,
    dest: String,
    attributes: Attributes,
    guard: Execution,
}

impl Module for Uri {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            if let Some(reason) = self.guard.unneeded(look).await? {
                return Ok(Plan::satisfied().with("msg", format!("skipped, {reason}")));
            }
            if look.check_mode {
                return Ok(Plan::skipped(
                    "what a request changes is known only to the server",
                ));
            }
            let mut settings = self.settings.content();
            let mut body = self.body.clone();
            if let Some(source) = &self.source {
                let bytes = match look.files.file(source)? {
                    FileSource::Bytes(bytes) => bytes,
                    FileSource::Path(path) => super::encrypted::read(&path, true)?.bytes,
                };
                let text = String::from_utf8(bytes.to_vec()).map_err(|_| {
                    ModuleError::failed(format!("send `{source}`: it is not UTF-8 text"))
                })?;
                body = Some(text);
            }
            if let Some(body) = body {
                let mut more = Settings::default();
                more.set("data-raw", &body);
                let mut all = settings.bytes.to_vec();
                all.extend_from_slice(&more.content().bytes);
                settings = super::Content::secret(all);
            }
            let name = super::copy::base_name(self.url.split('?').next().unwrap_or_default());
            let text = |value: &Option<String>| value.clone().unwrap_or_default();
            let mode = self.attributes.mode.as_ref();
            let words = [
                self.remote_source.clone(),
                self.dest.clone(),
                name.to_owned(),
                mode.map_or_else(String::new, super::mode::Mode::as_chmod_takes_it),
                text(&self.attributes.owner),
                text(&self.attributes.group),
            ];
            let step = Step::Run {
                command: Command::script(REQUEST, words),
                stdin: Some(settings),
                timeout: None,
                any_status: true,
                purpose: format!("ask `{}`", self.url),
            };
            Ok(Plan::unknown(
                "what a request changes is known only to the server",
                vec![step],
            ))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let Some(StepOutput::Ran(output)) = outputs.first() else {
            return Ok(Conclusion::default());
        };
        let text = output.stdout_text();
        if !output.success() || !text.contains("headers\n") {
            let error = command_failed(&format!("ask `{}`", self.url), output);
            return Err(if output.status.code() == 4 {
                error.with_hint(
                    "install curl on the host, or ask from here with `delegate_to: localhost`",
                )
            } else {
                error
            });
        }
        let (about, rest) = text.split_once("headers\n").unwrap_or((&text, ""));
        let (headers, content) = rest.split_once("\n.\n").unwrap_or_else(|| {
            rest.strip_prefix(".\n")
                .map_or((rest, ""), |content| ("", content))
        });
        let value = |key: &str| {
            let mut lines = about.lines();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        let number = |key: &str| value(key).and_then(|text| text.parse::<i64>().ok());
        let mut result: Map<String, Value> = Map::new();
        if !self.dest.is_empty() {
            result.extend(values_of(outputs));
            result.insert("path".to_owned(), value("path").into());
        }
        result.extend(headers_of(headers));
        let status = number("status").unwrap_or(-1);
        let status = if number("curl") == Some(0) {
            status
        } else {
            -1
        };
        result.insert("status".to_owned(), status.into());
        result.insert("url".to_owned(), value("url").unwrap_or(&self.url).into());
        result.insert("elapsed".to_owned(), number("elapsed").unwrap_or(0).into());
        if status == -1 {
            for name in ["cookies", "cookies_string"] {
                result.remove(name);
            }
        }
        let is_redirected = number("redirects").unwrap_or(0) > 0;
        result.insert("redirected".to_owned(), is_redirected.into());
        let is_json = result
            .get("content_type")
            .and_then(Value::as_str)
            .is_some_and(|kind| kind.contains("json"));
        if is_json && let Ok(value) = serde_json::from_str::<Value>(content) {
            result.insert("json".to_owned(), value);
        }
        let is_good = self.wanted.contains(&status);
        if status != -1 && (self.returns_content || !is_good) {
            result.insert("content".to_owned(), content.into());
        }
        let first = headers.lines().rfind(|line| line.starts_with("HTTP/"));
        let reason = first
            .and_then(|line| line.splitn(3, ' ').nth(2))
            .unwrap_or("OK");
        let size = content.len();
        let said = match value("error") {
            Some(error) => request_failed(error).unwrap_or_else(|| error.to_owned()),
            None if status == 200 => format!("OK ({size} bytes)"),
            None => format!("HTTP Error {status}: {reason}"),
        };
        result.insert("msg".to_owned(), said.clone().into());
        let changed = value("changed") == Some("yes");
        if is_good {
            return Ok(Conclusion {
                result,
                changed: Some(changed),
            });
        }
        let wanted: Vec<String> = self.wanted.iter().map(ToString::to_string).collect();
        let said = format!(
            "Status code was {status} and not [{}]: {said}",
            wanted.join(", ")
        );
        result.insert("msg".to_owned(), said.clone().into());
        Err(ModuleError::Failed {
            message: format!("ask `{}`: {said}", self.url),
            hint: None,
            details: None,
            result,
        })
    }
}

/// The headers of the last answer, in small letters with `_`.
fn headers_of(text: &str) -> Map<String, Value> {
    let mut headers: Map<String, Value> = Map::new();
    let mut cookies = Map::new();
    for line in text.lines() {
        if line.starts_with("HTTP/") {
            headers.clear();
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let (name, value) = (name.trim().to_lowercase().replace('-', "_"), value.trim());
        if name == "set_cookie" {
            let pair = value.split(';').next().unwrap_or_default();
            if let Some((cookie, value)) = pair.split_once('=') {
                cookies.insert(cookie.trim().to_owned(), value.trim().into());
            }
        }
        let joined = match headers.get(&name).and_then(Value::as_str) {
            Some(old) => format!("{old}, {value}"),
            None => value.to_owned(),
        };
        headers.insert(name, joined.into());
    }
    let string: Vec<String> = cookies
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    headers.insert("cookies_string".to_owned(), string.join("; ").into());
    headers.insert("cookies".to_owned(), cookies.into());
    headers
}

fn form(body: &Value) -> Result<String, ModuleError> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let pair = |name: &str, value: &Value| {
        format!(
            "{}={}",
            percent_encoded(name),
            percent_encoded(&text(value))
        )
    };
    match body {
        Value::String(text) => Ok(text.clone()),
        Value::Object(map) => Ok(map
            .iter()
            .flat_map(|(name, value)| match value {
                Value::Array(items) => items.iter().map(|item| pair(name, item)).collect(),
                value => vec![pair(name, value)],
            })
            .collect::<Vec<_>>()
            .join("&")),
        Value::Array(items) => items
            .iter()
            .map(|item| match item.as_array().map(Vec::as_slice) {
                Some([name, value]) => Ok(pair(&text(name), value)),
                _ => Err(ModuleError::failed(
                    "a list as `body` of a form holds pairs",
                )),
            })
            .collect::<Result<Vec<_>, _>>()
            .map(|pairs| pairs.join("&")),
        other => Ok(other.to_string()),
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let url = arguments.required_text("url")?;
    let seconds = arguments.integer("timeout").unwrap_or(30);
    let mut settings = Settings::new(&arguments, &url, seconds)?;
    let method = arguments
        .filled("method")
        .map_or_else(|| "GET".to_owned(), |method| method.to_uppercase());
    if !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(ModuleError::failed(
            "Parameter 'method' needs to be a single word in uppercase, like GET or POST.",
        ));
    }
    if arguments.boolean("force", false) {
        settings.set("header", "cache-control: no-cache");
    }
    if method == "HEAD" {
        settings.flag("head");
    } else {
        settings.set("request", &method);
    }
    let is_safe = matches!(method.as_str(), "GET" | "HEAD");
    match arguments.filled("follow_redirects").as_deref() {
        Some("none" | "no" | "false") => {}
        Some("all" | "yes" | "true") => settings.flag("location"),
        _ if is_safe => settings.flag("location"),
        _ => {}
    }
    let given = arguments.value("body").filter(|body| !body.is_null());
    let has_type = arguments
        .value("headers")
        .and_then(Value::as_object)
        .is_some_and(|headers| {
            headers
                .keys()
                .any(|name| name.eq_ignore_ascii_case("content-type"))
        });
    let (body, kind) = match (given, arguments.text("body_format").as_deref()) {
        (None, _) => (None, None),
        (Some(Value::String(text)), Some("json")) => (Some(text.clone()), Some("application/json")),
        (Some(body), Some("json")) => (Some(body.to_string()), Some("application/json")),
        (Some(body), Some("form-urlencoded")) => {
            (Some(form(body)?), Some("application/x-www-form-urlencoded"))
        }
        (Some(Value::String(text)), _) => (Some(text.clone()), None),
        (Some(body), _) => (Some(body.to_string()), None),
    };
    if let Some(kind) = kind
        && !has_type
    {
        settings.set("header", &format!("Content-Type: {kind}"));
    } else if !has_type && (body.is_some() || arguments.filled("src").is_some()) {
        settings.set("header", "Content-Type;");
    }
    let is_remote = arguments.boolean("remote_src", false);
    let source = arguments.filled("src");
    if source.is_some() && body.is_some() {
        return Err(ModuleError::failed("`src` and `body` exclude each other"));
    }
    let wanted = arguments
        .texts("status_code")
        .iter()
        .filter(|text| !text.is_empty())
        .map(|text| {
            text.trim()
                .parse()
                .map_err(|_| ModuleError::failed(format!("`{text}` in `status_code` is no number")))
        })
        .collect::<Result<Vec<i64>, _>>()?;
    Ok(Box::new(Uri {
        settings,
        body,
        remote_source: source.clone().filter(|_| is_remote).unwrap_or_default(),
        source: source.filter(|_| !is_remote),
        wanted: if wanted.is_empty() { vec![200] } else { wanted },
        returns_content: arguments.boolean("return_content", false),
        dest: arguments.filled("dest").unwrap_or_default(),
        attributes: Attributes::from_arguments(&arguments),
        guard: Execution::new(Command::new("true"), Value::from(url.as_str()), &arguments),
        url,
    }))
}
