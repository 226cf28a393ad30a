//! `package_facts`: the packages of the host, as facts.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::apply::command_failed;
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "package_facts",
    aliases: &[],
    summary: "reads the packages that are installed into facts",
    arguments: &[
        Argument::optional(
            "manager",
            ArgumentKind::Texts,
            "`apt`, `rpm` or `apk`; what the host has by default",
        ),
        Argument::optional(
            "strategy",
            ArgumentKind::Choice(&["first", "all"]),
            "the first manager that is there, or all; `first` by default",
        ),
    ],
    examples: r#"- package_facts:

- debug:
    msg: "{{ ansible_facts.packages.openssl[0].version }}"
  when: "'openssl' in ansible_facts.packages"
"#,
    returns: &[(
        "ansible_facts.packages",
        "by name a list of `name`, `version`, `arch`, `source`, and `release` and `epoch` of rpm",
    )],
    free_form: None,
    build,
    check: None,
};

/// `$1` `first` or `all`, then managers.
const LIST: &str = r#"
strategy=$1
shift
found=
for manager; do
  case $manager in
    auto|apt)
      if command -v dpkg-query >/dev/null 2>&1; then
        dpkg-query -W -f '${db:Status-Status}|${Package}|${Version}|${Architecture}|${Section}|apt\n' | sed -n 's/^installed|//p'
        found=1
        [ "$strategy" = all ] || exit 0
      fi ;;
  esac
  case $manager in
    auto|rpm|dnf|yum|zypper)
      if command -v rpm >/dev/null 2>&1; then
        rpm -qa --qf '%{NAME}|%{VERSION}|%{ARCH}|%{RELEASE}|rpm|%{EPOCH}\n'
        found=1
        [ "$strategy" = all ] || exit 0
      fi ;;
  esac
  case $manager in
    auto|apk)
      if command -v apk >/dev/null 2>&1; then
        apk info -v 2>/dev/null | sed 's/^\(.*\)-\([^-]*-r[0-9]*\)$/\1|\2|||apk/'
        found=1
        [ "$strategy" = all ] || exit 0
      fi ;;
  esac
done
[ -n "$found" ] || { echo "none of the package managers is there" >&2; exit 1; }
"#;

struct PackageFacts {
    words: Vec<String>,
}

impl Module for PackageFacts {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let command = Command::script(LIST, self.words.clone());
            let output = look.session.probe(command).await?;
            if !output.success() {
                return Err(command_failed("list the packages", &output));
            }
            let facts = json!({"packages": packages(&output.stdout_text())});
            Ok(Plan::satisfied().with("ansible_facts", facts))
        }
        .boxed()
    }
}

fn packages(text: &str) -> Map<String, Value> {
    let mut packages: Map<String, Value> = Map::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let [name, version, arch, fourth, source, rest @ ..] = fields.as_slice() else {
            continue;
        };
        let mut package = json!({"name": name, "version": version, "arch": arch, "source": source});
        if let Some(package) = package.as_object_mut() {
            match *source {
                "apt" => {
                    package.insert("category".to_owned(), (*fourth).into());
                }
                "rpm" => {
                    package.insert("release".to_owned(), (*fourth).into());
                    let epoch = rest.first().and_then(|epoch| epoch.parse::<i64>().ok());
                    package.insert("epoch".to_owned(), epoch.into());
                }
                _ => {}
            }
        }
        if let Some(list) = packages
            .entry((*name).to_owned())
            .or_insert_with(|| json!([]))
            .as_array_mut()
        {
            list.push(package);
        }
    }
    packages
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let strategy = arguments
        .filled("strategy")
        .unwrap_or_else(|| "first".to_owned());
    let mut words = vec![strategy];
    words.extend(arguments.texts("manager"));
    if words.len() == 1 {
        words.push("auto".to_owned());
    }
    Ok(Box::new(PackageFacts { words }))
}
