//! `setup`: the facts of the host.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::find::name_pattern;
use super::line_edit::expression;
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan};
use crate::facts::{Extent, FactsError, Subset, Wanted, gather};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "setup",
    aliases: &["gather_facts"],
    summary: "reads the facts of the host, all in one round trip",
    arguments: &[
        Argument::optional(
            "filter",
            ArgumentKind::Texts,
            "patterns of names, with or without `ansible_`; all by default",
        ),
        Argument::optional(
            "gather_subset",
            ArgumentKind::Texts,
            "collectors, as in `min`, `hardware`, `network`, `virtual`, or one of their facts; with `!` before it without that; `all` by default",
        ),
        Argument::optional(
            "fact_path",
            ArgumentKind::Path,
            "the folder with the host's own facts, `*.fact`; `/etc/ansible/facts.d` by default",
        ),
        Argument::optional(
            "gather_timeout",
            ArgumentKind::Integer,
            "ignored: there is one command, which has the task's own limit",
        ),
    ],
    examples: r"- name: only what is about the system
  setup:
    filter: ansible_distribution*
",
    returns: &[(
        "ansible_facts",
        "the facts, which become variables of the host",
    )],
    free_form: None,
    build,
    check: None,
};

struct Setup {
    filter: Vec<crate::python_regex::PythonRegex>,
    subset: Subset,
    fact_path: Option<String>,
}

impl Module for Setup {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let facts =
                gather(look.session, &self.wanted())
                    .await
                    .map_err(|error| match error {
                        FactsError::Transport(error) => ModuleError::Transport(error),
                        other @ FactsError::Incomplete { .. } => {
                            ModuleError::failed(other.to_string())
                        }
                    })?;
            let facts: Map<String, Value> = facts
                .to_vars()
                .into_iter()
                .filter(|(name, _)| self.takes(name))
                .collect();
            Ok(Plan::satisfied().with("ansible_facts", facts))
        }
        .boxed()
    }
}

impl Setup {
    fn wanted(&self) -> Wanted {
        Wanted {
            extent: Extent::System,
            fact_path: self.fact_path.clone(),
            ..Wanted::default()
        }
    }

    fn takes(&self, name: &str) -> bool {
        let Some(short) = name.strip_prefix("ansible_") else {
            return false;
        };
        let is_named = self.filter.is_empty()
            || self
                .filter
                .iter()
                .any(|pattern| pattern.is_match(name) || pattern.is_match(short));
        self.subset.takes(name) && is_named
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let subset = Subset::parse(&arguments.texts("gather_subset")).map_err(ModuleError::failed)?;
    let filter = arguments.texts("filter");
    let filter = filter.iter().filter(|pattern| !pattern.is_empty());
    Ok(Box::new(Setup {
        filter: filter
            .map(|pattern| expression(&name_pattern(pattern)))
            .collect::<Result<_, _>>()
            .map_err(ModuleError::failed)?,
        subset,
        fact_path: arguments.filled("fact_path"),
    }))
}
