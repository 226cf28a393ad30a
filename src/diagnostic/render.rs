//! How a diagnostic looks: message, file:line:column, the line, a caret, related places, hint. Lines that may hold a
//! secret are shown with it masked.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::conceal::conceal;
use super::{Diagnostic, Diagnostics, Severity};

/// Whether escape codes may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// With escape codes.
    Always,
}

/// One diagnostic as text, without a trailing newline.
pub fn render(diagnostic: &Diagnostic, colour: Colour) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str());
    let mut group = Group::with_title(title);
    let mut lead = String::new();
    let shown = diagnostic
        .place
        .as_ref()
        .map(|place| conceal(&place.source));
    let shown_related: Vec<String> = diagnostic
        .related
        .iter()
        .map(|(place, _)| conceal(&place.source))
        .collect();
    if let Some(place) = &diagnostic.place {
        let text = shown.as_deref().unwrap_or_default();
        let mut snippet = Snippet::source(text)
            .path(place.source.name.as_str())
            .fold(true);
        let mut primary =
            AnnotationKind::Primary.span(clamp(text, place.span.start, place.span.end));
        if let Some(label) = &diagnostic.label {
            primary = primary.label(label.as_str());
        }
        snippet = snippet.annotation(primary);
        for (other, label) in &diagnostic.related {
            if other.source == place.source {
                let span = clamp(text, other.span.start, other.span.end);
                snippet =
                    snippet.annotation(AnnotationKind::Context.span(span).label(label.as_str()));
            }
        }
        group = group.element(snippet);
        for ((other, label), text) in diagnostic.related.iter().zip(&shown_related) {
            if other.source != place.source {
                let text = text.as_str();
                let span = clamp(text, other.span.start, other.span.end);
                group = group.element(
                    Snippet::source(text)
                        .path(other.source.name.as_str())
                        .fold(true)
                        .annotation(AnnotationKind::Context.span(span).label(label.as_str())),
                );
            }
        }
    } else if let Some(label) = &diagnostic.label {
        lead.clone_from(label);
    }
    if !lead.is_empty() {
        group = group.element(Level::NOTE.message(lead.as_str()));
    }
    let hint = diagnostic.hint.clone().unwrap_or_default();
    if !hint.is_empty() {
        group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
    }
    let renderer = match colour {
        Colour::Never => Renderer::plain(),
        Colour::Always => Renderer::styled(),
    };
    renderer.render(&[group])
}

/// All of them, an empty line between two, errors and warnings in the order found.
pub fn render_all(diagnostics: &Diagnostics, colour: Colour) -> String {
    let parts: Vec<String> = diagnostics
        .0
        .iter()
        .map(|diagnostic| render(diagnostic, colour))
        .collect();
    parts.join("\n\n")
}

/// A span that lies inside the text on character boundaries, whatever was asked for.
fn clamp(text: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let boundary = |mut index: usize| {
        index = index.min(text.len());
        while !text.is_char_boundary(index) {
            index -= 1;
        }
        index
    };
    let start = boundary(start);
    start..boundary(end).max(start)
}

#[cfg(test)]
mod tests {
    use super::super::{Place, Source, Span};
    use super::*;

    #[test]
    fn shows_the_line_a_caret_and_the_hint() {
        let source = Source::new(
            "inventory.yaml",
            "spec:\n  hosts:\n    node1:\n      connetor: {}\n",
        );
        let start = source.text.find("connetor").unwrap();
        let place = Place::new(
            &source,
            Span {
                start,
                end: start + 8,
            },
        );
        let diagnostic =
            Diagnostic::at(&place, "unknown key `connetor`").suggest("connetor", ["connector"]);
        insta::assert_snapshot!(render(&diagnostic, Colour::Never), @r"
        error: unknown key `connetor`
         --> inventory.yaml:4:7
          |
        4 |       connetor: {}
          |       ^^^^^^^^
          |
          = hint: did you mean `connector`?
        ");
    }

    #[test]
    fn a_span_outside_the_text_does_not_panic() {
        let source = Source::new("f", "\u{e4}");
        let place = Place::new(&source, Span { start: 1, end: 900 });
        assert!(render(&Diagnostic::at(&place, "odd"), Colour::Never).contains("f:1:1"));
    }
}
