//! `authorized_key`: keys with which a user may log in.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::apply::command_failed;
use super::attributes::{Attributes, pairs_of};
use super::copy_folder::make_folders;
use super::file_state::{EDIT_LIMIT, Source, WantedFile};
use super::mode::Mode;
use super::{
    Argument, ArgumentKind, Arguments, Content, Look, Module, ModuleError, ModuleSpec, Plan,
};
use crate::connect::Command;
use crate::remote::{FileContent, FoundKind};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "authorized_key",
    aliases: &[],
    summary: "lets a user log in with a key, or no more",
    arguments: &[
        Argument::required("user", ArgumentKind::Text, "the user"),
        Argument::required(
            "key",
            ArgumentKind::Text,
            "the public key, or several, a line each",
        ),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "absent"]),
            "`present` by default",
        ),
        Argument::optional(
            "path",
            ArgumentKind::Path,
            "the file; `.ssh/authorized_keys` in the user's home folder by default",
        ),
        Argument::optional(
            "manage_dir",
            ArgumentKind::Boolean,
            "make the file's folder, and give it to the user; true by default",
        ),
        Argument::optional(
            "key_options",
            ArgumentKind::Text,
            "options before the key, as in `no-pty`",
        ),
        Argument::optional(
            "comment",
            ArgumentKind::Text,
            "the comment behind the key; its own by default",
        ),
        Argument::optional(
            "exclusive",
            ArgumentKind::Boolean,
            "all other keys go; false by default",
        ),
        Argument::optional(
            "follow",
            ArgumentKind::Boolean,
            "a link at the file's place is followed; false by default",
        ),
    ],
    examples: r#"- ansible.posix.authorized_key:
    user: anna
    key: "{{ lookup('file', 'keys/anna.pub') }}"
    key_options: no-agent-forwarding
"#,
    returns: &[
        ("user", "the user"),
        ("keyfile", "the file"),
        ("key", "the keys that were given"),
        ("state", "`present` or `absent`"),
        ("exclusive", "whether all others go"),
    ],
    free_form: None,
    build,
    check: None,
};

const HOME: &str = r#"
if command -v getent >/dev/null 2>&1; then line=$(getent passwd "$1") || exit 2
else line=$(grep "^$1:" /etc/passwd) || exit 2; fi
printf 'uid=%s\ngid=%s\nhome=%s\n' "$(printf '%s' "$line" | cut -d: -f3)" "$(printf '%s' "$line" | cut -d: -f4)" "$(printf '%s' "$line" | cut -d: -f6)"
"#;

/// One line of the file that is a key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    options: String,
    kind: String,
    body: String,
    comment: String,
}

impl Key {
    fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let is_kind = |word: &str| {
            ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"]
                .iter()
                .any(|start| word.starts_with(start))
        };
        let words = words_outside_quotes(line);
        let index = words.iter().position(|word| is_kind(word))?;
        let (options, rest) = words.split_at(index);
        let [kind, body, comment @ ..] = rest else {
            return None;
        };
        Some(Self {
            options: options.join(" "),
            kind: (*kind).to_owned(),
            body: (*body).to_owned(),
            comment: comment.join(" "),
        })
    }

    fn line(&self) -> String {
        [&self.options, &self.kind, &self.body, &self.comment]
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn is_same_key(&self, other: &Self) -> bool {
        self.kind == other.kind && self.body == other.body
    }
}

/// The words of a line; blanks in double quotes end none.
fn words_outside_quotes(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut quoted) = (None, false);
    for (index, letter) in line.char_indices() {
        if letter == '"' {
            quoted = !quoted;
        }
        if letter.is_whitespace() && !quoted {
            words.extend(start.take().and_then(|start| line.get(start..index)));
        } else if start.is_none() {
            start = Some(index);
        }
    }
    words.extend(start.and_then(|start| line.get(start..)));
    words
}

struct AuthorizedKey {
    user: String,
    text: String,
    keys: Vec<Key>,
    path: Option<String>,
    is_present: bool,
    manages_folder: bool,
    exclusive: bool,
    follow: bool,
    options: Option<String>,
    comment: Option<String>,
}

impl AuthorizedKey {
    fn edited(&self, old: &str) -> String {
        let mut lines: Vec<String> = Vec::new();
        let mut missing = self.keys.clone();
        let mut is_changed = false;
        for line in old.lines() {
            let Some(found) = Key::parse(line) else {
                // As in Ansible, everything else is comments too.
                if self.exclusive && self.is_present {
                    is_changed = true;
                } else {
                    lines.push(line.to_owned());
                }
                continue;
            };
            let index = missing.iter().position(|key| key.is_same_key(&found));
            let is_wanted = self.keys.iter().any(|key| key.is_same_key(&found));
            match (self.is_present, index) {
                (true, Some(index)) => {
                    let mut key = missing.remove(index);
                    // Without options or a comment of their own, those of the file stay.
                    if self.options.is_none() && key.options.is_empty() {
                        key.options.clone_from(&found.options);
                    }
                    if self.comment.is_none() && key.comment.is_empty() {
                        key.comment.clone_from(&found.comment);
                    }
                    if key == found {
                        lines.push(line.to_owned());
                    } else {
                        is_changed = true;
                        lines.push(key.line());
                    }
                }
                (true, None) if self.exclusive || is_wanted => is_changed = true,
                (false, _) if is_wanted => is_changed = true,
                _ => lines.push(line.to_owned()),
            }
        }
        if self.is_present && !missing.is_empty() {
            is_changed = true;
            lines.extend(missing.iter().map(Key::line));
        }
        if is_changed {
            lines.iter().map(|line| format!("{line}\n")).collect()
        } else {
            old.to_owned()
        }
    }
}

impl Module for AuthorizedKey {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let output = look
                .session
                .probe(Command::script(HOME, [self.user.clone()]))
                .await?;
            match output.status.code() {
                0 => {}
                2 if look.check_mode => {
                    return Ok(Plan::unknown(
                        format!("there is no user `{}` yet", self.user),
                        Vec::new(),
                    ));
                }
                2 => {
                    return Err(ModuleError::failed(format!(
                        "there is no user `{}`",
                        self.user
                    )));
                }
                _ => return Err(command_failed(&format!("look up `{}`", self.user), &output)),
            }
            let answer = pairs_of(&output.stdout_text());
            let text = |key: &str| {
                let value = answer.get(key).and_then(|value| value.as_str());
                value.unwrap_or_default().to_owned()
            };
            let path = self
                .path
                .clone()
                .unwrap_or_else(|| format!("{}/.ssh/authorized_keys", text("home")));
            let request = FileContent {
                follow: self.follow,
                limit: EDIT_LIMIT,
                ..FileContent::default()
            };
            let found = look.session.look_at(&path, &request).await?;
            let old = match (found.kind, &found.content) {
                (FoundKind::Absent, _) => String::new(),
                (FoundKind::File, Some(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
                _ => {
                    return Err(ModuleError::failed(format!(
                        "edit `{path}`: it is {}",
                        found.kind.describe()
                    )));
                }
            };
            let new = self.edited(&old);
            let mut attributes = Attributes::default();
            if self.manages_folder {
                attributes.owner = Some(text("uid"));
                attributes.group = Some(text("gid"));
                attributes.mode = Some(Mode::Bits(0o600));
            }
            let is_same = new == old;
            let nothing = found.kind == FoundKind::Absent && new.is_empty();
            let mut plan = if is_same && (nothing || found.kind == FoundKind::File) {
                Plan::satisfied()
            } else {
                let source = Source::Bytes(Content::public(Bytes::from(new)));
                WantedFile::new(found.path.clone(), source, attributes.clone())
                    .against(&found, is_same, look.diff)?
            };
            if self.manages_folder && !plan.is_satisfied() && !found.missing.is_empty() {
                plan.steps
                    .insert(0, make_folders(&attributes, 0o700, found.missing.clone()));
            }
            let state = if self.is_present { "present" } else { "absent" };
            Ok(plan
                .with("user", self.user.as_str())
                .with("key", self.text.as_str())
                .with("keyfile", path)
                .with("exclusive", self.exclusive)
                .with("state", state))
        }
        .boxed()
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let text = arguments.required_text("key")?;
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err(
            ModuleError::failed("`key` is a URL, which is not fetched here")
                .with_hint("use `lookup('url', …)` for its content"),
        );
    }
    let (options, comment) = (arguments.filled("key_options"), arguments.text("comment"));
    let mut keys = Vec::new();
    for line in text.lines() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let mut key = Key::parse(line)
            .ok_or_else(|| ModuleError::failed(format!("invalid key specified: {line}")))?;
        if let Some(options) = &options {
            key.options.clone_from(options);
        }
        if let Some(comment) = &comment {
            key.comment.clone_from(comment);
        }
        keys.push(key);
    }
    Ok(Box::new(AuthorizedKey {
        user: arguments.required_text("user")?,
        text,
        keys,
        path: arguments.filled("path"),
        is_present: arguments.text("state").as_deref() != Some("absent"),
        manages_folder: arguments.boolean("manage_dir", true),
        exclusive: arguments.boolean("exclusive", false),
        follow: arguments.boolean("follow", false),
        options,
        comment,
    }))
}
