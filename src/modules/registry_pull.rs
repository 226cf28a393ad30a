//! `registry_pull`: proves that a host can pull, with what that host has and as it is configured, and keeps nothing.

use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use base64::Engine as _;

use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Content, Look, Module, ModuleError, ModuleSpec,
    Plan, Step, StepOutput,
};
use crate::connect::{Command, Output};

/// The declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "registry_pull",
    aliases: &[],
    summary: "Pulls an image by digest with the host's own runtime, or step by step with curl, and removes it again.",
    arguments: &[
        Argument::required(
            "endpoint",
            ArgumentKind::Text,
            "The registry as images name it: `host` or `host:port`.",
        ),
        Argument::required(
            "repository",
            ArgumentKind::Text,
            "The repository, without the registry.",
        ),
        Argument::required(
            "digest",
            ArgumentKind::Text,
            "Digest of the manifest, `sha256:…`.",
        ),
        Argument::required(
            "layer_digest",
            ArgumentKind::Text,
            "Digest of its layer, `sha256:…`.",
        ),
        Argument::optional(
            "plain_http",
            ArgumentKind::Boolean,
            "The registry speaks HTTP without TLS (default false).",
        ),
        Argument::required("username", ArgumentKind::Text, "The user."),
        Argument::required(
            "password",
            ArgumentKind::Secret,
            "The password; goes to the host over standard input.",
        ),
    ],
    examples: r#"- name: this host can pull
  registry_pull:
    endpoint: registry.example.com:443
    repository: kk/proof
    digest: sha256:6fa3…
    layer_digest: sha256:90bc…
    username: admin
    password: "{{ registry_password }}"
"#,
    returns: &[("runtime", "what pulled: `docker`, `ctr` or `curl`")],
    free_form: None,
    build,
    check: None,
};

/// Standard input: a line with Docker's configuration, a line with curl's. Standard output: `runtime …`, then a line
/// for each step that went well. The status is 0 (pulled), 3 (could not) or 4 (nothing here that could).
const PULL: &str = r#"
endpoint=$1 scheme=$2 repository=$3 digest=$4 layer=$5
umask 077
PATH=$PATH:/usr/local/bin:/usr/local/sbin
IFS= read -r docker_config || exit 1
IFS= read -r curl_config || exit 1
folder=$(mktemp -d) || exit 1
reference=$endpoint/$repository@$digest
pulled=
clean() {
  rm -rf -- "$folder"
  if [ -n "$pulled" ]; then docker image rm "$reference" >/dev/null 2>&1; fi
}
trap clean EXIT
# PIPE: the folder holds the password, also when nobody listens any more.
trap 'exit 143' HUP INT PIPE TERM
if command -v docker >/dev/null 2>&1 && version=$(docker version --format '{{.Server.Version}}' 2>/dev/null); then
  printf 'runtime Docker %s\n' "$version"
  printf '%s\n' "$docker_config" >"$folder/config.json"
  tries=0
  until docker --config "$folder" pull "$reference" >"$folder/said" 2>&1; do
    tries=$((tries + 1))
    # Docker remembers what /etc/hosts said for five seconds, and the registry's line may be younger.
    if [ "$tries" -gt 7 ] || ! grep -q 'dial tcp: lookup ' "$folder/said"; then
      tail -n 5 "$folder/said" >&2
      exit 3
    fi
    sleep 1
  done
  pulled=yes
  echo 'done pull'
  exit 0
fi
command -v curl >/dev/null 2>&1 || exit 4
echo 'runtime curl'
printf '%s\n' "$curl_config" >"$folder/curlrc"
get() {
  if [ -f "/etc/docker/certs.d/$endpoint/ca.crt" ]; then
    curl -fsS --noproxy '*' --max-time 30 -K "$folder/curlrc" --cacert "/etc/docker/certs.d/$endpoint/ca.crt" "$@"
  else
    curl -fsS --noproxy '*' --max-time 30 -K "$folder/curlrc" "$@"
  fi
}
check() {
  found=sha256:$(sha256sum <"$folder/body" | cut -d ' ' -f 1)
  [ "$found" = "$1" ] || { echo "the content has digest $found, expected $1" >&2; exit 3; }
}
get -o "$folder/body" "$scheme://$endpoint/v2/" || exit 3
echo 'done login'
get -o "$folder/body" -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' \
  "$scheme://$endpoint/v2/$repository/manifests/$digest" || exit 3
check "$digest"
echo 'done manifest'
get -L -o "$folder/body" "$scheme://$endpoint/v2/$repository/blobs/$layer" || exit 3
check "$layer"
echo 'done blob'
"#;

struct RegistryPull {
    endpoint: String,
    scheme: &'static str,
    repository: String,
    digest: String,
    layer_digest: String,
    input: Bytes,
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let endpoint = arguments.required_text("endpoint")?;
    let username = arguments.required_text("username")?;
    let password = arguments.required_text("password")?;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let mut auths = Map::new();
    auths.insert(endpoint.clone(), json!({ "auth": auth }));
    let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let input = format!(
        "{}\nuser = \"{}:{}\"\n",
        json!({ "auths": auths }),
        escape(&username),
        escape(&password)
    );
    Ok(Box::new(RegistryPull {
        endpoint,
        scheme: if arguments.boolean("plain_http", false) {
            "http"
        } else {
            "https"
        },
        repository: arguments.required_text("repository")?,
        digest: arguments.required_text("digest")?,
        layer_digest: arguments.required_text("layer_digest")?,
        input: input.into(),
    }))
}

impl Module for RegistryPull {
    fn plan<'a>(&'a self, _look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        Box::pin(async move {
            let command = Command::script(
                PULL,
                [
                    self.endpoint.as_str(),
                    self.scheme,
                    &self.repository,
                    &self.digest,
                    &self.layer_digest,
                ],
            );
            let step = Step::Run {
                command,
                stdin: Some(Content::secret(self.input.clone())),
                timeout: Some(std::time::Duration::from_secs(180)),
                any_status: true,
                purpose: format!("pull from {}", self.endpoint),
            };
            Ok(Plan::unknown(
                "an image is pulled and removed again",
                vec![step],
            ))
        })
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let Some(StepOutput::Ran(output)) = outputs.first() else {
            return Err(ModuleError::failed("the pull gave no output"));
        };
        let (runtime, steps) = read(output);
        let mut result = Map::new();
        result.insert("runtime".to_owned(), runtime.clone().into());
        result.insert("steps".to_owned(), steps.clone().into());
        match output.status.code() {
            0 => {
                let message = format!("{runtime}: {}", steps.join(", "));
                result.insert("msg".to_owned(), message.into());
                Ok(Conclusion {
                    result,
                    changed: Some(false),
                })
            }
            4 => {
                result.insert("runtime".to_owned(), Value::Null);
                result.insert(
                    "msg".to_owned(),
                    "not tried: the host has neither Docker nor curl".into(),
                );
                Ok(Conclusion {
                    result,
                    changed: Some(false),
                })
            }
            status => {
                let stderr = output.stderr_text();
                let reason = stderr
                    .lines()
                    .rev()
                    .find(|line| !line.trim().is_empty())
                    .unwrap_or("it did not say why");
                let after = match steps.last() {
                    Some(step) => format!(" after the step `{step}`"),
                    None => String::new(),
                };
                let error = ModuleError::failed(format!(
                    "pull from {} with {runtime} (status {status}){after}: {reason}",
                    self.endpoint
                ))
                .with_details(stderr.clone());
                Err(match hint(&stderr) {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                })
            }
        }
    }
}

/// The runtime and the steps that went well.
fn read(output: &Output) -> (String, Vec<String>) {
    let text = output.stdout_text();
    let runtime = text
        .lines()
        .find_map(|line| line.strip_prefix("runtime "))
        .unwrap_or("the host")
        .to_owned();
    let steps = text
        .lines()
        .filter_map(|line| line.strip_prefix("done "))
        .map(str::to_owned)
        .collect();
    (runtime, steps)
}

fn hint(said: &str) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&["x509", "certificate", "SSL"]) {
        Some(
            "the host does not trust the registry's certificate, or the name is not in it: look at /etc/docker/certs.d",
        )
    } else if has(&["no such host", "Could not resolve", "server misbehaving"]) {
        Some(
            "the host cannot resolve the registry's name: leave `image_registry.trust.hosts_entry` on, or add it to DNS",
        )
    } else if has(&["401", "unauthorized", "authentication required"]) {
        Some("the registry refused user and password")
    } else if has(&["HTTP response to HTTPS"]) {
        Some(
            "add the registry to `insecure-registries` in /etc/docker/daemon.json and restart Docker, or use TLS",
        )
    } else if has(&[
        "connection refused",
        "Connection refused",
        "timed out",
        "i/o timeout",
        "no route",
    ]) {
        Some("the host cannot reach the registry's port: look at firewalls in between")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::ExitStatus;

    fn module() -> Box<dyn Module> {
        let arguments = json!({
            "endpoint": "r:5000", "repository": "kk/proof", "digest": "sha256:1", "layer_digest": "sha256:2",
            "username": "admin", "password": "pa\"ss\\word",
        });
        let Value::Object(arguments) = arguments else {
            unreachable!()
        };
        build(Arguments(arguments)).unwrap()
    }

    fn conclude(code: u32, stdout: &str, stderr: &str) -> Result<Conclusion, ModuleError> {
        let output = Output {
            status: ExitStatus::Code(code),
            stdout: stdout.into(),
            stderr: stderr.into(),
        };
        module().conclude(&[StepOutput::Ran(output)])
    }

    #[test]
    fn a_pull_says_with_what() {
        let conclusion = conclude(0, "runtime Docker 26.1.5\ndone pull\n", "").unwrap();
        assert_eq!(conclusion.result["msg"], "Docker 26.1.5: pull");
        assert_eq!(conclusion.changed, Some(false));
    }

    #[test]
    fn a_failure_names_the_step_before_it_and_a_remedy() {
        let error = conclude(
            3,
            "runtime curl\ndone login\n",
            "curl: (60) SSL certificate problem\n",
        )
        .unwrap_err();
        assert!(
            error.to_string().contains("after the step `login`"),
            "{error}"
        );
        let ModuleError::Failed { hint, .. } = error else {
            unreachable!()
        };
        assert!(hint.unwrap().contains("does not trust"));
    }

    #[test]
    fn a_host_that_has_nothing_is_no_failure() {
        assert_eq!(conclude(4, "", "").unwrap().result["runtime"], Value::Null);
    }
}
