//! What a playbook would do, without doing it: for `--list-hosts`, `--list-tasks` and `--list-tags`, and to know which
//! hosts need a connection.

use super::runner::select;
use super::{RunOptions, tags};
use crate::inventory::{Connection, Inventory};
use crate::playbook::{Action, EngineAction, Item, Meta, Play, Playbook};
use crate::template::{Layer, Scope};

/// The plays of a playbook.
#[derive(Debug, Clone, Default)]
pub struct Outline(pub Vec<OutlinedPlay>);

/// One play.
#[derive(Debug, Clone, Default)]
pub struct OutlinedPlay {
    /// Its name.
    pub name: String,
    /// The pattern of its hosts.
    pub pattern: String,
    /// The tags of the play itself.
    pub tags: Vec<String>,
    /// Its hosts, as far as they are known.
    pub hosts: Vec<String>,
    /// The tasks that `--tags` and `--skip-tags` select. Files that are only known later are not in it.
    pub tasks: Vec<OutlinedTask>,
    /// Every tag of the play's tasks.
    pub task_tags: Vec<String>,
}

/// One task.
#[derive(Debug, Clone)]
pub struct OutlinedTask {
    /// Its name, with its role before it.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
}

/// What a playbook would do with these options.
pub fn outline(playbook: &Playbook, inventory: &Inventory, options: &RunOptions) -> Outline {
    Outline(
        playbook
            .plays
            .iter()
            .map(|play| outlined(play, inventory, options))
            .collect(),
    )
}

fn outlined(play: &Play, inventory: &Inventory, options: &RunOptions) -> OutlinedPlay {
    let mut outlined = OutlinedPlay {
        name: play.name.clone(),
        pattern: pattern(play, options).unwrap_or_else(|| play.hosts.source().to_owned()),
        tags: sorted(play.frame.all_tags()),
        ..OutlinedPlay::default()
    };
    outlined.hosts = hosts(play, inventory, options).unwrap_or_default();
    for section in &play.sections {
        tasks(section, options, &mut outlined);
    }
    outlined.task_tags.sort();
    outlined.task_tags.dedup();
    outlined
}

fn tasks(items: &[Item], options: &RunOptions, outlined: &mut OutlinedPlay) {
    for item in items {
        match item {
            Item::Block(block) => {
                tasks(&block.items, options, outlined);
                tasks(&block.rescue, options, outlined);
                tasks(&block.always, options, outlined);
            }
            Item::Task(task) => {
                let all = task.frame.all_tags();
                if matches!(task.action, Action::Meta(_))
                    || !tags::selects(&all, &options.tags, &options.skip_tags)
                {
                    continue;
                }
                let title = task.title().to_owned();
                let role = task.frame.role();
                let name =
                    role.map_or_else(|| title.clone(), |role| format!("{} : {title}", role.name));
                let tags = sorted(all);
                outlined.task_tags.extend(tags.iter().cloned());
                outlined.tasks.push(OutlinedTask { name, tags });
            }
        }
    }
}

fn sorted(tags: Vec<&str>) -> Vec<String> {
    let mut tags: Vec<String> = tags.into_iter().map(str::to_owned).collect();
    tags.sort();
    tags.dedup();
    tags
}

/// The pattern of a play, if it is known before the run.
fn pattern(play: &Play, options: &RunOptions) -> Option<String> {
    if let Some(text) = play.hosts.literal() {
        return Some(text.to_owned());
    }
    let mut layers: Vec<Layer> = play.frame.vars.iter().cloned().collect();
    layers.extend(options.variables.iter().cloned());
    match play.hosts.evaluate(&Scope::new(layers)).ok()? {
        serde_json::Value::Array(items) => {
            let items: Vec<String> = items.iter().map(crate::template::display).collect();
            Some(items.join(","))
        }
        other => Some(crate::template::display(&other)),
    }
}

fn hosts(play: &Play, inventory: &Inventory, options: &RunOptions) -> Option<Vec<String>> {
    let mut hosts = select(inventory, &pattern(play, options)?).ok()?;
    if let Some(limit) = &options.limit {
        let limit: std::collections::HashSet<&str> = limit.iter().map(String::as_str).collect();
        hosts.retain(|host| {
            limit.contains(host.as_str())
                || host == super::LOCALHOST && !inventory.hosts.contains_key(host)
        });
    }
    Some(hosts)
}

/// Those of these hosts that a play reaches as the inventory says. A host that only plays with `connection: local` use
/// needs no connection of its own.
pub fn reached(
    playbook: &Playbook,
    inventory: &Inventory,
    names: &[String],
    options: &RunOptions,
) -> Vec<String> {
    let mut wanted: std::collections::HashSet<String> = std::collections::HashSet::new();
    for play in &playbook.plays {
        let is_local = play
            .frame
            .connection
            .as_ref()
            .and_then(|connection| connection.literal())
            .is_some_and(|kind| kind.ends_with("local"));
        if is_local {
            continue;
        }
        match hosts(play, inventory, options) {
            Some(hosts) => wanted.extend(hosts),
            None => return names.to_vec(),
        }
    }
    let is_here = |name: &str| {
        inventory
            .hosts
            .get(name)
            .is_some_and(|host| host.connection == Connection::Local)
    };
    names
        .iter()
        .filter(|name| wanted.contains(*name) || is_here(name))
        .cloned()
        .collect()
}

/// Whether tasks of a play may add hosts or groups. What an include brings is not always known.
pub(super) fn adds_hosts(play: &Play) -> bool {
    play.sections.iter().any(|section| adds(section))
}

fn adds(items: &[Item]) -> bool {
    items.iter().any(|item| match item {
        Item::Block(block) => adds(&block.items) || adds(&block.rescue) || adds(&block.always),
        Item::Task(task) => match &task.action {
            Action::Include(include) => include.read.as_ref().is_none_or(|read| adds(&read.items)),
            Action::Engine { kind, .. } => {
                matches!(kind, EngineAction::AddHost | EngineAction::GroupBy)
            }
            Action::Meta(meta) => *meta == Meta::RefreshInventory,
            Action::Late(_) => true,
            _ => false,
        },
    })
}
