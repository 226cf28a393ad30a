//! `docker_compose`: a compose project up or down.
//!
//! What decides whether a project is as wanted: every service has a running container; the containers are the very
//! ones that kk left (by Compose's own hash of their configuration); and the compose file, `.env` and the files given
//! as `config_files` have the content that they had then. kk keeps that in `<state>/compose/<project>`. A change of the
//! compose file is left to Compose, which recreates only what it touches; a change of a mounted file, which Compose
//! does not see, recreates the project's containers.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::arguments::Given;
use super::compose_state::ComposeState;
use super::docker::{docker_prelude, judge};
use super::file_state::host_path;
use super::{
    Argument, ArgumentKind, Arguments, LedgerEntry, Look, Module, ModuleError, ModuleSpec, Plan,
    Step,
};
use crate::connect::Command;
use crate::remote::digest_function;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "docker_compose",
    aliases: &["docker_compose_v2"],
    summary: "brings a compose project up, or takes it down",
    arguments: &[
        Argument::required("project_name", ArgumentKind::Text, "the project"),
        Argument::optional(
            "project_src",
            ArgumentKind::Path,
            "the folder of its compose file",
        ),
        Argument::optional(
            "files",
            ArgumentKind::Texts,
            "its compose files, relative to `project_src`; Compose's usual names by default",
        ),
        Argument::optional(
            "config_files",
            ArgumentKind::Texts,
            "files that containers mount: when one changes, the containers are made anew",
        ),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "absent"]),
            "up or down; `present` by default",
        ),
        Argument::optional(
            "recreate",
            ArgumentKind::Choice(&["auto", "always", "never"]),
            "whether to make containers anew; `auto` (when needed) by default",
        ),
        Argument::optional(
            "wait",
            ArgumentKind::Boolean,
            "wait until the services are running and healthy; false by default",
        ),
        Argument::optional(
            "wait_timeout",
            ArgumentKind::Integer,
            "for how many seconds; 300 by default",
        ),
    ],
    examples: r"- name: the registry runs
  docker_compose:
    project_name: registry
    project_src: /srv/registry
    config_files: [/srv/registry/config.yml]
",
    returns: &[
        ("project", "the project's name"),
        ("services", "the services with their states, where it is up"),
    ],
    free_form: None,
    build,
    check: Some(check),
};

/// Functions over `$project`: `containers` lists the project's containers as `state service hash`, `digests` hashes
/// files.
macro_rules! compose_functions {
    () => {
        r#"
containers() {
  docker ps --all --filter "label=com.docker.compose.project=$project" --filter label=com.docker.compose.oneoff=False \
    --format '{{.State}} {{.Label "com.docker.compose.service"}} {{.Label "com.docker.compose.config-hash"}}'
}
digests() {
  for file; do
    if [ -f "$file" ]; then
      sum=$(digest "$file" 0) || return 1
    else
      sum=absent
    fi
    printf '%s %s\n' "$sum" "$file"
  done
}
# Sets `list` to the compose files, as Compose's `COMPOSE_FILE` wants them; `$1` is the number of names that follow.
find_files() {
  list=
  if [ "$1" -gt 0 ]; then
    number=$1
    while [ "$number" -gt 0 ]; do
      shift
      number=$((number - 1))
      case $1 in /*) list=$list:$1 ;; *) list=$list:$PWD/$1 ;; esac
    done
  else
    for name in compose.yaml compose.yml docker-compose.yaml docker-compose.yml; do
      if [ -f "$name" ]; then list=:$PWD/$name; break; fi
    done
  fi
  list=${list#:}
  if [ -z "$list" ]; then echo "there is no compose file in \`$PWD\`" >&2; exit 91; fi
  COMPOSE_FILE=$list
  export COMPOSE_FILE
}
"#
    };
}

/// `$1` project, `$2` folder, `$3` what is remembered, `$4` number of compose files, then those, then mounted files.
const LOOK: &str = concat!(
    docker_prelude!(),
    digest_function!(),
    compose_functions!(),
    r#"
project=$1 src=$2 state=$3
shift 3
[ -d "$src" ] || { echo "there is no folder \`$src\`" >&2; exit 91; }
cd -P -- "$src" || exit 1
find_files "$@"
IFS=:
set -f
for file in $list; do
  [ -f "$file" ] || { echo "there is no file \`$file\`" >&2; exit 91; }
  printf 'file %s\n' "$file"
done
count=$1
shift $((count + 1))
set -- $list "$PWD/.env" "$@"
set +f
unset IFS
if ! services=$(docker compose --project-name "$project" config --services); then exit 1; fi
printf '%s\n' "$services" | sed 's/^/service /'
found=$(containers) || exit 1
if [ -n "$found" ]; then printf '%s\n' "$found" | sed 's/^/container /'; fi
found=$(digests "$@") || exit 1
printf '%s\n' "$found" | sed 's/^/digest /'
if [ -f "$state" ]; then sed 's/^/was /' <"$state" || exit 1; fi
"#
);

/// The same arguments, after `$1` `recreate` or nothing, `$2` seconds to wait or nothing.
const UP: &str = concat!(
    docker_prelude!(),
    digest_function!(),
    compose_functions!(),
    r#"
recreate=$1 wait=$2 project=$3 src=$4 state=$5
shift 5
cd -P -- "$src" || exit 1
find_files "$@"
count=$1
shift $((count + 1))
IFS=:
set -f
set -- $list "$PWD/.env" "$@"
set +f
unset IFS
sums=$(digests "$@") || exit 1
set -- up --detach --no-build --remove-orphans
if [ -n "$recreate" ]; then set -- "$@" --force-recreate; fi
if [ -n "$wait" ]; then set -- "$@" --wait --wait-timeout "$wait"; fi
docker compose --project-name "$project" "$@" || {
  status=$?
  {
    docker compose --project-name "$project" ps --all
    docker compose --project-name "$project" logs --no-color --tail 20
  } >&2 2>/dev/null
  exit "$status"
}
found=$(containers) || exit 1
umask 077
mkdir -p -- "${state%/*}" || exit 1
{
  printf '%s\n' "$sums" | sed 's/^/digest /'
  printf '%s\n' "$found" | sed 's/^/container /'
} >"$state.new" && mv -f -- "$state.new" "$state"
"#
);

/// `$1` project.
const LOOK_DOWN: &str = concat!(
    r#"
PATH=$PATH:/usr/local/sbin:/usr/local/bin
export PATH
if ! command -v docker >/dev/null 2>&1 && ! [ -S /var/run/docker.sock ]; then exit 0; fi
"#,
    docker_prelude!(),
    r#"
docker ps --all --quiet --filter "label=com.docker.compose.project=$1" || exit 1
docker network ls --quiet --filter "label=com.docker.compose.project=$1"
"#
);

/// `$1` project, `$2` what is remembered. Needs no compose file: Compose finds the project by its labels.
pub(super) const DOWN: &str = concat!(
    docker_prelude!(),
    r#"
cd / || exit 1
docker compose --project-name "$1" down --remove-orphans || exit 1
rm -f -- "$2"
"#
);

struct Compose {
    project: String,
    src: Option<String>,
    files: Vec<String>,
    config_files: Vec<String>,
    is_up: bool,
    recreate: Recreate,
    wait_seconds: Option<i64>,
}

#[derive(PartialEq)]
enum Recreate {
    Auto,
    Always,
    Never,
}

impl Module for Compose {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let plan = if self.is_up {
                self.plan_up(look).await?
            } else {
                self.plan_down(look).await?
            };
            Ok(plan.with("project", self.project.as_str()))
        }
        .boxed()
    }
}

impl Compose {
    async fn plan_up(&self, look: &Look<'_>) -> Result<Plan, ModuleError> {
        let src = self.src.clone().unwrap_or_default();
        let words = || {
            let mut words = vec![
                self.project.clone(),
                src.clone(),
                remembered(look, &self.project),
                self.files.len().to_string(),
            ];
            words.extend(self.files.iter().chain(&self.config_files).cloned());
            words
        };
        let output = look.session.probe(Command::script(LOOK, words())).await?;
        if !output.success() {
            let purpose = format!("look at the compose project `{}`", self.project);
            return judge(&purpose, &output, look);
        }
        let found = ComposeState::parse(&output.stdout_text());
        let changed = found.changed_files();
        let mut reasons = found.container_faults();
        reasons.extend(changed.iter().map(|path| format!("{path} changed")));
        let touches_mounts = changed
            .iter()
            .any(|path| !found.compose_files.contains(path) && !path.ends_with("/.env"));
        // Containers that were made by a run that was killed before it could remember what they mount.
        let is_unsure =
            !found.is_remembered && !found.containers.is_empty() && !self.config_files.is_empty();
        let recreate = match self.recreate {
            Recreate::Always => true,
            Recreate::Never => false,
            Recreate::Auto => touches_mounts || is_unsure,
        };
        if !found.is_remembered && reasons.is_empty() {
            reasons.push("not known to kk yet".to_owned());
        }
        if self.recreate == Recreate::Always && reasons.is_empty() {
            reasons.push("asked to recreate".to_owned());
        }
        let services: Vec<Value> = found
            .services
            .iter()
            .map(|name| name.as_str().into())
            .collect();
        if reasons.is_empty() {
            return Ok(Plan::satisfied().with("services", services));
        }
        let mut command = Command::script(
            UP,
            [
                if recreate { "recreate" } else { "" }.to_owned(),
                self.wait_seconds
                    .map_or_else(String::new, |seconds| seconds.to_string()),
            ],
        );
        command = command.args(words());
        let step = Step::run(
            format!("bring up the compose project `{}`", self.project),
            command,
        );
        let mut plan = Plan::change(reasons.join(", "), vec![step]).with("services", services);
        if !found.is_remembered && found.containers.is_empty() {
            plan.creates.push(LedgerEntry::ComposeProject {
                name: self.project.clone(),
                file: found.file.unwrap_or_default(),
            });
        }
        Ok(plan)
    }

    async fn plan_down(&self, look: &Look<'_>) -> Result<Plan, ModuleError> {
        let output = look
            .session
            .probe(Command::script(LOOK_DOWN, [self.project.clone()]))
            .await?;
        if !output.success() {
            let purpose = format!("look at the compose project `{}`", self.project);
            return judge(&purpose, &output, look);
        }
        if output.stdout_text().trim().is_empty() {
            return Ok(Plan::satisfied());
        }
        let step = Step::run(
            format!("take down the compose project `{}`", self.project),
            Command::script(
                DOWN,
                [self.project.clone(), remembered(look, &self.project)],
            ),
        );
        Ok(Plan::change("take down", vec![step]))
    }
}

/// Where kk keeps what a project was when it was brought up.
pub(super) fn remembered(look: &Look<'_>, project: &str) -> String {
    format!("{}/compose/{project}", look.session.state_dir())
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let project = arguments.required_text("project_name")?;
    let fine = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
    };
    if !project.bytes().all(fine) || project.is_empty() || project.starts_with(['-', '_']) {
        return Err(
            ModuleError::failed(format!("`{project}` cannot name a compose project"))
                .with_hint("use lower-case letters, digits, `-` and `_`"),
        );
    }
    let is_up = arguments.text("state").as_deref() != Some("absent");
    let src = match arguments.text("project_src") {
        Some(_) => Some(host_path(&arguments, "project_src")?),
        None if is_up => return Err(ModuleError::failed("`project_src` is missing")),
        None => None,
    };
    let files = arguments.texts("files");
    if let Some(file) = files.iter().find(|file| file.contains([':', '\n'])) {
        return Err(ModuleError::failed(format!(
            "`{file}` cannot name a compose file"
        )));
    }
    Ok(Box::new(Compose {
        project,
        src,
        files,
        config_files: arguments.texts("config_files"),
        is_up,
        recreate: match arguments.text("recreate").as_deref() {
            Some("always") => Recreate::Always,
            Some("never") => Recreate::Never,
            _ => Recreate::Auto,
        },
        wait_seconds: arguments
            .boolean("wait", false)
            .then(|| arguments.integer("wait_timeout").unwrap_or(300).max(1)),
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    let is_down = given.literals.get("state").and_then(Value::as_str) == Some("absent");
    if is_down
        || given.has("project_src")
        || (given.has("state") && !given.literals.contains_key("state"))
    {
        Ok(())
    } else {
        Err("`project_src`, the folder of the compose file, is missing".to_owned())
    }
}
