//! Reading what a task does: its module or action, with the arguments.

use std::sync::Arc;

use super::call::Call;
use super::late::LateCall;
use super::load::Loader;
use super::{Action, ArgumentValue, EngineAction, Frame, arguments, includes, meta};
use crate::diagnostic::Diagnostic;
use crate::modules;
use crate::template::{Syntax, Template, is_template};
use crate::yaml::{Fields, Node};

/// Actions that are part of the engine.
pub(super) const ACTIONS: &[&str] = &[
    "add_host",
    "assert",
    "async_status",
    "debug",
    "fail",
    "gather_facts",
    "group_by",
    "import_role",
    "import_tasks",
    "include_role",
    "include_tasks",
    "include_vars",
    "meta",
    "pause",
    "set_fact",
    "setup",
    "validate_argument_spec",
];

/// An action with arguments by name: which it takes, which it needs, and which a free text stands for.
struct Form {
    kind: EngineAction,
    takes: &'static [&'static str],
    needs: &'static [&'static str],
    free: Option<&'static str>,
}

const FORMS: &[Form] = &[
    Form {
        kind: EngineAction::AsyncStatus,
        takes: &["jid", "mode"],
        needs: &["jid"],
        free: None,
    },
    Form {
        kind: EngineAction::GatherFacts,
        takes: &["parallel", "gather_subset", "gather_timeout", "filter"],
        needs: &[],
        free: None,
    },
    Form {
        kind: EngineAction::GroupBy,
        takes: &["key", "parents"],
        needs: &["key"],
        free: None,
    },
    Form {
        kind: EngineAction::IncludeVars,
        takes: &[
            "file",
            "dir",
            "name",
            "depth",
            "extensions",
            "files_matching",
            "ignore_files",
            "ignore_unknown_extensions",
            "hash_behaviour",
        ],
        needs: &[],
        free: Some("file"),
    },
    Form {
        kind: EngineAction::Pause,
        takes: &["seconds", "minutes", "prompt", "echo"],
        needs: &[],
        free: None,
    },
    Form {
        kind: EngineAction::Setup,
        takes: &["gather_subset", "gather_timeout", "filter", "fact_path"],
        needs: &[],
        free: None,
    },
    Form {
        kind: EngineAction::ValidateArguments,
        takes: &[
            "argument_spec",
            "provided_arguments",
            "validate_args_context",
        ],
        needs: &["argument_spec"],
        free: None,
    },
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

/// The one name of a word that is a module or an action.
pub(super) fn action_name(name: &str) -> &'static str {
    let short = short_name(name);
    let action = ACTIONS.iter().find(|action| **action == short);
    action
        .copied()
        .or_else(|| modules::spec(name).map(|spec| spec.name))
        .unwrap_or_default()
}

/// The one name of a module or action.
pub(super) fn canonical(name: &str) -> &str {
    let short = short_name(name);
    if ACTIONS.contains(&short) {
        return short;
    }
    modules::spec(name).map_or(short, |spec| spec.name)
}

/// What the module or the action of a task says.
pub(super) fn action(
    loader: &mut Loader<'_>,
    fields: &Fields<'_>,
    word: &Node,
    value: &Node,
    frame: &Arc<Frame>,
) -> Option<Action> {
    let call = Call::read(loader, fields, word, value, frame)?;
    let name = word.as_str().unwrap_or_default();
    if is_template(name) {
        let late = LateCall::new(loader, call, frame)?;
        return Some(Action::Late(Arc::new(late)));
    }
    if short_name(name) == "meta" {
        let text = call.free.as_ref().unwrap_or(value);
        return meta::read(loader, text, frame.role().is_some());
    }
    of_call(loader, fields, call, frame)
}

/// What a call says, once its module or action is known.
pub(super) fn of_call(
    loader: &mut Loader<'_>,
    fields: &Fields<'_>,
    call: Call,
    frame: &Arc<Frame>,
) -> Option<Action> {
    let word = &call.word;
    let name = short_name(word.as_str().unwrap_or_default());
    if matches!(name, "include_tasks" | "include_role") {
        return includes::include(loader, fields, name, &call, frame);
    }
    if name == "set_fact" {
        return set_fact(loader, &call);
    }
    if name == "add_host" {
        return add_host(loader, &call);
    }
    let mapping = call.mapping();
    let inner = Fields::new(&mapping, format!("`{name}`")).ok()?;
    let action = match name {
        "debug" => Some(debug(loader, &inner)),
        "assert" => Some(assert(loader, &inner, &call.word)),
        "fail" => loader
            .template(&inner, "msg")
            .or_else(|| Template::parse("Failed as requested from task", None).ok())
            .map(|message| Action::Fail { message }),
        _ => {
            if let Some(form) = FORMS.iter().find(|form| form.kind.name() == name) {
                let action = with_form(loader, form, &call, &inner);
                loader.finish(inner);
                return Some(action);
            }
            let spec = modules::spec(word.as_str().unwrap_or_default())?;
            let arguments = arguments::read(spec, &call, &mut loader.found);
            check_source(loader, spec.name, &arguments, word, frame);
            return Some(Action::Module {
                spec,
                arguments,
                more: call.more,
            });
        }
    };
    if let Some(more) = &call.more {
        let message = format!("the arguments of `{name}` cannot be one template");
        loader.found.push(match more.place() {
            Some(place) => Diagnostic::at(place, message),
            None => Diagnostic::error(message),
        });
    }
    loader.finish(inner);
    action
}

fn set_fact(loader: &mut Loader<'_>, call: &Call) -> Option<Action> {
    let mut pairs = Vec::new();
    let mut cacheable = None;
    if call.pairs.is_empty() && call.more.is_none() {
        loader.found.push(Diagnostic::at(
            &call.place,
            "`set_fact` needs at least one variable",
        ));
        return None;
    }
    for (key, value) in &call.pairs {
        let name = key.as_str().unwrap_or_default();
        if name == "cacheable" {
            cacheable = loader.flag_of(value);
            continue;
        }
        if !crate::template::is_template(name) {
            loader.check_variable(name, &key.place);
        }
        pairs.push((
            ArgumentValue::any(key, &mut loader.found),
            ArgumentValue::any(value, &mut loader.found),
        ));
    }
    Some(Action::SetFact {
        pairs,
        more: call.more.clone(),
        cacheable,
    })
}

fn add_host(loader: &mut Loader<'_>, call: &Call) -> Option<Action> {
    let mut arguments: Vec<(String, ArgumentValue)> = Vec::new();
    for (key, value) in &call.pairs {
        let name = match key.as_str().unwrap_or_default() {
            "hostname" | "host" => "name",
            "group" | "groupname" => "groups",
            other => other,
        };
        arguments.push((
            name.to_owned(),
            ArgumentValue::any(value, &mut loader.found),
        ));
    }
    if !arguments.iter().any(|(name, _)| name == "name") && call.more.is_none() {
        loader.found.push(Diagnostic::at(
            &call.word.place,
            "`add_host` needs the argument `name`",
        ));
        return None;
    }
    Some(Action::Engine {
        kind: EngineAction::AddHost,
        arguments,
        more: call.more.clone(),
    })
}

fn debug(loader: &mut Loader<'_>, inner: &Fields<'_>) -> Action {
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
    if let (Some(_), Some(node)) = (&variable, inner.value("msg")) {
        loader.found.push(Diagnostic::at(
            &node.place,
            "`debug` has `msg` or `var`, not both",
        ));
    }
    let verbosity = inner
        .value("verbosity")
        .map(|node| ArgumentValue::parse(node, modules::ArgumentKind::Integer, &mut loader.found));
    Action::Debug {
        message,
        variable,
        verbosity,
    }
}

fn assert(loader: &mut Loader<'_>, inner: &Fields<'_>, word: &Node) -> Action {
    let that = loader.conditions(inner, "that");
    if inner.value("that").is_none() {
        loader.found.push(Diagnostic::at(
            &word.place,
            "`assert` needs the argument `that`",
        ));
    }
    let mut message = |key: &'static str| {
        inner
            .value(key)
            .map(|node| ArgumentValue::any(node, &mut loader.found))
    };
    let short = message("msg");
    let fail_message = message("fail_msg").or(short);
    let success_message = message("success_msg");
    let _ = inner.boolean("quiet", &mut loader.found);
    Action::Assert {
        that,
        fail_message,
        success_message,
    }
}

fn with_form(loader: &mut Loader<'_>, form: &Form, call: &Call, inner: &Fields<'_>) -> Action {
    let mut arguments: Vec<(String, ArgumentValue)> = Vec::new();
    if let (Some(name), Some(node)) = (form.free, &call.free) {
        arguments.push((name.to_owned(), ArgumentValue::any(node, &mut loader.found)));
    }
    for name in form.takes {
        if let Some(node) = inner.value(name) {
            arguments.push((
                (*name).to_owned(),
                ArgumentValue::any(node, &mut loader.found),
            ));
        }
    }
    for name in form.needs {
        if !arguments.iter().any(|(given, _)| given == name) && call.more.is_none() {
            let message = format!("`{}` needs the argument `{name}`", form.kind.name());
            loader.found.push(Diagnostic::at(&call.word.place, message));
        }
    }
    let has = |name: &str| arguments.iter().any(|(given, _)| given == name);
    if form.kind == EngineAction::IncludeVars && has("file") == has("dir") && call.more.is_none() {
        loader.found.push(
            Diagnostic::at(
                &call.word.place,
                "`include_vars` needs `file` or `dir`, one of them",
            )
            .hint("write `include_vars: FILE`"),
        );
    }
    if form.kind == EngineAction::Pause && has("seconds") && has("minutes") {
        loader.found.push(Diagnostic::at(
            &call.word.place,
            "`pause` has `seconds` or `minutes`, not both",
        ));
    }
    Action::Engine {
        kind: form.kind,
        arguments,
        more: call.more.clone(),
    }
}

/// Reports keywords of a task that would do nothing.
pub(super) fn refuse_keywords(
    loader: &mut Loader<'_>,
    fields: &Fields<'_>,
    allowed: &[&str],
    message: impl Fn(&str) -> String,
) {
    for keyword in super::task::keywords() {
        if !allowed.contains(&keyword)
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
    let literal = |wanted: &str| {
        given
            .iter()
            .find(|(name, _)| *name == wanted)
            .and_then(|(_, value)| match value {
                ArgumentValue::Literal(value) => Some(value),
                ArgumentValue::Templated { .. } => None,
            })
    };
    let Some(serde_json::Value::String(src)) = literal("src") else {
        return;
    };
    let is_here = given.iter().all(|(name, _)| *name != "remote_src")
        || literal("remote_src") == Some(&serde_json::Value::Bool(false));
    if src.starts_with(['/', '~']) || !is_here {
        return;
    }
    let places = frame.places(folder, src);
    for place in &places {
        match loader.library.read(place) {
            Ok(Some(entry)) => {
                let stays = literal("decrypt") == Some(&serde_json::Value::Bool(false));
                let opened = crate::vault::decrypt_file(&entry.name, &entry.bytes);
                let (bytes, is_secret) = match opened {
                    Ok(opened) => opened,
                    Err(_) if stays => return,
                    Err(diagnostic) => {
                        let diagnostic = diagnostic.related(&word.place, "used here");
                        return loader.found.push(diagnostic);
                    }
                };
                if folder == "templates"
                    && let Err(diagnostic) = crate::template::check_file(
                        &entry.name,
                        &String::from_utf8_lossy(&bytes),
                        &Syntax::from_arguments(|name| literal(name).cloned()),
                    )
                {
                    loader.found.push(if is_secret {
                        // Nothing of the text may be shown.
                        Diagnostic::error(diagnostic.to_string())
                    } else {
                        diagnostic
                    });
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
    loader.found.push(
        Diagnostic::at(&word.place, format!("there is no file `{src}`"))
            .hint(loader.looked_for(&places)),
    );
}
