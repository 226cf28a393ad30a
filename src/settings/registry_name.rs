//! The registry's name as clients write it: `host[:port][/project]`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A registry's name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryName {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// The port, where one is written.
    pub port: Option<u16>,
    /// The project (with deeper folders), where one is written.
    pub project: Option<String>,
}

/// Why a text is no registry's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongName {
    /// What it must be, to follow the setting's name in a sentence.
    pub reason: String,
    /// What to do.
    pub hint: String,
}

impl RegistryName {
    /// Takes a name apart.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, WrongName> {
        let wrong = |reason: &str, hint: String| WrongName {
            reason: reason.to_owned(),
            hint,
        };
        let shape = "must be `host[:port][/project]`";
        if let Some((_, rest)) = text.split_once("://") {
            return Err(wrong(
                shape,
                format!(
                    "write `{}`, without the scheme; `plain_http` says whether TLS is used",
                    rest.trim_end_matches('/')
                ),
            ));
        }
        let (authority, project) = match text.split_once('/') {
            Some((authority, project)) => (authority, Some(project)),
            None => (text, None),
        };
        if authority.parse::<Ipv6Addr>().is_ok() {
            return Err(wrong(
                shape,
                format!("write an IPv6 address in brackets: `[{authority}]`"),
            ));
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let Some((host, rest)) = rest.split_once(']') else {
                    return Err(wrong(shape, "the bracket is not closed".to_owned()));
                };
                if host.parse::<Ipv6Addr>().is_err() {
                    return Err(wrong(shape, format!("`{host}` is not an IPv6 address")));
                }
                match rest.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if rest.is_empty() => (host, None),
                    None => {
                        return Err(wrong(
                            shape,
                            "behind the bracket only `:port` may follow".to_owned(),
                        ));
                    }
                }
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (check_host(host, shape)?, Some(port)),
                None => (check_host(authority, shape)?, None),
            },
        };
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => {
                let hint = "a port is a number from 1 to 65535".to_owned();
                return Err(wrong(shape, hint));
            }
        };
        let project = match project {
            None => None,
            Some("") => {
                return Err(wrong(
                    shape,
                    "remove the `/` at the end, or name the project behind it".to_owned(),
                ));
            }
            Some(project) if project.split('/').all(is_repository_word) => Some(project.to_owned()),
            Some(_) => {
                let hint = "a project has lower-case letters and digits, with `.`, `_` or `-` between them";
                return Err(wrong(shape, hint.to_owned()));
            }
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            project,
        })
    }

    /// Whether the host is an address and no name.
    pub fn is_address(&self) -> bool {
        self.host.parse::<std::net::IpAddr>().is_ok()
    }
}

impl fmt::Display for RegistryName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]", self.host)?;
        } else {
            formatter.write_str(&self.host)?;
        }
        if let Some(port) = self.port {
            write!(formatter, ":{port}")?;
        }
        match &self.project {
            Some(project) => write!(formatter, "/{project}"),
            None => Ok(()),
        }
    }
}

fn check_host<'a>(host: &'a str, shape: &str) -> Result<&'a str, WrongName> {
    let wrong = |hint: String| WrongName {
        reason: shape.to_owned(),
        hint,
    };
    if host.is_empty() {
        return Err(wrong("the host is missing".to_owned()));
    }
    let is_numeric = host
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_numeric {
        return match host.parse::<Ipv4Addr>() {
            Ok(_) => Ok(host),
            Err(_) => Err(wrong(format!("`{host}` is not an IPv4 address"))),
        };
    }
    let is_name = host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
    if is_name {
        Ok(host)
    } else {
        Err(wrong(
            "a host is a DNS name such as `registry.example.org`, or an address".to_owned(),
        ))
    }
}

/// One word of a repository's path: lower-case letters and digits, with `.`, `_`, `__` or dashes between them.
fn is_repository_word(word: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let has_ends =
        word.bytes().next().is_some_and(is_inner) && word.bytes().next_back().is_some_and(is_inner);
    has_ends
        && word
            .bytes()
            .all(|byte| is_inner(byte) || b"._-".contains(&byte))
        && !word.contains("..")
        && !word.contains("___")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<u16>, Option<String>) {
        let name = RegistryName::parse(text).unwrap();
        assert_eq!(name.to_string(), text);
        (name.host, name.port, name.project)
    }

    #[test]
    fn takes_names_apart() {
        let host = "registry.example.org".to_owned();
        assert_eq!(parsed("registry.example.org"), (host.clone(), None, None));
        assert_eq!(
            parsed("registry.example.org:5000/team/base"),
            (host, Some(5000), Some("team/base".to_owned()))
        );
        assert_eq!(
            parsed("10.0.0.1:8443"),
            ("10.0.0.1".to_owned(), Some(8443), None)
        );
        assert_eq!(
            parsed("[2001:db8::1]:443/kube"),
            ("2001:db8::1".to_owned(), Some(443), Some("kube".to_owned()))
        );
        assert_eq!(parsed("[::1]"), ("::1".to_owned(), None, None));
        assert!(RegistryName::parse("[::1]").unwrap().is_address());
    }

    #[test]
    fn refuses_what_a_client_would_misread() {
        let hints: Vec<String> = [
            "https://registry.example.org/",
            "2001:db8::1",
            "host:0",
            "host:99999",
            "host/",
            "host/Upper",
            "-host",
            "ho st",
            ":5000",
            "300.0.0.1",
            "[::1",
            "[::1]x",
            "[zz]",
        ]
        .iter()
        .map(|text| format!("{text}: {}", RegistryName::parse(text).unwrap_err().hint))
        .collect();
        insta::assert_snapshot!(hints.join("\n"), @r"
        https://registry.example.org/: write `registry.example.org`, without the scheme; `plain_http` says whether TLS is used
        2001:db8::1: write an IPv6 address in brackets: `[2001:db8::1]`
        host:0: a port is a number from 1 to 65535
        host:99999: a port is a number from 1 to 65535
        host/: remove the `/` at the end, or name the project behind it
        host/Upper: a project has lower-case letters and digits, with `.`, `_` or `-` between them
        -host: a host is a DNS name such as `registry.example.org`, or an address
        ho st: a host is a DNS name such as `registry.example.org`, or an address
        :5000: the host is missing
        300.0.0.1: `300.0.0.1` is not an IPv4 address
        [::1: the bracket is not closed
        [::1]x: behind the bracket only `:port` may follow
        [zz]: `zz` is not an IPv6 address
        ");
    }
}
