//! `getent`: entries of a database of the host, as facts.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::apply::command_failed;
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "getent",
    aliases: &[],
    summary: "reads entries of a database of the host (passwd, group, hosts …) into facts",
    arguments: &[
        Argument::required(
            "database",
            ArgumentKind::Text,
            "the database, as in `passwd`",
        ),
        Argument::optional(
            "key",
            ArgumentKind::Text,
            "the entry; all of them by default",
        ),
        Argument::optional(
            "split",
            ArgumentKind::Text,
            "what stands between values; `:` for passwd, shadow, group and gshadow, else blanks",
        ),
        Argument::optional(
            "fail_key",
            ArgumentKind::Boolean,
            "it is a failure when there is no such entry; true by default",
        ),
        Argument::optional("service", ArgumentKind::Text, "which service is asked"),
    ],
    examples: r#"- getent: {database: passwd, key: root}

- debug:
    msg: "{{ getent_passwd.root[4] }}"
"#,
    returns: &[(
        "ansible_facts.getent_DATABASE",
        "the entries: the name, and the list of its other values",
    )],
    free_form: None,
    build,
    check: None,
};

struct Getent {
    database: String,
    key: Option<String>,
    split: Option<String>,
    service: Option<String>,
    must_be_there: bool,
}

impl Module for Getent {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let mut command = Command::new("getent");
            if let Some(service) = &self.service {
                command = command.literal("-s").arg(service);
            }
            command = command.arg(&self.database).args(&self.key);
            let output = look.session.probe(command).await?;
            let mut entries = Map::new();
            let mut said = None;
            match output.status.code() {
                0 => {
                    for line in output.stdout_text().lines() {
                        let mut values = self.values(line).into_iter();
                        let Some(name) = values.next() else { continue };
                        let values: Vec<Value> = values.map(Value::from).collect();
                        entries.insert(name, values.into());
                    }
                }
                1 => {
                    return Err(ModuleError::failed(format!(
                        "the host has no database `{}`, or cannot read it",
                        self.database
                    )));
                }
                2 if !self.must_be_there => {
                    said = Some("One or more supplied key could not be found in the database.");
                    entries.insert(self.key.clone().unwrap_or_default(), Value::Null);
                }
                2 => {
                    return Err(ModuleError::failed(format!(
                        "one or more supplied key could not be found in the database: {}",
                        self.key.as_deref().unwrap_or_default()
                    ))
                    .saying("One or more supplied key could not be found in the database."));
                }
                3 => {
                    return Err(ModuleError::failed(format!(
                        "the database `{}` cannot be listed: give `key`",
                        self.database
                    )));
                }
                _ => return Err(command_failed("read the database", &output)),
            }
            let mut facts = Map::new();
            facts.insert(format!("getent_{}", self.database), entries.into());
            let plan = Plan::satisfied().with("ansible_facts", facts);
            Ok(match said {
                Some(said) => plan.with("msg", said),
                None => plan,
            })
        }
        .boxed()
    }
}

impl Getent {
    fn values(&self, line: &str) -> Vec<String> {
        let has_colons = ["passwd", "shadow", "group", "gshadow"].contains(&self.database.as_str());
        match &self.split {
            Some(split) => line.split(split.as_str()).map(str::to_owned).collect(),
            None if has_colons => line.split(':').map(str::to_owned).collect(),
            None => line.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    Ok(Box::new(Getent {
        database: arguments.required_text("database")?,
        key: arguments.filled("key"),
        split: arguments.filled("split"),
        service: arguments.filled("service"),
        must_be_there: arguments.boolean("fail_key", true),
    }))
}
