//! `user`: a user of the host, without a password.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::accounts::{check_name, entry, run_first_available};
use super::apply::command_failed;
use super::{
    Argument, ArgumentKind, Arguments, LedgerEntry, Look, Module, ModuleError, ModuleSpec, Plan,
    Step,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "user",
    aliases: &[],
    summary: "makes, changes or removes a user; sets no password",
    arguments: &[
        Argument::required("name", ArgumentKind::Text, "the user"),
        Argument::optional("uid", ArgumentKind::Integer, "the number; any by default"),
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
            "make the home folder of a new user; true by default",
        )
        .or(&["createhome"]),
        Argument::optional(
            "system",
            ArgumentKind::Boolean,
            "a number for system users; false by default",
        ),
        Argument::optional("comment", ArgumentKind::Text, "the full name"),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "absent"]),
            "`present` by default",
        ),
    ],
    free_form: None,
    build,
    check: None,
};

struct User {
    name: String,
    uid: Option<String>,
    group: Option<String>,
    groups: Option<Vec<String>>,
    append: bool,
    shell: Option<String>,
    home: Option<String>,
    create_home: bool,
    system: bool,
    comment: Option<String>,
    is_present: bool,
}

impl Module for User {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let found = entry(look, "passwd", &self.name).await?;
            let plan = match (&found, self.is_present) {
                (None, false) => Plan::satisfied(),
                (Some(_), false) => Plan::change("remove", vec![remove_user(&self.name)]),
                (None, true) => {
                    Plan::change("create", vec![self.add()]).creating(LedgerEntry::User {
                        name: self.name.clone(),
                    })
                }
                (Some(fields), true) => self.differences(look, fields).await?,
            };
            let plan = plan.with("name", self.name.as_str());
            Ok(match found {
                Some(fields) => {
                    let field = |index: usize| fields.get(index).cloned().unwrap_or_default();
                    plan.with("uid", field(2))
                        .with("gid", field(3))
                        .with("home", field(5))
                        .with("shell", field(6))
                }
                None => plan,
            })
        }
        .boxed()
    }
}

impl User {
    fn add(&self) -> Step {
        let groups = self.groups.clone().unwrap_or_default().join(",");
        let mut shadow: Vec<&str> = Vec::new();
        let mut busybox: Vec<&str> = vec!["-D"];
        let mut both = |flag_shadow: &'static str, flag_busybox: &'static str, value| {
            if let Some(value) = value {
                shadow.extend([flag_shadow, value]);
                busybox.extend([flag_busybox, value]);
            }
        };
        both("-u", "-u", self.uid.as_deref());
        both("-g", "-G", self.group.as_deref());
        both("-s", "-s", self.shell.as_deref());
        both("-d", "-h", self.home.as_deref());
        both("-c", "-g", self.comment.as_deref());
        if !groups.is_empty() {
            shadow.extend(["-G", &groups]);
        }
        if self.system {
            shadow.push("-r");
            busybox.push("-S");
        }
        shadow.push(if self.create_home { "-m" } else { "-M" });
        if !self.create_home {
            busybox.push("-H");
        }
        shadow.push(&self.name);
        busybox.push(&self.name);
        let purpose = format!("make the user `{}`", self.name);
        if groups.is_empty() {
            run_first_available(purpose, &[("useradd", &shadow), ("adduser", &busybox)])
        } else {
            // busybox takes one primary group only, so it cannot do this in one go.
            run_first_available(purpose, &[("useradd", &shadow)])
        }
    }

    async fn differences(&self, look: &Look<'_>, fields: &[String]) -> Result<Plan, ModuleError> {
        let now = |index: usize| fields.get(index).cloned().unwrap_or_default();
        let mut words = Vec::new();
        let mut arguments: Vec<String> = Vec::new();
        let mut compare = |flag: &str, what: &str, wanted: &Option<String>, now: String| {
            if let Some(wanted) = wanted
                && *wanted != now
            {
                words.push(format!("{what} {now} -> {wanted}"));
                arguments.extend([flag.to_owned(), wanted.clone()]);
            }
        };
        compare("-u", "uid", &self.uid, now(2));
        compare("-s", "shell", &self.shell, now(6));
        compare("-d", "home", &self.home, now(5));
        compare("-c", "comment", &self.comment, now(4));
        if let Some(group) = &self.group {
            let gid = entry(look, "group", group)
                .await?
                .and_then(|fields| fields.get(2).cloned());
            if gid.as_ref() != Some(&now(3)) && *group != now(3) {
                words.push(format!("group -> {group}"));
                arguments.extend(["-g".to_owned(), group.clone()]);
            }
        }
        if let Some(wanted) = &self.groups {
            let has = self.groups_now(look).await?;
            let lacks = wanted.iter().any(|group| !has.contains(group));
            let primary = entry(look, "group", &now(3)).await?;
            let primary = primary.and_then(|fields| fields.first().cloned());
            let too_many = !self.append
                && has
                    .iter()
                    .any(|group| !wanted.contains(group) && Some(group) != primary.as_ref());
            if lacks || too_many {
                words.push(format!("groups {} -> {}", has.join(","), wanted.join(",")));
                if self.append {
                    arguments.push("-a".to_owned());
                }
                arguments.extend(["-G".to_owned(), wanted.join(",")]);
            }
        }
        if words.is_empty() {
            return Ok(Plan::satisfied());
        }
        arguments.push(self.name.clone());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let step = run_first_available(
            format!("change the user `{}`", self.name),
            &[("usermod", &arguments)],
        );
        Ok(Plan::change(words.join(", "), vec![step]))
    }

    async fn groups_now(&self, look: &Look<'_>) -> Result<Vec<String>, ModuleError> {
        let output = look
            .session
            .probe(Command::new("id -Gn --").arg(&self.name))
            .await?;
        if !output.success() {
            let purpose = format!("look up the groups of `{}`", self.name);
            return Err(command_failed(&purpose, &output));
        }
        let text = output.stdout_text();
        Ok(text.split_whitespace().map(str::to_owned).collect())
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
    let text = |name: &str| arguments.text(name).filter(|text| !text.is_empty());
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
    Ok(Box::new(User {
        name: check_name(arguments.required_text("name")?)?,
        uid: arguments.integer("uid").map(|uid| uid.to_string()),
        group: text("group"),
        groups,
        append: arguments.boolean("append", false),
        shell: text("shell"),
        home: text("home"),
        create_home: arguments.boolean("create_home", true),
        system: arguments.boolean("system", false),
        comment: text("comment"),
        is_present: text("state").as_deref() != Some("absent"),
    }))
}
