//! Keywords that Ansible knows and this program does not take.

use crate::diagnostic::{Diagnostic, Place};

/// An error says that they are not supported instead of "unknown".
pub(super) const NOT_SUPPORTED: &[&str] =
    &["debugger", "include", "with_lines", "with_random_choice"];

/// The refusal of a keyword of Ansible's, with what to do instead where there is something.
pub(super) fn not_supported(name: &str, place: &Place) -> Diagnostic {
    let diagnostic = Diagnostic::at(place, format!("the keyword `{name}` is not supported"));
    let instead = match name {
        "debugger" => "there is no debugger; `-vvv` and `debug` tasks show what happens",
        "include" => "`include_tasks` and `import_tasks` are",
        "with_lines" => "`loop` over the `stdout_lines` of a registered command does it",
        "with_random_choice" => "the filter `random` chooses one",
        _ => return diagnostic,
    };
    diagnostic.hint(instead)
}
