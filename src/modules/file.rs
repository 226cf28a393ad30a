//! `file`: folders, links, modes and owners, and removing.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::apply::command_failed;
use super::arguments::Given;
use super::attributes::{
    Attributes, DEFAULT_FOLDER_MODE, DEFAULT_MODE, GROUP, MODE, OWNER, UNSAFE_WRITES,
    about_function, state_word,
};
use super::copy::FILE_RETURNS;
use super::copy_folder::make_folders;
use super::file_state::{entries_for_new_file, host_path};
use super::file_times::{Time, as_touch_takes_it};
use super::mode::Mode;
use super::{
    Argument, ArgumentKind, Arguments, LedgerEntry, Look, Module, ModuleError, ModuleSpec, Plan,
    Step, Verdict,
};
use crate::connect::Command;
use crate::remote::{FileContent, Found, FoundKind, check_removable};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "file",
    aliases: &[],
    summary: "makes folders and links, sets modes and owners, removes",
    arguments: &[
        Argument::required("path", ArgumentKind::Path, "the path on the host")
            .or(&["dest", "name"]),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["file", "directory", "absent", "link", "hard", "touch"]),
            "what is wanted; by default what is there, of which only attributes are set",
        ),
        Argument::optional(
            "src",
            ArgumentKind::Text,
            "where a link points; a relative one starts at the link",
        ),
        Argument::optional(
            "recurse",
            ArgumentKind::Boolean,
            "mode and owner go to everything in the folder too; false by default",
        ),
        MODE,
        OWNER,
        GROUP,
        Argument::optional(
            "follow",
            ArgumentKind::Boolean,
            "a link at `path` stands for what it points at; true by default",
        ),
        Argument::optional(
            "force",
            ArgumentKind::Boolean,
            "a link may point at nothing, and may replace a file or an empty folder; false by default",
        ),
        Argument::optional(
            "access_time",
            ArgumentKind::Text,
            "`now`, `preserve` or a time; `now` by default for `touch`, else `preserve`",
        ),
        Argument::optional(
            "modification_time",
            ArgumentKind::Text,
            "`now`, `preserve` or a time; `now` by default for `touch`, else `preserve`",
        ),
        Argument::optional(
            "access_time_format",
            ArgumentKind::Text,
            "how `access_time` is written; `%Y%m%d%H%M.%S` by default",
        ),
        Argument::optional(
            "modification_time_format",
            ArgumentKind::Text,
            "how `modification_time` is written; `%Y%m%d%H%M.%S` by default",
        ),
        Argument::optional(
            "data",
            ArgumentKind::Boolean,
            "a folder made here holds the user's data: `kk delete` keeps it unless `--with-data`; false by default",
        ),
        UNSAFE_WRITES,
    ],
    examples: r#"- name: a folder with those above it
  file:
    path: /srv/app/data
    state: directory
    owner: app
    mode: "0750"

- name: a link
  file:
    src: /srv/app/current
    dest: /opt/app
    state: link

- name: everything in it belongs to the service
  file:
    path: /srv/app
    state: directory
    recurse: true
    owner: app
    mode: u=rwX,go=rX

- name: gone
  file: {path: /etc/app.conf.old, state: absent}
"#,
    returns: FILE_RETURNS,
    free_form: None,
    build,
    check: Some(check),
};

/// `$1` path, `$2` access time, `$3` modification time: `now`, `preserve` or what `touch -t` takes, `$4` mode of a new file.
const TOUCH: &str = concat!(
    about_function!(),
    r#"
path=$1
if ! [ -e "$path" ]; then
  (umask 077; : >"$path") || exit 1
  chmod -- "$4" "$path" || exit 1
fi
for kind in "a:$2" "m:$3"; do
  case ${kind#?:} in
    preserve) ;;
    now) touch "-${kind%%:*}" -- "$path" || exit 1 ;;
    *) touch "-${kind%%:*}" -t "${kind#?:}" -- "$path" || exit 1 ;;
  esac
done
about "$path"
"#
);

/// `$1` path, `$2` and `$3` times as `touch -t` takes them, or nothing: says whether it has them.
const TIMES: &str = r#"
now=$(stat -c '%X %Y' -- "$1") || exit 1
same() {
  [ -n "$1" ] || return 0
  day=${1%.*} rest=
  rest=${day#????????}
  day=${day%"$rest"}
  month=${day#????}
  text="${day%????}-${month%??}-${month#??} ${rest%??}:${rest#??}:${1#*.}"
  [ "$(date -d "$text" +%s)" = "$2" ]
}
if same "$2" "${now% *}" && same "$3" "${now#* }"; then echo same; else echo other; fi
"#;

/// `$1` a folder: mode, owner and kind of everything in it, a line each.
const EVERYTHING: &str = r#"
find "$1" -exec stat -c '%a %u %g %U %G %F' -- {} +
"#;

/// `$1` folder, `$2` mode, octal or symbolic, `$3` owner, `$4` group, empty for "as it is".
const RECURSE: &str = concat!(
    about_function!(),
    r#"
if [ -n "$3" ]; then chown -R -h -- "$3" "$1" || exit 1; fi
if [ -n "$4" ]; then chgrp -R -h -- "$4" "$1" || exit 1; fi
if [ -n "$2" ]; then chmod -R -- "$2" "$1" || exit 1; fi
about "$1"
"#
);

/// `$1` link, `$2` what it is to be a second name of. Status 3: it is not there; 0 `same` or `other`.
const HARD: &str = r#"
[ -e "$2" ] || exit 3
if [ "$1" -ef "$2" ]; then echo same; else echo other; fi
"#;

const LINK: &str = concat!(
    about_function!(),
    r#"
kind=$1 target=$2 path=$3
if [ -d "$path" ] && [ ! -L "$path" ]; then rmdir -- "$path" || exit 1; fi
if [ "$kind" = hard ]; then
  ln -f -- "$target" "$path" || exit 1
else
  ln -sfn -- "$target" "$path" || exit 1
fi
about "$path"
"#
);

#[derive(Clone, Copy, PartialEq)]
enum State {
    Default,
    File,
    Directory,
    Absent,
    Link,
    Hard,
    Touch,
}

struct File {
    path: String,
    state: State,
    src: Option<String>,
    attributes: Attributes,
    recurse: bool,
    follow: bool,
    force: bool,
    access: Time,
    modification: Time,
    data: bool,
}

impl Module for File {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let is_about_links = matches!(self.state, State::Absent | State::Link | State::Hard);
            let request = FileContent {
                follow: self.follow && !is_about_links,
                ..FileContent::default()
            };
            let found = look.session.look_at(&self.path, &request).await?;
            let planned = match self.state {
                State::Absent => remove(&found),
                State::Directory => self.directory(look, &found).await,
                State::Link => self.link(look, &found).await,
                State::Hard => self.hard(look, &found).await,
                State::Touch => self.touch(look, &found).await,
                State::Default if found.kind == FoundKind::Absent && self.recurse => {
                    self.directory(look, &found).await
                }
                State::Default if found.kind == FoundKind::Directory => {
                    self.directory(look, &found).await
                }
                State::Default | State::File => self.attributes_only(look, &found).await,
            };
            let plan = planned.map_err(|error| {
                let values = Plan::satisfied()
                    .with("state", state_word(&found))
                    .with_found(&found)
                    .with("path", found.path.as_str());
                let values = match &self.src {
                    Some(src) => values.with("src", src.as_str()),
                    None => values,
                };
                let values = values.result.into_iter();
                values.fold(error, |error, (key, value)| error.with_value(&key, value))
            })?;
            let state = match self.state {
                State::Absent => "absent",
                State::Directory => "directory",
                State::Link => "link",
                State::Hard => "hard",
                State::Default if found.kind == FoundKind::Directory => "directory",
                State::Default | State::File | State::Touch => "file",
            };
            let path = if self.path.starts_with('/') {
                self.path.clone()
            } else {
                found.path.clone()
            };
            let plan = match self.state {
                State::Absent => plan,
                _ => plan.with_found(&found),
            };
            let key = match self.state {
                State::Link | State::Hard | State::Touch => "dest",
                _ => "path",
            };
            let plan = plan.with(key, path).with("state", state);
            Ok(match &self.src {
                Some(src) => plan.with("src", src.as_str()),
                None => plan,
            })
        }
        .boxed()
    }
}

impl File {
    async fn directory(&self, look: &Look<'_>, found: &Found) -> Result<Plan, ModuleError> {
        match found.kind {
            FoundKind::Directory => {
                let plan = self.attributes_step(found);
                let plan = self.with_contents(look, found, plan).await?;
                self.with_times(look, found, plan).await
            }
            FoundKind::Absent => {
                let mut folders = found.missing.clone();
                folders.push(found.path.clone());
                let mode = self.attributes.mode_for(found, DEFAULT_FOLDER_MODE);
                let step = make_folders(&self.attributes, mode, folders);
                let mut plan = Plan::change("create", vec![step]);
                let directory = |path: &String| LedgerEntry::Directory {
                    path: path.clone(),
                    recursive: false,
                };
                plan.creates = found.missing.iter().map(directory).collect();
                plan.creates.push(if self.data {
                    LedgerEntry::Data {
                        path: found.path.clone(),
                    }
                } else {
                    directory(&found.path)
                });
                Ok(plan)
            }
            // A link that is not followed serves as a folder when it points at one.
            FoundKind::Link => Ok(Plan::satisfied()),
            other => Err(ModuleError::failed(format!(
                "`{}` is {}, not a folder",
                found.path,
                other.describe()
            ))
            .saying(format!(
                "{} already exists as a {}",
                found.path,
                state_word(found)
            ))
            .with_hint("remove it first")),
        }
    }

    /// With what `recurse` asks for.
    async fn with_contents(
        &self,
        look: &Look<'_>,
        found: &Found,
        plan: Plan,
    ) -> Result<Plan, ModuleError> {
        if !self.recurse || self.attributes.is_empty() {
            return Ok(plan);
        }
        let command = Command::script(EVERYTHING, [found.path.clone()]);
        let output = look.session.probe(command).await?;
        if !output.success() {
            let purpose = format!("look at everything in `{}`", found.path);
            return Err(command_failed(&purpose, &output));
        }
        let answer = output.stdout_text();
        let different = answer.lines().filter(|line| self.differs(line)).count();
        if different == 0 {
            return Ok(plan);
        }
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let step = Step::run(
            format!("set mode and owner of everything in `{}`", found.path),
            Command::script(
                RECURSE,
                [
                    found.path.clone(),
                    self.attributes
                        .mode
                        .as_ref()
                        .map_or_else(String::new, Mode::as_chmod_takes_it),
                    text(&self.attributes.owner),
                    text(&self.attributes.group),
                ],
            ),
        );
        Ok(Plan::change(
            format!("attributes of {different} in it"),
            vec![step],
        ))
    }

    /// Whether a line of [`EVERYTHING`] is not as wanted.
    fn differs(&self, line: &str) -> bool {
        let mut words = line.splitn(6, ' ').map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        let found = Found {
            mode: u32::from_str_radix(&next(), 8).unwrap_or(0),
            uid: next(),
            gid: next(),
            owner: next(),
            group: next(),
            kind: match next().as_str() {
                "directory" => FoundKind::Directory,
                "symbolic link" => FoundKind::Link,
                _ => FoundKind::File,
            },
            ..Found::nothing_at("")
        };
        !self.attributes.differences(&found).is_empty()
    }

    async fn link(&self, look: &Look<'_>, found: &Found) -> Result<Plan, ModuleError> {
        let Some(target) = &self.src else {
            return match found.kind {
                FoundKind::Link => Ok(self.attributes_step(found)),
                _ => Err(ModuleError::failed("a link needs `src`, where it points")),
            };
        };
        let step = Step::run(
            format!("link `{}` to `{target}`", found.path),
            Command::script(
                LINK,
                ["soft".to_owned(), target.clone(), found.path.clone()],
            ),
        );
        let nothing_there = |path: &str| {
            ModuleError::failed(format!(
                "`src`, where the link points, is not there: {path}"
            ))
            .saying(format!(
                "src file does not exist, use \"force=yes\" if you really want to create the link: {path}"
            ))
            .with_hint("set `force: true` to make the link all the same")
        };
        if found.kind == FoundKind::Link && found.target.as_deref() == Some(target) {
            // Even then, as in Ansible.
            if found.is_dangling && !self.force && !look.check_mode {
                return Err(nothing_there(target));
            }
            let only_owner = Attributes {
                mode: None,
                ..self.attributes.clone()
            };
            let words = only_owner.differences(found);
            return Ok(if words.is_empty() {
                Plan::satisfied()
            } else {
                Plan::change(words.join(", "), vec![only_owner.step(found)])
            });
        }
        if !self.force {
            let folder = found.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let absolute = if target.starts_with('/') || target.starts_with("~/") {
                target.clone()
            } else {
                format!("{folder}/{target}")
            };
            let pointed = look
                .session
                .look_at(&absolute, &FileContent::default())
                .await?;
            if pointed.kind == FoundKind::Absent && !look.check_mode {
                return Err(nothing_there(&absolute));
            }
        }
        self.replaced(found, target, step)
    }

    fn replaced(&self, found: &Found, target: &str, step: Step) -> Result<Plan, ModuleError> {
        let mut steps = vec![step];
        if self.attributes.owner.is_some() || self.attributes.group.is_some() {
            steps.push(self.attributes.step_with(&found.path, String::new()));
        }
        match found.kind {
            FoundKind::Link => Ok(Plan::change(
                format!(
                    "link {} -> {target}",
                    found.target.as_deref().unwrap_or_default()
                ),
                steps,
            )),
            FoundKind::Absent => {
                let mut plan = Plan::change("create", steps);
                plan.creates = entries_for_new_file(&found.path);
                Ok(plan)
            }
            FoundKind::File if self.force => Ok(Plan::change("replace a file", steps)),
            FoundKind::Directory if self.force => {
                Ok(Plan::change("replace an empty folder", steps))
            }
            other => Err(ModuleError::failed(format!(
                "`{}` is {}, not a link",
                found.path,
                other.describe()
            ))
            .with_hint("remove it first, or set `force` to replace a file")),
        }
    }

    async fn hard(&self, look: &Look<'_>, found: &Found) -> Result<Plan, ModuleError> {
        let target = self.src.clone().unwrap_or_default();
        if found.kind == FoundKind::Directory && self.force {
            return Err(ModuleError::failed(format!("`{}` is a folder", found.path)));
        }
        let words = [found.path.clone(), target.clone()];
        let output = look.session.probe(Command::script(HARD, words)).await?;
        match (output.status.code(), output.stdout_text().trim()) {
            (0, "same") => return Ok(self.attributes_step(found)),
            (0, _) => {}
            (3, _) => {
                return Err(ModuleError::failed(format!(
                    "`src`, of which a second name is wanted, is not there: {target}"
                )));
            }
            _ => return Err(command_failed(&format!("look at `{target}`"), &output)),
        }
        let step = Step::run(
            format!("give `{target}` the second name `{}`", found.path),
            Command::script(
                LINK,
                ["hard".to_owned(), target.clone(), found.path.clone()],
            ),
        );
        self.replaced(found, &target, step)
    }

    async fn touch(&self, look: &Look<'_>, found: &Found) -> Result<Plan, ModuleError> {
        let step = self.touch_step(found);
        if found.kind == FoundKind::Absent {
            let mut steps = vec![step];
            if self.attributes.owner.is_some() || self.attributes.group.is_some() {
                steps.push(self.attributes.step_with(&found.path, String::new()));
            }
            let mut plan = Plan::change("create", steps);
            plan.creates = entries_for_new_file(&found.path);
            return Ok(plan);
        }
        let plan = self.attributes_step(found);
        self.with_times(look, found, plan).await
    }

    fn touch_step(&self, found: &Found) -> Step {
        let mode = self.attributes.mode_for(found, DEFAULT_MODE);
        Step::run(
            format!("touch `{}`", found.path),
            Command::script(
                TOUCH,
                [
                    found.path.clone(),
                    self.access.word(),
                    self.modification.word(),
                    format!("{mode:04o}"),
                ],
            ),
        )
    }

    /// With what the times ask for.
    async fn with_times(
        &self,
        look: &Look<'_>,
        found: &Found,
        mut plan: Plan,
    ) -> Result<Plan, ModuleError> {
        let times = [&self.access, &self.modification];
        if times.iter().all(|time| **time == Time::Preserve) {
            return Ok(plan);
        }
        if !times.contains(&&Time::Now) {
            let words = [
                found.path.clone(),
                self.access.fixed(),
                self.modification.fixed(),
            ];
            let output = look.session.probe(Command::script(TIMES, words)).await?;
            if !output.success() {
                return Err(command_failed("compare the times", &output));
            }
            if output.stdout_text().trim() == "same" {
                return Ok(plan);
            }
        }
        let mut steps = vec![self.touch_step(found)];
        steps.append(&mut plan.steps);
        let summary = match plan.verdict {
            Verdict::Change(change) => format!("times, {}", change.summary),
            _ => "times".to_owned(),
        };
        Ok(Plan::change(summary, steps))
    }

    async fn attributes_only(&self, look: &Look<'_>, found: &Found) -> Result<Plan, ModuleError> {
        let is_fine = match self.state {
            State::File => matches!(found.kind, FoundKind::File | FoundKind::Other),
            _ => found.kind != FoundKind::Absent,
        };
        if is_fine {
            let plan = self.attributes_step(found);
            return self.with_times(look, found, plan).await;
        }
        if found.kind == FoundKind::Absent && look.check_mode {
            return Ok(Plan::unknown(
                format!("`{}` is not there yet", found.path),
                Vec::new(),
            ));
        }
        Err(
            ModuleError::failed(format!("`{}` is {}", found.path, found.kind.describe()))
                .saying(format!(
                    "file ({}) is {}, cannot continue",
                    found.path,
                    state_word(found)
                ))
                .with_hint("`state: file` makes nothing; use `copy`, `template` or `state: touch`"),
        )
    }

    fn attributes_step(&self, found: &Found) -> Plan {
        let words = self.attributes.differences(found);
        if words.is_empty() {
            return Plan::satisfied();
        }
        Plan::change(words.join(", "), vec![self.attributes.step(found)])
    }
}

/// What removes what was found.
fn remove(found: &Found) -> Result<Plan, ModuleError> {
    if found.kind == FoundKind::Absent {
        return Ok(Plan::satisfied());
    }
    check_removable(&found.path)
        .map_err(|reason| ModuleError::failed(format!("remove `{}`: {reason}", found.path)))?;
    let step = Step::Remove {
        path: found.path.clone(),
    };
    Ok(Plan::change(
        format!("remove {}", found.kind.describe()),
        vec![step],
    ))
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let path = host_path(&arguments, "path")?;
    let path = match path.trim_end_matches('/') {
        "" => "/".to_owned(),
        trimmed => trimmed.to_owned(),
    };
    let recurse = arguments.boolean("recurse", false);
    let state = match arguments.text("state").as_deref() {
        None => State::Default,
        Some("directory") => State::Directory,
        Some("absent") => State::Absent,
        Some("link") => State::Link,
        Some("hard") => State::Hard,
        Some("touch") => State::Touch,
        Some(_) => State::File,
    };
    if recurse && !matches!(state, State::Directory | State::Default) {
        return Err(ModuleError::failed(
            "`recurse` is for `state: directory` only",
        ));
    }
    let src = arguments.filled("src");
    if src.is_some() && !matches!(state, State::Link | State::Hard) {
        return Err(ModuleError::failed(
            "`src` and `state: link` or `hard` belong together",
        ));
    }
    if src.is_none() && state == State::Hard {
        return Err(ModuleError::failed("a hard link needs `src`"));
    }
    let time = |name: &str, format: &str| {
        let format = arguments
            .filled(format)
            .unwrap_or_else(|| "%Y%m%d%H%M.%S".to_owned());
        match arguments.filled(name).as_deref() {
            None if state == State::Touch => Ok(Time::Now),
            None | Some("preserve") => Ok(Time::Preserve),
            Some("now") => Ok(Time::Now),
            Some(text) => as_touch_takes_it(text, &format)
                .map(Time::At)
                .ok_or_else(|| {
                    ModuleError::failed(format!("`{name}` is `{text}`, which is not `{format}`"))
                }),
        }
    };
    Ok(Box::new(File {
        path,
        state,
        src,
        recurse,
        follow: arguments.boolean("follow", true),
        attributes: Attributes::from_arguments(&arguments),
        force: arguments.boolean("force", false),
        access: time("access_time", "access_time_format")?,
        modification: time("modification_time", "modification_time_format")?,
        data: arguments.boolean("data", false),
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    let state = given.literals.get("state").and_then(Value::as_str);
    match state {
        Some("hard") if !given.has("src") => Err("a hard link needs `src`".to_owned()),
        Some(state) if !matches!(state, "link" | "hard") && given.has("src") => {
            Err(format!("`src` has no meaning with `state: {state}`"))
        }
        None if given.has("src") && !given.has("state") => {
            Err("`src` needs `state: link`".to_owned())
        }
        _ => Ok(()),
    }
}
