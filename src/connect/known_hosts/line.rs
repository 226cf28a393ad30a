//! One line of a known_hosts file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::ssh_key::public::KeyData;
use sha1::Sha1;

/// The length of an SHA-1 value, in bytes.
const SHA1_LENGTH: usize = 20;

/// What a line says about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    /// It is the key of the hosts.
    Plain,
    /// It signs the certificates of the hosts.
    CertAuthority,
    /// It must never be accepted for the hosts.
    Revoked,
}

/// Which hosts a line is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    /// A single name, hashed with a salt.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
    /// Patterns; the flag is true for a negated one.
    Patterns(Vec<(bool, String)>),
}

/// One line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// What it says about the key.
    pub(super) marker: Marker,
    hosts: Hosts,
    /// The key.
    pub(super) key: KeyData,
}

/// Why a line was not understood: the byte range in it, and the reason.
pub(super) type Mistake = (std::ops::Range<usize>, String);

/// Reads one line without its line end. `None` for an empty line or a comment.
pub(super) fn parse(line: &str) -> Option<Result<Line, Mistake>> {
    let mut words = Words { line, position: 0 };
    let first = words.next()?;
    if first.1.starts_with('#') {
        return None;
    }
    Some(parse_words(first, &mut words))
}

fn parse_words(first: (usize, &str), words: &mut Words<'_>) -> Result<Line, Mistake> {
    let end = words.line.trim_end().len();
    let missing = |what: &str| (0..end, format!("{what} is missing"));
    let mut hosts_word = first;
    let marker = match first.1 {
        "@cert-authority" => Marker::CertAuthority,
        "@revoked" => Marker::Revoked,
        other if other.starts_with('@') => {
            return Err((
                range(first),
                format!("unknown marker `{other}`: there are `@cert-authority` and `@revoked`"),
            ));
        }
        _ => Marker::Plain,
    };
    if marker != Marker::Plain {
        hosts_word = words.next().ok_or_else(|| missing("the host"))?;
    }
    let hosts = parse_hosts(hosts_word.1).map_err(|reason| (range(hosts_word), reason))?;
    let kind = words.next().ok_or_else(|| missing("the key type"))?;
    let text = words.next().ok_or_else(|| missing("the key"))?;
    if kind.1.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err((
            range(kind),
            "a key of the protocol version 1, which is not used any more".to_owned(),
        ));
    }
    let bytes = STANDARD
        .decode(text.1)
        .map_err(|_| (range(text), "the key is not valid base64".to_owned()))?;
    let key = russh::keys::key::parse_public_key(&bytes)
        .map_err(|error| (range(text), format!("the key is not valid: {error}")))?;
    let actual = key.algorithm();
    if actual.as_str() != kind.1 {
        return Err((
            range(kind),
            format!("the key is of type `{}`, not `{}`", actual.as_str(), kind.1),
        ));
    }
    // What follows the key inside its blob would be compared by nobody.
    if key.to_bytes().ok().as_deref() != Some(bytes.as_slice()) {
        return Err((
            range(text),
            "the key is not valid: it is not in its shortest form".to_owned(),
        ));
    }
    Ok(Line {
        marker,
        hosts,
        key: key.key_data().clone(),
    })
}

fn parse_hosts(word: &str) -> Result<Hosts, String> {
    let Some(hashed) = word.strip_prefix('|') else {
        let patterns: Vec<(bool, String)> = word
            .split(',')
            .filter(|pattern| !pattern.is_empty())
            .map(|pattern| match pattern.strip_prefix('!') {
                Some(rest) => (true, rest.to_lowercase()),
                None => (false, pattern.to_lowercase()),
            })
            .collect();
        if patterns.is_empty() {
            return Err("the host is missing".to_owned());
        }
        return Ok(Hosts::Patterns(patterns));
    };
    let bad = || "not a hashed host name: it must look like `|1|salt|hash`".to_owned();
    let mut parts = hashed.split('|');
    let (Some("1"), Some(salt), Some(hash), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad());
    };
    let decode = |text: &str| {
        STANDARD
            .decode(text)
            .ok()
            .filter(|bytes| bytes.len() == SHA1_LENGTH)
            .ok_or_else(bad)
    };
    Ok(Hosts::Hashed {
        salt: decode(salt)?,
        hash: decode(hash)?,
    })
}

impl Line {
    /// Whether the line is about this name: lower case, `[name]:port` for other ports than 22.
    pub(super) fn is_about(&self, name: &str) -> bool {
        match &self.hosts {
            Hosts::Hashed { salt, hash } => {
                let Ok(mut code) = Hmac::<Sha1>::new_from_slice(salt) else {
                    return false;
                };
                code.update(name.as_bytes());
                code.verify_slice(hash).is_ok()
            }
            Hosts::Patterns(patterns) => {
                let mut found = false;
                for (negated, pattern) in patterns {
                    if matches(pattern, name) {
                        if *negated {
                            return false;
                        }
                        found = true;
                    }
                }
                found
            }
        }
    }
}

/// Whether a pattern with `*` and `?` matches a whole text. Linear in memory, never exponential in time.
pub(in crate::connect) fn matches(pattern: &str, text: &str) -> bool {
    // A file of all hosts is gone through for each host.
    if !pattern.contains(['*', '?']) {
        return pattern == text;
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut here) = (0, 0);
    // Where to go on when the last star has to swallow one more character.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(&character) = text.get(here) {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, here));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == character => {
                at += 1;
                here += 1;
            }
            _ => {
                let Some((after_star, start)) = retry else {
                    return false;
                };
                retry = Some((after_star, start + 1));
                at = after_star;
                here = start + 1;
            }
        }
    }
    pattern
        .get(at..)
        .unwrap_or_default()
        .iter()
        .all(|&left| left == '*')
}

fn range(word: (usize, &str)) -> std::ops::Range<usize> {
    word.0..word.0 + word.1.len()
}

/// Words between blanks and tabs, each with its offset.
struct Words<'a> {
    line: &'a str,
    position: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = (usize, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.line.get(self.position..)?;
        let start = rest.find(|character| !is_blank(character))?;
        let word = rest.get(start..)?;
        let word = word.get(..word.find(is_blank).unwrap_or(word.len()))?;
        let offset = self.position + start;
        self.position = offset + word.len();
        Some((offset, word))
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK2pr+Bfus1hvPof4Wb/plZCzSbqadHH0u+/f4ODtKnE";

    fn read(line: &str) -> Line {
        parse(line).unwrap().unwrap()
    }

    fn reason(line: &str) -> String {
        parse(line).unwrap().unwrap_err().1
    }

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "abd", false),
            ("*.example.org", "a.example.org", true),
            ("*.example.org", "example.org", false),
            ("10.0.0.?", "10.0.0.7", true),
            ("10.0.0.?", "10.0.0.17", false),
            ("a**b*", "ab", true),
            ("[h]:22", "[h]:22", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        // Exponential in a naive matcher.
        assert!(!matches(
            &format!("{}c", "a*".repeat(40)),
            &format!("{}b", "a".repeat(4000))
        ));
    }

    #[test]
    fn negation_wins_wherever_it_stands() {
        let line = read(&format!("!bad.example,*.EXAMPLE,!worse.example {KEY}"));
        assert!(line.is_about("good.example"));
        assert!(!line.is_about("bad.example"));
        assert!(!line.is_about("worse.example"));
        assert!(!read(&format!("!a {KEY}")).is_about("b"));
    }

    #[test]
    fn hashed_names() {
        // ssh-keygen -H over `example.org`.
        let mut code = Hmac::<Sha1>::new_from_slice(&[7; 20]).unwrap();
        code.update(b"[example.org]:2222");
        let hash = STANDARD.encode(code.finalize().into_bytes());
        let line = read(&format!("|1|{}|{hash} {KEY}", STANDARD.encode([7; 20])));
        assert!(line.is_about("[example.org]:2222"));
        assert!(!line.is_about("example.org"));
    }

    #[test]
    fn comments_blanks_and_line_ends() {
        assert!(parse("").is_none());
        assert!(parse("  \t\r").is_none());
        assert!(parse("# host").is_none());
        assert!(parse("  # host").is_none());
        assert!(
            read(&format!(
                "\thost\t {} comment # here\r",
                KEY.replace(' ', "  ")
            ))
            .is_about("host")
        );
    }

    #[test]
    fn every_mistake_is_named() {
        assert!(reason("host").contains("key type is missing"));
        assert!(reason("host ssh-ed25519").contains("key is missing"));
        assert!(reason("@revoked").contains("host is missing"));
        assert!(reason(&format!("@other h {KEY}")).contains("unknown marker `@other`"));
        assert!(reason("host ssh-ed25519 AAAA!").contains("base64"));
        assert!(reason("host ssh-ed25519 AAAA").contains("not valid"));
        assert!(
            reason(&format!("host {}", KEY.replace("ssh-ed25519", "ssh-rsa")))
                .contains("of type `ssh-ed25519`")
        );
        assert!(reason(&format!("|1|a|b {KEY}")).contains("hashed"));
        assert!(reason(&format!("|2|a|b {KEY}")).contains("hashed"));
        assert!(reason(&format!(", {KEY}")).contains("host is missing"));
        assert!(reason("host 1024 35 1234").contains("version 1"));
        assert!(reason(&format!("host {KEY}AAAA")).contains("not valid"));
    }

    proptest! {
        #[test]
        fn never_panics(line in "\\PC{0,120}") {
            if let Some(Ok(line)) = parse(&line) {
                line.is_about("host");
            }
        }

        #[test]
        fn never_panics_on_something_near(
            marker in "(@revoked |@cert-authority |@|)",
            hosts in "[a-z*?!,|1\\[\\]:]{0,12}",
            kind in "(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp256)",
            key in "[A-Za-z0-9+/=]{0,80}",
        ) {
            if let Some(Err((place, reason))) = parse(&format!("{marker}{hosts} {kind} {key}")) {
                prop_assert!(place.end <= 160);
                prop_assert!(!reason.is_empty());
            }
        }

        #[test]
        fn a_literal_matches_only_itself(text in "[a-z0-9.]{0,12}", other in "[a-z0-9.]{0,12}") {
            prop_assert!(matches(&text, &text));
            prop_assert_eq!(matches(&text, &other), text == other);
        }
    }
}
