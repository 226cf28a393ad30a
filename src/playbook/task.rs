//! Reading tasks and blocks.

use std::sync::Arc;

use super::load::{Loader, NOT_SUPPORTED};
use super::{Action, ArgumentValue, Block, Frame, Item, Meta, Repeat, Task, arguments};
use crate::diagnostic::Diagnostic;
use crate::modules;
use crate::template::Template;
use crate::yaml::{Fields, Node};

/// Keywords of a task; any other key is its module.
const KEYWORDS: &[&str] = &[
    "always",
    "any_errors_fatal",
    "args",
    "become",
    "become_method",
    "become_user",
    "block",
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
    "rescue",
    "retries",
    "run_once",
    "tags",
    "timeout",
    "until",
    "vars",
    "when",
    "with_items",
];

/// Actions that are part of the engine.
const ACTIONS: &[&str] = &[
    "assert",
    "debug",
    "fail",
    "import_role",
    "import_tasks",
    "include_role",
    "include_tasks",
    "meta",
    "set_fact",
];

/// One entry of a list of tasks.
pub(super) fn item(loader: &mut Loader<'_>, node: &Node, parent: &Arc<Frame>) -> Vec<Item> {
    let Ok(fields) =
        Fields::new(node, "a task").map_err(|diagnostic| loader.found.push(diagnostic))
    else {
        return Vec::new();
    };
    if node.is_null() {
        loader.found.push(node.unexpected("a task"));
        return Vec::new();
    }
    if node.get("block").is_some() {
        return vec![block(loader, fields, parent)];
    }
    for keyword in KEYWORDS {
        let _ = fields.node(keyword);
    }
    let words: Vec<&(Node, Node)> = fields.rest();
    let mut actions: Vec<&(Node, Node)> = Vec::new();
    for pair in words {
        let name = pair.0.as_str().unwrap_or_default();
        let short = short_name(name);
        if ACTIONS.contains(&short) || modules::spec(name).is_some() {
            actions.push(pair);
        } else if NOT_SUPPORTED.contains(&name) {
            loader.found.push(Diagnostic::at(
                &pair.0.place,
                format!("the keyword `{name}` is not supported"),
            ));
        } else {
            let modules = modules::specs().iter().map(|spec| spec.name);
            let candidates = KEYWORDS
                .iter()
                .copied()
                .chain(ACTIONS.iter().copied())
                .chain(modules);
            let diagnostic =
                Diagnostic::at(&pair.0.place, format!("unknown module or keyword `{name}`"));
            let suggested = diagnostic.suggest(name, candidates);
            loader.found.push(if suggested.hint.is_some() {
                suggested
            } else {
                suggested.hint("`kk doc` lists every module")
            });
        }
    }
    match actions.as_slice() {
        [(word, value)] => match short_name(word.as_str().unwrap_or_default()) {
            keyword @ ("import_tasks" | "import_role") => {
                let frame = Arc::new(loader.frame(&fields, Some(parent), None));
                let items = if keyword == "import_tasks" {
                    file_items(loader, value, &frame)
                } else {
                    role_of(loader, value, &frame)
                };
                vec![Item::Block(Arc::new(Block {
                    frame,
                    items,
                    rescue: Vec::new(),
                    always: Vec::new(),
                }))]
            }
            _ => task(loader, &fields, word, value, parent)
                .into_iter()
                .map(|task| Item::Task(Arc::new(task)))
                .collect(),
        },
        [] => {
            if !loader.found.has_errors() {
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

fn short_name(name: &str) -> &str {
    name.strip_prefix("ansible.builtin.")
        .or_else(|| name.strip_prefix("ansible.legacy."))
        .unwrap_or(name)
}

fn block(loader: &mut Loader<'_>, fields: Fields<'_>, parent: &Arc<Frame>) -> Item {
    let _ = fields.text("name", &mut loader.found);
    let _ = fields.node("any_errors_fatal");
    let frame = Arc::new(loader.frame(&fields, Some(parent), None));
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
    let frame = Arc::new(loader.frame(fields, Some(parent), None));
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
        until: loader.conditions(fields, "until").into_iter().next(),
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
    let mut characters = name.chars();
    let valid = characters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid && let Some(node) = fields.value("register") {
        loader.found.push(
            Diagnostic::at(
                &node.place,
                format!("`{name}` is not a name for a variable"),
            )
            .hint("letters, digits and `_`, not starting with a digit"),
        );
    }
    Some(name.to_owned())
}

fn repeat(loader: &mut Loader<'_>, fields: &Fields<'_>) -> Option<Repeat> {
    let control = fields.value("loop_control");
    let node = fields
        .value("loop")
        .or_else(|| fields.value("with_items"))?;
    if node.as_sequence().is_none() && !node.as_str().is_some_and(crate::template::is_template) {
        loader
            .found
            .push(node.unexpected("a list, or a template that becomes one"));
    }
    let mut repeat = Repeat {
        items: ArgumentValue::any(node, &mut loader.found),
        variable: "item".to_owned(),
        index_variable: None,
        label: None,
    };
    if let Some(control) = control
        && let Ok(control) =
            Fields::new(control, "loop_control").map_err(|diagnostic| loader.found.push(diagnostic))
    {
        if let Some(name) = control.text("loop_var", &mut loader.found) {
            name.clone_into(&mut repeat.variable);
        }
        repeat.index_variable = control
            .text("index_var", &mut loader.found)
            .map(str::to_owned);
        repeat.label = loader.template(&control, "label");
        control.finish(&mut loader.found);
    }
    Some(repeat)
}

fn action(
    loader: &mut Loader<'_>,
    fields: &Fields<'_>,
    word: &Node,
    value: &Node,
    frame: &Arc<Frame>,
) -> Option<Action> {
    let name = word.as_str().unwrap_or_default();
    let inner = |loader: &mut Loader<'_>| {
        Fields::new(value, format!("`{name}`"))
            .map_err(|diagnostic| loader.found.push(diagnostic))
            .ok()
    };
    match short_name(name) {
        "set_fact" => {
            let pairs = value.as_mapping().unwrap_or_default();
            if pairs.is_empty() {
                loader
                    .found
                    .push(value.unexpected("a mapping of variables"));
            }
            let pairs = pairs
                .iter()
                .filter(|(key, _)| key.as_str() != Some("cacheable"));
            Some(Action::SetFact(
                pairs
                    .map(|(key, value)| {
                        (
                            key.as_str().unwrap_or_default().to_owned(),
                            ArgumentValue::any(value, &mut loader.found),
                        )
                    })
                    .collect(),
            ))
        }
        "debug" => {
            let inner = inner(loader)?;
            let message = loader.template(&inner, "msg");
            let variable = inner.value("var").and_then(|node| {
                let result = node
                    .expect_str()
                    .and_then(|text| Template::expression(text, Some(&node.place)));
                result
                    .map_err(|diagnostic| loader.found.push(diagnostic))
                    .ok()
            });
            loader.finish(inner);
            Some(Action::Debug { message, variable })
        }
        "assert" => {
            let inner = inner(loader)?;
            let that = loader.conditions(&inner, "that");
            if that.is_empty() {
                loader.found.push(Diagnostic::at(
                    &word.place,
                    "`assert` needs the argument `that`",
                ));
            }
            let short = loader.template(&inner, "msg");
            let fail_message = loader.template(&inner, "fail_msg").or(short);
            let _ = inner.node("success_msg");
            let _ = inner.node("quiet");
            loader.finish(inner);
            Some(Action::Assert { that, fail_message })
        }
        "fail" => {
            let inner = inner(loader)?;
            let message = loader.template(&inner, "msg");
            loader.finish(inner);
            let message = message
                .or_else(|| Template::parse("failed as requested by the task", None).ok())?;
            Some(Action::Fail { message })
        }
        "meta" => match value.as_str().unwrap_or_default() {
            "flush_handlers" => Some(Action::Meta(Meta::FlushHandlers)),
            "end_host" => Some(Action::Meta(Meta::EndHost)),
            "end_play" => Some(Action::Meta(Meta::EndPlay)),
            "noop" => Some(Action::Meta(Meta::Noop)),
            other => {
                let diagnostic =
                    Diagnostic::at(&value.place, format!("unknown `meta` action `{other}`"));
                loader.found.push(
                    diagnostic.suggest(other, ["flush_handlers", "end_host", "end_play", "noop"]),
                );
                None
            }
        },
        "include_tasks" => {
            let items = file_items(loader, value, frame);
            Some(Action::Include {
                keyword: "include_tasks",
                what: what_of(value),
                items: Arc::new(items),
            })
        }
        "include_role" => {
            let items = role_of(loader, value, frame);
            Some(Action::Include {
                keyword: "include_role",
                what: what_of(value),
                items: Arc::new(items),
            })
        }
        _ => {
            let spec = modules::spec(name)?;
            let arguments =
                arguments::read(spec, word, value, fields.value("args"), &mut loader.found);
            check_source(loader, spec.name, &arguments, word, frame);
            Some(Action::Module { spec, arguments })
        }
    }
}

fn what_of(value: &Node) -> String {
    value
        .as_str()
        .or_else(|| {
            value
                .get("name")
                .or_else(|| value.get("file"))
                .and_then(Node::as_str)
        })
        .unwrap_or_default()
        .to_owned()
}

/// A file that a task names literally must be there, and a template must be right.
fn check_source(
    loader: &mut Loader<'_>,
    module: &str,
    given: &[(&'static str, ArgumentValue)],
    word: &Node,
    frame: &Frame,
) {
    let folder = match module {
        "template" => "templates",
        "copy" => "files",
        _ => return,
    };
    let Some(ArgumentValue::Literal(serde_json::Value::String(src))) = given
        .iter()
        .find(|(name, _)| *name == "src")
        .map(|(_, value)| value)
    else {
        return;
    };
    if src.starts_with(['/', '~']) {
        return;
    }
    let mut places: Vec<String> = Vec::new();
    if let Some(role) = frame.role() {
        places.push(format!("{}/{folder}/{src}", role.folder));
    }
    places.push(format!("{folder}/{src}"));
    places.push(src.clone());
    for place in &places {
        match loader.library.read(place) {
            Ok(Some(entry)) => {
                if folder == "templates"
                    && let Err(diagnostic) = crate::template::check_file(
                        &entry.name,
                        &String::from_utf8_lossy(&entry.bytes),
                    )
                {
                    loader.found.push(diagnostic);
                }
                return;
            }
            Ok(None) => {}
            Err(_) if module == "copy" => return,
            Err(error) => {
                loader.found.push(Diagnostic::at(
                    &word.place,
                    format!("cannot read `{src}`: {error}"),
                ));
                return;
            }
        }
    }
    let looked: Vec<String> = places
        .iter()
        .map(|place| loader.library.describe(place))
        .collect();
    loader.found.push(
        Diagnostic::at(&word.place, format!("there is no file `{src}`"))
            .hint(format!("looked for {}", looked.join(", "))),
    );
}

/// The tasks of a file that `import_tasks` or `include_tasks` names.
fn file_items(loader: &mut Loader<'_>, value: &Node, frame: &Arc<Frame>) -> Vec<Item> {
    let Some(node) = value.as_str().map(|_| value).or_else(|| value.get("file")) else {
        loader.found.push(value.unexpected("the name of a file"));
        return Vec::new();
    };
    let file = node.as_str().unwrap_or_default();
    if crate::template::is_template(file) {
        loader.found.push(
            Diagnostic::at(&node.place, "the name of a task file must be literal")
                .hint("use one `include_tasks` with a `when` per file"),
        );
        return Vec::new();
    }
    let mut places: Vec<String> = frame
        .role()
        .map(|role| format!("{}/tasks/{file}", role.folder))
        .into_iter()
        .collect();
    places.push(file.to_owned());
    places.push(format!("tasks/{file}"));
    for place in &places {
        if loader.reading.contains(place) {
            loader.found.push(Diagnostic::at(
                &node.place,
                format!("`{file}` includes itself"),
            ));
            return Vec::new();
        }
        if let Ok(Some(entry)) = loader.library.read(place) {
            loader.reading.push(place.clone());
            let items = loader
                .parse(&entry.name, &entry.bytes)
                .map(|list| loader.items(&list, frame))
                .unwrap_or_default();
            loader.reading.pop();
            return items;
        }
    }
    let looked: Vec<String> = places
        .iter()
        .map(|place| loader.library.describe(place))
        .collect();
    loader.found.push(
        Diagnostic::at(&node.place, format!("there is no task file `{file}`"))
            .hint(format!("looked for {}", looked.join(", "))),
    );
    Vec::new()
}

/// The tasks of a role that `import_role` or `include_role` names.
fn role_of(loader: &mut Loader<'_>, value: &Node, frame: &Arc<Frame>) -> Vec<Item> {
    let Ok(fields) =
        Fields::new(value, "a role").map_err(|diagnostic| loader.found.push(diagnostic))
    else {
        return Vec::new();
    };
    let name = fields.text("name", &mut loader.found).map(str::to_owned);
    let tasks_from = fields
        .text("tasks_from", &mut loader.found)
        .unwrap_or("main")
        .to_owned();
    let place = fields.place().clone();
    loader.finish(fields);
    match name {
        Some(name) => loader.role_items(&name, &place, Arc::clone(frame), &tasks_from, true),
        None => {
            loader
                .found
                .push(Diagnostic::at(&place, "a role needs a `name`"));
            Vec::new()
        }
    }
}
