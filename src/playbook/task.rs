//! Reading tasks and blocks.

use std::sync::Arc;

use super::action::{action, is_action, short_name};
use super::load::{Loader, NOT_SUPPORTED};
use super::{ArgumentValue, Block, Frame, Item, Repeat, Task, includes};
use crate::diagnostic::Diagnostic;
use crate::modules;
use crate::template::Template;
use crate::yaml::{Fields, Node};

/// Keywords of a task; any other key is its module.
pub(super) const KEYWORDS: &[&str] = &[
    "any_errors_fatal",
    "args",
    "become",
    "become_method",
    "become_user",
    "changed_when",
    "check_mode",
    "delay",
    "delegate_to",
    "failed_when",
    "ignore_errors",
    "listen",
    "loop",
    "loop_control",
    "name",
    "no_log",
    "notify",
    "register",
    "retries",
    "run_once",
    "tags",
    "timeout",
    "until",
    "vars",
    "when",
    "with_items",
];

/// One entry of a list of tasks.
pub(super) fn item(loader: &mut Loader<'_>, node: &Node, parent: &Arc<Frame>) -> Vec<Item> {
    let is_block = node.get("block").is_some();
    let fields = Fields::new(node, if is_block { "a block" } else { "a task" });
    let Some(fields) = fields.ok().filter(|_| !node.is_null()) else {
        loader.found.push(
            node.unexpected("a task")
                .hint("a task is a mapping: `- name: …` and a module with its arguments"),
        );
        return Vec::new();
    };
    if is_block {
        return vec![block(loader, fields, parent)];
    }
    for keyword in KEYWORDS {
        let _ = fields.node(keyword);
    }
    let mut actions: Vec<&(Node, Node)> = Vec::new();
    let mut is_reported = false;
    for pair in fields.rest() {
        if is_action(pair.0.as_str().unwrap_or_default()) {
            actions.push(pair);
        } else {
            is_reported = true;
            unknown_word(loader, &pair.0);
        }
    }
    match actions.as_slice() {
        [(word, value)] => match short_name(word.as_str().unwrap_or_default()) {
            keyword @ ("import_tasks" | "import_role") => {
                vec![includes::import(loader, &fields, keyword, value, parent)]
            }
            _ => task(loader, &fields, word, value, parent)
                .into_iter()
                .map(|task| Item::Task(Arc::new(task)))
                .collect(),
        },
        [] => {
            if !is_reported {
                loader.found.push(
                    Diagnostic::at(&node.place, "a task needs a module")
                        .hint("`kk doc` lists every module"),
                );
            }
            Vec::new()
        }
        [(first, _), (second, _), ..] => {
            let (one, two) = (
                first.as_str().unwrap_or_default(),
                second.as_str().unwrap_or_default(),
            );
            loader.found.push(
                Diagnostic::at(
                    &second.place,
                    format!("a task has one module, this one has `{one}` and `{two}`"),
                )
                .related(&first.place, "the first")
                .hint("make it two tasks"),
            );
            Vec::new()
        }
    }
}

/// Reports a key that is neither a keyword nor a module.
fn unknown_word(loader: &mut Loader<'_>, key: &Node) {
    let name = key.as_str().unwrap_or_default();
    let at = |message: String| Diagnostic::at(&key.place, message);
    loader.found.push(if NOT_SUPPORTED.contains(&name) {
        super::load::not_supported(name, &key.place)
    } else if matches!(name, "rescue" | "always") {
        at(format!("`{name}` without a `block`"))
            .hint("it stands beside the `block:` whose tasks may fail")
    } else {
        let modules = modules::specs().iter().map(|spec| spec.name);
        let candidates = KEYWORDS
            .iter()
            .chain(super::action::ACTIONS)
            .copied()
            .chain(modules);
        let mut diagnostic =
            at(format!("unknown module or keyword `{name}`")).suggest(name, candidates);
        diagnostic
            .hint
            .get_or_insert_with(|| "`kk doc` lists every module".to_owned());
        diagnostic
    });
}

fn block(loader: &mut Loader<'_>, fields: Fields<'_>, parent: &Arc<Frame>) -> Item {
    let _ = fields.text("name", &mut loader.found);
    let frame = Arc::new(loader.frame(&fields, Some(parent)));
    let mut list = |key: &'static str| {
        fields
            .value(key)
            .map(|node| loader.items(node, &frame))
            .unwrap_or_default()
    };
    let (items, rescue, always) = (list("block"), list("rescue"), list("always"));
    loader.finish(fields);
    Item::Block(Arc::new(Block {
        frame,
        items,
        rescue,
        always,
    }))
}

fn task(
    loader: &mut Loader<'_>,
    fields: &Fields<'_>,
    word: &Node,
    value: &Node,
    parent: &Arc<Frame>,
) -> Option<Task> {
    let frame = Arc::new(loader.frame(fields, Some(parent)));
    let action = action(loader, fields, word, value, &frame)?;
    let notify = fields
        .texts("notify", &mut loader.found)
        .unwrap_or_default();
    let notify: Vec<Template> = notify
        .into_iter()
        .filter_map(|node| loader.template_of(node))
        .collect();
    for template in &notify {
        if let (Some(name), Some(place)) = (template.literal(), template.place()) {
            loader.notified.push((name.to_owned(), place.clone()));
        }
    }
    let listen = fields
        .texts("listen", &mut loader.found)
        .unwrap_or_default();
    if let Some(node) = listen.first().filter(|_| !loader.in_handlers) {
        loader.found.push(
            Diagnostic::at(&node.place, "`listen` is for handlers")
                .hint("this task runs in any case; handlers stand under `handlers:`"),
        );
    }
    Some(Task {
        name: loader.template(fields, "name"),
        action,
        repeat: repeat(loader, fields),
        register: register(loader, fields),
        notify,
        listen: listen
            .iter()
            .filter_map(|node| node.as_str().map(str::to_owned))
            .collect(),
        until: loader.conditions(fields, "until"),
        retries: loader.template(fields, "retries"),
        delay: loader.template(fields, "delay"),
        changed_when: loader.conditions(fields, "changed_when"),
        failed_when: loader.conditions(fields, "failed_when"),
        timeout: loader.template(fields, "timeout"),
        place: word.place.clone(),
        frame,
    })
}

fn register(loader: &mut Loader<'_>, fields: &Fields<'_>) -> Option<String> {
    let name = fields.text("register", &mut loader.found)?;
    if let Some(node) = fields.value("register") {
        loader.check_variable(name, &node.place);
    }
    Some(name.to_owned())
}

fn repeat(loader: &mut Loader<'_>, fields: &Fields<'_>) -> Option<Repeat> {
    let control = fields.value("loop_control");
    let with_items = fields.value("with_items");
    let Some(node) = fields.value("loop").or(with_items) else {
        if let Some(control) = control {
            loader.found.push(
                Diagnostic::at(&control.place, "`loop_control` without a `loop`")
                    .hint("add `loop:` with the list"),
            );
        }
        return None;
    };
    let flatten = fields.value("loop").is_none();
    if let Some(other) = with_items.filter(|_| !flatten) {
        loader.found.push(
            Diagnostic::at(&other.place, "a task has `loop` or `with_items`, not both")
                .related(&node.place, "the `loop`"),
        );
    }
    let is_template = node.as_str().is_some_and(crate::template::is_template);
    if node.as_sequence().is_none() && !is_template && !flatten {
        loader
            .found
            .push(node.unexpected("a list, or a template that becomes one"));
    }
    let mut repeat = Repeat {
        items: ArgumentValue::any(node, &mut loader.found),
        variable: "item".to_owned(),
        index_variable: None,
        label: None,
        flatten,
    };
    if let Some(control) = control
        && let Ok(control) =
            Fields::new(control, "loop_control").map_err(|diagnostic| loader.found.push(diagnostic))
    {
        let mut variable = |key: &'static str| {
            let name = control.text(key, &mut loader.found)?;
            loader.check_variable(name, &control.value(key)?.place);
            Some(name.to_owned())
        };
        if let Some(name) = variable("loop_var") {
            repeat.variable = name;
        }
        repeat.index_variable = variable("index_var");
        repeat.label = loader.template(&control, "label");
        control.finish(&mut loader.found);
    }
    Some(repeat)
}
