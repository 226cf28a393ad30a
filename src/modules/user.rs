//! `user`: a user of the host.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::accounts::{check_name, run_first_available};
use super::apply::command_failed;
use super::attributes::pairs_of;
use super::user_account::{Account, LOOK, days_since_1970};
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Content, LedgerEntry, Look, Module, ModuleError,
    ModuleSpec, Plan, Step, StepOutput,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "user",
    aliases: &[],
    summary: "makes, changes or removes a user",
    arguments: &[
        Argument::required("name", ArgumentKind::Text, "the user").or(&["user"]),
        Argument::optional("uid", ArgumentKind::Integer, "the number; any by default"),
        Argument::optional(
            "non_unique",
            ArgumentKind::Boolean,
            "the number may belong to another user too; false by default",
        ),
        Argument::optional(
            "group",
            ArgumentKind::Text,
            "the primary group, which must be there",
        ),
        Argument::optional(
            "groups",
            ArgumentKind::Texts,
            "other groups, which must be there",
        ),
        Argument::optional(
            "append",
            ArgumentKind::Boolean,
            "stay in groups that `groups` does not name; false by default",
        ),
        Argument::optional("shell", ArgumentKind::Path, "the login shell"),
        Argument::optional("home", ArgumentKind::Path, "the home folder"),
        Argument::optional(
            "create_home",
            ArgumentKind::Boolean,
            "make the home folder when it is not there; true by default",
        )
        .or(&["createhome"]),
        Argument::optional(
            "move_home",
            ArgumentKind::Boolean,
            "a new `home` takes what is in the old one; false by default",
        ),
        Argument::optional(
            "skeleton",
            ArgumentKind::Text,
            "the folder whose files a new home folder gets",
        ),
        Argument::optional(
            "umask",
            ArgumentKind::Text,
            "the umask with which the home folder is made",
        ),
        Argument::optional(
            "system",
            ArgumentKind::Boolean,
            "a number for system users; false by default",
        ),
        Argument::optional("comment", ArgumentKind::Text, "the full name"),
        Argument::optional(
            "password",
            ArgumentKind::Secret,
            "the password's hash, as `password_hash` makes it; `!` or `*` for none",
        ),
        Argument::optional(
            "update_password",
            ArgumentKind::Choice(&["always", "on_create"]),
            "whether a user that is there gets `password` too; `always` by default",
        ),
        Argument::optional(
            "password_lock",
            ArgumentKind::Boolean,
            "whether the password is locked; as it is by default",
        ),
        Argument::optional(
            "password_expire_max",
            ArgumentKind::Integer,
            "days after which the password must be changed",
        ),
        Argument::optional(
            "password_expire_min",
            ArgumentKind::Integer,
            "days before which the password cannot be changed",
        ),
        Argument::optional(
            "password_expire_warn",
            ArgumentKind::Integer,
            "days of warning before it must be changed",
        ),
        Argument::optional(
            "expires",
            ArgumentKind::Number,
            "when the account ends, in seconds since 1970; a negative number for never",
        ),
        Argument::optional(
            "generate_ssh_key",
            ArgumentKind::Boolean,
            "make a key pair without a passphrase, unless there is one; false by default",
        ),
        Argument::optional(
            "ssh_key_type",
            ArgumentKind::Text,
            "its type; `rsa` by default",
        ),
        Argument::optional("ssh_key_bits", ArgumentKind::Integer, "its length"),
        Argument::optional(
            "ssh_key_file",
            ArgumentKind::Path,
            "its file, below the home folder; `.ssh/id_rsa` by default",
        ),
        Argument::optional(
            "ssh_key_comment",
            ArgumentKind::Text,
            "its comment; `ansible-generated on` the host by default",
        ),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "absent"]),
            "`present` by default",
        ),
        Argument::optional(
            "remove",
            ArgumentKind::Boolean,
            "with `state: absent` the home folder goes too; false by default",
        ),
        Argument::optional(
            "force",
            ArgumentKind::Boolean,
            "with `state: absent` even when the user is logged in; false by default",
        ),
    ],
    examples: r#"- name: the service's own user
  user:
    name: app
    system: true
    home: /srv/app
    shell: /usr/sbin/nologin

- name: an administrator
  user:
    name: anna
    groups: [sudo, docker]
    append: true
    password: "{{ anna_password | password_hash('sha512') }}"
    update_password: on_create
    generate_ssh_key: true
    ssh_key_type: ed25519
"#,
    returns: &[
        ("name", "the user"),
        ("state", "`present` or `absent`"),
        ("uid", "the number"),
        ("group", "the number of the primary group"),
        ("home", "the home folder"),
        ("shell", "the login shell"),
        ("comment", "the full name"),
        (
            "groups",
            "the other groups that were asked for, with commas between",
        ),
        ("ssh_key_file", "with `generate_ssh_key`: the key's file"),
        ("ssh_public_key", "with `generate_ssh_key`: the public key"),
        (
            "ssh_fingerprint",
            "with `generate_ssh_key`: its fingerprint",
        ),
    ],
    free_form: None,
    build,
    check: None,
};

/// `$1` user, `$2` file, `$3` type, `$4` bits, `$5` comment: makes a key pair that belongs to the user.
const MAKE_KEY: &str = r#"
line=$(getent passwd "$1") || exit 1
home=$(printf '%s' "$line" | cut -d: -f6)
case $2 in /*) file=$2 ;; *) file=$home/$2 ;; esac
ids=$(printf '%s' "$line" | cut -d: -f3,4)
folder=${file%/*}
if [ ! -d "$folder" ]; then
  mkdir -p -m 0700 -- "$folder" && chown -- "$ids" "$folder" || exit 1
fi
comment=${5:-ansible-generated on $(hostname)}
if [ -n "$4" ]; then set -- "$1" "$file" "$3" -b "$4"; else set -- "$1" "$file" "$3"; fi
kind=$3
shift 3
ssh-keygen -q -t "$kind" "$@" -C "$comment" -f "$file" -N '' </dev/null || exit 1
chown -- "$ids" "$file" "$file.pub"
"#;

/// `$1` folder, `$2` user, `$3` skeleton, `$4` umask: makes a home folder that was forgotten.
const MAKE_HOME: &str = r#"
umask "${4:-022}"
mkdir -p -- "$1" || exit 1
if [ -d "$3" ]; then cp -R -- "$3/." "$1" || exit 1; fi
line=$(getent passwd "$2") || exit 1
chown -R -- "$(printf '%s' "$line" | cut -d: -f3,4)" "$1"
"#;

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of the module"
)]
struct User {
    name: String,
    account: Account,
    append: bool,
    create_home: bool,
    move_home: bool,
    skeleton: Option<String>,
    umask: Option<String>,
    system: bool,
    non_unique: bool,
    password: Option<String>,
    is_password_for_all: bool,
    lock: Option<bool>,
    ages: [(&'static str, usize, Option<i64>); 3],
    expires: Option<i64>,
    key: Option<Key>,
    is_present: bool,
    remove: bool,
    force: bool,
}

struct Key {
    file: String,
    kind: String,
    bits: String,
    comment: String,
}

impl Module for User {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let output = look.session.probe(self.look()).await?;
            if !output.success() {
                return Err(command_failed(&format!("look up `{}`", self.name), &output));
            }
            let answer = pairs_of(&output.stdout_text());
            let now = Account::parse(&answer);
            let mut plan = match (&now, self.is_present) {
                (None, false) => Plan::satisfied(),
                (Some(_), false) => Plan::change("remove", vec![self.removal()]),
                (None, true) => {
                    Plan::change("create", self.additions()).creating(LedgerEntry::User {
                        name: self.name.clone(),
                    })
                }
                (Some(now), true) => self.differences(now, &answer)?,
            };
            if self.is_present && !plan.is_satisfied() {
                plan.steps.push(Step::Run {
                    command: self.look(),
                    stdin: None,
                    timeout: None,
                    any_status: true,
                    purpose: format!("look up `{}`", self.name),
                });
            }
            let state = if self.is_present { "present" } else { "absent" };
            let mut plan = plan
                .with("name", self.name.as_str())
                .with("state", state)
                .with("force", self.force)
                .with("remove", self.remove);
            if self.is_present {
                plan = plan
                    .with("append", self.append)
                    .with("move_home", self.move_home)
                    .with("create_home", self.create_home)
                    .with("system", self.system);
                if let Some(groups) = &self.account.groups {
                    plan = plan.with("groups", groups.join(","));
                }
                plan.result.extend(values(&answer));
            }
            Ok(plan)
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let mut result = Map::new();
        if self.is_present
            && let Some(StepOutput::Ran(output)) = outputs.last()
        {
            result = values(&pairs_of(&output.stdout_text()));
        }
        Ok(Conclusion {
            result,
            changed: None,
        })
    }
}

/// What the host says about a user, in Ansible's words.
fn values(answer: &Map<String, Value>) -> Map<String, Value> {
    let mut values = Map::new();
    if let Some(account) = Account::parse(answer) {
        let number = |text: Option<String>| text.and_then(|text| text.parse::<i64>().ok());
        values.insert("uid".to_owned(), number(account.uid).into());
        values.insert("group".to_owned(), number(account.gid).into());
        values.insert("home".to_owned(), account.home.into());
        values.insert("shell".to_owned(), account.shell.into());
        values.insert("comment".to_owned(), account.comment.into());
        for name in ["ssh_key_file", "ssh_public_key", "ssh_fingerprint"] {
            if let Some(value) = answer.get(name) {
                values.insert(name.to_owned(), value.clone());
            }
        }
    }
    values
}

impl User {
    fn look(&self) -> Command {
        let key = self.key.as_ref().map(|key| key.file.clone());
        Command::script(
            LOOK,
            [
                self.name.clone(),
                self.account.group.clone().unwrap_or_default(),
                key.unwrap_or_default(),
            ],
        )
    }

    fn removal(&self) -> Step {
        let mut shadow = Vec::new();
        let mut busybox = Vec::new();
        if self.force {
            shadow.push("-f");
        }
        if self.remove {
            shadow.push("-r");
            busybox.push("--remove-home");
        }
        shadow.push(&self.name);
        busybox.push(&self.name);
        run_first_available(
            format!("remove the user `{}`", self.name),
            &[("userdel", &shadow), ("deluser", &busybox)],
        )
    }

    fn additions(&self) -> Vec<Step> {
        let wanted = &self.account;
        let groups = wanted.groups.clone().unwrap_or_default().join(",");
        let mut shadow: Vec<&str> = Vec::new();
        let mut busybox: Vec<&str> = vec!["-D"];
        let mut both = |flag_shadow: &'static str, flag_busybox: &'static str, value| {
            if let Some(value) = value {
                shadow.extend([flag_shadow, value]);
                busybox.extend([flag_busybox, value]);
            }
        };
        both("-u", "-u", wanted.uid.as_deref());
        both("-g", "-G", wanted.group.as_deref());
        both("-s", "-s", wanted.shell.as_deref());
        both("-d", "-h", wanted.home.as_deref());
        both("-c", "-g", wanted.comment.as_deref());
        if !groups.is_empty() {
            shadow.extend(["-G", &groups]);
        }
        if self.system {
            shadow.push("-r");
            busybox.push("-S");
        }
        if self.non_unique {
            shadow.push("-o");
        }
        let mask = self.umask.as_ref().map(|mask| format!("UMASK={mask}"));
        if self.create_home {
            shadow.push("-m");
            if let Some(skeleton) = &self.skeleton {
                shadow.extend(["-k", skeleton]);
            }
            if let Some(mask) = &mask {
                shadow.extend(["-K", mask]);
            }
        } else {
            shadow.push("-M");
            busybox.push("-H");
        }
        shadow.push(&self.name);
        busybox.push(&self.name);
        let purpose = format!("make the user `{}`", self.name);
        let mut steps = vec![if groups.is_empty() {
            run_first_available(purpose, &[("useradd", &shadow), ("adduser", &busybox)])
        } else {
            // busybox takes one primary group only, so it cannot do this in one go.
            run_first_available(purpose, &[("useradd", &shadow)])
        }];
        steps.extend(self.password.as_ref().map(|hash| self.password_step(hash)));
        if self.lock == Some(true) {
            steps.push(self.change(vec!["-L".to_owned()]));
        }
        steps.extend(self.expiry().map(|words| self.change(words)));
        steps.extend(self.age_step(&[None, None, None]));
        steps.extend(self.key.as_ref().map(|key| self.key_step(key)));
        steps
    }

    fn differences(&self, now: &Account, answer: &Map<String, Value>) -> Result<Plan, ModuleError> {
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or("");
        let shadow: Vec<&str> = text("shadow").split(':').collect();
        let field = |index: usize| shadow.get(index).copied().unwrap_or("");
        let (mut words, mut arguments) =
            self.account
                .differences(now, self.append, text("wanted_gid"));
        if arguments.iter().any(|argument| argument == "-d") && self.move_home {
            arguments.push("-m".to_owned());
        }
        if self.non_unique && arguments.iter().any(|argument| argument == "-u") {
            arguments.push("-o".to_owned());
        }
        if let Some(lock) = self.lock
            && !shadow.is_empty()
            && field(1).starts_with('!') != lock
        {
            words.push(if lock { "lock" } else { "unlock" }.to_owned());
            arguments.push(if lock { "-L" } else { "-U" }.to_owned());
        }
        if let Some(seconds) = self.expires {
            let days = if seconds < 0 {
                String::new()
            } else {
                (seconds / 86_400).to_string()
            };
            if field(7) != days {
                words.push("expires".to_owned());
                arguments.extend(self.expiry().into_iter().flatten());
            }
        }
        let mut steps = Vec::new();
        if !arguments.is_empty() {
            steps.push(self.change(arguments));
        }
        if let Some(hash) = &self.password
            && self.is_password_for_all
            && field(1).trim_start_matches('!') != hash.trim_start_matches('!')
        {
            words.push("password".to_owned());
            steps.push(self.password_step(hash));
        }
        let ages = self.ages.map(|(_, index, _)| field(index).parse().ok());
        if let Some(step) = self.age_step(&ages) {
            words.push("password ages".to_owned());
            steps.push(step);
        }
        if self.create_home && text("home") == "no" {
            words.push("home folder".to_owned());
            let home = self.account.home.clone().or_else(|| now.home.clone());
            steps.push(Step::run(
                format!("make the home folder of `{}`", self.name),
                Command::script(
                    MAKE_HOME,
                    [
                        home.unwrap_or_default(),
                        self.name.clone(),
                        self.skeleton
                            .clone()
                            .unwrap_or_else(|| "/etc/skel".to_owned()),
                        self.umask.clone().unwrap_or_default(),
                    ],
                ),
            ));
        }
        if let Some(key) = &self.key
            && text("ssh_public_key").is_empty()
        {
            words.push("key".to_owned());
            steps.push(self.key_step(key));
        }
        if steps.is_empty() {
            return Ok(Plan::satisfied());
        }
        Ok(Plan::change(words.join(", "), steps))
    }

    fn change(&self, mut arguments: Vec<String>) -> Step {
        arguments.push(self.name.clone());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run_first_available(
            format!("change the user `{}`", self.name),
            &[("usermod", &arguments)],
        )
    }

    fn expiry(&self) -> Option<Vec<String>> {
        let seconds = self.expires?;
        let date = if seconds < 0 {
            String::new()
        } else {
            days_since_1970(seconds / 86_400)
        };
        Some(vec!["-e".to_owned(), date])
    }

    /// The hash goes over standard input: anybody on the host can read a command's words.
    fn password_step(&self, hash: &str) -> Step {
        Step::run_with(
            format!("set the password of `{}`", self.name),
            Command::new("chpasswd -e"),
            Content::secret(format!("{}:{hash}\n", self.name)),
        )
    }

    fn age_step(&self, now: &[Option<i64>; 3]) -> Option<Step> {
        let mut arguments = Vec::new();
        for ((flag, _, wanted), now) in self.ages.iter().zip(now) {
            if let Some(wanted) = wanted
                && Some(*wanted) != *now
            {
                arguments.extend([(*flag).to_owned(), wanted.to_string()]);
            }
        }
        if arguments.is_empty() {
            return None;
        }
        let command = Command::new("chage").args(arguments).arg(&self.name);
        Some(Step::run(
            format!("set the password's ages of `{}`", self.name),
            command,
        ))
    }

    fn key_step(&self, key: &Key) -> Step {
        Step::run(
            format!("make a key for `{}`", self.name),
            Command::script(
                MAKE_KEY,
                [&self.name, &key.file, &key.kind, &key.bits, &key.comment].map(String::clone),
            ),
        )
    }
}

/// The step that removes a user and leaves the home folder.
pub(super) fn remove_user(name: &str) -> Step {
    run_first_available(
        format!("remove the user `{name}`"),
        &[("userdel", &[name]), ("deluser", &[name])],
    )
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let text = |name: &str| arguments.filled(name);
    let groups = arguments
        .value("groups")
        .is_some_and(|value| !value.is_null())
        .then(|| {
            let mut groups = arguments.texts("groups");
            groups.retain(|group| !group.is_empty());
            groups
        });
    for name in groups.iter().flatten().cloned().chain(text("group")) {
        if name.parse::<u32>().is_err() {
            check_name(name)?;
        }
    }
    let password = text("password");
    if password
        .as_ref()
        .is_some_and(|hash| hash.contains([':', '\n']))
    {
        return Err(ModuleError::failed("`password` is no hash of a password")
            .with_hint("`password_hash` makes one"));
    }
    let kind = text("ssh_key_type").unwrap_or_else(|| "rsa".to_owned());
    let key = arguments.boolean("generate_ssh_key", false).then(|| Key {
        file: text("ssh_key_file").unwrap_or_else(|| format!(".ssh/id_{kind}")),
        kind,
        bits: arguments
            .integer("ssh_key_bits")
            .filter(|bits| *bits > 0)
            .map_or_else(String::new, |bits| bits.to_string()),
        comment: text("ssh_key_comment").unwrap_or_default(),
    });
    #[expect(
        clippy::cast_possible_truncation,
        reason = "seconds since 1970 are far below the limit"
    )]
    let expires = arguments.number("expires").map(|seconds| seconds as i64);
    Ok(Box::new(User {
        name: check_name(arguments.required_text("name")?)?,
        account: Account {
            uid: arguments.integer("uid").map(|uid| uid.to_string()),
            gid: None,
            group: text("group"),
            groups,
            shell: text("shell"),
            home: text("home"),
            comment: arguments.text("comment"),
        },
        append: arguments.boolean("append", false),
        create_home: arguments.boolean("create_home", true),
        move_home: arguments.boolean("move_home", false),
        skeleton: text("skeleton"),
        umask: text("umask"),
        system: arguments.boolean("system", false),
        non_unique: arguments.boolean("non_unique", false),
        password,
        is_password_for_all: text("update_password").as_deref() != Some("on_create"),
        lock: arguments.flag("password_lock"),
        ages: [
            ("-M", 4, arguments.integer("password_expire_max")),
            ("-m", 3, arguments.integer("password_expire_min")),
            ("-W", 5, arguments.integer("password_expire_warn")),
        ],
        expires,
        key,
        is_present: text("state").as_deref() != Some("absent"),
        remove: arguments.boolean("remove", false),
        force: arguments.boolean("force", false),
    }))
}
