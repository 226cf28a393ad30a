//! `group`: a group of the host.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::accounts::{check_name, entry, run_first_available};
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, LedgerEntry, Look, Module, ModuleError,
    ModuleSpec, Plan, Step, StepOutput,
};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "group",
    aliases: &[],
    summary: "makes or removes a group",
    arguments: &[
        Argument::required("name", ArgumentKind::Text, "the group"),
        Argument::optional("gid", ArgumentKind::Integer, "its number; any by default"),
        Argument::optional(
            "non_unique",
            ArgumentKind::Boolean,
            "the number may belong to another group too; false by default",
        ),
        Argument::optional(
            "force",
            ArgumentKind::Boolean,
            "remove it even when it is somebody's primary group; false by default",
        ),
        Argument::optional(
            "system",
            ArgumentKind::Boolean,
            "a number for system groups; false by default",
        ),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "absent"]),
            "`present` by default",
        ),
    ],
    examples: r"- name: the group is there
  group: {name: app, system: true}
",
    returns: &[
        ("name", "the group"),
        ("gid", "its number"),
        ("state", "`present` or `absent`"),
        ("system", "whether it was asked for as a system group"),
    ],
    free_form: None,
    build,
    check: None,
};

struct Group {
    name: String,
    gid: Option<i64>,
    system: bool,
    non_unique: bool,
    force: bool,
    is_present: bool,
}

impl Module for Group {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let found = entry(look, "group", &self.name).await?;
            let gid = found.as_ref().and_then(|fields| fields.get(2).cloned());
            let plan = match (&found, self.is_present) {
                (None, false) => Plan::satisfied(),
                (Some(_), false) => Plan::change("remove", vec![self.removal()]),
                (None, true) => {
                    Plan::change("create", vec![self.add()]).creating(LedgerEntry::Group {
                        name: self.name.clone(),
                    })
                }
                (Some(_), true) => match (self.gid.map(|gid| gid.to_string()), &gid) {
                    (Some(wanted), Some(now)) if wanted != *now => Plan::change(
                        format!("gid {now} -> {wanted}"),
                        vec![run_first_available(
                            format!("change the group `{}`", self.name),
                            &[("groupmod", &self.with_number(&wanted))],
                        )],
                    ),
                    _ => Plan::satisfied(),
                },
            };
            let state = if self.is_present { "present" } else { "absent" };
            let mut plan = plan
                .with("name", self.name.as_str())
                .with("state", state)
                .with("system", self.system);
            if self.is_present && !plan.is_satisfied() {
                plan.steps
                    .push(super::accounts::look_step("group", &self.name));
            }
            let gid = gid.and_then(|gid| gid.parse::<i64>().ok());
            Ok(match gid {
                Some(gid) if self.is_present => plan.with("gid", gid),
                _ => plan,
            })
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let mut result = serde_json::Map::new();
        if let Some(StepOutput::Ran(output)) = outputs.last() {
            let text = output.stdout_text();
            let gid = text.trim_end().split(':').nth(2).map(str::parse::<i64>);
            if let Some(Ok(gid)) = gid {
                result.insert("gid".to_owned(), gid.into());
            }
        }
        Ok(Conclusion {
            result,
            changed: None,
        })
    }
}

impl Group {
    fn with_number<'a>(&'a self, gid: &'a str) -> Vec<&'a str> {
        let mut words = vec!["-g", gid];
        if self.non_unique {
            words.push("-o");
        }
        words.push(&self.name);
        words
    }

    fn removal(&self) -> Step {
        if self.force {
            return run_first_available(
                format!("remove the group `{}`", self.name),
                &[
                    ("groupdel", &["-f", &self.name]),
                    ("delgroup", &[&self.name]),
                ],
            );
        }
        remove_group(&self.name)
    }

    fn add(&self) -> Step {
        let gid = self.gid.map(|gid| gid.to_string());
        let mut shadow: Vec<&str> = Vec::new();
        let mut busybox: Vec<&str> = Vec::new();
        if let Some(gid) = &gid {
            shadow.extend(["-g", gid]);
            busybox.extend(["-g", gid]);
        }
        if self.non_unique {
            shadow.push("-o");
        }
        if self.system {
            shadow.push("-r");
            busybox.push("-S");
        }
        shadow.push(&self.name);
        busybox.push(&self.name);
        run_first_available(
            format!("make the group `{}`", self.name),
            &[("groupadd", &shadow), ("addgroup", &busybox)],
        )
    }
}

/// The step that removes a group.
pub(super) fn remove_group(name: &str) -> Step {
    run_first_available(
        format!("remove the group `{name}`"),
        &[("groupdel", &[name]), ("delgroup", &[name])],
    )
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    Ok(Box::new(Group {
        name: check_name(arguments.required_text("name")?)?,
        gid: arguments.integer("gid"),
        system: arguments.boolean("system", false),
        non_unique: arguments.boolean("non_unique", false),
        force: arguments.boolean("force", false),
        is_present: arguments.text("state").as_deref() != Some("absent"),
    }))
}
