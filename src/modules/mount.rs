//! `mount`: file systems, in `/etc/fstab` and now.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value;

use super::apply::command_failed;
use super::arguments::Given;
use super::attributes::Attributes;
use super::edited_file::EditedFile;
use super::file_state::{Care, host_path};
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    Step, StepOutput, Verdict,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "mount",
    aliases: &[],
    summary: "keeps file systems in `/etc/fstab`, and mounts and unmounts them",
    arguments: &[
        Argument::required("path", ArgumentKind::Path, "where it is mounted").or(&["name"]),
        Argument::required(
            "state",
            ArgumentKind::Choice(&[
                "mounted",
                "unmounted",
                "present",
                "absent",
                "absent_from_fstab",
                "remounted",
                "ephemeral",
            ]),
            "`mounted`: in fstab and mounted; `present`: in fstab only; `unmounted`: not mounted, fstab as it is; `absent`: neither, and its folder goes; `ephemeral`: mounted only",
        ),
        Argument::optional(
            "src",
            ArgumentKind::Text,
            "what is mounted, as in `/dev/vdb1`",
        ),
        Argument::optional("fstype", ArgumentKind::Text, "its kind, as in `ext4`"),
        Argument::optional(
            "opts",
            ArgumentKind::Text,
            "options with commas between; `defaults` by default",
        ),
        Argument::optional("dump", ArgumentKind::Text, "the fifth field; 0 by default"),
        Argument::optional(
            "passno",
            ArgumentKind::Text,
            "the sixth field; 0 by default",
        ),
        Argument::optional(
            "boot",
            ArgumentKind::Boolean,
            "a boot mounts it; false adds `noauto`; true by default",
        ),
        Argument::optional(
            "fstab",
            ArgumentKind::Path,
            "the table; `/etc/fstab` by default",
        ),
        Argument::optional(
            "backup",
            ArgumentKind::Boolean,
            "keep a copy of the table; false by default",
        ),
    ],
    examples: r"- name: the data lies on a disk of its own
  ansible.posix.mount:
    path: /srv/data
    src: /dev/vdb1
    fstype: ext4
    opts: noatime
    state: mounted
",
    returns: &[
        ("name", "where it is mounted"),
        ("src", "what is mounted"),
        ("fstype", "its kind"),
        ("opts", "its options"),
        ("fstab", "the table"),
        ("backup_file", "the copy of the table, when one was made"),
    ],
    free_form: None,
    build,
    check: Some(check),
};

/// `$1` a path: what is mounted there, in the fields of `/proc/mounts`, and `folder` when there is one.
const LOOK: &str = r#"
while read -r src path kind opts _; do
  if [ "$(printf '%b' "$path")" = "$1" ]; then printf 'mounted=%s %s %s\n' "$src" "$kind" "$opts"; fi
done </proc/mounts
if [ -d "$1" ]; then echo folder=yes; fi
"#;

/// `$1` path, `$2` table, `$3` source, `$4` kind, `$5` options: mounts by the table, or by itself when a source is given.
const MOUNT: &str = r#"
[ -e "$1" ] || mkdir -p -- "$1" || exit 1
if [ -n "$3" ]; then exec mount -t "$4" -o "$5" -- "$3" "$1"; fi
if [ "$2" = /etc/fstab ]; then exec mount -- "$1"; fi
exec mount -T "$2" -- "$1"
"#;

const REMOUNT: &str = r#"
if [ -n "$2" ]; then opts=remount,$2; else opts=remount; fi
mount -o "$opts" -- "$1" && exit 0
umount -- "$1" && mount -- "$1"
"#;

struct Mount {
    path: String,
    state: String,
    src: String,
    kind: String,
    options: String,
    line: String,
    table: EditedFile,
}

/// A field as the table has it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\134")
        .replace(' ', "\\040")
        .replace('\t', "\\011")
}

/// The table with this line for a path, or without any for it.
fn edited(text: &str, path: &str, src: &str, line: Option<&str>) -> String {
    let path = escaped(path);
    let mut lines: Vec<String> = Vec::new();
    let (mut is_there, mut is_changed) = (false, false);
    for old in text.lines() {
        let fields: Vec<&str> = old.split_whitespace().collect();
        let field = |index: usize| fields.get(index).copied().unwrap_or("");
        let is_entry = !old.trim_start().starts_with('#') && (4..=6).contains(&fields.len());
        // Swap has no place: what is swapped to tells entries apart.
        let is_ours = is_entry && field(1) == path && (path != "none" || field(0) == src);
        if !is_ours {
            lines.push(old.to_owned());
            continue;
        }
        let Some(line) = line else {
            is_changed = true;
            continue;
        };
        is_there = true;
        let wanted: Vec<&str> = line.split_whitespace().collect();
        let mut now = fields.clone();
        while now.len() < 6 {
            now.push("0");
        }
        if now == wanted {
            lines.push(old.to_owned());
        } else {
            is_changed = true;
            lines.push(line.to_owned());
        }
    }
    if let Some(line) = line
        && !is_there
    {
        is_changed = true;
        lines.push(line.to_owned());
    }
    if is_changed {
        lines.iter().map(|line| format!("{line}\n")).collect()
    } else {
        text.to_owned()
    }
}

impl Module for Mount {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let output = look
                .session
                .probe(Command::script(LOOK, [self.path.clone()]))
                .await?;
            if !output.success() {
                return Err(command_failed("look at what is mounted", &output));
            }
            let answer = output.stdout_text();
            let mounted = answer
                .lines()
                .filter_map(|line| line.strip_prefix("mounted="))
                .next_back();
            let has_folder = answer.lines().any(|line| line == "folder=yes");
            let writes_table = matches!(
                self.state.as_str(),
                "mounted" | "present" | "absent" | "absent_from_fstab"
            );
            let mut plan = Plan::satisfied();
            if writes_table {
                let line = matches!(self.state.as_str(), "mounted" | "present")
                    .then_some(self.line.as_str());
                let edit = |old: &str| edited(old, &self.path, &self.src, line);
                plan = self.table.plan(look, edit).await?.0;
            }
            let is_new_line = !plan.is_satisfied();
            let mut words = match &plan.verdict {
                Verdict::Change(_) => vec!["fstab".to_owned()],
                _ => Vec::new(),
            };
            let mut more = Vec::new();
            match (self.state.as_str(), mounted) {
                ("mounted" | "remounted", None) => {
                    words.push("mount".to_owned());
                    more.push(self.mount_step(false));
                }
                ("mounted", Some(_)) if is_new_line => {
                    words.push("mount again".to_owned());
                    more.push(self.remount_step());
                }
                ("ephemeral", None) => {
                    words.push("mount".to_owned());
                    more.push(self.mount_step(true));
                }
                ("ephemeral", Some(now)) => {
                    let src = now.split(' ').next().unwrap_or_default();
                    if src != self.src {
                        return Err(ModuleError::failed(format!(
                            "`{src}` is mounted at `{}`, not `{}`",
                            self.path, self.src
                        )));
                    }
                    words.push("mount again".to_owned());
                    more.push(self.remount_step());
                }
                ("remounted", Some(_)) => {
                    words.push("mount again".to_owned());
                    more.push(self.remount_step());
                }
                ("unmounted" | "absent", Some(_)) => {
                    words.push("unmount".to_owned());
                    more.push(Step::run(
                        format!("unmount `{}`", self.path),
                        Command::new("umount --").arg(&self.path),
                    ));
                }
                _ => {}
            }
            if self.state == "absent" && has_folder && (is_new_line || !more.is_empty()) {
                more.push(Step::run(
                    format!("remove the folder `{}`", self.path),
                    Command::new("rmdir --").arg(&self.path),
                ));
            }
            if !more.is_empty() {
                let diff = match plan.verdict {
                    Verdict::Change(change) => change.diff,
                    _ => None,
                };
                let mut steps = plan.steps;
                steps.append(&mut more);
                plan = Plan {
                    creates: plan.creates,
                    ..Plan::change(words.join(", "), steps).with_diff(diff)
                };
            }
            Ok(plan
                .with("name", self.path.as_str())
                .with("src", self.src.as_str())
                .with("fstype", self.kind.as_str())
                .with("opts", self.options.as_str())
                .with("fstab", self.table.path.as_str()))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let mut conclusion = super::copy::conclude_write(outputs);
        conclusion.result.retain(|key, _| key == "backup_file");
        Ok(conclusion)
    }
}

impl Mount {
    fn mount_step(&self, alone: bool) -> Step {
        let only = |text: &String| if alone { text.clone() } else { String::new() };
        Step::run(
            format!("mount `{}`", self.path),
            Command::script(
                MOUNT,
                [
                    self.path.clone(),
                    self.table.path.clone(),
                    only(&self.src),
                    only(&self.kind),
                    only(&self.options),
                ],
            ),
        )
    }

    fn remount_step(&self) -> Step {
        let options = if self.options == "defaults" {
            ""
        } else {
            &self.options
        };
        Step::run(
            format!("mount `{}` again", self.path),
            Command::script(REMOUNT, [self.path.as_str(), options]),
        )
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let text =
        |name: &str, default: &str| arguments.filled(name).unwrap_or_else(|| default.to_owned());
    let state = arguments.required_text("state")?;
    let given = arguments.required_text("path")?;
    let path = if matches!(given.as_str(), "none" | "swap") {
        given
    } else {
        let path = host_path(&arguments, "path")?;
        match path.trim_end_matches('/') {
            "" => "/".to_owned(),
            trimmed => trimmed.to_owned(),
        }
    };
    let (src, kind) = (text("src", ""), text("fstype", ""));
    if matches!(state.as_str(), "mounted" | "present" | "ephemeral")
        && (src.is_empty() || kind.is_empty())
    {
        return Err(ModuleError::failed(format!(
            "`state: {state}` needs `src` and `fstype`"
        )));
    }
    let mut options = text("opts", "defaults");
    if !arguments.boolean("boot", true) && !options.split(',').any(|option| option == "noauto") {
        options.push_str(",noauto");
    }
    let line = format!(
        "{} {} {kind} {} {} {}",
        escaped(&src),
        escaped(&path),
        escaped(&options),
        text("dump", "0"),
        text("passno", "0")
    );
    Ok(Box::new(Mount {
        path,
        state,
        src,
        kind,
        options,
        line,
        table: EditedFile {
            path: text("fstab", "/etc/fstab"),
            attributes: Attributes::default(),
            create: true,
            word: "Path",
            care: Care {
                backup: arguments.boolean("backup", false),
                ..Care::default()
            },
        },
    }))
}

fn check(given: &Given<'_>) -> Result<(), String> {
    let state = given.literals.get("state").and_then(Value::as_str);
    if matches!(state, Some("mounted" | "present" | "ephemeral")) {
        for name in ["src", "fstype"] {
            if !given.has(name) {
                return Err(format!(
                    "`state: {}` needs `{name}`",
                    state.unwrap_or_default()
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::edited;

    #[test]
    fn a_path_has_one_line() {
        let line = "/dev/b /srv\\040x ext4 defaults 0 0";
        let with = |text: &str| edited(text, "/srv x", "/dev/b", Some(line));
        let once = with("# c\n/dev/a / ext4 defaults 0 1\n");
        assert_eq!(once, format!("# c\n/dev/a / ext4 defaults 0 1\n{line}\n"));
        assert_eq!(with(&once), once);
        assert_eq!(
            with("/dev/b  /srv\\040x  ext4 defaults\n"),
            "/dev/b  /srv\\040x  ext4 defaults\n"
        );
        assert_eq!(with("/dev/z /srv\\040x xfs ro 0 0\n"), format!("{line}\n"));
        assert_eq!(
            edited(&once, "/srv x", "", None),
            "# c\n/dev/a / ext4 defaults 0 1\n"
        );
    }
}
