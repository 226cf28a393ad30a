//! Where Python differs from the engine behind.

use super::{Flags, PythonRegex, Replacement, escape};

fn found(pattern: &str, text: &str) -> Option<String> {
    let regex = PythonRegex::new(pattern, Flags::default()).unwrap();
    let found = regex.search(text).unwrap()?;
    Some(found.get(0).unwrap().as_str().to_owned())
}

fn replaced(pattern: &str, with: &str, text: &str) -> String {
    let regex = PythonRegex::new(pattern, Flags::default()).unwrap();
    let with = Replacement::new(with, &regex).unwrap();
    regex.replace(text, &with, None).unwrap().0
}

#[test]
fn what_only_python_writes() {
    assert_eq!(found(r"a$", "ba\n").as_deref(), Some("a"));
    assert_eq!(found(r"a\Z", "ba\n"), None);
    assert_eq!(found(r"[[]x[]]", "[x]").as_deref(), Some("[x]"));
    assert_eq!(
        found(r"{{ a{1,2} }}", "{{ aa }}").as_deref(),
        Some("{{ aa }}")
    );
    assert_eq!(found(r"\<b\>", "<b>").as_deref(), Some("<b>"));
    assert_eq!(
        found(r"(?P<q>['\x22])a(?P=q)", "\"a\"").as_deref(),
        Some("\"a\"")
    );
    assert_eq!(found(r"(?<!x)y(?=z)", "xyz yz").as_deref(), Some("y"));
    assert_eq!(found(r"[a&&b~~-]+", "&~-").as_deref(), Some("&~-"));
    assert_eq!(found("(?im)^B$", "a\nb\n").as_deref(), Some("b"));
    for wrong in [r"\q", "(", "[a", r"a\", "(?<n>a)", r"[\1]"] {
        assert!(
            PythonRegex::new(wrong, Flags::default()).is_err(),
            "{wrong}"
        );
    }
}

#[test]
fn replacements() {
    assert_eq!(replaced("b*", "-", "abc"), "-a--c-");
    assert_eq!(replaced("(a)(?P<n>b)", r"\g<n>\1\g<0>\\", "ab"), r"baab\");
    assert_eq!(replaced("a", "$1", "a"), "$1");
    let regex = PythonRegex::new("a", Flags::default()).unwrap();
    for wrong in [r"\1", r"\g<n>", r"\q", r"a\"] {
        assert!(Replacement::new(wrong, &regex).is_err(), "{wrong}");
    }
}

#[test]
fn escaped_text_matches_itself() {
    let text = "a.b*c[d]{e} #&~-^$\\(\n)";
    assert_eq!(found(&escape(text), text).as_deref(), Some(text));
}
