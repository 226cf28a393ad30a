//! What a registry wants to see before it answers: the `WWW-Authenticate` header.

use std::collections::BTreeMap;

/// One way to show who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with each request.
    Basic,
    /// A token of that service.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

impl Challenge {
    /// The first way in a header that this client knows.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let mut rest = header.trim();
        while !rest.is_empty() {
            let (scheme, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let (parameters, following) = parameters(after);
            match scheme.to_ascii_lowercase().as_str() {
                "basic" => return Some(Self::Basic),
                "bearer" => {
                    return Some(Self::Bearer {
                        realm: parameters.get("realm")?.clone(),
                        service: parameters.get("service").cloned(),
                        scope: parameters.get("scope").cloned(),
                    });
                }
                _ => rest = following,
            }
        }
        None
    }
}

/// `key="value", key=value …`, and what follows: another scheme.
fn parameters(text: &str) -> (BTreeMap<String, String>, &str) {
    let mut found = BTreeMap::new();
    let mut rest = text.trim_start();
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t']);
        let end = rest
            .find(|c: char| c == '=' || c.is_whitespace())
            .unwrap_or(rest.len());
        let Some((key, after)) = rest.split_at_checked(end) else {
            return (found, "");
        };
        let Some(after) = after.strip_prefix('=') else {
            return (found, rest);
        };
        let (value, following) = if let Some(quoted) = after.strip_prefix('"') {
            unquote(quoted)
        } else {
            let end = after.find([',', ' ']).unwrap_or(after.len());
            let (value, following) = after.split_at(end);
            (value.to_owned(), following)
        };
        found.insert(key.to_ascii_lowercase(), value);
        rest = following;
    }
}

/// A text up to its closing quote, backslashes resolved, and what follows.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, text.get(index + 1..).unwrap_or_default()),
            '\\' => value.extend(characters.next().map(|(_, next)| next)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_of_registries() {
        assert_eq!(
            Challenge::parse("Basic realm=\"kk\""),
            Some(Challenge::Basic)
        );
        assert_eq!(
            Challenge::parse(
                r#"Bearer realm="https://h/service/token",service="harbor-registry",scope="repository:a/b:pull,push""#
            ),
            Some(Challenge::Bearer {
                realm: "https://h/service/token".to_owned(),
                service: Some("harbor-registry".to_owned()),
                scope: Some("repository:a/b:pull,push".to_owned()),
            })
        );
        assert_eq!(
            Challenge::parse(r#"Negotiate, Digest realm="a, b", nonce=1, basic"#),
            Some(Challenge::Basic)
        );
        assert_eq!(Challenge::parse("Negotiate"), None);
        assert_eq!(Challenge::parse("Bearer service=x"), None);
        assert_eq!(Challenge::parse(""), None);
    }

    proptest! {
        #[test]
        fn any_header_ends(text in "[ -~]{0,60}") {
            let _ = Challenge::parse(&text);
        }
    }
}
