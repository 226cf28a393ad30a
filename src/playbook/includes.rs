//! Tasks of other files and roles: `import_…` as if they were written here, `include_…` when the run comes to it.
//!
//! What is imported inherits every keyword. What is included inherits the variables and `no_log`, nothing else: the
//! condition is asked once, for the include itself, as in Ansible.

use std::sync::Arc;

use super::action::refuse_keywords;
use super::load::Loader;
use super::roles::Wanted;
use super::{Action, Block, Frame, Item};
use crate::diagnostic::Diagnostic;
use crate::yaml::{Fields, Node};

/// Keywords that an import hands down.
const IMPORTED: &[&str] = &[
    "any_errors_fatal",
    "become",
    "become_method",
    "become_user",
    "check_mode",
    "delegate_to",
    "ignore_errors",
    "name",
    "no_log",
    "run_once",
    "tags",
    "vars",
    "when",
];

/// Keywords that mean something for an include.
const INCLUDED: &[&str] = &[
    "ignore_errors",
    "name",
    "no_log",
    "run_once",
    "tags",
    "vars",
    "when",
];

/// An import as a block.
pub(super) fn import(
    loader: &mut Loader<'_>,
    fields: &Fields<'_>,
    keyword: &str,
    value: &Node,
    parent: &Arc<Frame>,
) -> Item {
    refuse(loader, fields, keyword, IMPORTED);
    let mut frame = loader.frame(fields, Some(parent));
    let is_role = keyword == "import_role";
    // A role's own variables are weaker than what it is given.
    let vars = if is_role { frame.vars.take() } else { None };
    let frame = Arc::new(frame);
    let items = if is_role {
        role_items(loader, value, &frame, vars, true)
    } else {
        file_items(loader, value, &frame)
    };
    Item::Block(Arc::new(Block {
        frame,
        items,
        rescue: Vec::new(),
        always: Vec::new(),
    }))
}

/// An include as the action of a task. `frame` is the task's own.
pub(super) fn include(
    loader: &mut Loader<'_>,
    fields: &Fields<'_>,
    keyword: &'static str,
    value: &Node,
    frame: &Arc<Frame>,
) -> Action {
    refuse(loader, fields, keyword, INCLUDED);
    let is_role = keyword == "include_role";
    let inner = Arc::new(Frame {
        parent: frame.parent.clone(),
        vars: frame.vars.clone().filter(|_| !is_role),
        no_log: frame.no_log,
        ..Frame::default()
    });
    let items = if is_role {
        role_items(loader, value, &inner, frame.vars.clone(), false)
    } else {
        file_items(loader, value, &inner)
    };
    Action::Include {
        keyword,
        what: what_of(value),
        items: Arc::new(items),
    }
}

/// Reports keywords that would not reach the tasks inside.
fn refuse(loader: &mut Loader<'_>, fields: &Fields<'_>, keyword: &str, allowed: &[&str]) {
    let before = loader.found.0.len();
    refuse_keywords(loader, fields, allowed, |word| match word {
        "loop" | "with_items" => format!("`{word}` on `{keyword}` is not supported yet"),
        word => format!("`{word}` on `{keyword}` does not reach the tasks inside"),
    });
    for diagnostic in loader.found.0.iter_mut().skip(before) {
        let is_loop = diagnostic.message.contains("not supported yet");
        diagnostic.hint = Some(
            match keyword {
                _ if is_loop => "put the loop on the tasks inside, or write one of these per item",
                "include_tasks" => "put it on the tasks inside, or use `import_tasks`",
                "include_role" => "put it on the tasks inside, or use `import_role`",
                _ => "put it on the tasks inside",
            }
            .to_owned(),
        );
    }
}

/// What is included, for output.
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

/// The tasks of a file that `import_tasks` or `include_tasks` names.
fn file_items(loader: &mut Loader<'_>, value: &Node, frame: &Arc<Frame>) -> Vec<Item> {
    let mut named = None;
    if value.as_mapping().is_some()
        && let Ok(fields) =
            Fields::new(value, "a task file").map_err(|diagnostic| loader.found.push(diagnostic))
    {
        named = fields.value("file");
        loader.finish(fields);
    }
    let Some(node) = named.or_else(|| value.as_str().map(|_| value)) else {
        loader.found.push(
            Diagnostic::at(&value.place, "a task file needs its name")
                .hint("write `import_tasks: FILE`"),
        );
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
fn role_items(
    loader: &mut Loader<'_>,
    value: &Node,
    frame: &Arc<Frame>,
    vars: Option<crate::template::Layer>,
    public: bool,
) -> Vec<Item> {
    let Ok(fields) =
        Fields::new(value, "a role").map_err(|diagnostic| loader.found.push(diagnostic))
    else {
        return Vec::new();
    };
    let name = fields.text("name", &mut loader.found);
    let tasks_from = fields.text("tasks_from", &mut loader.found);
    let place = fields
        .value("name")
        .map_or(&value.place, |node| &node.place);
    loader.finish(fields);
    let Some(name) = name else {
        loader.found.push(
            Diagnostic::at(&value.place, "a role needs a `name`").hint("write `name: ROLE` below"),
        );
        return Vec::new();
    };
    let wanted = Wanted {
        name,
        place,
        tasks_from: tasks_from.unwrap_or("main"),
        vars,
        again: true,
        public,
    };
    loader.role_items(wanted, Arc::clone(frame))
}
