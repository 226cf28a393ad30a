//! Reading tasks and blocks.

use std::sync::Arc;

use super::action::{action, is_action, refuse_keywords, short_name};
use super::load::Loader;
use super::mistaken::mistaken;
use super::unsupported::{NOT_SUPPORTED, not_supported};
use super::{Action, Block, Frame, Item, Task, call, elsewhere, includes, loops};
use crate::diagnostic::Diagnostic;
use crate::modules;
use crate::template::{Template, is_template};
use crate::yaml::{Fields, Node};

/// Keywords of a task, apart from `with_…`; any other key is its module.
const KEYWORDS: &[&str] = &[
    "any_errors_fatal",
    "args",
    "async",
    "become",
    "become_exe",
    "become_flags",
    "become_method",
    "become_user",
    "changed_when",
    "check_mode",
    "collections",
    "connection",
    "delay",
    "delegate_facts",
    "delegate_to",
    "diff",
    "environment",
    "failed_when",
    "ignore_errors",
    "ignore_unreachable",
    "listen",
    "loop",
    "loop_control",
    "module_defaults",
    "name",
    "no_log",
    "notify",
    "poll",
    "port",
    "register",
    "remote_user",
    "retries",
    "run_once",
    "tags",
    "throttle",
    "timeout",
    "until",
    "vars",
    "when",
];

/// Every keyword of a task.
pub(super) fn keywords() -> impl Iterator<Item = &'static str> {
    KEYWORDS.iter().copied().chain(loops::keywords())
}

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
        return block(loader, fields, parent);
    }
    for keyword in keywords() {
        let _ = fields.node(keyword);
    }
    let mut actions: Vec<(Node, Node)> = Vec::new();
    let mut is_reported = false;
    let mut is_local = false;
    for keyword in ["action", "local_action"] {
        if let Some(value) = fields.value(keyword) {
            is_local |= keyword == "local_action";
            let is_module = |name: &str| is_action(name) || is_template(name);
            match call::of_action(loader, keyword, value) {
                Some(pair) if is_module(pair.0.as_str().unwrap_or_default()) => actions.push(pair),
                Some((word, _)) => {
                    is_reported = true;
                    unknown_module(loader, &word);
                }
                None => is_reported = true,
            }
        }
    }
    for pair in fields.rest() {
        let name = pair.0.as_str().unwrap_or_default();
        if is_action(name) {
            actions.push(pair.clone());
        } else if let Some(pair) = elsewhere::refusal(loader, &pair.0, &fields, parent) {
            actions.push(pair);
        } else {
            is_reported = true;
            unknown_word(loader, &pair.0);
        }
    }
    match actions.as_slice() {
        [(word, value)] => match short_name(word.as_str().unwrap_or_default()) {
            keyword @ ("import_tasks" | "import_role") => {
                includes::import(loader, &fields, keyword, word, value, parent)
            }
            _ => task(loader, &fields, (word, value), is_local, parent)
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

/// Reports a word that should be a module.
pub(super) fn unknown_module(loader: &mut Loader<'_>, key: &Node) {
    let name = key.as_str().unwrap_or_default();
    let modules = modules::specs().iter().map(|spec| spec.name);
    let candidates = super::action::ACTIONS.iter().copied().chain(modules);
    let mut diagnostic =
        Diagnostic::at(&key.place, format!("unknown module `{name}`")).suggest(name, candidates);
    diagnostic
        .hint
        .get_or_insert_with(|| "`kk doc` lists every module".to_owned());
    loader.found.push(diagnostic);
}

/// Reports a key that is neither a keyword nor a module.
fn unknown_word(loader: &mut Loader<'_>, key: &Node) {
    let name = key.as_str().unwrap_or_default();
    let at = |message: String| Diagnostic::at(&key.place, message);
    loader.found.push(if NOT_SUPPORTED.contains(&name) {
        not_supported(name, &key.place)
    } else if matches!(name, "rescue" | "always") {
        at(format!("`{name}` without a `block`"))
            .hint("it stands beside the `block:` whose tasks may fail")
    } else {
        let modules = modules::specs().iter().map(|spec| spec.name);
        let candidates = keywords()
            .chain(super::action::ACTIONS.iter().copied())
            .chain(modules);
        let mut diagnostic =
            at(format!("unknown module or keyword `{name}`")).suggest(name, candidates);
        diagnostic
            .hint
            .get_or_insert_with(|| "`kk doc` lists every module".to_owned());
        diagnostic
    });
}

fn block(loader: &mut Loader<'_>, fields: Fields<'_>, parent: &Arc<Frame>) -> Vec<Item> {
    let place = fields
        .node("block")
        .map_or_else(|| fields.place(), |node| &node.place);
    if loader.in_handlers {
        loader.found.push(
            Diagnostic::at(place, "a handler cannot be a block")
                .hint("write its tasks as handlers that `listen` to one topic"),
        );
        return Vec::new();
    }
    let _ = fields.text("name", &mut loader.found);
    loader.collections(&fields);
    let frame = Arc::new(loader.frame(&fields, Some(parent)));
    let mut list = |key: &'static str| {
        fields
            .value(key)
            .map(|node| loader.items(node, &frame))
            .unwrap_or_default()
    };
    let (rescue, always) = (list("rescue"), list("always"));
    let inner = if rescue.is_empty() {
        Arc::clone(&frame)
    } else {
        Arc::new(Frame {
            parent: Some(Arc::clone(&frame)),
            is_rescued: true,
            ..Frame::default()
        })
    };
    let items = fields
        .value("block")
        .map(|node| loader.items(node, &inner))
        .unwrap_or_default();
    loader.finish(fields);
    vec![Item::Block(Arc::new(Block {
        frame,
        items,
        rescue,
        always,
        once: None,
        is_role: false,
    }))]
}

fn task(
    loader: &mut Loader<'_>,
    fields: &Fields<'_>,
    (word, value): (&Node, &Node),
    is_local: bool,
    parent: &Arc<Frame>,
) -> Option<Task> {
    loader.collections(fields);
    let mut frame = loader.frame(fields, Some(parent));
    if is_local {
        frame.delegate_to = Template::parse("localhost", Some(&word.place)).ok();
    }
    let frame = Arc::new(frame);
    let before = loader.found.0.len();
    let read = action(loader, fields, word, value, &frame);
    let action = match (mistaken(loader, before, word, &frame, fields), read) {
        // It says so itself when the run comes to it.
        (_, Some(late @ Action::Late(_))) => late,
        (mistaken, read) => mistaken.or(read)?,
    };
    if matches!(action, Action::Meta(_)) {
        refuse_keywords(
            loader,
            fields,
            &["listen", "name", "tags", "vars", "when"],
            |keyword| format!("`{keyword}` has no effect on `meta`"),
        );
    }
    let notify = frame.find(|frame| frame.notify.clone()).unwrap_or_default();
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
        repeat: loops::read(loader, fields),
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
        asynchronous: loader.count(fields, "async"),
        poll: loader.count(fields, "poll"),
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
