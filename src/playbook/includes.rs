//! Tasks of other files and roles: `import_…` as if they were written here, `include_…` when the run comes to it.
//!
//! What is imported inherits every keyword. What is included inherits the variables and what `apply` says, nothing
//! else: the condition is asked once, for the include itself, as in Ansible. An include whose name is literal is read at
//! once all the same, so that its mistakes are found before the run.

use std::path::Path;
use std::sync::Arc;

use super::action::refuse_keywords;
use super::call::Call;
use super::frame::within;
use super::load::{Included, Loader, Resolved, flatten};
use super::play::names_of;
use super::roles::{From, Wanted, reading_mark};
use super::{Action, Block, Frame, Include, IncludeTarget, Item, RoleReference};
use crate::diagnostic::{Diagnostic, Place};
use crate::template::Template;
use crate::yaml::{Fields, Node};

/// Keywords that an import hands down.
const IMPORTED: &[&str] = &[
    "any_errors_fatal",
    "args",
    "become",
    "become_exe",
    "become_flags",
    "become_method",
    "become_user",
    "check_mode",
    "collections",
    "connection",
    "delegate_facts",
    "delegate_to",
    "diff",
    "environment",
    "ignore_errors",
    "ignore_unreachable",
    "module_defaults",
    "name",
    "no_log",
    "notify",
    "port",
    "remote_user",
    "run_once",
    "tags",
    "throttle",
    "timeout",
    "vars",
    "when",
];

/// Keywords that mean something for an include.
const INCLUDED: &[&str] = &[
    "any_errors_fatal",
    "args",
    "check_mode",
    "collections",
    "delegate_to",
    "diff",
    "ignore_errors",
    "ignore_unreachable",
    "listen",
    "loop",
    "loop_control",
    "name",
    "no_log",
    "notify",
    "register",
    "run_once",
    "tags",
    "throttle",
    "timeout",
    "vars",
    "when",
];

/// An import as a block.
pub(super) fn import(
    loader: &mut Loader<'_>,
    fields: &Fields<'_>,
    keyword: &str,
    word: &Node,
    value: &Node,
    parent: &Arc<Frame>,
) -> Vec<Item> {
    refuse(loader, fields, keyword, IMPORTED);
    loader.collections(fields);
    let mut frame = loader.frame(fields, Some(parent));
    let is_role = keyword == "import_role";
    let Some(call) = Call::read(loader, fields, word, value, parent) else {
        return Vec::new();
    };
    if !is_role {
        let frame = Arc::new(frame);
        let Some((file, _)) = file_of(loader, keyword, &call) else {
            return Vec::new();
        };
        let Some(name) = loader.known_now(&file, &frame) else {
            return Vec::new();
        };
        let place = file.place().cloned().unwrap_or_else(|| call.place.clone());
        return vec![Item::Block(Arc::new(Block {
            items: file_items(loader, &name, &frame, &place, true).unwrap_or_default(),
            frame,
            rescue: Vec::new(),
            always: Vec::new(),
            once: None,
            is_role: false,
        }))];
    }
    if loader.in_handlers {
        refuse_as_handler(loader, keyword, &word.place);
        return Vec::new();
    }
    // A role's own variables are weaker than what it is given.
    let vars = frame.vars.take();
    let known = Frame {
        vars: vars.clone(),
        parent: Some(Arc::clone(parent)),
        ..Frame::default()
    };
    let frame = Arc::new(frame);
    let Some((reference, _)) = reference_of(loader, &call, true) else {
        return Vec::new();
    };
    let mut names = [const { None }; 5];
    let templates = [
        Some(&reference.name),
        reference.tasks_from.as_ref(),
        reference.vars_from.as_ref(),
        reference.defaults_from.as_ref(),
        reference.handlers_from.as_ref(),
    ];
    for (slot, template) in names.iter_mut().zip(templates) {
        if let Some(template) = template {
            let Some(text) = loader.known_now(template, &known) else {
                return Vec::new();
            };
            *slot = Some(text);
        }
    }
    let [
        Some(name),
        tasks_from,
        vars_from,
        defaults_from,
        handlers_from,
    ] = names
    else {
        return Vec::new();
    };
    let place = reference
        .name
        .place()
        .cloned()
        .unwrap_or_else(|| call.place.clone());
    let from = From {
        tasks: tasks_from,
        vars: vars_from,
        defaults: defaults_from,
        handlers: handlers_from,
    };
    let wanted = Wanted {
        name: &name,
        place: &place,
        from: &from,
        vars,
        params: None,
        again: reference.allow_duplicates,
        public: true,
        validate: reference.validate,
    };
    let (items, role) = loader.role_items(&wanted, Arc::clone(&frame));
    loader.role_names.extend(role.map(|role| role.name.clone()));
    items
}

/// An include as the action of a task. `frame` is the task's own.
pub(super) fn include(
    loader: &mut Loader<'_>,
    fields: &Fields<'_>,
    keyword: &str,
    call: &Call,
    frame: &Arc<Frame>,
) -> Option<Action> {
    refuse(loader, fields, keyword, INCLUDED);
    let is_role = keyword == "include_role";
    let (what, apply) = if is_role {
        if loader.in_handlers {
            refuse_as_handler(loader, keyword, &call.word.place);
            return None;
        }
        let (reference, apply) = reference_of(loader, call, false)?;
        (IncludeTarget::Role(Box::new(reference)), apply)
    } else {
        let (file, apply) = file_of(loader, keyword, call)?;
        (IncludeTarget::Tasks(file), apply)
    };
    let mut inner = Frame {
        parent: frame.parent.clone(),
        vars: frame.vars.clone(),
        params: frame.vars.clone(),
        no_log: frame.no_log.clone(),
        ..Frame::default()
    };
    if let Some(apply) = apply {
        inner = applied(loader, &apply, inner);
    }
    let task = Arc::clone(frame);
    let frame = Arc::new(inner);
    let read = if let Some(resolved) = literal(&what) {
        let place = match &what {
            IncludeTarget::Tasks(file) => file.place(),
            IncludeTarget::Role(reference) => reference.name.place(),
        };
        let place = place.unwrap_or(&call.place).clone();
        let is_conditional =
            fields.value("when").is_some() || task.chain().any(|frame| !frame.when.is_empty());
        let may_end = is_conditional
            || super::loops::keywords()
                .chain(["loop"])
                .any(|keyword| fields.value(keyword).is_some());
        loader.conditions_around += usize::from(is_conditional);
        let included = read_now(loader, &resolved, &frame, &place, may_end);
        loader.conditions_around -= usize::from(is_conditional);
        included
    } else {
        loader.is_open = true;
        None
    };
    Some(Action::Include(Arc::new(Include { what, frame, read })))
}

/// What the keywords under `apply` change for the tasks inside.
fn applied(loader: &mut Loader<'_>, apply: &Node, inner: Frame) -> Frame {
    let Ok(fields) =
        Fields::new(apply, "`apply`").map_err(|diagnostic| loader.found.push(diagnostic))
    else {
        return inner;
    };
    let around = Arc::new(inner);
    let frame = loader.frame(&fields, Some(&around));
    loader.collections(&fields);
    let _ = fields.node("name");
    loader.finish(fields);
    frame
}

/// The include as it is, if its names are literal.
fn literal(what: &IncludeTarget) -> Option<Resolved> {
    let text = |template: &Template| template.literal().map(str::to_owned).ok_or(());
    what.resolve(text).ok()
}

impl IncludeTarget {
    /// The names in it, each made a text by `text`.
    pub fn resolve<E>(&self, text: impl Fn(&Template) -> Result<String, E>) -> Result<Resolved, E> {
        let optional = |template: &Option<Template>| template.as_ref().map(&text).transpose();
        Ok(match self {
            Self::Tasks(file) => Resolved::Tasks(text(file)?),
            Self::Role(reference) => Resolved::Role {
                name: text(&reference.name)?,
                tasks_from: optional(&reference.tasks_from)?,
                vars_from: optional(&reference.vars_from)?,
                defaults_from: optional(&reference.defaults_from)?,
                handlers_from: optional(&reference.handlers_from)?,
                public: reference.public,
                allow_duplicates: reference.allow_duplicates,
                validate: reference.validate,
            },
        })
    }
}

/// Reads an include before the run, unless that would never end.
fn read_now(
    loader: &mut Loader<'_>,
    what: &Resolved,
    frame: &Arc<Frame>,
    place: &Place,
    may_end: bool,
) -> Option<Included> {
    if loader.is_circular(what, frame) {
        if !may_end {
            let name = match what {
                Resolved::Tasks(file) => file,
                Resolved::Role { name, .. } => name,
            };
            loader.found.push(
                Diagnostic::at(place, format!("`{name}` includes itself"))
                    .hint("without a condition this never ends"),
            );
        }
        return None;
    }
    let outer = (
        std::mem::take(&mut loader.handlers),
        std::mem::take(&mut loader.public),
    );
    let depth = loader.reading.len();
    let included = loader.included(what, frame, place);
    loader.reading.truncate(depth);
    (loader.handlers, loader.public) = outer;
    loader
        .included_handlers
        .extend(names_of(&included.handlers));
    Some(included)
}

impl Loader<'_> {
    /// What an include brings.
    pub(super) fn included(
        &mut self,
        what: &Resolved,
        frame: &Arc<Frame>,
        place: &Place,
    ) -> Included {
        if self.is_circular(what, frame) {
            return Included::default();
        }
        let (items, roles) = match what {
            Resolved::Tasks(file) => (
                file_items(self, file, frame, place, false).unwrap_or_default(),
                Vec::new(),
            ),
            Resolved::Role {
                name,
                tasks_from,
                vars_from,
                defaults_from,
                handlers_from,
                public,
                allow_duplicates,
                validate,
            } => {
                let from = From {
                    tasks: tasks_from.clone(),
                    vars: vars_from.clone(),
                    defaults: defaults_from.clone(),
                    handlers: handlers_from.clone(),
                };
                let wanted = Wanted {
                    name,
                    place,
                    from: &from,
                    vars: frame.vars.clone(),
                    params: None,
                    again: *allow_duplicates,
                    public: false,
                    validate: *validate,
                };
                let (items, role) = self.role_items(&wanted, Arc::clone(frame));
                (items, role.into_iter().filter(|_| *public).collect())
            }
        };
        let items = if self.in_handlers {
            let mut handlers = Vec::new();
            flatten(items, &mut handlers);
            handlers.into_iter().map(Item::Task).collect()
        } else {
            items
        };
        let mut roles: Vec<_> = roles;
        roles.append(&mut self.public);
        Included {
            items: Arc::new(items),
            handlers: Arc::new(std::mem::take(&mut self.handlers)),
            roles,
        }
    }

    /// Whether what is named is being read just now: it is read again when the run comes to it.
    fn is_circular(&self, what: &Resolved, frame: &Frame) -> bool {
        match what {
            Resolved::Tasks(file) => self
                .task_files(file, frame)
                .iter()
                .any(|place| self.reading.contains(place)),
            Resolved::Role {
                name, tasks_from, ..
            } => {
                let mark = reading_mark(name, tasks_from.as_deref());
                self.reading
                    .iter()
                    .any(|open| Path::new(open).file_name() == Path::new(&mark).file_name())
            }
        }
    }

    /// Where a file of tasks may lie.
    fn task_files(&self, file: &str, frame: &Frame) -> Vec<String> {
        if file.starts_with('/') {
            return vec![file.to_owned()];
        }
        let mut places: Vec<String> = Vec::new();
        let mut add = |place: String| {
            if !places.contains(&place) {
                places.push(place);
            }
        };
        for folder in frame.chain().filter_map(|frame| frame.folder.as_deref()) {
            add(within(folder, file));
        }
        for role in frame.roles() {
            if self.in_handlers {
                add(format!("{}/handlers/{file}", role.folder));
            }
            add(format!("{}/tasks/{file}", role.folder));
            add(format!("{}/{file}", role.folder));
        }
        add(within(&self.play_folder, file));
        add(within(&self.play_folder, &format!("tasks/{file}")));
        places
    }
}

fn refuse_as_handler(loader: &mut Loader<'_>, keyword: &str, place: &Place) {
    loader.found.push(
        Diagnostic::at(place, format!("`{keyword}` cannot be a handler"))
            .hint("`include_tasks` and `import_tasks` can"),
    );
}

/// Reports keywords that would not reach the tasks inside.
fn refuse(loader: &mut Loader<'_>, fields: &Fields<'_>, keyword: &str, allowed: &[&'static str]) {
    let before = loader.found.0.len();
    let loops = super::loops::keywords().filter(|_| allowed.contains(&"loop"));
    let allowed: Vec<&str> = allowed.iter().copied().chain(loops).collect();
    refuse_keywords(loader, fields, &allowed, |word| {
        format!("`{word}` on `{keyword}` does not reach the tasks inside")
    });
    for diagnostic in loader.found.0.iter_mut().skip(before) {
        diagnostic.hint = Some(
            match keyword {
                "include_tasks" | "include_role" => {
                    "put it on the tasks inside, or under `apply:` beside the name"
                }
                _ => "put it on the tasks inside",
            }
            .to_owned(),
        );
    }
}

/// The file that `import_tasks` or `include_tasks` names, and what stands under `apply`.
fn file_of(
    loader: &mut Loader<'_>,
    keyword: &str,
    call: &Call,
) -> Option<(Template, Option<Node>)> {
    let mapping = call.mapping();
    let fields = Fields::new(&mapping, format!("`{keyword}`")).ok()?;
    let named = fields.value("file").or(call.free.as_ref());
    let apply = (keyword == "include_tasks")
        .then(|| fields.value("apply").cloned())
        .flatten();
    let template = named.and_then(|node| loader.template_of(node));
    let is_named = named.is_some();
    loader.finish(fields);
    if !is_named {
        loader.found.push(
            Diagnostic::at(&call.place, "a task file needs its name")
                .hint(format!("write `{keyword}: FILE`")),
        );
    }
    template.map(|template| (template, apply))
}

/// The role that `import_role` or `include_role` names, and what stands under `apply`.
fn reference_of(
    loader: &mut Loader<'_>,
    call: &Call,
    is_import: bool,
) -> Option<(RoleReference, Option<Node>)> {
    let mapping = call.mapping();
    let fields = Fields::new(&mapping, "a role").ok()?;
    let named = fields.value("name");
    let named = fields.value("role").or(named);
    let name = named.and_then(|node| loader.template_of(node));
    let reference = name.map(|name| RoleReference {
        name,
        tasks_from: loader.template(&fields, "tasks_from"),
        vars_from: loader.template(&fields, "vars_from"),
        defaults_from: loader.template(&fields, "defaults_from"),
        handlers_from: loader.template(&fields, "handlers_from"),
        public: fields
            .boolean("public", &mut loader.found)
            .unwrap_or(is_import),
        allow_duplicates: fields
            .boolean("allow_duplicates", &mut loader.found)
            .unwrap_or(true),
        validate: fields
            .boolean("rolespec_validate", &mut loader.found)
            .unwrap_or(true),
    });
    let apply = (!is_import)
        .then(|| fields.value("apply").cloned())
        .flatten();
    let is_named = named.is_some();
    if is_named {
        loader.finish(fields);
    } else {
        loader.found.push(
            Diagnostic::at(&call.place, "a role needs a `name`").hint("write `name: ROLE` below"),
        );
    }
    reference.map(|reference| (reference, apply))
}

/// The tasks of a file.
fn file_items(
    loader: &mut Loader<'_>,
    file: &str,
    frame: &Arc<Frame>,
    place: &Place,
    is_import: bool,
) -> Option<Vec<Item>> {
    let places = loader.task_files(file.trim(), frame);
    for path in &places {
        if is_import && loader.reading.contains(path) {
            loader
                .found
                .push(Diagnostic::at(place, format!("`{file}` includes itself")));
            return None;
        }
        if let Ok(Some(entry)) = loader.library.read(path) {
            let folder = Path::new(path)
                .parent()
                .map_or_else(String::new, |parent| parent.display().to_string());
            let inner = Arc::new(Frame {
                parent: Some(Arc::clone(frame)),
                folder: Some(folder.as_str().into()),
                ..Frame::default()
            });
            loader.reading.push(path.clone());
            let items = loader
                .parse(&entry.name, &entry.bytes)
                .map(|list| loader.items(&list, &inner));
            loader.reading.pop();
            return items;
        }
    }
    let hint = loader.looked_for(&places);
    loader
        .found
        .push(Diagnostic::at(place, format!("there is no task file `{file}`")).hint(hint));
    None
}
