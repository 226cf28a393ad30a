//! Secrets that stand in a playbook's own variables: they are masked before the first task speaks.

use crate::playbook::{Action, Frame, Item, Playbook};
use crate::secret::Redactor;
use crate::template::Layer;

/// Learns every value whose name says that it is secret. Templates are no values: what they become is learned where
/// it becomes known.
pub(super) fn learn(playbook: &Playbook, redactor: &Redactor) {
    for play in &playbook.plays {
        frame(&play.frame, redactor);
        for role in &play.roles {
            layer(role.defaults.as_ref(), redactor);
            layer(role.vars.as_ref(), redactor);
        }
        for section in &play.sections {
            items(section, redactor);
        }
        for handler in &play.handlers {
            frame(&handler.frame, redactor);
        }
    }
}

fn items(list: &[Item], redactor: &Redactor) {
    for item in list {
        match item {
            Item::Task(task) => {
                frame(&task.frame, redactor);
                if let Action::Include(include) = &task.action
                    && let Some(read) = &include.read
                {
                    items(&read.items, redactor);
                }
            }
            Item::Block(block) => {
                frame(&block.frame, redactor);
                for inner in [&block.items, &block.rescue, &block.always] {
                    items(inner, redactor);
                }
            }
        }
    }
}

fn frame(frame: &Frame, redactor: &Redactor) {
    layer(frame.vars.as_ref(), redactor);
    if let Some(role) = &frame.role {
        layer(role.defaults.as_ref(), redactor);
        layer(role.vars.as_ref(), redactor);
    }
}

fn layer(layer: Option<&Layer>, redactor: &Redactor) {
    if let Some(layer) = layer {
        let literals = layer
            .variables()
            .iter()
            .filter(|(_, value)| !crate::template::has_template(value))
            .map(|(name, value)| (name.clone(), value.clone()));
        redactor.learn_named(&serde_json::Value::Object(literals.collect()));
    }
}
