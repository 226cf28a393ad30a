//! `file`: folders, links, modes and owners, and removing.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::arguments::Given;
use super::copy::{GROUP, MODE, OWNER};
use super::file_state::{Attributes, entries_for_new_file, host_path};
use super::{
    Argument, ArgumentKind, Arguments, LedgerEntry, Look, Module, ModuleError, ModuleSpec, Plan,
    Step,
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
            ArgumentKind::Choice(&["file", "directory", "absent", "link", "touch"]),
            "what is wanted; `file` (only set attributes of what is there) by default",
        ),
        Argument::optional("src", ArgumentKind::Text, "where a link points"),
        MODE,
        OWNER,
        GROUP,
        Argument::optional(
            "force",
            ArgumentKind::Boolean,
            "a link may replace a file; false by default",
        ),
        Argument::optional(
            "access_time",
            ArgumentKind::Choice(&["now", "preserve"]),
            "for `touch`: `preserve` leaves the time of a file that is there; `now` by default",
        ),
        Argument::optional(
            "modification_time",
            ArgumentKind::Choice(&["now", "preserve"]),
            "for `touch`: `preserve` leaves the time of a file that is there; `now` by default",
        ),
        Argument::optional(
            "data",
            ArgumentKind::Boolean,
            "a folder made here holds the user's data: `kk delete` keeps it unless `--with-data`; false by default",
        ),
    ],
    free_form: None,
    build,
    check: Some(check),
};

/// `$1` mode, `$2` owner, `$3` group, then folders, the topmost first.
const MAKE_FOLDERS: &str = r#"
mode=$1 owner=$2 group=$3
shift 3
umask 077
for folder; do
  [ -d "$folder" ] || mkdir -- "$folder" || exit 1
  if [ -n "$owner" ]; then chown -- "$owner" "$folder" || exit 1; fi
  if [ -n "$group" ]; then chgrp -- "$group" "$folder" || exit 1; fi
  chmod -- "$mode" "$folder" || exit 1
done
"#;

const TOUCH: &str = r#"
path=$1 mode=$2 access=$3 modification=$4
if [ -e "$path" ]; then
  if [ "$access" = now ]; then touch -a -- "$path" || exit 1; fi
  if [ "$modification" = now ]; then touch -m -- "$path" || exit 1; fi
else
  umask 077
  : >"$path" || exit 1
  chmod -- "$mode" "$path" || exit 1
fi
"#;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Default,
    File,
    Directory,
    Absent,
    Link,
    Touch,
}

struct File {
    path: String,
    state: State,
    src: Option<String>,
    attributes: Attributes,
    force: bool,
    access_now: bool,
    modification_now: bool,
    data: bool,
}

impl Module for File {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let found = look
                .session
                .look_at(&self.path, &FileContent::default())
                .await?;
            let plan = match self.state {
                State::Absent => remove(&found)?,
                State::Directory => self.directory(&found)?,
                State::Link => self.link(&found)?,
                State::Touch => self.touch(&found),
                State::Default | State::File => self.attributes_only(&found, look.check_mode)?,
            };
            let state = match self.state {
                State::Absent => "absent",
                State::Directory => "directory",
                State::Link => "link",
                State::Default if found.kind == FoundKind::Directory => "directory",
                State::Default | State::File | State::Touch => "file",
            };
            Ok(plan.with("path", found.path).with("state", state))
        }
        .boxed()
    }
}

impl File {
    fn directory(&self, found: &Found) -> Result<Plan, ModuleError> {
        match found.kind {
            FoundKind::Directory => Ok(self.attributes_step(found)),
            FoundKind::Absent => {
                let mut folders = found.missing.clone();
                folders.push(found.path.clone());
                let text = |value: &Option<String>| value.clone().unwrap_or_default();
                let mut arguments = vec![
                    format!("{:04o}", self.attributes.mode.unwrap_or(0o755)),
                    text(&self.attributes.owner),
                    text(&self.attributes.group),
                ];
                arguments.extend(folders.iter().cloned());
                let step = Step::run(
                    format!("make the folder `{}`", found.path),
                    Command::script(MAKE_FOLDERS, arguments),
                );
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
            // A link to a folder serves as one, as in Ansible; its attributes are somebody else's.
            FoundKind::Link => Ok(Plan::satisfied()),
            other => Err(ModuleError::failed(format!(
                "`{}` is {}, not a folder",
                found.path,
                other.describe()
            ))
            .with_hint("remove it first")),
        }
    }

    fn link(&self, found: &Found) -> Result<Plan, ModuleError> {
        let target = self.src.clone().unwrap_or_default();
        let step = Step::run(
            format!("link `{}` to `{target}`", found.path),
            Command::new("ln -sfn --")
                .arg(target.clone())
                .arg(found.path.clone()),
        );
        match found.kind {
            FoundKind::Link if found.target.as_deref() == Some(&target) => Ok(Plan::satisfied()),
            FoundKind::Link => Ok(Plan::change(
                format!(
                    "link {} -> {target}",
                    found.target.as_deref().unwrap_or_default()
                ),
                vec![step],
            )),
            FoundKind::Absent => {
                let mut plan = Plan::change("create", vec![step]);
                plan.creates = entries_for_new_file(&found.path);
                Ok(plan)
            }
            FoundKind::File if self.force => Ok(Plan::change("replace a file", vec![step])),
            other => Err(ModuleError::failed(format!(
                "`{}` is {}, not a link",
                found.path,
                other.describe()
            ))
            .with_hint("remove it first, or set `force` to replace a file")),
        }
    }

    fn touch(&self, found: &Found) -> Plan {
        let word = |now| if now { "now" } else { "preserve" };
        let mode = self.attributes.mode.unwrap_or(0o644);
        let step = Step::run(
            format!("touch `{}`", found.path),
            Command::script(
                TOUCH,
                [
                    found.path.clone(),
                    format!("{mode:04o}"),
                    word(self.access_now).to_owned(),
                    word(self.modification_now).to_owned(),
                ],
            ),
        );
        if found.kind == FoundKind::Absent {
            let mut steps = vec![step];
            if self.attributes.owner.is_some() || self.attributes.group.is_some() {
                steps.push(self.attributes.step(&found.path, false));
            }
            let mut plan = Plan::change("create", steps);
            plan.creates = entries_for_new_file(&found.path);
            return plan;
        }
        let mut plan = self.attributes_step(found);
        if self.access_now || self.modification_now {
            let mut steps = vec![step];
            steps.append(&mut plan.steps);
            plan = Plan::change("times", steps);
        }
        plan
    }

    fn attributes_only(&self, found: &Found, check_mode: bool) -> Result<Plan, ModuleError> {
        let is_fine = match self.state {
            State::File => found.kind == FoundKind::File,
            _ => found.kind != FoundKind::Absent,
        };
        if is_fine {
            return Ok(self.attributes_step(found));
        }
        if found.kind == FoundKind::Absent && check_mode {
            return Ok(Plan::unknown(
                format!("`{}` is not there yet", found.path),
                Vec::new(),
            ));
        }
        Err(
            ModuleError::failed(format!("`{}` is {}", found.path, found.kind.describe()))
                .with_hint("`state: file` makes nothing; use `copy`, `template` or `state: touch`"),
        )
    }

    fn attributes_step(&self, found: &Found) -> Plan {
        let words = self.attributes.differences(found);
        if words.is_empty() {
            return Plan::satisfied();
        }
        let is_link = found.kind == FoundKind::Link;
        Plan::change(
            words.join(", "),
            vec![self.attributes.step(&found.path, is_link)],
        )
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
    let state = match arguments.text("state").as_deref() {
        None => State::Default,
        Some("directory") => State::Directory,
        Some("absent") => State::Absent,
        Some("link") => State::Link,
        Some("touch") => State::Touch,
        Some(_) => State::File,
    };
    let src = arguments.text("src").filter(|target| !target.is_empty());
    if (state == State::Link) != src.is_some() {
        return Err(ModuleError::failed(
            "`src` and `state: link` belong together",
        ));
    }
    let is_now = |name: &str| arguments.text(name).as_deref() != Some("preserve");
    Ok(Box::new(File {
        path,
        state,
        src,
        attributes: Attributes::from_arguments(&arguments),
        force: arguments.boolean("force", false),
        access_now: is_now("access_time"),
        modification_now: is_now("modification_time"),
        data: arguments.boolean("data", false),
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    let state = given.literals.get("state").and_then(Value::as_str);
    match state {
        Some("link") if !given.has("src") => Err("a link needs `src`, where it points".to_owned()),
        Some(state) if state != "link" && given.has("src") => {
            Err(format!("`src` has no meaning with `state: {state}`"))
        }
        None if given.has("src") && !given.has("state") => {
            Err("`src` needs `state: link`".to_owned())
        }
        _ => Ok(()),
    }
}
