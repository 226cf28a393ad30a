//! Reading what a task does: its module or action, with the arguments.

use std::sync::Arc;

use super::load::Loader;
use super::task::KEYWORDS;
use super::{Action, ArgumentValue, Frame, Meta, arguments, includes};
use crate::diagnostic::Diagnostic;
use crate::modules;
use crate::template::Template;
use crate::yaml::{Fields, Node};
/// Actions that are part of the engine.
pub(super) const ACTIONS: &[&str] = &[
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

/// Whether a word is a module or an action.
pub(super) fn is_action(name: &str) -> bool {
    ACTIONS.contains(&short_name(name)) || modules::spec(name).is_some()
}

/// A name without Ansible's collection before it.
pub(super) fn short_name(name: &str) -> &str {
    name.strip_prefix("ansible.builtin.")
        .or_else(|| name.strip_prefix("ansible.legacy."))
        .unwrap_or(name)
}

/// What the module or the action of a task says.
pub(super) fn action(
    loader: &mut Loader<'_>,
    fields: &Fields<'_>,
    word: &Node,
    value: &Node,
    frame: &Arc<Frame>,
) -> Option<Action> {
    let name = word.as_str().unwrap_or_default();
    let inner = |loader: &mut Loader<'_>| {
        Fields::new(value, format!("`{name}`"))
            .map_err(|diagnostic| {
                let hint = format!("write one `argument: value` per line under `{name}:`");
                loader.found.push(diagnostic.hint(hint));
            })
            .ok()
    };
    if ACTIONS.contains(&short_name(name))
        && let Some(arguments) = fields.value("args")
    {
        loader.found.push(
            Diagnostic::at(&arguments.place, format!("`{name}` takes no `args`"))
                .hint(format!("write them under `{name}:`")),
        );
    }
    match short_name(name) {
        "set_fact" => {
            let pairs = value.as_mapping().unwrap_or_default();
            if pairs.is_empty() {
                loader
                    .found
                    .push(value.unexpected("a mapping of variables"));
            }
            let mut facts = Vec::new();
            for (key, value) in pairs {
                let name = key.as_str().unwrap_or_default();
                if name == "cacheable" {
                    continue;
                }
                loader.check_variable(name, &key.place);
                facts.push((
                    name.to_owned(),
                    ArgumentValue::any(value, &mut loader.found),
                ));
            }
            Some(Action::SetFact(facts))
        }
        "debug" => {
            let inner = inner(loader)?;
            let message = inner
                .value("msg")
                .map(|node| ArgumentValue::any(node, &mut loader.found));
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
            let success_message = loader.template(&inner, "success_msg");
            let _ = inner.boolean("quiet", &mut loader.found);
            loader.finish(inner);
            Some(Action::Assert {
                that,
                fail_message,
                success_message,
            })
        }
        "fail" => {
            let inner = inner(loader)?;
            let message = loader.template(&inner, "msg");
            loader.finish(inner);
            let message = message
                .or_else(|| Template::parse("failed as requested by the task", None).ok())?;
            Some(Action::Fail { message })
        }
        "meta" => {
            refuse_keywords(
                loader,
                fields,
                &["name", "tags", "vars", "when"],
                |keyword| format!("`{keyword}` has no effect on `meta`"),
            );
            meta(loader, value)
        }
        "include_tasks" => Some(includes::include(
            loader,
            fields,
            "include_tasks",
            value,
            frame,
        )),
        "include_role" => Some(includes::include(
            loader,
            fields,
            "include_role",
            value,
            frame,
        )),
        _ => {
            let spec = modules::spec(name)?;
            let arguments =
                arguments::read(spec, word, value, fields.value("args"), &mut loader.found);
            check_source(loader, spec.name, &arguments, word, frame);
            Some(Action::Module { spec, arguments })
        }
    }
}

const META: &[(&str, Meta)] = &[
    ("flush_handlers", Meta::FlushHandlers),
    ("end_host", Meta::EndHost),
    ("end_play", Meta::EndPlay),
    ("noop", Meta::Noop),
];

fn meta(loader: &mut Loader<'_>, value: &Node) -> Option<Action> {
    let name = value.as_str().unwrap_or_default();
    let known = META.iter().find(|(known, _)| *known == name);
    if known.is_none() {
        let names: Vec<&str> = META.iter().map(|(known, _)| *known).collect();
        let mut diagnostic =
            Diagnostic::at(&value.place, format!("unknown `meta` action `{name}`"))
                .suggest(name, names.iter().copied());
        diagnostic
            .hint
            .get_or_insert_with(|| format!("there are: {}", names.join(", ")));
        loader.found.push(diagnostic);
    }
    known.map(|(_, meta)| Action::Meta(*meta))
}

/// Reports keywords of a task that would do nothing.
pub(super) fn refuse_keywords(
    loader: &mut Loader<'_>,
    fields: &Fields<'_>,
    allowed: &[&str],
    message: impl Fn(&str) -> String,
) {
    for keyword in KEYWORDS {
        if !allowed.contains(keyword)
            && let Some(node) = fields.value(keyword)
        {
            loader
                .found
                .push(Diagnostic::at(&node.place, message(keyword)));
        }
    }
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
