//! `group`: a group of the host.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::accounts::{check_name, entry, run_first_available};
use super::{
    Argument, ArgumentKind, Arguments, LedgerEntry, Look, Module, ModuleError, ModuleSpec, Plan,
    Step,
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
    free_form: None,
    build,
    check: None,
};

struct Group {
    name: String,
    gid: Option<i64>,
    system: bool,
    is_present: bool,
}

impl Module for Group {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let found = entry(look, "group", &self.name).await?;
            let gid = found.as_ref().and_then(|fields| fields.get(2).cloned());
            let plan = match (&found, self.is_present) {
                (None, false) => Plan::satisfied(),
                (Some(_), false) => Plan::change("remove", vec![remove_group(&self.name)]),
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
                            &[("groupmod", &["-g", &wanted, &self.name])],
                        )],
                    ),
                    _ => Plan::satisfied(),
                },
            };
            let plan = plan.with("name", self.name.as_str());
            Ok(match gid {
                Some(gid) => plan.with("gid", gid),
                None => plan,
            })
        }
        .boxed()
    }
}

impl Group {
    fn add(&self) -> Step {
        let gid = self.gid.map(|gid| gid.to_string());
        let mut shadow: Vec<&str> = Vec::new();
        let mut busybox: Vec<&str> = Vec::new();
        if let Some(gid) = &gid {
            shadow.extend(["-g", gid]);
            busybox.extend(["-g", gid]);
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
        is_present: arguments.text("state").as_deref() != Some("absent"),
    }))
}
