//! What keywords say that may be templates: flags, names, numbers and times. One that becomes `omit` is as if it were not
//! there, so that what stands around the task counts.

use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::playbook::{Frame, OMIT};
use crate::template::{Scope, Template, display, truthy};

/// The value of the nearest frame that says anything.
fn nearest(
    frame: &Frame,
    scope: &Scope,
    pick: impl Fn(&Frame) -> Option<&Template>,
) -> Result<Option<serde_json::Value>, Diagnostic> {
    for template in frame.chain().filter_map(pick) {
        let value = template.evaluate(scope)?;
        if value.as_str() != Some(OMIT) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Whether a keyword is set; nothing when nobody says so.
pub(super) fn setting(
    frame: &Frame,
    scope: &Scope,
    pick: impl Fn(&Frame) -> Option<&Template>,
) -> Result<Option<bool>, Diagnostic> {
    Ok(nearest(frame, scope, pick)?.map(|value| truthy(&value)))
}

/// The same, where what cannot be told is nothing.
pub(super) fn is_set(
    frame: &Frame,
    scope: &Scope,
    pick: impl Fn(&Frame) -> Option<&Template>,
) -> Option<bool> {
    setting(frame, scope, pick).ok().flatten()
}

/// The text of a keyword.
pub(super) fn text(
    frame: &Frame,
    scope: &Scope,
    pick: impl Fn(&Frame) -> Option<&Template>,
) -> Result<Option<String>, Diagnostic> {
    Ok(nearest(frame, scope, pick)?.map(|value| display(&value)))
}

/// A count or a number of seconds that may be a template.
pub(super) fn number(
    template: Option<&Template>,
    scope: &Scope,
    default: u64,
) -> Result<u64, Diagnostic> {
    let Some(template) = template else {
        return Ok(default);
    };
    let text = template.render(scope)?;
    let text = text.trim();
    // Ansible takes `5.0`.
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    whole.parse().map_err(|_| {
        let message = format!("expected a whole number, found `{text}`");
        match template.place() {
            Some(place) => Diagnostic::at(place, message),
            None => Diagnostic::error(message),
        }
    })
}

/// A time in seconds, which may have a fraction.
pub(super) fn seconds(
    template: Option<&Template>,
    scope: &Scope,
    default: u64,
) -> Result<Duration, Diagnostic> {
    let Some(template) = template else {
        return Ok(Duration::from_secs(default));
    };
    let text = template.render(scope)?;
    let time = text.trim().parse().ok().map(Duration::try_from_secs_f64);
    time.and_then(Result::ok).ok_or_else(|| {
        let message = format!("expected a number of seconds, found `{}`", text.trim());
        match template.place() {
            Some(place) => Diagnostic::at(place, message),
            None => Diagnostic::error(message),
        }
    })
}
