//! Failures that the user takes upon themself, by name.

use std::collections::BTreeMap;

use super::rule::Waivable;
use super::{Finding, RULES, Status};
use crate::diagnostic::Place;
use crate::diagnostic::{Diagnostic, Diagnostics, Source, Span, did_you_mean};

/// What stands for a reason when none was given.
const NO_REASON: &str = "no reason given";

/// Waived checks with their reasons. There is deliberately no way to waive all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waivers(BTreeMap<String, String>);

impl Waivers {
    /// Reads the values of `--waive`, each `ID` or `ID=reason`.
    ///
    /// # Errors
    ///
    /// A name that is no check, with the nearest one that is; a check that cannot be waived; an empty name.
    pub fn parse<S: AsRef<str>>(values: &[S]) -> Result<Self, Diagnostics> {
        let mut waivers = BTreeMap::new();
        let mut wrong = Diagnostics::new();
        for value in values {
            let value = value.as_ref();
            let (name, reason) = value.split_once('=').unwrap_or((value, ""));
            let name = name.trim();
            if let Some(diagnostic) = refusal(name) {
                let end = value.find('=').unwrap_or(value.len());
                let source = Source::new("--waive", value);
                wrong.push(Diagnostic {
                    place: Some(Place::new(&source, Span { start: 0, end })),
                    ..diagnostic
                });
                continue;
            }
            let reason = match reason.trim() {
                "" => NO_REASON,
                reason => reason,
            };
            waivers.insert(name.to_owned(), reason.to_owned());
        }
        wrong.check(Self(waivers))
    }

    /// The reason why a check is waived, if it is.
    pub fn reason(&self, check: &str) -> Option<&str> {
        self.0.get(check).map(String::as_str)
    }

    /// Every waived check with its reason, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(check, reason)| (check.as_str(), reason.as_str()))
    }

    /// Whether nothing is waived.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Waived checks that did not fail anywhere, so that the waiver can be dropped.
    pub fn unused<'a>(&'a self, findings: &'a [Finding]) -> impl Iterator<Item = &'a str> {
        self.0.keys().map(String::as_str).filter(|check| {
            !findings
                .iter()
                .any(|finding| finding.check == *check && finding.status == Status::Fail)
        })
    }
}

/// Why a check cannot be waived by this name.
fn refusal(name: &str) -> Option<Diagnostic> {
    let Some(rule) = RULES.iter().find(|rule| rule.id == name) else {
        if name.is_empty() {
            return Some(
                Diagnostic::error("`--waive` needs the name of a check").hint(
                    "for instance `--waive memory='a test machine'`; `kk precheck` shows the names",
                ),
            );
        }
        if ["all", "*"].contains(&name) {
            return Some(
                Diagnostic::error("checks are waived one by one, each by its name")
                    .hint("`kk precheck` shows which ones fail"),
            );
        }
        let hint = did_you_mean(name, RULES.iter().map(|rule| rule.id))
            .unwrap_or_else(|| "`kk precheck` shows the names of all checks".to_owned());
        return Some(Diagnostic::error(format!("there is no check `{name}`")).hint(hint));
    };
    match rule.waivable {
        Waivable::Never(why) => {
            Some(Diagnostic::error(format!("check `{name}` cannot be waived")).hint(why.to_owned()))
        }
        Waivable::Yes | Waivable::OtherHosts => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_reasons() {
        let waivers = Waivers::parse(&["memory=a test machine", "clock"]).unwrap();
        assert_eq!(waivers.reason("memory"), Some("a test machine"));
        assert_eq!(waivers.reason("clock"), Some(NO_REASON));
        assert_eq!(waivers.reason("disk"), None);
        assert!(!waivers.is_empty());
    }

    fn message(value: &str) -> String {
        let wrong = Waivers::parse(&[value]).unwrap_err();
        let wrong = wrong.0.first().unwrap();
        format!("{wrong} ({})", wrong.hint.clone().unwrap_or_default())
    }

    #[test]
    fn what_cannot_be_waived_says_why() {
        assert_eq!(
            message("memroy=x"),
            "--waive:1:1: there is no check `memroy` (did you mean `memory`?)"
        );
        assert!(message("existing-data").contains("cannot be waived"));
        assert!(message("all").contains("one by one"));
        assert!(message("=x").contains("needs the name"));
        assert!(message("zzzzzz").contains("shows the names"));
    }
}
