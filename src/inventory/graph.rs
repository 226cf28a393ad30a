//! Groups in groups: who is in which, in which order, and whether any contains itself.

use std::collections::{HashMap, HashSet};

use indexmap::{IndexMap, IndexSet};

use super::raw::{RawGroup, Reference};
use super::{ALL, Inventory, UNGROUPED};
use crate::diagnostic::Diagnostic;

impl Inventory {
    /// The hosts of a group, those of nested groups included, each once: first the group's own in the order written,
    /// then those of the groups that it names, then those of the groups that these name, as Ansible has it. Empty for
    /// a group that is not there.
    pub fn hosts_of(&self, group: &str) -> Vec<&str> {
        let mut hosts: IndexSet<&str> = IndexSet::new();
        let mut seen: HashSet<&str> = HashSet::new();
        let mut level: Vec<&str> = self
            .groups
            .get_key_value(group)
            .map(|(name, _)| name.as_str())
            .into_iter()
            .collect();
        while !level.is_empty() {
            let mut next = Vec::new();
            for name in level {
                if seen.insert(name) {
                    self.extend_with_own(name, &mut hosts);
                    next.extend(self.nested_in(name));
                }
            }
            level = next;
        }
        if group == ALL {
            hosts.extend(self.hosts.keys().map(String::as_str));
        }
        hosts.into_iter().collect()
    }

    /// The hosts that a group names itself.
    fn extend_with_own<'a>(&'a self, group: &str, hosts: &mut IndexSet<&'a str>) {
        if group == UNGROUPED {
            let all = self.hosts.keys().map(String::as_str);
            let grouped = self.grouped();
            hosts.extend(all.filter(|host| !grouped.contains(host)));
        } else if let Some(group) = self.groups.get(group) {
            hosts.extend(group.hosts.iter().map(String::as_str));
        }
    }

    /// The groups that a group names; `all` has also those that no group names.
    fn nested_in(&self, group: &str) -> Vec<&str> {
        let mut nested: Vec<&str> = Vec::new();
        if group == ALL {
            nested.extend(
                self.groups
                    .get_key_value(UNGROUPED)
                    .map(|(name, _)| name.as_str()),
            );
        }
        let named = self.groups.get(group).into_iter();
        nested.extend(named.flat_map(|group| group.groups.iter().map(String::as_str)));
        if group == ALL {
            let parents = self.parents();
            let rest = self.groups.keys().map(String::as_str);
            nested.extend(rest.filter(|name| *name != ALL && !parents.contains_key(name)));
        }
        nested
    }

    /// Hosts that a group names.
    fn grouped(&self) -> HashSet<&str> {
        self.groups
            .iter()
            .filter(|(name, _)| ![ALL, UNGROUPED].contains(&name.as_str()))
            .flat_map(|(_, group)| group.hosts.iter().map(String::as_str))
            .collect()
    }

    /// The groups of a host, those that it is in through nested groups included, from the farthest to the nearest:
    /// `all` first, then by depth, `ansible_group_priority` and name. Later ones win where variables are merged.
    pub fn groups_of(&self, host: &str) -> Vec<&str> {
        if !self.hosts.contains_key(host) {
            return Vec::new();
        }
        let direct: Vec<&str> = self
            .groups
            .iter()
            .filter(|(_, group)| group.hosts.iter().any(|other| other == host))
            .map(|(name, _)| name.as_str())
            .collect();
        self.groups_from(&direct, &self.parents())
    }

    /// For each host the groups that name it, found in one go.
    pub(super) fn memberships(&self) -> HashMap<&str, Vec<&str>> {
        let mut memberships: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, group) in &self.groups {
            for host in &group.hosts {
                let groups = memberships.entry(host).or_default();
                if !groups.contains(&name.as_str()) {
                    groups.push(name);
                }
            }
        }
        memberships
    }

    /// All groups of a host that these groups name.
    pub(super) fn groups_from<'a>(
        &'a self,
        direct: &[&'a str],
        parents: &HashMap<&'a str, Vec<&'a str>>,
    ) -> Vec<&'a str> {
        let mut mine: IndexSet<&str> = IndexSet::new();
        let mut open: Vec<&str> = direct.to_vec();
        if !direct.iter().any(|name| ![ALL, UNGROUPED].contains(name)) {
            open.push(UNGROUPED);
        }
        open.push(ALL);
        while let Some(name) = open.pop() {
            if mine.insert(name) {
                open.extend(parents.get(name).into_iter().flatten());
            }
        }
        let mut depths = HashMap::new();
        let mut ordered: Vec<(usize, i64, &str)> = mine
            .into_iter()
            .map(|name| {
                let depth = depth_of(name, parents, &mut depths);
                (depth, self.priority_of(name), name)
            })
            .collect();
        ordered.sort_unstable();
        ordered.into_iter().map(|(_, _, name)| name).collect()
    }

    /// For each group the groups that name it.
    pub(super) fn parents(&self) -> HashMap<&str, Vec<&str>> {
        let mut parents: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, group) in &self.groups {
            for nested in &group.groups {
                parents.entry(nested).or_default().push(name);
            }
        }
        parents
    }

    /// `ansible_group_priority`, 1 where it is not set.
    fn priority_of(&self, group: &str) -> i64 {
        let value = self.groups.get(group).and_then(|group| {
            group
                .directory_vars
                .get("ansible_group_priority")
                .or_else(|| group.vars.get("ansible_group_priority"))
        });
        value
            .and_then(|value| value.as_i64().or_else(|| value.as_str()?.parse().ok()))
            .unwrap_or(1)
    }
}

/// `all` is 0; any other group is one deeper than the deepest that names it.
fn depth_of<'a>(
    name: &'a str,
    parents: &HashMap<&'a str, Vec<&'a str>>,
    known: &mut HashMap<&'a str, usize>,
) -> usize {
    if name == ALL {
        return 0;
    }
    if let Some(depth) = known.get(name) {
        return *depth;
    }
    // Cycles are refused when an inventory is read; one that was put together in code must not hang either.
    known.insert(name, 1);
    let deepest = parents
        .get(name)
        .into_iter()
        .flatten()
        .map(|parent| depth_of(parent, parents, known))
        .max();
    let depth = deepest.unwrap_or(0) + 1;
    known.insert(name, depth);
    depth
}

/// How deep groups may be nested.
const MAX_NESTING: usize = 100;

/// What is wrong with how groups are nested.
pub struct Nesting {
    /// Every cycle, each once, and a nesting that is too deep.
    pub found: Vec<Diagnostic>,
    /// Groups are nested so deep that nothing more may be asked about them.
    pub is_too_deep: bool,
}

/// Looks for cycles among the groups.
pub fn check_nesting(groups: &IndexMap<String, RawGroup>) -> Nesting {
    let mut search = Search {
        groups,
        done: HashSet::new(),
        path: Vec::new(),
        found: Vec::new(),
        is_too_deep: false,
    };
    for name in groups.keys() {
        search.visit(name);
    }
    Nesting {
        found: search.found,
        is_too_deep: search.is_too_deep,
    }
}

struct Search<'a> {
    groups: &'a IndexMap<String, RawGroup>,
    done: HashSet<&'a str>,
    /// The groups from the first to the one that is looked at, each with the reference that leads on.
    path: Vec<(&'a str, Option<&'a Reference>)>,
    found: Vec<Diagnostic>,
    is_too_deep: bool,
}

impl<'a> Search<'a> {
    fn visit(&mut self, name: &'a str) {
        if self.is_too_deep || self.done.contains(name) {
            return;
        }
        let Some(group) = self.groups.get(name) else {
            return;
        };
        if let Some(start) = self.path.iter().position(|(other, _)| *other == name) {
            let cycle = self.path.get(start..).unwrap_or_default();
            self.found.extend(describe(cycle, name));
            return;
        }
        if self.path.len() >= MAX_NESTING {
            let place = self.path.last().and_then(|(_, reference)| *reference);
            self.found.extend(place.map(|reference| {
                Diagnostic::at(
                    &reference.place,
                    format!("groups are nested deeper than {MAX_NESTING} levels"),
                )
            }));
            self.is_too_deep = true;
            return;
        }
        self.path.push((name, None));
        for nested in &group.groups {
            if let Some(last) = self.path.last_mut() {
                last.1 = Some(nested);
            }
            self.visit(&nested.name);
        }
        self.path.pop();
        self.done.insert(name);
    }
}

fn describe(cycle: &[(&str, Option<&Reference>)], name: &str) -> Option<Diagnostic> {
    let (closing, others) = cycle.split_last()?;
    let chain: Vec<&str> = cycle.iter().map(|(name, _)| *name).chain([name]).collect();
    let mut diagnostic = Diagnostic::at(
        &closing.1?.place,
        format!(
            "group `{name}` contains itself: {}",
            chain.join(" \u{2192} ")
        ),
    )
    .label("the circle closes here")
    .hint("take one of these groups out of the other");
    for (group, reference) in others {
        if let Some(reference) = reference {
            diagnostic = diagnostic.related(
                &reference.place,
                format!("`{}` is nested in `{group}` here", reference.name),
            );
        }
    }
    Some(diagnostic)
}
