//! What the configuration says about one host, as values of this program.

use std::path::PathBuf;
use std::time::Duration;

use super::tokens::{OF_COMMANDS, Tokens};
use super::{Question, Surroundings, lowered};

/// What OpenSSH's configuration says about a host. What it does not say is `None`, or empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostSettings {
    /// The name or address to connect to.
    pub address: String,
    /// `Port`.
    pub port: Option<u16>,
    /// `User`.
    pub user: Option<String>,
    /// `IdentityFile`: they are tried in this order, and those that are missing are passed over.
    pub identity_files: Option<Vec<PathBuf>>,
    /// `CertificateFile`.
    pub certificate_files: Vec<PathBuf>,
    /// `IdentitiesOnly`: of the agent's keys only those of files that are named.
    pub identities_only: bool,
    /// `IdentityAgent`; the inner `None` is no agent at all.
    pub identity_agent: Option<Option<PathBuf>>,
    /// How the host is reached, if not directly.
    pub route: Option<Route>,
    /// `UserKnownHostsFile`.
    pub user_known_hosts: Option<Vec<PathBuf>>,
    /// `GlobalKnownHostsFile`.
    pub global_known_hosts: Option<Vec<PathBuf>>,
    /// `RevokedHostKeys`.
    pub revoked_host_keys: Option<PathBuf>,
    /// `HostKeyAlias`.
    pub host_key_alias: Option<String>,
    /// `StrictHostKeyChecking`.
    pub host_key_checking: Option<Checking>,
    /// `ConnectTimeout`.
    pub connect_timeout: Option<Duration>,
    /// `ServerAliveInterval`.
    pub alive_interval: Option<Duration>,
    /// `ServerAliveCountMax`.
    pub alive_count: Option<u32>,
    /// `AddressFamily`.
    pub address_family: AddressFamily,
    /// `BatchMode`: nobody is asked anything.
    pub batch_mode: bool,
}

/// A way to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `ProxyJump`: through these hosts, the first one is connected to first.
    Jump(Vec<Hop>),
    /// `ProxyCommand`: over the input and output of this command of the user's shell.
    Command(String),
}

/// A host of `ProxyJump`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Its name, which the configuration may know.
    pub host: String,
    /// The user, if it is named.
    pub user: Option<String>,
    /// The port, if it is named.
    pub port: Option<u16>,
}

/// `StrictHostKeyChecking`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checking {
    /// `yes`
    Strict,
    /// `ask`
    Ask,
    /// `accept-new`
    AcceptNew,
    /// `no` and `off`
    Off,
}

/// `AddressFamily`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AddressFamily {
    /// `any`
    #[default]
    Any,
    /// `inet`: IPv4.
    V4,
    /// `inet6`: IPv6.
    V6,
}

/// Values as they were written, or as `ssh -G` writes them; the first one of each keyword.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) host_name: Option<String>,
    pub(super) port: Option<String>,
    pub(super) user: Option<String>,
    pub(super) identity_files: Vec<String>,
    pub(super) certificate_files: Vec<String>,
    pub(super) identities_only: Option<String>,
    pub(super) identity_agent: Option<String>,
    pub(super) proxy_jump: Option<String>,
    pub(super) proxy_command: Option<String>,
    pub(super) user_known_hosts: Option<Vec<String>>,
    pub(super) global_known_hosts: Option<Vec<String>>,
    pub(super) revoked_host_keys: Option<String>,
    pub(super) host_key_alias: Option<String>,
    pub(super) host_key_checking: Option<String>,
    pub(super) connect_timeout: Option<String>,
    pub(super) alive_interval: Option<String>,
    pub(super) alive_count: Option<String>,
    pub(super) address_family: Option<String>,
    pub(super) batch_mode: Option<String>,
    pub(super) proxy_passes_descriptor: Option<String>,
    pub(super) canonicalize: Option<String>,
    pub(super) refused: Option<String>,
}

/// The keywords that [`Written`] has a place for.
pub(super) const HONOURED: [&str; 23] = [
    "hostname",
    "port",
    "user",
    "identityfile",
    "identityfile2",
    "certificatefile",
    "identitiesonly",
    "identityagent",
    "proxyjump",
    "proxycommand",
    "userknownhostsfile",
    "globalknownhostsfile",
    "revokedhostkeys",
    "hostkeyalias",
    "stricthostkeychecking",
    "connecttimeout",
    "serveraliveinterval",
    "serveralivecountmax",
    "addressfamily",
    "batchmode",
    "proxyusefdpass",
    "canonicalizehostname",
    "refuseconnection",
];

impl Written {
    /// Takes a value, unless there was one before. Whether the keyword is one of [`HONOURED`].
    pub(super) fn take(&mut self, keyword: &str, words: &[String], rest: &str) -> bool {
        let first = words.first().cloned().unwrap_or_default();
        let place = match keyword {
            "identityfile" | "identityfile2" => {
                if !self.identity_files.contains(&first) {
                    self.identity_files.push(first);
                }
                return true;
            }
            "certificatefile" => {
                if !self.certificate_files.contains(&first) {
                    self.certificate_files.push(first);
                }
                return true;
            }
            "userknownhostsfile" => {
                self.user_known_hosts.get_or_insert_with(|| words.to_vec());
                return true;
            }
            "globalknownhostsfile" => {
                self.global_known_hosts
                    .get_or_insert_with(|| words.to_vec());
                return true;
            }
            "proxyjump" | "proxycommand" => {
                // The first of both counts.
                if self.proxy_jump.is_none() && self.proxy_command.is_none() {
                    let place = if keyword == "proxyjump" {
                        &mut self.proxy_jump
                    } else {
                        &mut self.proxy_command
                    };
                    *place = Some(rest.trim_start_matches([' ', '\t', '=']).to_owned());
                }
                return true;
            }
            "hostname" => &mut self.host_name,
            "port" => &mut self.port,
            "user" => &mut self.user,
            "identitiesonly" => &mut self.identities_only,
            "identityagent" => &mut self.identity_agent,
            "revokedhostkeys" => &mut self.revoked_host_keys,
            "hostkeyalias" => &mut self.host_key_alias,
            "stricthostkeychecking" => &mut self.host_key_checking,
            "connecttimeout" => &mut self.connect_timeout,
            "serveraliveinterval" => &mut self.alive_interval,
            "serveralivecountmax" => &mut self.alive_count,
            "addressfamily" => &mut self.address_family,
            "batchmode" => &mut self.batch_mode,
            "proxyusefdpass" => &mut self.proxy_passes_descriptor,
            "canonicalizehostname" => &mut self.canonicalize,
            "refuseconnection" => &mut self.refused,
            _ => return false,
        };
        place.get_or_insert(first);
        true
    }

    /// Whether a value of this keyword can be understood, whoever it is for.
    pub(super) fn check(keyword: &str, words: &[String]) -> Result<(), String> {
        let Some(first) = words.first().filter(|word| !word.is_empty()) else {
            return Err(format!("`{keyword}` has no value"));
        };
        match keyword {
            "port" => port(first).map(|_| ()),
            "identitiesonly" | "batchmode" | "proxyusefdpass" => flag(first).map(|_| ()),
            "stricthostkeychecking" => checking(first).map(|_| ()),
            "connecttimeout" | "serveraliveinterval" => time(first).map(|_| ()),
            "serveralivecountmax" => count(first).map(|_| ()),
            "addressfamily" => family(first).map(|_| ()),
            _ => Ok(()),
        }?;
        let takes_many = matches!(
            keyword,
            "userknownhostsfile" | "globalknownhostsfile" | "proxyjump" | "proxycommand"
        );
        if words.len() > 1 && !takes_many {
            return Err(format!("`{keyword}` has more than one value"));
        }
        Ok(())
    }

    /// The values with everything in them replaced that stands for something else.
    pub(super) fn settle(
        &self,
        question: &Question<'_>,
        surroundings: &Surroundings,
    ) -> Result<HostSettings, String> {
        let given_port = self.port.as_deref().map(port).transpose()?;
        let mut tokens = Tokens {
            given: question.host,
            host: question.host,
            key_name: question.host,
            port: question.port.or(given_port).unwrap_or(22),
            user: question
                .user
                .or(self.user.as_deref())
                .unwrap_or(question.default_user),
            surroundings,
        };
        let address = lowered(&match &self.host_name {
            Some(name) => tokens.replace(name, "hn")?,
            None => question.host.to_owned(),
        });
        let alias = self.host_key_alias.as_ref().map(|name| name.to_lowercase());
        tokens.host = &address;
        tokens.key_name = alias.as_deref().unwrap_or(question.host);
        let paths = |texts: &[String]| -> Result<Vec<PathBuf>, String> {
            texts
                .iter()
                .filter(|text| !text.eq_ignore_ascii_case("none"))
                .map(|text| tokens.path(text))
                .collect()
        };
        let lists = |texts: Option<&Vec<String>>| texts.map(|texts| paths(texts)).transpose();
        let is_on = |text: Option<&String>| text.map_or(Ok(false), |text| flag(text));
        if is_on(self.proxy_passes_descriptor.as_ref())? && self.proxy_command.is_some() {
            return Err("`ProxyUseFdpass` is not known here".to_owned());
        }
        if let Some(reason) = &self.refused {
            return Err(format!("`RefuseConnection`: {reason}"));
        }
        let route = self.route(&tokens)?;
        Ok(HostSettings {
            port: question.port.or(given_port),
            identity_files: (!self.identity_files.is_empty())
                .then(|| paths(&self.identity_files))
                .transpose()?,
            certificate_files: paths(&self.certificate_files)?,
            identities_only: is_on(self.identities_only.as_ref())?,
            identity_agent: self
                .identity_agent
                .as_deref()
                .map(|text| agent(text, &tokens))
                .transpose()?,
            route,
            user_known_hosts: lists(self.user_known_hosts.as_ref())?,
            global_known_hosts: lists(self.global_known_hosts.as_ref())?,
            revoked_host_keys: self
                .revoked_host_keys
                .as_deref()
                .filter(|text| !text.eq_ignore_ascii_case("none"))
                .map(|text| tokens.path(text))
                .transpose()?,
            host_key_checking: self
                .host_key_checking
                .as_deref()
                .map(checking)
                .transpose()?,
            connect_timeout: seconds(self.connect_timeout.as_deref())?,
            alive_interval: seconds(self.alive_interval.as_deref())?,
            alive_count: self.alive_count.as_deref().map(count).transpose()?,
            address_family: self
                .address_family
                .as_deref()
                .map_or(Ok(AddressFamily::Any), family)?,
            batch_mode: is_on(self.batch_mode.as_ref())?,
            user: question
                .user
                .map(str::to_owned)
                .or_else(|| self.user.clone()),
            host_key_alias: alias.clone(),
            address: address.clone(),
        })
    }

    fn route(&self, tokens: &Tokens<'_>) -> Result<Option<Route>, String> {
        if let Some(jump) = &self.proxy_jump {
            let jump = jump.split('#').next().unwrap_or_default().trim_end();
            if jump.eq_ignore_ascii_case("none") {
                return Ok(None);
            }
            let jump = tokens.replace(jump, OF_COMMANDS)?;
            let hops = jump.split(',').map(hop).collect::<Result<Vec<_>, _>>()?;
            let is_itself = |hop: &Hop| {
                hop.host == tokens.host
                    && hop.port.unwrap_or(22) == tokens.port
                    && hop.user.as_deref().is_none_or(|user| user == tokens.user)
            };
            if hops.last().is_some_and(is_itself) {
                return Err(format!("`ProxyJump {jump}` leads to the host itself"));
            }
            return Ok(Some(Route::Jump(hops)));
        }
        match &self.proxy_command {
            Some(command) if command.eq_ignore_ascii_case("none") => Ok(None),
            Some(command) => Ok(Some(Route::Command(tokens.replace(command, OF_COMMANDS)?))),
            None => Ok(None),
        }
    }
}

/// `[user@]host[:port]` or `ssh://…`.
fn hop(text: &str) -> Result<Hop, String> {
    let wrong = || format!("`{text}` is not a jump host `[user@]host[:port]`");
    let bare = text.trim();
    let bare = bare.strip_prefix("ssh://").unwrap_or(bare);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    let (user, address) = match bare.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, bare),
    };
    let (host, port_text) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
            (host, after.strip_prefix(':').filter(|_| !after.is_empty()))
        }
        None if address.matches(':').count() > 1 => (address, None),
        None => address
            .split_once(':')
            .map_or((address, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() || host.starts_with('-') || user.is_some_and(str::is_empty) {
        return Err(wrong());
    }
    Ok(Hop {
        host: host.to_owned(),
        user: user.map(str::to_owned),
        port: port_text.map(port).transpose()?,
    })
}

/// `none`, `SSH_AUTH_SOCK`, `$NAME` or a path.
fn agent(text: &str, tokens: &Tokens<'_>) -> Result<Option<PathBuf>, String> {
    let of_variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    if text == "SSH_AUTH_SOCK" {
        return Ok(of_variable(text));
    }
    if let Some(name) = text.strip_prefix('$').filter(|name| !name.starts_with('{')) {
        return Ok(of_variable(name));
    }
    tokens.path(text).map(Some)
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("`{text}` is not a port from 1 to 65535")),
    }
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err(format!("`{text}` is neither `yes` nor `no`")),
    }
}

fn count(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a whole number"))
}

fn checking(text: &str) -> Result<Checking, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(Checking::Strict),
        "ask" => Ok(Checking::Ask),
        "accept-new" => Ok(Checking::AcceptNew),
        "no" | "off" | "false" => Ok(Checking::Off),
        _ => Err(format!(
            "`{text}` is none of `yes`, `ask`, `accept-new` and `no`"
        )),
    }
}

fn family(text: &str) -> Result<AddressFamily, String> {
    match text.to_ascii_lowercase().as_str() {
        "any" => Ok(AddressFamily::Any),
        "inet" => Ok(AddressFamily::V4),
        "inet6" => Ok(AddressFamily::V6),
        _ => Err(format!("`{text}` is none of `any`, `inet` and `inet6`")),
    }
}

/// A time that is something.
fn seconds(text: Option<&str>) -> Result<Option<Duration>, String> {
    let time = text.map(time).transpose()?.flatten();
    Ok(time.filter(|time| !time.is_zero()))
}

/// `30`, `1m30s` and the like; `none` is none.
fn time(text: &str) -> Result<Option<Duration>, String> {
    let wrong = || format!("`{text}` is not a time such as `30` or `1m30s`");
    if text == "none" {
        return Ok(None);
    }
    let mut total = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        let unit = after.chars().next();
        let factor = match unit {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => 60,
            Some('h' | 'H') => 3600,
            Some('d' | 'D') => 86_400,
            Some('w' | 'W') => 604_800,
            Some(_) => return Err(wrong()),
        };
        total = number
            .checked_mul(factor)
            .and_then(|number| number.checked_add(total))
            .filter(|total| i32::try_from(*total).is_ok())
            .ok_or_else(wrong)?;
        rest = after.get(usize::from(unit.is_some())..).unwrap_or_default();
    }
    if text.is_empty() {
        return Err(wrong());
    }
    Ok(Some(Duration::from_secs(total)))
}
