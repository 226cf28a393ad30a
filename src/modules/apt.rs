//! `apt`: packages of Debian and its kin.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::apply::{command_failed, output_values};
use super::arguments::Given;
use super::find::name_pattern;
use super::line_edit::expression;
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
    name: "apt",
    aliases: &[],
    summary: "installs, upgrades and removes packages with apt-get",
    arguments: &[
        Argument::optional(
            "name",
            ArgumentKind::Texts,
            "the packages, as in `curl`, `curl=7.88*` or `curl/stable`",
        )
        .or(&["package", "pkg"]),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "absent", "latest", "build-dep", "fixed"]),
            "what is wanted; `present` by default",
        ),
        flag(
            "update_cache",
            "read the lists of packages anew first; false by default",
        )
        .or(&["update-cache"]),
        Argument::optional(
            "cache_valid_time",
            ArgumentKind::Integer,
            "seconds for which lists that were read are good enough; 0 by default",
        ),
        Argument::optional(
            "upgrade",
            ArgumentKind::Choice(&["no", "false", "yes", "true", "safe", "dist", "full"]),
            "upgrade everything: `safe` removes nothing, `dist` and `full` may; `no` by default",
        ),
        Argument::optional(
            "deb",
            ArgumentKind::Path,
            "a package's file on the host, instead of `name`",
        ),
        Argument::optional(
            "default_release",
            ArgumentKind::Text,
            "the release that goes before the others",
        )
        .or(&["default-release"]),
        flag(
            "install_recommends",
            "recommended packages too; as the host is set up by default",
        )
        .or(&["install-recommends"]),
        flag(
            "purge",
            "with `state: absent` settings go too; false by default",
        ),
        flag(
            "autoremove",
            "packages that nothing needs any more go; false by default",
        ),
        flag(
            "fail_on_autoremove",
            "fail rather than take away any other package; false by default",
        ),
        flag(
            "autoclean",
            "files of packages that cannot be had any more go; false by default",
        ),
        flag(
            "clean",
            "all files of packages that were fetched go; false by default",
        ),
        flag(
            "only_upgrade",
            "install nothing that is not there; false by default",
        ),
        flag(
            "force",
            "also what is not signed, and older versions; false by default",
        ),
        flag(
            "allow_unauthenticated",
            "also what is not signed; false by default",
        )
        .or(&["allow-unauthenticated"]),
        flag("allow_downgrade", "also older versions; false by default").or(&[
            "allow-downgrade",
            "allow_downgrades",
            "allow-downgrades",
        ]),
        flag(
            "allow_change_held_packages",
            "also packages on hold; false by default",
        ),
        flag(
            "force_apt_get",
            "use apt-get and not aptitude, as kk always does",
        ),
        Argument::optional(
            "dpkg_options",
            ArgumentKind::Text,
            "options of dpkg with commas between; `force-confdef,force-confold` by default",
        ),
        Argument::optional(
            "lock_timeout",
            ArgumentKind::Integer,
            "for how many seconds to wait while another one holds the lock; 60 by default",
        ),
    ],
    examples: r"- name: what the service needs
  apt:
    name: [curl, jq]
    update_cache: true
    cache_valid_time: 3600

- name: everything anew
  apt: {upgrade: dist, autoremove: true}
",
    returns: &[
        (
            "cache_updated",
            "whether the lists of packages were read anew",
        ),
        (
            "cache_update_time",
            "when they were read last, in seconds since 1970",
        ),
        ("stdout", "what apt-get said"),
        ("stderr", "what it said to standard error"),
    ],
    free_form: None,
    build,
    check: Some(check),
};

/// When the lists were read.
const READ_AT: &str = r#"
for file in /var/lib/apt/periodic/update-success-stamp /var/lib/apt/lists; do
  if [ -e "$file" ]; then stat -c cache=%Y -- "$file"; break; fi
done
"#;

/// The names of packages: the time, when the lists were read, and a line for each that dpkg knows.
const LOOK: &str = r#"
command -v apt-get >/dev/null 2>&1 || { echo "there is no program \`apt-get\`" >&2; exit 4; }
date +now=%s
for file in /var/lib/apt/periodic/update-success-stamp /var/lib/apt/lists; do
  if [ -e "$file" ]; then stat -c cache=%Y -- "$file"; break; fi
done
[ "$#" -gt 0 ] || exit 0
dpkg-query -W -f 'package=${db:Status-Status} ${Package} ${Version} ${Architecture}\n' -- "$@" 2>/dev/null
exit 0
"#;

/// A file of a package: `package=NAME VERSION`, and what of it is installed.
const LOOK_FILE: &str = r#"
[ -f "$1" ] || { echo "there is no file \`$1\`" >&2; exit 1; }
name=$(dpkg-deb -f "$1" Package) && version=$(dpkg-deb -f "$1" Version) || exit 1
have=$(dpkg-query -W -f '${db:Status-Status} ${Version}' -- "$name" 2>/dev/null)
if [ "$have" = "installed $version" ]; then echo same; else echo other; fi
"#;

struct Apt {
    names: Vec<String>,
    state: String,
    update: bool,
    valid: i64,
    upgrade: Option<&'static str>,
    file: Option<String>,
    options: Vec<String>,
    purge: bool,
    autoremove: bool,
    cleaning: Vec<&'static str>,
    /// Nothing but the lists was asked for.
    only_lists: AtomicBool,
    reads_lists: AtomicBool,
    /// When they were read before.
    read_before: AtomicI64,
}

/// What the host says about itself.
struct Found {
    now: i64,
    cache: i64,
    /// Status, name, version, architecture.
    packages: Vec<[String; 4]>,
}

impl Found {
    fn parse(text: &str) -> Self {
        let number = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(key));
            value.and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        let packages = text.lines().filter_map(|line| {
            let words: Vec<String> = line
                .strip_prefix("package=")?
                .splitn(4, ' ')
                .map(str::to_owned)
                .collect();
            words.try_into().ok()
        });
        Self {
            now: number("now="),
            cache: number("cache="),
            packages: packages.collect(),
        }
    }

    /// Whether a package of this name, and version if one is named, is there.
    fn has(&self, wanted: &str) -> bool {
        let (name, version) = match wanted.split_once('=') {
            Some((name, version)) => (name, Some(version)),
            None => (wanted, None),
        };
        let (name, architecture) = match name.split_once(':') {
            Some((name, architecture)) => (name, Some(architecture)),
            None => (name, None),
        };
        let version = version.and_then(|version| expression(&name_pattern(version)).ok());
        self.packages.iter().any(|[status, package, now, machine]| {
            status == "installed"
                && package == name
                && architecture.is_none_or(|wanted| wanted == machine)
                && version.as_ref().is_none_or(|version| version.is_match(now))
        })
    }

    /// Whether anything of a package is there that a removal would take.
    fn has_anything(&self, wanted: &str, purge: bool) -> bool {
        let name = wanted.split(['=', ':']).next().unwrap_or(wanted);
        let pattern = expression(&name_pattern(name)).ok();
        self.packages.iter().any(|[status, package, ..]| {
            let counts = status == "installed" || purge && status == "config-files";
            counts
                && pattern
                    .as_ref()
                    .is_some_and(|pattern| pattern.is_match(package))
        })
    }
}

/// The counts of apt-get's summary.
fn changes(text: &str) -> Option<bool> {
    let line = text
        .lines()
        .rev()
        .find(|line| line.contains(" upgraded, ") && line.contains(" newly installed, "))?;
    let counts = line.split(|letter: char| !letter.is_ascii_digit());
    // The last count is of what is held back.
    let counts: Vec<&str> = counts.filter(|count| !count.is_empty()).collect();
    let held = usize::from(line.contains("not upgraded"));
    let counts = counts.get(..counts.len().saturating_sub(held))?;
    Some(counts.iter().any(|count| *count != "0"))
}

impl Module for Apt {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let bare: Vec<String> = self
                .names
                .iter()
                .map(|name| name.split(['=', '/']).next().unwrap_or_default().to_owned())
                .collect();
            let output = look.session.probe(Command::script(LOOK, bare)).await?;
            if !output.success() {
                let error = command_failed("look at the packages", &output);
                return Err(error.with_hint("`apt` is for Debian and its kin; `package` finds out"));
            }
            let found = Found::parse(&output.stdout_text());
            let lists_are_old = self.update && found.now - found.cache >= self.valid.max(1);
            let mut steps = Vec::new();
            if lists_are_old {
                steps.push(self.run("read the lists of packages", &["update"], &[]));
            }
            let act = self.action(look, &found, lists_are_old).await?;
            let is_certain = !lists_are_old && act.is_some();
            self.only_lists.store(act.is_none(), Ordering::Relaxed);
            self.reads_lists.store(lists_are_old, Ordering::Relaxed);
            self.read_before.store(found.cache, Ordering::Relaxed);
            if lists_are_old && act.is_none() {
                // Lists that are the same as before are no change.
                let command = Command::script(READ_AT, Vec::<String>::new());
                steps.push(Step::run("see when the lists were read", command));
            }
            steps.extend(act);
            for word in &self.cleaning {
                steps.push(self.run("clean up", &[*word], &[]));
            }
            let plan = if steps.is_empty() {
                Plan::satisfied()
            } else if is_certain {
                Plan::change(format!("{} {}", self.state, self.names.join(" ")), steps)
            } else {
                Plan::unknown("it depends on the new lists of packages", steps)
            };
            Ok(plan
                .with("cache_updated", lists_are_old)
                .with("cache_update_time", found.cache))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let mut conclusion = Conclusion::default();
        let only_lists = self.only_lists.load(Ordering::Relaxed);
        let reads_lists = self.reads_lists.load(Ordering::Relaxed);
        let act = outputs
            .get(usize::from(reads_lists && !only_lists))
            .or(outputs.first());
        let mut changed = false;
        if only_lists
            && reads_lists
            && let Some(StepOutput::Ran(output)) = outputs.get(1)
        {
            let read_at = Found::parse(&output.stdout_text()).cache;
            changed = self.names.is_empty() && read_at != self.read_before.load(Ordering::Relaxed);
            conclusion
                .result
                .insert("cache_update_time".to_owned(), read_at.into());
        }
        if let Some(StepOutput::Ran(output)) = act {
            conclusion.result.extend(output_values(output));
            if !only_lists {
                let said = changes(&output.stdout_text());
                changed = said.unwrap_or(self.file.is_some() || self.purge);
            }
        }
        conclusion.changed = Some(changed);
        Ok(conclusion)
    }
}

impl Apt {
    /// The step that does what is asked for, if anything is to be done.
    async fn action(
        &self,
        look: &Look<'_>,
        found: &Found,
        lists_are_old: bool,
    ) -> Result<Option<Step>, ModuleError> {
        if let Some(path) = &self.file {
            let command = Command::script(LOOK_FILE, [path.clone()]);
            let output = look.session.probe(command).await?;
            if !output.success() {
                return Err(command_failed(&format!("look into `{path}`"), &output));
            }
            let is_there = output.stdout_text().trim() == "same";
            return Ok((!is_there).then(|| {
                self.run(
                    &format!("install `{path}`"),
                    &["install"],
                    std::slice::from_ref(path),
                )
            }));
        }
        if let Some(verb) = self.upgrade {
            return self
                .unless_nothing(look, lists_are_old, "upgrade", &[verb], &[])
                .await;
        }
        if self.names.is_empty() {
            if self.autoremove && self.cleaning.is_empty() {
                return self
                    .unless_nothing(
                        look,
                        false,
                        "remove what nothing needs",
                        &["autoremove"],
                        &[],
                    )
                    .await;
            }
            return Ok(None);
        }
        let names = self.names.join(", ");
        match self.state.as_str() {
            "absent" => {
                let there: Vec<String> = self
                    .names
                    .iter()
                    .filter(|name| found.has_anything(name, self.purge))
                    .cloned()
                    .collect();
                if there.is_empty() {
                    return Ok(None);
                }
                let mut words = vec!["remove"];
                if self.purge {
                    words.push("--purge");
                }
                if self.autoremove {
                    words.push("--auto-remove");
                }
                Ok(Some(self.run(&format!("remove {names}"), &words, &there)))
            }
            "build-dep" => Ok(Some(self.run(
                &format!("install what {names} is built with"),
                &["build-dep"],
                &self.names,
            ))),
            "present" if self.names.iter().all(|name| found.has(name)) => Ok(None),
            state => {
                let mut words = vec!["install"];
                if state == "fixed" {
                    words.push("--fix-broken");
                }
                if self.autoremove {
                    words.push("--auto-remove");
                }
                self.unless_nothing(
                    look,
                    lists_are_old,
                    &format!("install {names}"),
                    &words,
                    &self.names,
                )
                .await
            }
        }
    }

    /// The step, unless apt-get says in a simulation that it would do nothing.
    async fn unless_nothing(
        &self,
        look: &Look<'_>,
        lists_are_old: bool,
        purpose: &str,
        words: &[&str],
        names: &[String],
    ) -> Result<Option<Step>, ModuleError> {
        if !lists_are_old {
            let output = look
                .session
                .probe(self.command(words, names).literal("--simulate"))
                .await?;
            if !output.success() {
                let error = command_failed(purpose, &output)
                    .with_hint("with `update_cache: true` the lists of packages are read first");
                let said = output.stderr_text();
                let unknown = said
                    .lines()
                    .find_map(|line| line.strip_prefix("E: Unable to locate package "));
                return Err(match unknown {
                    Some(name) => {
                        error.saying(format!("No package matching '{name}' is available"))
                    }
                    None => error,
                });
            }
            if changes(&output.stdout_text()) == Some(false) {
                return Ok(None);
            }
        }
        Ok(Some(self.run(purpose, words, names)))
    }

    fn command(&self, words: &[&str], names: &[String]) -> Command {
        Command::new("env DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical apt-get -y")
            .args(&self.options)
            .args(words.iter().copied())
            .args(names)
    }

    fn run(&self, purpose: &str, words: &[&str], names: &[String]) -> Step {
        Step::run(purpose, self.command(words, names))
    }
}

/// `apt` for the packages that `package` was asked for.
pub(super) fn plain(names: Vec<String>, state: &str, update: bool) -> Box<dyn Module> {
    Box::new(Apt {
        names,
        state: state.to_owned(),
        update,
        valid: 0,
        upgrade: None,
        file: None,
        options: options_of(&Arguments::default()),
        purge: false,
        autoremove: false,
        cleaning: Vec::new(),
        only_lists: AtomicBool::new(false),
        reads_lists: AtomicBool::new(false),
        read_before: AtomicI64::new(0),
    })
}

fn options_of(arguments: &Arguments) -> Vec<String> {
    let is = |name: &str| arguments.boolean(name, false);
    let mut options = Vec::new();
    let dpkg = arguments
        .filled("dpkg_options")
        .unwrap_or_else(|| "force-confdef,force-confold".to_owned());
    for option in dpkg
        .split(',')
        .map(str::trim)
        .filter(|option| !option.is_empty())
    {
        options.extend(["-o".to_owned(), format!("Dpkg::Options::=--{option}")]);
    }
    let wait = arguments.integer("lock_timeout").unwrap_or(60);
    options.extend(["-o".to_owned(), format!("DPkg::Lock::Timeout={wait}")]);
    if let Some(release) = arguments.filled("default_release") {
        options.extend(["-t".to_owned(), release]);
    }
    match arguments.flag("install_recommends") {
        Some(true) => options.extend(["-o".to_owned(), "APT::Install-Recommends=yes".to_owned()]),
        Some(false) => options.extend(["-o".to_owned(), "APT::Install-Recommends=no".to_owned()]),
        None => {}
    }
    for (set, option) in [
        (is("only_upgrade"), "--only-upgrade"),
        (is("fail_on_autoremove"), "--no-remove"),
        (
            is("force") || is("allow_unauthenticated"),
            "--allow-unauthenticated",
        ),
        (is("force") || is("allow_downgrade"), "--allow-downgrades"),
        (
            is("force") || is("allow_change_held_packages"),
            "--allow-change-held-packages",
        ),
    ] {
        if set {
            options.push(option.to_owned());
        }
    }
    options
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let mut names = arguments.texts("name");
    names.retain(|name| !name.is_empty());
    if let Some(name) = names.iter().find(|name| name.starts_with('-')) {
        return Err(ModuleError::failed(format!(
            "`{name}` cannot name a package"
        )));
    }
    let everything = names.iter().any(|name| name == "*");
    let state = arguments
        .filled("state")
        .unwrap_or_else(|| "present".to_owned());
    let mut upgrade = match arguments.filled("upgrade").as_deref() {
        Some("dist" | "full") => Some("dist-upgrade"),
        Some("yes" | "true" | "safe") => Some("upgrade"),
        _ => None,
    };
    if everything && state == "latest" {
        names.clear();
        upgrade = upgrade.or(Some("upgrade"));
    }
    let file = arguments.filled("deb");
    if file.as_ref().is_some_and(|file| file.contains("://")) {
        return Err(
            ModuleError::failed("`deb` is a URL, which is not fetched here")
                .with_hint("fetch it with `get_url` first"),
        );
    }
    let mut cleaning = Vec::new();
    for word in ["autoclean", "clean"] {
        if arguments.boolean(word, false) {
            cleaning.push(word);
        }
    }
    // A time for which lists are good is a wish to have them read.
    let valid = arguments.integer("cache_valid_time").unwrap_or(0);
    let update = arguments.flag("update_cache").unwrap_or(valid > 0);
    Ok(Box::new(Apt {
        names,
        state,
        update,
        valid,
        upgrade,
        file,
        options: options_of(&arguments),
        purge: arguments.boolean("purge", false),
        autoremove: arguments.boolean("autoremove", false),
        cleaning,
        only_lists: AtomicBool::new(false),
        reads_lists: AtomicBool::new(false),
        read_before: AtomicI64::new(0),
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    let any = [
        "name",
        "deb",
        "upgrade",
        "update_cache",
        "cache_valid_time",
        "autoremove",
        "autoclean",
        "clean",
    ];
    if !any.iter().any(|name| given.has(name)) {
        return Err(
            "there is nothing to do: give `name`, `upgrade`, `deb` or `update_cache`".to_owned(),
        );
    }
    if given.has("name") && given.has("deb") {
        return Err("`name` and `deb` exclude each other".to_owned());
    }
    if given.has("name")
        && given.literals.get("upgrade").is_some_and(
            |value| !matches!(value, Value::String(text) if text == "no" || text == "false"),
        )
    {
        return Err("`name` and `upgrade` exclude each other".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::changes;

    #[test]
    fn the_summary_says_whether_anything_was_done() {
        let line = "0 upgraded, 0 newly installed, 0 to remove and 12 not upgraded.";
        assert_eq!(changes(line), Some(false));
        assert_eq!(changes(&line.replacen('0', "1", 1)), Some(true));
        assert_eq!(changes("nothing"), None);
    }
}
