//! What a setting takes, and from what a user wrote to that value.

use std::net::{IpAddr, Ipv6Addr};

use serde_json::Value;

use super::registry_name::RegistryName;
use super::schema::Setting;
use crate::diagnostic::Diagnostic;
use crate::yaml::{self, Node};

/// What a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text on one line.
    Text,
    /// A text on one line that is never shown, of at most 72 bytes (bcrypt looks at no more).
    Password,
    /// A login name.
    UserName,
    /// `N.N.N`, with a leading `v` or without as the setting has it.
    Version {
        /// Whether the value has a leading `v`; where it has, one without is taken too.
        v: bool,
    },
    /// `true` or `false`.
    Boolean,
    /// A TCP port.
    Port,
    /// A whole number from 0.
    Count,
    /// A whole number within bounds, both included.
    Between {
        /// The least.
        least: i64,
        /// The most.
        most: i64,
    },
    /// A number from 0.
    Decimal,
    /// A length of time as Go writes it: `100ms`, `1m30s`.
    Duration,
    /// A list of words, or these words in one text with commas between.
    List,
    /// An IPv4 or IPv6 address, or empty.
    Address,
    /// A network interface's name, or empty.
    Interface,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `host[:port][/project]`, or empty.
    Registry,
    /// A path on the control machine.
    LocalPath,
    /// The absolute path of a folder on the hosts.
    HostFolder,
    /// `server:/path` or `/path`, or empty.
    NfsExport,
    /// A path or URL of a package.
    Package,
    /// 64 hexadecimal digits.
    Sha256,
    /// Nothing but the name itself: `{}` or empty.
    Nothing,
    /// Anything, a mapping or list as well.
    Free,
}

impl Kind {
    /// What it takes, for documentation and messages.
    pub fn describe(self) -> String {
        match self {
            Self::Text | Self::Password => "text".to_owned(),
            Self::UserName => "user name".to_owned(),
            Self::Version { v: true } => "version, `vN.N.N`".to_owned(),
            Self::Version { v: false } => "version, `N.N.N`".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Port => "port, 1 to 65535".to_owned(),
            Self::Count => "whole number".to_owned(),
            Self::Between {
                least,
                most: 2_147_483_647,
            } => format!("whole number from {least}"),
            Self::Between { least, most } => format!("whole number, {least} to {most}"),
            Self::Decimal => "number".to_owned(),
            Self::Duration => "length of time, such as `100ms`".to_owned(),
            Self::List => "list".to_owned(),
            Self::Address => "IP address".to_owned(),
            Self::Interface => "interface name".to_owned(),
            Self::Choice(words) => alternatives(words),
            Self::Registry => "`host[:port][/project]`".to_owned(),
            Self::LocalPath => "path here".to_owned(),
            Self::HostFolder => "absolute path on the hosts".to_owned(),
            Self::NfsExport => "`server:/path` or `/path`".to_owned(),
            Self::Package => "path or URL".to_owned(),
            Self::Sha256 => "64 hexadecimal digits".to_owned(),
            Self::Nothing => "`{}`".to_owned(),
            Self::Free => "anything".to_owned(),
        }
    }

    /// Whether a text is expected, so that what was typed is taken as it is.
    fn is_text(self) -> bool {
        !matches!(
            self,
            Self::Boolean
                | Self::Port
                | Self::Count
                | Self::Between { .. }
                | Self::Decimal
                | Self::List
                | Self::Nothing
                | Self::Free
        )
    }
}

/// A value as a user wrote it.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// The value.
    pub node: &'a Node,
    /// On the command line: the value as typed, whatever it looks like.
    pub typed: Option<&'a str>,
    /// On the command line: what is wrong with it as JSON.
    pub fault: Option<&'a Diagnostic>,
}

/// The value in the shape that its setting has: a text, number or boolean, or anything for [`Kind::Free`]. Numbers are
/// taken as texts as they were written where a text is wanted.
///
/// `spelled` is the setting as the user wrote it; a secret value is not shown in the message.
pub fn convert(
    row: &Setting,
    spelled: &str,
    secret: bool,
    written: Written<'_>,
) -> Result<Value, Diagnostic> {
    let kind = row.kind;
    let node = written.node;
    if kind == Kind::Nothing {
        let is_nothing = node.as_mapping().is_some_and(<[_]>::is_empty)
            || node.as_str().is_none_or(|text| matches!(text, "" | "true"));
        return if is_nothing && node.as_sequence().is_none() {
            Ok(Value::Object(serde_json::Map::new()))
        } else {
            Err(
                Diagnostic::at(&node.place, format!("`{spelled}` takes no parameters"))
                    .hint("write `{}`"),
            )
        };
    }
    if kind == Kind::Free {
        return match written.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(node.to_json()),
        };
    }
    if kind == Kind::List
        && let Some(items) = node.as_sequence()
    {
        return items
            .iter()
            .map(|item| {
                let word = item
                    .expect_str()
                    .map_err(|_| item.unexpected(&format!("a text in `{spelled}`")))?;
                check(row, word)
                    .map(|_| Value::from(word))
                    .map_err(|(reason, hint)| {
                        Diagnostic::at(&item.place, format!("`{spelled}` {reason}")).hint(hint)
                    })
            })
            .collect();
    }
    let text = match written.typed {
        Some(typed) if kind.is_text() => typed,
        _ => node
            .expect_str()
            .map_err(|_| node.unexpected(&format!("{} for `{spelled}`", article(kind))))?,
    };
    if !secret && text.contains("{{") && text.contains("}}") {
        return Err(
            Diagnostic::at(&node.place, format!("`{spelled}` cannot be a template"))
                .hint("settings are known before any host is: write the value itself"),
        );
    }
    check(row, text).map_err(|(reason, hint)| {
        let message = match text {
            _ if secret => format!("`{spelled}` {reason}"),
            "" => format!("`{spelled}` {reason}, and is empty"),
            _ => format!("`{spelled}` {reason}, found `{text}`"),
        };
        let diagnostic = Diagnostic::at(&node.place, message);
        if written.typed.is_some() && text.contains('=') && text.contains(char::is_whitespace) {
            diagnostic.hint("several settings in one flag have commas between them, and no blanks")
        } else if hint.is_empty() {
            diagnostic
        } else {
            diagnostic.hint(hint)
        }
    })
}

/// Words to choose from: `a` or `b`.
fn alternatives(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => quoted.concat(),
    }
}

fn article(kind: Kind) -> &'static str {
    match kind {
        Kind::Boolean => "a boolean",
        Kind::Port | Kind::Count | Kind::Between { .. } | Kind::Decimal => "a number",
        Kind::List => "a list",
        _ => "a text",
    }
}

type Fault = (String, String);

fn fault(reason: &str, hint: impl Into<String>) -> Fault {
    (reason.to_owned(), hint.into())
}

fn check(row: &Setting, text: &str) -> Result<Value, Fault> {
    let is_clean = !text.chars().any(char::is_control);
    if !is_clean {
        return Err(fault(
            "contains a line break or another control character",
            "write it on one line",
        ));
    }
    match row.kind {
        Kind::Text | Kind::Package | Kind::Nothing | Kind::Free => Ok(text.into()),
        Kind::Password => {
            if text.len() > 72 {
                let hint = "bcrypt looks at no more: a longer one would be cut off without a word";
                return Err(fault("is longer than 72 bytes", hint));
            }
            Ok(text.into())
        }
        Kind::UserName => {
            let is_fine = !text.is_empty()
                && !text
                    .chars()
                    .any(|character| character.is_whitespace() || ":/\"'$".contains(character));
            if is_fine {
                Ok(text.into())
            } else {
                Err(fault(
                    "is not a user name",
                    "use letters, digits, `-`, `_`, `.` and `@`",
                ))
            }
        }
        Kind::Version { v } => version(text, v, &row.default),
        Kind::Boolean => boolean(text)
            .map(Value::Bool)
            .ok_or_else(|| fault("must be true or false", "write `true` or `false`")),
        Kind::Port => match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port.into()),
            _ => Err(fault("must be a port from 1 to 65535", "")),
        },
        Kind::Count => text
            .parse::<u64>()
            .map(Value::from)
            .map_err(|_| fault("must be a whole number from 0", "")),
        Kind::Between { least, most } => match text.parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(number.into()),
            Ok(number) if number < least => Err(fault(&format!("must be at least {least}"), "")),
            _ => Err(fault(
                &format!("must be a whole number from {least} to {most}"),
                "",
            )),
        },
        Kind::Duration => {
            if text.is_empty() || is_duration(text) {
                Ok(text.into())
            } else {
                Err(fault("is not a length of time", "such as `100ms` or `2s`"))
            }
        }
        Kind::List => Ok(text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect()),
        Kind::Decimal => decimal(text).ok_or_else(|| fault("must be a number from 0", "")),
        Kind::Address => address(text),
        Kind::Interface => {
            let is_fine =
                text.len() <= 15 && !text.contains('/') && !text.chars().any(char::is_whitespace);
            if is_fine {
                Ok(text.into())
            } else {
                Err(fault(
                    "is not the name of a network interface",
                    "such as `eth0`",
                ))
            }
        }
        Kind::Choice(words) => {
            if words.contains(&text) {
                return Ok(text.into());
            }
            let known = alternatives(words);
            let hint = crate::diagnostic::did_you_mean(text, words.iter().copied());
            Err((
                format!("must be {known}"),
                hint.unwrap_or_else(|| format!("write {known}")),
            ))
        }
        Kind::Registry => {
            if text.is_empty() {
                return Ok(text.into());
            }
            match RegistryName::parse(text) {
                Ok(_) => Ok(text.into()),
                Err(wrong) => Err((wrong.reason, wrong.hint)),
            }
        }
        Kind::LocalPath => {
            if text.starts_with('~') && !text.starts_with("~/") && text != "~" {
                let hint = "write the path out, such as `/home/admin/kubekey`";
                return Err(fault("names another user's home folder", hint));
            }
            Ok(text.into())
        }
        Kind::HostFolder => host_folder(text),
        Kind::NfsExport => nfs_export(text),
        Kind::Sha256 => {
            let is_fine = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            if text.is_empty() || is_fine {
                Ok(text.to_lowercase().into())
            } else {
                let hint = "`sha256sum FILE` says it";
                Err(fault("must be 64 hexadecimal digits", hint))
            }
        }
    }
}

/// A boolean in any of YAML's spellings.
fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "1" => Some(true),
        "false" | "no" | "off" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Whether Go's `time.ParseDuration` takes it: numbers with a unit each.
fn is_duration(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        let after = rest.trim_start_matches(|character: char| character.is_ascii_digit());
        let number = rest.len() - after.len();
        let after = after.strip_prefix('.').map_or(after, |fraction| {
            fraction.trim_start_matches(|character: char| character.is_ascii_digit())
        });
        let unit = ["ns", "us", "µs", "ms", "s", "m", "h"]
            .iter()
            .find(|unit| after.starts_with(**unit));
        match unit {
            Some(unit) if number > 0 => rest = after.get(unit.len()..).unwrap_or_default(),
            _ => return false,
        }
    }
    !text.is_empty()
}

fn decimal(text: &str) -> Option<Value> {
    let number: f64 = text.parse().ok()?;
    if !number.is_finite() || number < 0.0 {
        return None;
    }
    match yaml::scalar_to_json(text) {
        value @ Value::Number(_) => Some(value),
        _ => serde_json::Number::from_f64(number).map(Value::Number),
    }
}

/// `N.N.N` and whatever a pre-release adds.
fn version(text: &str, v: bool, example: &str) -> Result<Value, Fault> {
    let shape = format!("must be a version such as `{example}`");
    let bare = text.strip_prefix('v').unwrap_or(text);
    let (numbers, suffix) = match bare.split_once('-') {
        Some((numbers, suffix)) => (numbers, Some(suffix)),
        None => (bare, None),
    };
    let parts: Vec<&str> = numbers.split('.').collect();
    let are_numbers = parts.iter().all(|part| {
        !part.is_empty() && part.len() <= 6 && part.bytes().all(|byte| byte.is_ascii_digit())
    });
    let suffix_is_fine = suffix.is_none_or(|suffix| {
        suffix.len() <= 40
            && suffix.split('.').all(|part| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            })
    });
    if !are_numbers || !suffix_is_fine {
        return Err((shape, String::new()));
    }
    if parts.len() != 3 {
        return Err((
            shape,
            "a version has three numbers, and a suffix such as `-beta.1` behind them if any"
                .to_owned(),
        ));
    }
    if v {
        return Ok(format!("v{bare}").into());
    }
    if bare.len() < text.len() {
        return Err((shape, format!("write `{bare}`, without the `v`")));
    }
    Ok(text.into())
}

fn address(text: &str) -> Result<Value, Fault> {
    if text.is_empty() {
        return Ok(text.into());
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let Ok(address) = bare.parse::<IpAddr>() else {
        let hint = if text.contains('/') {
            "write the address alone, without a prefix length"
        } else {
            "write an unused address of the hosts' subnet, such as `10.0.0.100`"
        };
        return Err(fault("must be an IP address", hint));
    };
    let is_usable = !address.is_unspecified() && !address.is_loopback() && !address.is_multicast();
    if is_usable {
        Ok(bare.into())
    } else {
        let hint = "write an unused address of the hosts' subnet";
        Err(fault("must be an address that a host can have", hint))
    }
}

/// An absolute path that is not the root and has no `.` or `..` in it.
fn host_folder(text: &str) -> Result<Value, Fault> {
    if !text.starts_with('/') {
        return Err(fault(
            "must be an absolute path",
            "it lies on the hosts, so write it from the root",
        ));
    }
    let trimmed = text.trim_end_matches('/');
    if trimmed.is_empty() {
        return Err(fault(
            "must not be the root folder",
            "name a folder of its own",
        ));
    }
    if trimmed.split('/').any(|part| part == "." || part == "..") {
        return Err(fault(
            "must not contain `.` or `..`",
            "write the path straight",
        ));
    }
    if trimmed.contains([':', '"', '\'', '$', '`', '\\']) || trimmed.contains(char::is_whitespace) {
        return Err(fault(
            "contains a character that Compose or a shell would misread",
            "use letters, digits, `-`, `_`, `.` and `/`",
        ));
    }
    Ok(trimmed.into())
}

fn nfs_export(text: &str) -> Result<Value, Fault> {
    if text.is_empty() {
        return Ok(text.into());
    }
    let hint = "write `server:/path`, an IPv6 server in brackets, or `/path` of the first host in the group `nfs`";
    let wrong = || fault("must be an NFS export", hint);
    if text.contains(char::is_whitespace) || text.contains("://") {
        return Err(wrong());
    }
    let path = if let Some(rest) = text.strip_prefix('[') {
        let (server, path) = rest.split_once("]:").ok_or_else(wrong)?;
        server.parse::<Ipv6Addr>().map_err(|_| wrong())?;
        path
    } else if text.starts_with('/') {
        text
    } else {
        let (server, path) = text.split_once(':').ok_or_else(wrong)?;
        if server.is_empty() || server.starts_with('-') {
            return Err(wrong());
        }
        path
    };
    if path.starts_with('/') && !path.split('/').any(|part| part == "..") {
        Ok(text.into())
    } else {
        Err(wrong())
    }
}
