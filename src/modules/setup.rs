//! `setup`: the facts of the host.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::find::name_pattern;
use super::line_edit::expression;
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan};
use crate::facts::{FactsError, Wanted, gather};

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
            "`all`, `min`, `hardware`, `network`, `virtual` or, with `!` before it, without that; `all` by default",
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

const HARDWARE: [&str; 8] = [
    "ansible_processor*",
    "ansible_mem*",
    "ansible_swap*",
    "ansible_mounts",
    "ansible_devices",
    "ansible_uptime*",
    "ansible_bios*",
    "ansible_product*",
];
const NETWORK: [&str; 5] = [
    "ansible_all_ipv*",
    "ansible_default_ipv*",
    "ansible_interfaces",
    "ansible_eth*",
    "ansible_lo",
];
const VIRTUAL: [&str; 1] = ["ansible_virtualization*"];

/// What `gather_subset` may name.
const KNOWN: [&str; 7] = [
    "all", "min", "hardware", "network", "virtual", "facter", "ohai",
];

struct Setup {
    filter: Vec<crate::python_regex::PythonRegex>,
    subset: Vec<String>,
}

impl Module for Setup {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let facts =
                gather(look.session, &Wanted::default())
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
    fn takes(&self, name: &str) -> bool {
        let Some(short) = name.strip_prefix("ansible_") else {
            return false;
        };
        let is_in = |patterns: &[&str]| {
            patterns
                .iter()
                .any(|pattern| match pattern.strip_suffix('*') {
                    Some(start) => name.starts_with(start),
                    None => name == *pattern,
                })
        };
        let part = if is_in(&HARDWARE) {
            "hardware"
        } else if is_in(&NETWORK) {
            "network"
        } else if is_in(&VIRTUAL) {
            "virtual"
        } else {
            "min"
        };
        let says = |word: &str| self.subset.iter().any(|subset| subset == word);
        let is_left_out = says(&format!("!{part}")) || says("!all") && part != "min";
        let only = self
            .subset
            .iter()
            .any(|subset| !subset.starts_with('!') && subset != "all");
        let is_taken = !only || says("all") || says(part) || part == "min";
        let is_named = self.filter.is_empty()
            || self
                .filter
                .iter()
                .any(|pattern| pattern.is_match(name) || pattern.is_match(short));
        is_taken && (says(part) || !is_left_out) && is_named
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let subset = arguments.texts("gather_subset");
    for word in &subset {
        if !KNOWN.contains(&word.trim_start_matches('!')) {
            return Err(ModuleError::failed(format!(
                "`gather_subset` has no part `{word}`; it has {}",
                KNOWN.join(", ")
            )));
        }
    }
    let filter = arguments.texts("filter");
    let filter = filter.iter().filter(|pattern| !pattern.is_empty());
    Ok(Box::new(Setup {
        filter: filter
            .map(|pattern| expression(&name_pattern(pattern)))
            .collect::<Result<_, _>>()
            .map_err(ModuleError::failed)?,
        subset,
    }))
}
