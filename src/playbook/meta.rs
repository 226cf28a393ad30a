//! What `meta` does.

use super::Action;
use super::load::Loader;
use crate::diagnostic::Diagnostic;
use crate::yaml::Node;

/// What `meta` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// Forgets the facts of all hosts of the play.
    ClearFacts,
    /// Hosts that failed or were lost take part again.
    ClearHostErrors,
    /// Ends the play for the hosts of this batch.
    EndBatch,
    /// Ends the play for the host.
    EndHost,
    /// Ends the play for all hosts.
    EndPlay,
    /// Ends the role for the host.
    EndRole,
    /// Runs notified handlers now.
    FlushHandlers,
    /// Nothing.
    Noop,
    /// Reads the inventory again.
    RefreshInventory,
    /// Closes the connection; the next task opens another.
    ResetConnection,
}

const WORDS: &[(&str, Meta)] = &[
    ("clear_facts", Meta::ClearFacts),
    ("clear_host_errors", Meta::ClearHostErrors),
    ("end_batch", Meta::EndBatch),
    ("end_host", Meta::EndHost),
    ("end_play", Meta::EndPlay),
    ("end_role", Meta::EndRole),
    ("flush_handlers", Meta::FlushHandlers),
    ("noop", Meta::Noop),
    ("refresh_inventory", Meta::RefreshInventory),
    ("reset_connection", Meta::ResetConnection),
];

/// The action of a `meta` task.
pub(super) fn read(loader: &mut Loader<'_>, value: &Node, in_role: bool) -> Option<Action> {
    let name = value.as_str().unwrap_or_default();
    let Some((_, meta)) = WORDS.iter().find(|(known, _)| *known == name) else {
        let names: Vec<&str> = WORDS.iter().map(|(known, _)| *known).collect();
        let mut diagnostic =
            Diagnostic::at(&value.place, format!("unknown `meta` action `{name}`"))
                .suggest(name, names.iter().copied());
        diagnostic
            .hint
            .get_or_insert_with(|| format!("there are: {}", names.join(", ")));
        loader.found.push(diagnostic);
        return None;
    };
    if *meta == Meta::FlushHandlers && loader.in_handlers {
        loader.found.push(Diagnostic::at(
            &value.place,
            "`flush_handlers` cannot stand among handlers",
        ));
    }
    if *meta == Meta::EndRole && !in_role {
        loader.found.push(
            Diagnostic::at(&value.place, "`end_role` is for tasks of a role")
                .hint("`end_host` ends the play for the host"),
        );
    }
    Some(Action::Meta(*meta))
}
