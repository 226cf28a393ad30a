//! `dnf`: packages of Fedora, Red Hat and their kin.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::apply::{command_failed, output_values};
use super::arguments::Given;
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    Step, StepOutput,
};
use crate::connect::Command;

const fn flag(name: &'static str, summary: &'static str) -> Argument {
    Argument::optional(name, ArgumentKind::Boolean, summary)
}

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "dnf",
    aliases: &["yum", "dnf5"],
    summary: "installs, upgrades and removes packages with dnf, or yum where there is no dnf",
    arguments: &[
        Argument::optional(
            "name",
            ArgumentKind::Texts,
            "the packages, as in `curl`, `curl-7.76*`, `@group`, a file on the host, or `*`",
        )
        .or(&["pkg"]),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "installed", "latest", "absent", "removed"]),
            "what is wanted; `present` by default",
        ),
        flag(
            "update_cache",
            "read the lists of packages anew first; false by default",
        )
        .or(&["expire-cache"]),
        flag(
            "update_only",
            "with `latest` install nothing that is not there; false by default",
        ),
        flag(
            "autoremove",
            "packages that nothing needs any more go; false by default",
        ),
        flag(
            "security",
            "with `latest` only what is about security; false by default",
        ),
        flag(
            "bugfix",
            "with `latest` only what mends mistakes; false by default",
        ),
        flag(
            "disable_gpg_check",
            "also what is not signed; false by default",
        ),
        flag(
            "allow_downgrade",
            "also older versions, which dnf does in any case",
        ),
        flag("allowerasing", "packages in the way go; false by default"),
        flag(
            "nobest",
            "not the newest version, where that one cannot be had; false by default",
        ),
        flag(
            "skip_broken",
            "leave out what cannot be had; false by default",
        ),
        flag(
            "install_weak_deps",
            "recommended packages too; true by default",
        ),
        flag("download_only", "only fetch the files; false by default"),
        Argument::optional(
            "download_dir",
            ArgumentKind::Path,
            "with `download_only` the folder for the files",
        ),
        flag(
            "best",
            "fail where the newest version cannot be had; as the host is set up by default",
        ),
        flag(
            "cacheonly",
            "take what is known of the sources already; false by default",
        ),
        flag(
            "sslverify",
            "check certificates of sources; true by default",
        ),
        Argument::optional(
            "disable_excludes",
            ArgumentKind::Text,
            "packages left alone by settings are taken: `all`, `main` or a source",
        ),
        Argument::optional(
            "disable_plugin",
            ArgumentKind::Texts,
            "plugins of dnf that stay off",
        ),
        Argument::optional(
            "enable_plugin",
            ArgumentKind::Texts,
            "plugins of dnf that are on",
        ),
        Argument::optional(
            "enablerepo",
            ArgumentKind::Texts,
            "sources that are taken too",
        ),
        Argument::optional(
            "disablerepo",
            ArgumentKind::Texts,
            "sources that are left out",
        ),
        Argument::optional(
            "exclude",
            ArgumentKind::Texts,
            "packages that are left alone",
        ),
        Argument::optional("conf_file", ArgumentKind::Path, "the file of settings"),
        Argument::optional(
            "installroot",
            ArgumentKind::Path,
            "the root to install into",
        ),
        Argument::optional(
            "releasever",
            ArgumentKind::Text,
            "the release to install from",
        ),
    ],
    examples: r"- name: what the service needs
  dnf:
    name: [curl, jq]
    state: present
    update_cache: true
",
    returns: &[
        ("results", "what dnf said, line by line"),
        ("stdout", "the same as one text"),
        ("rc", "its exit status"),
    ],
    free_form: None,
    build,
    check: Some(check),
};

/// `$1` state, then options up to `--`, then names: a line `there` or `missing` for each; for `latest` also `outdated`.
const LOOK: &str = r#"
state=$1
shift
if command -v dnf >/dev/null 2>&1; then tool=dnf
elif command -v yum >/dev/null 2>&1; then tool=yum
elif command -v microdnf >/dev/null 2>&1; then tool=microdnf
else echo "there is neither \`dnf\` nor \`yum\`" >&2; exit 4; fi
echo "tool=$tool"
options=
while [ "$#" -gt 0 ] && [ "$1" != -- ]; do
  options="$options '$(printf '%s' "$1" | sed "s/'/'\\\\''/g")'"
  shift
done
shift
for name; do
  case $name in
    @*|'*') echo unknown; continue ;;
    /*|*://*)
      full=$(rpm -qp --qf '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}' -- "$name" 2>/dev/null)
      if [ -n "$full" ] && rpm -q -- "$full" >/dev/null 2>&1; then echo there; else echo missing; fi
      continue ;;
  esac
  if rpm -q -- "$name" >/dev/null 2>&1 || rpm -q --whatprovides -- "$name" >/dev/null 2>&1; then
    echo there
  elif case $name in *[*?]*) [ -n "$(rpm -qa -- "$name")" ] ;; *) false ;; esac; then
    echo there
  else
    echo missing
  fi
done
if [ "$state" = latest ] && [ "$#" -gt 0 ]; then
  eval "$tool -q $options check-update \"\$@\"" >/dev/null 2>&1
  if [ "$?" -eq 100 ]; then echo outdated; fi
fi
exit 0
"#;

/// Runs the first of dnf, yum and microdnf that is there.
const ACT: &str = r#"
for tool in dnf yum microdnf; do
  if command -v "$tool" >/dev/null 2>&1; then exec "$tool" -y "$@"; fi
done
exit 127
"#;

struct Dnf {
    names: Vec<String>,
    state: &'static str,
    update: bool,
    update_only: bool,
    autoremove: bool,
    options: Vec<String>,
}

impl Module for Dnf {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let command = Command::script(LOOK, [self.state])
                .args(&self.options)
                .literal("--")
                .args(&self.names);
            let output = look.session.probe(command).await?;
            if !output.success() {
                return Err(command_failed("look at the packages", &output)
                    .with_hint("`dnf` is for Fedora, Red Hat and their kin; `package` finds out"));
            }
            let text = output.stdout_text();
            let says = |word: &str| text.lines().any(|line| line == word);
            let mut steps = Vec::new();
            if self.update {
                steps.push(self.act("read the lists of packages", &["makecache"], &[]));
            }
            let names = self.names.join(", ");
            let is_known = !says("unknown");
            let act = match self.state {
                "absent" if is_known && !says("there") => None,
                "absent" => Some(self.act(&format!("remove {names}"), &["remove"], &self.names)),
                "latest" if is_known && !says("missing") && !says("outdated") => None,
                "latest" if self.names.iter().any(|name| name == "*") || self.update_only => {
                    let names: Vec<String> = self
                        .names
                        .iter()
                        .filter(|name| *name != "*")
                        .cloned()
                        .collect();
                    Some(self.act("upgrade", &["upgrade"], &names))
                }
                "latest" if !says("missing") && is_known => {
                    Some(self.act(&format!("upgrade {names}"), &["upgrade"], &self.names))
                }
                "present" if is_known && !says("missing") => None,
                _ => Some(self.act(&format!("install {names}"), &["install"], &self.names)),
            };
            let act = if self.names.is_empty() && self.autoremove {
                Some(self.act("remove what nothing needs", &["autoremove"], &[]))
            } else if self.names.is_empty() {
                None
            } else {
                act
            };
            let does = act.is_some();
            steps.extend(act);
            Ok(match (steps.is_empty(), does && is_known) {
                (true, _) => Plan::satisfied(),
                (false, true) => Plan::change(format!("{} {names}", self.state), steps),
                (false, false) => Plan::unknown("it depends on what is to be had", steps),
            }
            .with("rc", 0))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let mut conclusion = Conclusion::default();
        let acted = outputs.len() > usize::from(self.update);
        if let Some(StepOutput::Ran(output)) = outputs.last() {
            conclusion.result = output_values(output);
            let text = output.stdout_text();
            let lines: Vec<&str> = text.lines().collect();
            conclusion.result.insert("results".to_owned(), lines.into());
            let nothing = ["Nothing to do", "No packages marked for", "No match for"];
            let idle = nothing.iter().any(|word| text.contains(word))
                && !text.contains("Complete!")
                || text.contains("Nothing to do");
            conclusion.changed = Some(acted && !idle);
        }
        Ok(conclusion)
    }
}

impl Dnf {
    fn act(&self, purpose: &str, words: &[&str], names: &[String]) -> Step {
        let command = Command::script(ACT, self.options.clone())
            .args(words.iter().copied())
            .args(names);
        Step::run(purpose, command)
    }
}

/// `dnf` for the packages that `package` was asked for.
pub(super) fn plain(
    names: Vec<String>,
    state: &str,
    update: bool,
    options: Vec<String>,
) -> Box<dyn Module> {
    Box::new(Dnf {
        names,
        state: state_of(Some(state)),
        update,
        update_only: false,
        autoremove: false,
        options,
    })
}

fn state_of(state: Option<&str>) -> &'static str {
    match state {
        Some("latest") => "latest",
        Some("absent" | "removed") => "absent",
        _ => "present",
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let is = |name: &str| arguments.boolean(name, false);
    let mut options = Vec::new();
    for (set, option) in [
        (is("disable_gpg_check"), "--nogpgcheck"),
        (is("allowerasing"), "--allowerasing"),
        (is("nobest"), "--nobest"),
        (is("best"), "--best"),
        (is("cacheonly"), "--cacheonly"),
        (
            !arguments.boolean("sslverify", true),
            "--setopt=sslverify=0",
        ),
        (is("skip_broken"), "--skip-broken"),
        (is("download_only"), "--downloadonly"),
        (is("security"), "--security"),
        (is("bugfix"), "--bugfix"),
        (
            !arguments.boolean("install_weak_deps", true),
            "--setopt=install_weak_deps=False",
        ),
    ] {
        if set {
            options.push(option.to_owned());
        }
    }
    for (name, option) in [
        ("enablerepo", "--enablerepo"),
        ("disablerepo", "--disablerepo"),
        ("exclude", "--exclude"),
        ("disable_plugin", "--disableplugin"),
        ("enable_plugin", "--enableplugin"),
    ] {
        for text in arguments.texts(name).iter().filter(|text| !text.is_empty()) {
            options.push(format!("{option}={text}"));
        }
    }
    for (name, option) in [
        ("conf_file", "--config"),
        ("installroot", "--installroot"),
        ("releasever", "--releasever"),
        ("download_dir", "--downloaddir"),
        ("disable_excludes", "--disableexcludes"),
    ] {
        if let Some(text) = arguments.filled(name).filter(|text| text != "/") {
            options.push(format!("{option}={text}"));
        }
    }
    let mut names = arguments.texts("name");
    names.retain(|name| !name.is_empty());
    if let Some(name) = names.iter().find(|name| name.starts_with('-')) {
        return Err(ModuleError::failed(format!(
            "`{name}` cannot name a package"
        )));
    }
    Ok(Box::new(Dnf {
        names,
        state: state_of(arguments.text("state").as_deref()),
        update: is("update_cache"),
        update_only: is("update_only"),
        autoremove: is("autoremove"),
        options,
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    if ["name", "autoremove", "update_cache"]
        .iter()
        .any(|name| given.has(name))
    {
        Ok(())
    } else {
        Err("there is nothing to do: give `name`, `autoremove` or `update_cache`".to_owned())
    }
}
