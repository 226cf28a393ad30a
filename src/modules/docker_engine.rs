//! `docker_engine`: Docker's static binaries on the host, each known by its sha256.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::apply::command_failed;
use super::docker::package_path;
use super::file_state::host_path;
use super::package_file::{Package, SHA256, SIZE, SOURCE, is_sha256};
use super::{
    Argument, ArgumentKind, Arguments, LedgerEntry, Look, Module, ModuleError, ModuleSpec, Plan,
    Step,
};
use crate::connect::Command;
use crate::remote::{digest_function, look_function};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "docker_engine",
    aliases: &[],
    summary: "installs Docker's static binaries from their archive; binaries that are there already are left alone",
    arguments: &[
        SOURCE,
        SHA256,
        SIZE,
        Argument::required(
            "binaries",
            ArgumentKind::Any,
            "what is under `docker/` in the archive: a list of `name`, `sha256` and `size`",
        ),
        Argument::optional(
            "dest",
            ArgumentKind::Path,
            "their folder on the host; `/usr/local/bin` by default",
        ),
        Argument::optional("version", ArgumentKind::Text, "the version, for messages"),
    ],
    examples: r"- name: Docker's programs lie in /usr/local/bin
  docker_engine:
    package: docker-28.0.1.tgz
    sha256: 4b1e8d5b2c0f4f8f4b5e6c3d0d8f6a1b9a7c5e3d1f0e2c4b6a8d9f7e5c3b1a00
    size: 78000000
    binaries: [{name: dockerd, sha256: 0f1e…, size: 70000000}]
    dest: /usr/local/bin
",
    returns: &[("dest", "the folder of the programs")],
    free_form: None,
    build,
    check: None,
};

/// `$1` folder, then name, size and sha256 of each binary. Says `same`, `other` or `absent` of each, and which folders
/// of the engine's own are not there yet.
const LOOK: &str = concat!(
    digest_function!(),
    look_function!(),
    r#"
folder=$1
shift
while [ "$#" -ge 3 ]; do
  path=$folder/$1
  look "$path" || exit 1
  answer=other
  case $said in
    kind=absent) answer=absent ;;
    kind=directory*) echo "\`$path\` is a folder" >&2; exit 1 ;;
    kind=regular*)
      if [ "${said##*size=}" = "$2" ] && [ -x "$path" ]; then
        sum=$(digest "$path" "$2") || exit 1
        if [ "$sum" = "$3" ]; then answer=same; fi
      fi
      ;;
  esac
  printf '%s %s\n' "$answer" "$1"
  shift 3
done
for path in /var/lib/docker /opt/containerd /opt/containerd/bin /opt/containerd/lib; do
  look "$path" || exit 1
  if [ "$said" = kind=absent ]; then echo "absent-folder $path"; fi
done
"#
);

/// `$1` archive, `$2` folder, then the names to install. Unpacks beside the folder's files and renames.
const INSTALL: &str = r#"
package=$1 dest=$2
shift 2
umask 022
mkdir -p -- "$dest" || exit 1
for old in "$dest"/.kk-unpack.*; do
  if [ -d "$old" ]; then rm -rf -- "$old"; fi
done
folder=$(mktemp -d "$dest/.kk-unpack.XXXXXX") || exit 1
trap 'rm -rf -- "$folder"' EXIT
trap 'exit 1' HUP INT TERM
if [ "$(head -c 2 <"$package" | od -An -tx1 | tr -d ' \n')" = 1f8b ]; then
  { gzip -dc <"$package" || echo failed >"$folder/.failed"; } | tar -xf - -C "$folder" || exit 1
  [ ! -e "$folder/.failed" ] || exit 1
else
  tar -xf "$package" -C "$folder" || exit 1
fi
for name; do
  file=$folder/docker/$name
  [ -f "$file" ] && [ ! -L "$file" ] || { echo "there is no \`docker/$name\` in the archive" >&2; exit 1; }
  chown 0:0 -- "$file" && chmod 0755 -- "$file" || exit 1
done
for name; do
  mv -f -- "$folder/docker/$name" "$dest/$name" || exit 1
done
if [ -e /sys/fs/selinux/enforce ] && command -v restorecon >/dev/null 2>&1; then
  for name; do restorecon -- "$dest/$name" >/dev/null 2>&1 || :; done
fi
rm -f -- "$package"
"#;

struct Binary {
    name: String,
    sha256: String,
    size: u64,
}

struct DockerEngine {
    package: Package,
    binaries: Vec<Binary>,
    dest: String,
    version: Option<String>,
}

impl Module for DockerEngine {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let mut command = Command::script(LOOK, [self.dest.clone()]);
            for binary in &self.binaries {
                command = command
                    .arg(&binary.name)
                    .arg(binary.size.to_string())
                    .arg(&binary.sha256);
            }
            let output = look.session.probe(command).await?;
            if !output.success() {
                let purpose = format!("look at the binaries in `{}`", self.dest);
                return Err(command_failed(&purpose, &output));
            }
            let answers = output.stdout_text();
            let named = |word: &str| -> Vec<&str> {
                let lines = answers.lines();
                lines
                    .filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
                    .collect()
            };
            let (absent, other) = (named("absent"), named("other"));
            if named("same").len() + absent.len() + other.len() != self.binaries.len() {
                return Err(ModuleError::failed(format!(
                    "look at the binaries in `{}`: the host's answer was not understood",
                    self.dest
                )));
            }
            let wanted: Vec<&str> = absent.iter().chain(&other).copied().collect();
            let plan = if wanted.is_empty() {
                Plan::satisfied()
            } else {
                let mut plan = self.install(look, &wanted, &absent);
                // The engine makes these by itself, so they go with it.
                for path in named("absent-folder") {
                    let path = path.to_owned();
                    plan.creates.push(if path == "/var/lib/docker" {
                        LedgerEntry::Data { path }
                    } else {
                        LedgerEntry::Directory {
                            path,
                            recursive: false,
                        }
                    });
                }
                plan
            };
            Ok(plan.with("dest", self.dest.as_str()).with(
                "installed",
                wanted
                    .iter()
                    .map(|name| Value::from(*name))
                    .collect::<Value>(),
            ))
        }
        .boxed()
    }
}

impl DockerEngine {
    fn install(&self, look: &Look<'_>, wanted: &[&str], absent: &[&str]) -> Plan {
        let there = package_path(look, &self.package.sha256);
        let version = match &self.version {
            Some(version) => format!("Docker {version}"),
            None => "Docker".to_owned(),
        };
        let steps = vec![
            Step::Upload {
                source: self.package.path.clone(),
                sha256: self.package.sha256.clone(),
                size: self.package.size,
                dest: there.clone(),
                mode: 0o600,
                owner: None,
                group: None,
            },
            Step::run(
                format!("install {version}"),
                Command::script(INSTALL, [there, self.dest.clone()]).args(wanted.iter().copied()),
            ),
        ];
        let mut plan = Plan::change(format!("{version}: {}", wanted.join(", ")), steps);
        plan.creates = absent
            .iter()
            .map(|name| LedgerEntry::File {
                path: format!("{}/{name}", self.dest),
            })
            .collect();
        plan
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let wrong = || {
        ModuleError::failed("`binaries` is no list of `name`, `sha256` and `size`")
            .with_hint("it comes from the inspection of the archive")
    };
    let items = arguments
        .value("binaries")
        .and_then(Value::as_array)
        .filter(|items| !items.is_empty())
        .ok_or_else(wrong)?;
    let mut binaries = Vec::new();
    for item in items {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        let name = text("name").ok_or_else(wrong)?;
        let sha256 = text("sha256")
            .filter(|sum| is_sha256(sum))
            .ok_or_else(wrong)?;
        let size = item.get("size").and_then(Value::as_u64).ok_or_else(wrong)?;
        if name.is_empty() || name.contains(['/', '\n']) || name.starts_with(['.', '-']) {
            return Err(ModuleError::failed(format!("`{name}` names no binary")));
        }
        binaries.push(Binary {
            name: name.to_owned(),
            sha256: sha256.to_owned(),
            size,
        });
    }
    let dest = match arguments.text("dest") {
        Some(_) => host_path(&arguments, "dest")?,
        None => "/usr/local/bin".to_owned(),
    };
    Ok(Box::new(DockerEngine {
        package: Package::from_arguments(&arguments)?,
        binaries,
        dest: dest.trim_end_matches('/').to_owned(),
        version: arguments.text("version"),
    }))
}
