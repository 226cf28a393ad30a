//! The registry's storage as this machine sees it before anything is installed.

use std::path::Path;

use super::prepare::Prepared;
use crate::diagnostic::Diagnostic;
use crate::pki::check_authorities;
use crate::settings::RegistryKind;

/// What is wrong with the files of this machine that the storage needs.
pub fn files(prepared: &Prepared) -> Vec<Diagnostic> {
    let registry = &prepared.settings.image_registry;
    if registry.kind != RegistryKind::DockerRegistry {
        return Vec::new();
    }
    let authority = registry.storage_ca.as_deref().and_then(|path| {
        read(path).map_or_else(Some, |text| {
            check_authorities(&text, time::OffsetDateTime::now_utc())
                .map(|diagnostic| named(&diagnostic, path))
        })
    });
    let key = registry
        .storage_keyfile
        .as_deref()
        .and_then(|path| read(path).map_or_else(Some, |text| service_account(&text, path)));
    authority.into_iter().chain(key).collect()
}

fn read(path: &Path) -> Result<String, Diagnostic> {
    std::fs::read_to_string(path).map_err(|error| {
        Diagnostic::error(format!("cannot read `{}`: {error}", path.display()))
            .hint("the path is one of this machine; the file is copied to the registry hosts")
    })
}

fn named(diagnostic: &Diagnostic, path: &Path) -> Diagnostic {
    let mut named = diagnostic.clone();
    named.message = format!("{} (`{}`)", diagnostic.message, path.display());
    named
}

/// A key file of Google's is JSON and has these; what is in it is not repeated.
fn service_account(text: &str, path: &Path) -> Option<Diagnostic> {
    let key: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| key.get(name).and_then(serde_json::Value::as_str);
    let is_fine = field("type") == Some("service_account")
        && ["client_email", "private_key"]
            .iter()
            .all(|name| field(name).is_some_and(|text| !text.is_empty()));
    (!is_fine).then(|| {
        Diagnostic::error(format!(
            "`{}` is no key of a service account",
            path.display()
        ))
        .hint("name the JSON file that Google Cloud gives for a service account's key: `type` in it is `service_account`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_service_accounts() {
        let judge = |text: &str| service_account(text, Path::new("/home/key.json"));
        let good = r#"{"type": "service_account", "client_email": "a@b", "private_key": "hush"}"#;
        assert_eq!(judge(good), None);
        for bad in [
            "",
            "[]",
            "not JSON: hush",
            r#"{"type": "authorized_user", "client_email": "a@b", "private_key": "hush"}"#,
            r#"{"type": "service_account", "client_email": "a@b"}"#,
            r#"{"type": "service_account", "client_email": "a@b", "private_key": ""}"#,
        ] {
            let found = judge(bad).unwrap();
            assert!(found.message.contains("/home/key.json"), "{bad}");
            assert!(!format!("{found:?}").contains("hush"), "{bad}");
        }
    }
}
