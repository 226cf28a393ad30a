//! Mode and owner of a path: what is wanted, what differs, the step that sets them, and what a step says about the path
//! once it is done.

use serde_json::{Map, Value};

use super::{Argument, ArgumentKind, Arguments, Plan, Step, StepOutput};
use crate::connect::Command;
use crate::modules::mode::Mode;
use crate::remote::{Found, FoundKind};

/// Mode of a new file when none was asked for.
pub(crate) const DEFAULT_MODE: u32 = 0o644;

/// Mode of a new folder when none was asked for.
pub(crate) const DEFAULT_FOLDER_MODE: u32 = 0o755;

pub(crate) const MODE: Argument = Argument::optional(
    "mode",
    ArgumentKind::Mode,
    "permission bits, octal or symbolic; those it has, else 0644 for a new file and 0755 for a new folder",
);
pub(crate) const OWNER: Argument = Argument::optional(
    "owner",
    ArgumentKind::Text,
    "owner, by name or number; unchanged by default",
);
pub(crate) const GROUP: Argument = Argument::optional(
    "group",
    ArgumentKind::Text,
    "group, by name or number; unchanged by default",
);
pub(crate) const UNSAFE_WRITES: Argument = Argument::optional(
    "unsafe_writes",
    ArgumentKind::Boolean,
    "write in place where the file cannot be replaced, as for a file that is a mount of its own; kk does that in any case",
);
pub(crate) const BACKUP: Argument = Argument::optional(
    "backup",
    ArgumentKind::Boolean,
    "keep a copy of what was there, with the time in its name; false by default",
);
pub(crate) const VALIDATE: Argument = Argument::optional(
    "validate",
    ArgumentKind::Text,
    "a command that must succeed on the new file before it takes its place; `%s` stands for the file",
);

/// The line by which a script says what became of a path; [`values_of`] reads it.
macro_rules! about_function {
    () => {
        r#"
about() {
  stat -c 'kk-about %u %g %U %G %a %s %h %F' -- "$1" 2>/dev/null || :
}
"#
    };
}
pub(crate) use about_function;

/// `keep_copy PATH` keeps a copy of a file, with a name that nothing has yet, and says which.
macro_rules! keep_copy_function {
    () => {
        r#"
keep_copy() {
  kept=$$
  while copy=$1.$kept.$(date +%Y-%m-%d@%H:%M:%S)~ && [ -e "$copy" ]; do kept=$((kept + 1)); done
  cp -p -- "$1" "$copy" || exit 1
  printf 'backup_file=%s\n' "$copy"
}
"#
    };
}
pub(crate) use keep_copy_function;

/// `$1` path, then mode, owner and group, empty for "as it is", then whether a link is followed.
const ATTRIBUTES: &str = concat!(
    about_function!(),
    r#"
if [ "$5" = 1 ]; then link=; else link=-h; fi
if [ -n "$3" ]; then chown $link -- "$3" "$1" || exit 1; fi
if [ -n "$4" ]; then chgrp $link -- "$4" "$1" || exit 1; fi
if [ -n "$2" ]; then chmod -- "$2" "$1" || exit 1; fi
about "$1"
"#
);

/// Mode and owner as asked for; what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) mode: Option<Mode>,
    pub(crate) owner: Option<String>,
    pub(crate) group: Option<String>,
}

impl Attributes {
    /// From the arguments of these names.
    pub(crate) fn from_arguments(arguments: &Arguments) -> Self {
        Self {
            mode: arguments.mode("mode"),
            owner: arguments.filled("owner"),
            group: arguments.filled("group"),
        }
    }

    /// The bits that a path should have, whatever it is now; `default` are those of a new one.
    pub(crate) fn mode_for(&self, found: &Found, default: u32) -> u32 {
        let is_folder = found.kind == FoundKind::Directory || default == DEFAULT_FOLDER_MODE;
        let now = match found.kind {
            FoundKind::Absent | FoundKind::Link => default,
            _ => found.mode,
        };
        self.mode
            .as_ref()
            .map_or(now, |mode| mode.bits(now, is_folder))
    }

    /// What differs from what was found, in words.
    pub(crate) fn differences(&self, found: &Found) -> Vec<String> {
        let mut words = Vec::new();
        let mode = self.mode_for(found, DEFAULT_MODE);
        if self.mode.is_some() && mode != found.mode && found.kind != FoundKind::Link {
            words.push(format!("mode {:04o} -> {mode:04o}", found.mode));
        }
        if let Some(owner) = &self.owner
            && !found.is_owned_by(owner)
        {
            words.push(format!("owner {} -> {owner}", found.owner));
        }
        if let Some(group) = &self.group
            && !found.is_of_group(group)
        {
            words.push(format!("group {} -> {group}", found.group));
        }
        words
    }

    /// Whether anything is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The step that gives a path that is there these attributes.
    pub(crate) fn step(&self, found: &Found) -> Step {
        let mode = self.mode_for(found, DEFAULT_MODE);
        let mode = self
            .mode
            .as_ref()
            .filter(|_| found.kind != FoundKind::Link)
            .map_or_else(String::new, |_| format!("{mode:04o}"));
        self.step_with(&found.path, mode)
    }

    /// The same with the mode in octal, or nothing.
    pub(crate) fn step_with(&self, path: &str, mode: String) -> Step {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let command = Command::script(
            ATTRIBUTES,
            [path.to_owned(), mode, text(&self.owner), text(&self.group)],
        );
        Step::run(format!("set mode and owner of `{path}`"), command)
    }
}

/// Ansible's word for what was found.
pub(crate) fn state_word(found: &Found) -> &'static str {
    match found.kind {
        FoundKind::Absent => "absent",
        FoundKind::Directory => "directory",
        FoundKind::Link => "link",
        FoundKind::File if found.links > 1 => "hard",
        FoundKind::File | FoundKind::Other => "file",
    }
}

impl Plan {
    /// With Ansible's values about a path that is there.
    #[must_use]
    pub(crate) fn with_found(self, found: &Found) -> Self {
        if found.kind == FoundKind::Absent {
            return self;
        }
        let number = |text: &str| text.parse::<u64>().map_or(Value::Null, Value::from);
        self.with("uid", number(&found.uid))
            .with("gid", number(&found.gid))
            .with("owner", found.owner.as_str())
            .with("group", found.group.as_str())
            .with("mode", format!("{:04o}", found.mode))
            .with("size", found.size)
            .with("state", state_word(found))
    }
}

/// What steps said about the path that they made or changed, in Ansible's words.
pub(crate) fn values_of(outputs: &[StepOutput]) -> Map<String, Value> {
    let mut values = Map::new();
    for output in outputs {
        let text = match output {
            StepOutput::Ran(output) => output.stdout_text(),
            StepOutput::Wrote { about, .. } => about.clone(),
            _ => continue,
        };
        for line in text.lines() {
            let Some(line) = line.strip_prefix("kk-about ") else {
                continue;
            };
            let mut words = line.splitn(8, ' ');
            let mut next = || words.next().unwrap_or_default().to_owned();
            let number = |text: String| text.parse::<u64>().map_or(Value::Null, Value::from);
            values.insert("uid".to_owned(), number(next()));
            values.insert("gid".to_owned(), number(next()));
            values.insert("owner".to_owned(), next().into());
            values.insert("group".to_owned(), next().into());
            values.insert("mode".to_owned(), format!("{:0>4}", next()).into());
            values.insert("size".to_owned(), number(next()));
            let links = next();
            let state = match next().as_str() {
                "directory" => "directory",
                "symbolic link" => "link",
                _ if links != "1" => "hard",
                _ => "file",
            };
            values.insert("state".to_owned(), state.into());
        }
    }
    values
}

/// What a script answered: `key=value` lines as values, texts as they are.
pub(crate) fn pairs_of(text: &str) -> Map<String, Value> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.to_owned(), Value::from(value)))
        .collect()
}
