//! `get_url`: a file from a server, fetched by the host.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::apply::command_failed;
use super::attributes::{
    Attributes, BACKUP, DEFAULT_MODE, GROUP, MODE, OWNER, UNSAFE_WRITES, about_function,
    keep_copy_function, pairs_of, values_of,
};
use super::copy::base_name;
use super::file_state::{entries_for_new_file, host_path};
use super::http::{
    CIPHERS, CLIENT_CERT, CLIENT_KEY, DECOMPRESS, FORCE_BASIC, HEADERS, HTTP_AGENT, Settings,
    TIMEOUT, URL_PASSWORD, URL_USERNAME, USE_NETRC, USE_PROXY, VALIDATE_CERTS, request_failed,
};
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    Step, StepOutput,
};
use crate::connect::Command;
use crate::remote::{FileContent, FoundKind, aside_function, settle_function};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "get_url",
    aliases: &[],
    summary: "lets the host fetch a file from a server; the host needs curl, else use `delegate_to: localhost` and `copy`",
    arguments: &[
        Argument::required("url", ArgumentKind::Text, "where the file is"),
        Argument::required(
            "dest",
            ArgumentKind::Path,
            "the path on the host; a folder takes the name in the URL",
        ),
        Argument::optional(
            "checksum",
            ArgumentKind::Text,
            "`ALGORITHM:HASH`, or `ALGORITHM:URL` of a file with hashes and names",
        ),
        Argument::optional(
            "force",
            ArgumentKind::Boolean,
            "fetch it even when the server says that it has not changed; false by default",
        )
        .or(&["thirsty"]),
        Argument::optional(
            "tmp_dest",
            ArgumentKind::Path,
            "the folder of the host in which it arrives; beside `dest` by default",
        ),
        MODE,
        OWNER,
        GROUP,
        BACKUP,
        HEADERS,
        TIMEOUT,
        URL_USERNAME,
        URL_PASSWORD,
        FORCE_BASIC,
        VALIDATE_CERTS,
        CLIENT_CERT,
        CLIENT_KEY,
        USE_NETRC,
        CIPHERS,
        DECOMPRESS,
        USE_PROXY,
        HTTP_AGENT,
        UNSAFE_WRITES,
    ],
    examples: r"- name: the tool
  get_url:
    url: https://example.com/tool-1.2
    dest: /usr/local/bin/tool
    mode: '0755'
    checksum: sha256:https://example.com/SHA256SUMS
",
    returns: &[
        ("dest", "the file on the host"),
        ("url", "where it came from"),
        ("status_code", "what the server answered, as in 200"),
        ("msg", "the same for people"),
        ("checksum_src", "SHA-1 of what was fetched"),
        ("checksum_dest", "SHA-1 of the file that was there"),
        ("elapsed", "seconds that it took"),
        (
            "backup_file",
            "the copy of what was there, when one was made",
        ),
        ("mode", "its permission bits"),
        ("owner", "its owner's name"),
        ("group", "its group's name"),
        ("uid", "its owner's number"),
        ("gid", "its group's number"),
        ("size", "its size in bytes"),
        ("state", "`file`"),
    ],
    free_form: None,
    build,
    check: None,
};

/// `$1` file, `$2` algorithm: its hash.
const HASH: &str = r#"
sum=$("${2}sum" <"$1") || exit 1
printf '%s\n' "${sum%% *}"
"#;

/// Settings of curl on standard input: what it fetches, on standard output.
const READ: &str = r#"
command -v curl >/dev/null 2>&1 || { echo "there is no program \`curl\`" >&2; exit 4; }
exec curl --fail --location --config -
"#;

/// Settings of curl on standard input. `$1` file, `$2` mode, `$3` owner, `$4` group, `$5` algorithm and `$6` hash that it
/// must have, `$7` 1 for fetching it in any case, `$8` 1 for a copy of what was there, `$9` the folder for what
/// arrives, `$10` 1 when the server can be asked for what is newer.
const FETCH: &str = concat!(
    about_function!(),
    keep_copy_function!(),
    aside_function!(),
    settle_function!(),
    r#"
path=$1 mode=$2 owner=$3 group=$4 algorithm=$5 wanted=$6 force=$7 backup=$8 place=$9
shift 9
timed=$1
command -v curl >/dev/null 2>&1 || { echo "there is no program \`curl\`" >&2; exit 4; }
aside "$path" "$place"
hash() { sum=$("${2}sum" <"$1") || return 1; printf '%s\n' "${sum%% *}"; }
start=$(date +%s)
if [ -f "$path" ] && [ "$force" != 1 ] && [ "$timed" = 1 ]; then set -- --time-cond "$path"; else set --; fi
code=$(curl --location --output "$new" --write-out '%{http_code}' "$@" --config -)
status=$?
printf 'status_code=%s\nelapsed=%s\n' "$code" "$(($(date +%s) - start))"
[ "$status" -eq 0 ] || exit "$status"
case $code in
  304) ;;
  2??|000) ;;
  *) echo "the server answered $code" >&2; exit 22 ;;
esac
before=$(stat -c '%a %u %g' -- "$path" 2>/dev/null)
if [ -f "$path" ]; then printf 'checksum_dest=%s\n' "$(hash "$path" sha1)"; fi
changed=no
if [ "$code" = 304 ]; then
  if [ -n "$wanted" ] && [ "$(hash "$path" "$algorithm")" != "$wanted" ]; then
    echo "the file has not changed and does not have the checksum" >&2
    exit 1
  fi
else
  if [ -n "$wanted" ]; then
    have=$(hash "$new" "$algorithm") || exit 1
    if [ "$have" != "$wanted" ]; then
      printf 'checksum_src=%s\nwrong=yes\n' "$(hash "$new" sha1)"
      echo "The checksum for $path did not match $wanted; it was $have." >&2
      exit 1
    fi
  fi
  printf 'checksum_src=%s\nmd5sum=%s\nbytes=%s\n' "$(hash "$new" sha1)" "$(hash "$new" md5)" "$(($(wc -c <"$new")))"
  if ! [ -f "$path" ] || ! cmp -s -- "$new" "$path"; then
    changed=yes
    if [ "$backup" = 1 ] && [ -f "$path" ]; then
      keep_copy "$path"
    fi
    if [ -z "$mode" ]; then
      mode=0644
      if [ -f "$path" ]; then mode=$(stat -c %a -- "$path"); fi
    fi
    settle "$new" "$path"
  fi
fi
if [ "$changed" = no ]; then
  if [ -n "$owner" ]; then chown -- "$owner" "$path" || exit 1; fi
  if [ -n "$group" ]; then chgrp -- "$group" "$path" || exit 1; fi
  if [ -n "$mode" ]; then chmod -- "$mode" "$path" || exit 1; fi
  [ "$before" = "$(stat -c '%a %u %g' -- "$path")" ] || changed=yes
fi
printf 'changed=%s\n' "$changed"
about "$path"
"#
);

struct GetUrl {
    url: String,
    name: String,
    dest: String,
    settings: Settings,
    attributes: Attributes,
    force: bool,
    backup: bool,
    place: String,
    algorithm: String,
    /// The hash, or the URL of a file with hashes, and the settings for that.
    checksum: Option<(String, Option<Settings>)>,
}

impl GetUrl {
    /// The hash that the file must have, if any.
    async fn wanted(&self, look: &Look<'_>) -> Result<String, ModuleError> {
        let Some((text, settings)) = &self.checksum else {
            return Ok(String::new());
        };
        let Some(settings) = settings else {
            return Ok(text.clone());
        };
        let command = Command::script(READ, [""; 0]);
        let input = settings.content().bytes;
        let output = look.session.probe_with(command, input).await?;
        if !output.success() {
            return Err(failed(&format!("fetch `{text}`"), &output));
        }
        let sums = output.stdout_text();
        let is_hash =
            |word: &str| word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let lines: Vec<Vec<&str>> = sums
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let named = lines.iter().find_map(|words| match words.as_slice() {
            [hash, name, ..] if is_hash(hash) => {
                let name = name.trim_start_matches('*').trim_start_matches("./");
                (name == self.name || base_name(name) == self.name).then_some(*hash)
            }
            _ => None,
        });
        let alone = match lines.as_slice() {
            [words] => words
                .first()
                .copied()
                .filter(|word| is_hash(word) && words.len() == 1),
            _ => None,
        };
        named.or(alone).map(str::to_lowercase).ok_or_else(|| {
            ModuleError::failed(format!(
                "Unable to find a checksum for file '{}' in '{text}'",
                self.name
            ))
        })
    }
}

fn failed(purpose: &str, output: &crate::connect::Output) -> ModuleError {
    let error = command_failed(purpose, output);
    if output.status.code() == 4 {
        error.with_hint(
            "install curl on the host, or fetch it here (`delegate_to: localhost`) and `copy` it",
        )
    } else {
        error
    }
}

impl Module for GetUrl {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let request = FileContent {
                into: Some(self.name.clone()),
                ..FileContent::default()
            };
            let path = super::copy::with_name(&self.dest, Some(&self.name))?;
            let found = look.session.look_at(&path, &request).await?;
            let path = found.path.as_str();
            if matches!(found.kind, FoundKind::Directory | FoundKind::Other) {
                return Err(ModuleError::failed(format!(
                    "`{path}` is {}",
                    found.kind.describe()
                )));
            }
            let wanted = self.wanted(look).await?;
            let is_there = found.kind != FoundKind::Absent;
            let mut matches = false;
            if is_there && !wanted.is_empty() && !self.force {
                let words = [path.to_owned(), self.algorithm.clone()];
                let output = look.session.probe(Command::script(HASH, words)).await?;
                if !output.success() {
                    return Err(command_failed(&format!("hash `{path}`"), &output));
                }
                matches = output.stdout_text().trim() == wanted;
            }
            let mode = self.attributes.mode.is_some().then(|| {
                let bits = self.attributes.mode_for(&found, DEFAULT_MODE);
                format!("{bits:04o}")
            });
            let plan = if matches {
                let words = self.attributes.differences(&found);
                if words.is_empty() {
                    Plan::satisfied().with("msg", "file already exists")
                } else {
                    Plan::change(words.join(", "), vec![self.attributes.step(&found)])
                }
            } else {
                let text = |value: &Option<String>| value.clone().unwrap_or_default();
                // A checksum that differs asks for the file whatever the server says about times.
                let force = self.force || is_there && !wanted.is_empty();
                let words = [
                    path.to_owned(),
                    text(&mode),
                    text(&self.attributes.owner),
                    text(&self.attributes.group),
                    self.algorithm.clone(),
                    wanted.clone(),
                    u8::from(force).to_string(),
                    u8::from(self.backup).to_string(),
                    self.place.clone(),
                    // A file has no server that could say that it has not changed.
                    u8::from(self.url.to_lowercase().starts_with("http")).to_string(),
                ];
                let step = Step::Run {
                    command: Command::script(FETCH, words),
                    stdin: Some(self.settings.content()),
                    timeout: None,
                    any_status: true,
                    purpose: format!("fetch `{}`", self.url),
                };
                if is_there && wanted.is_empty() {
                    Plan::unknown("the server has to be asked", vec![step])
                } else {
                    let words = if is_there { "content" } else { "create" };
                    let mut plan = Plan::change(words, vec![step]);
                    if !is_there {
                        plan.creates = entries_for_new_file(path);
                    }
                    plan
                }
            };
            Ok(plan
                .with_found(&found)
                .with("dest", path)
                .with("url", self.url.as_str()))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let Some(StepOutput::Ran(output)) = outputs.first() else {
            return Ok(Conclusion::default());
        };
        let mut result = values_of(outputs);
        let mut answer = pairs_of(&output.stdout_text());
        for name in ["status_code", "elapsed"] {
            let number = answer.get(name).and_then(Value::as_str);
            if let Some(number) = number.and_then(|text| text.parse::<i64>().ok()) {
                answer.insert(name.to_owned(), number.into());
            }
        }
        let changed = answer.remove("changed");
        let code = answer.get("status_code").and_then(Value::as_i64);
        let bytes = answer.remove("bytes");
        let bytes = bytes.as_ref().and_then(Value::as_str).unwrap_or("unknown");
        let said = match code {
            Some(304) => "HTTP Error 304: Not Modified".to_owned(),
            Some(_) => format!("OK ({bytes} bytes)"),
            None => String::new(),
        };
        // A file has no status.
        if code == Some(0) {
            answer.insert("status_code".to_owned(), Value::Null);
        }
        let is_wrong = answer.remove("wrong").is_some();
        result.extend(answer);
        result.entry("checksum_dest").or_insert(Value::Null);
        if output.success() {
            if code.is_some() {
                result.insert("msg".to_owned(), said.into());
            }
            return Ok(Conclusion {
                changed: changed.map(|changed| changed == "yes"),
                result,
            });
        }
        let mut error = failed(&format!("fetch `{}`", self.url), output);
        if let ModuleError::Failed { result: values, .. } = &mut error {
            result.insert("url".to_owned(), self.url.as_str().into());
            result.insert("dest".to_owned(), self.dest.as_str().into());
            let last = crate::remote::last_line(&output.stderr_text());
            if result.get("status_code") == Some(&Value::Null) {
                result.remove("status_code");
            }
            if is_wrong {
                result.insert("changed".to_owned(), true.into());
                result.insert("msg".to_owned(), last.into());
            } else if let Some(said) = request_failed(&last) {
                result.remove("checksum_dest");
                result.insert("msg".to_owned(), said.into());
                result.remove("status_code");
            }
            *values = result;
        }
        Err(error)
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let url = arguments.required_text("url")?;
    let seconds = arguments.integer("timeout").unwrap_or(10);
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let path = plain.split_once("://").map_or("", |(_, rest)| rest);
    let name = match path.rsplit_once('/') {
        Some((_, name)) if !name.is_empty() => name.to_owned(),
        _ => "index.html".to_owned(),
    };
    let (mut algorithm, mut checksum) = (String::new(), None);
    if let Some(text) = arguments.filled("checksum") {
        let Some((kind, value)) = text.split_once(':') else {
            return Err(ModuleError::failed(
                "The checksum parameter has to be in format <algorithm>:<checksum>",
            ));
        };
        let known = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];
        algorithm = kind.trim().to_lowercase();
        if !known.contains(&algorithm.as_str()) {
            return Err(ModuleError::failed(format!(
                "`{algorithm}` is no hash that is known here: {}",
                known.join(", ")
            )));
        }
        let value = value.trim();
        checksum = Some(if value.contains("://") {
            let settings = Settings::new(&arguments, value, seconds)?;
            (value.to_owned(), Some(settings))
        } else {
            (value.to_lowercase(), None)
        });
    }
    Ok(Box::new(GetUrl {
        settings: Settings::new(&arguments, &url, seconds)?,
        name,
        url,
        dest: host_path(&arguments, "dest")?,
        attributes: Attributes::from_arguments(&arguments),
        force: arguments.boolean("force", false),
        backup: arguments.boolean("backup", false),
        place: arguments.filled("tmp_dest").unwrap_or_default(),
        algorithm,
        checksum,
    }))
}
