//! The page about all checks, made from their table.

use std::fmt::Write as _;

use super::{RULES, Scope, Waivable};

/// `docs/checks.md` as it has to be.
pub fn checks_document() -> String {
    let mut text = String::from(
        "# Checks\n\n\
         <!-- Made from the table of rules; a test compares. To write it anew: KK_WRITE_DOCS=1 cargo test --lib precheck::docs -->\n\n\
         `kk precheck image_registry` looks at everything below and changes nothing. `kk init registry` does the same\n\
         first and stops when a check fails. One check uses what the registry will use: `storage-access` writes an object\n\
         named `kk-precheck-…` under the registry's `rootdirectory` (s3), or a file of that name into a data folder that several\n\
         hosts are to share, and deletes it again.\n\n\
         A check that fails can be waived by its name: `--waive memory='a test machine'`. The finding is shown as before,\n\
         with the reason, and does not stop the installation. There is no way to waive all of them. `pass` and `warn` never\n\
         stop an installation; `unknown` means that a host could not be asked, and then another check says why.\n\n\
         | check | looks at | what | waivable |\n\
         | --- | --- | --- | --- |\n",
    );
    for rule in &RULES {
        let scope = match rule.scope {
            Scope::EveryHost => "every host",
            Scope::RegistryHosts => "hosts of `image_registry`",
            Scope::ControlPlane => "hosts of `kube_control_plane`",
            Scope::Pairs => "hosts against each other",
            Scope::Whole => "the whole",
        };
        let waivable = match rule.waivable {
            Waivable::Yes => "yes".to_owned(),
            Waivable::OtherHosts => "not for hosts of `image_registry`".to_owned(),
            Waivable::Never(why) => format!("no: {why}"),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {scope} | {} | {waivable} |",
            rule.id, rule.about
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_the_table_says() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/checks.md");
        let expected = checks_document();
        if std::env::var_os("KK_WRITE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            found, expected,
            "run `KK_WRITE_DOCS=1 cargo test --lib precheck::docs`"
        );
    }

    #[test]
    fn names_are_unique_and_short() {
        let mut seen = std::collections::BTreeSet::new();
        for rule in &RULES {
            assert!(seen.insert(rule.id), "{} twice", rule.id);
            assert!(
                rule.id
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            );
            assert!(rule.id.len() <= 20 && !rule.about.is_empty() && !rule.about.ends_with('.'));
        }
    }
}
