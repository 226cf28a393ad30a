//! How a host is reached: the keys of `connector`, or Ansible's `ansible_*` variables, checked one by one.

use std::borrow::Cow;

use indexmap::IndexMap;

use super::address::{check_hop, check_host, check_port, check_user, expand_home};
use super::{Connection, LOCALHOST, LocalMachine, SshConnection};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};
use crate::secret::SecretString;
use crate::yaml::Node;

/// One parameter: its key under `connector`, and the variables that Ansible has for it.
struct Parameter {
    key: &'static str,
    variables: &'static [&'static str],
    secret: bool,
}

const fn parameter(key: &'static str, variables: &'static [&'static str]) -> Parameter {
    Parameter {
        key,
        variables,
        secret: false,
    }
}

const fn secret(key: &'static str, variables: &'static [&'static str]) -> Parameter {
    Parameter {
        key,
        variables,
        secret: true,
    }
}

const PARAMETERS: [Parameter; 10] = [
    parameter("type", &["ansible_connection"]),
    parameter("host", &["ansible_host", "ansible_ssh_host"]),
    parameter("port", &["ansible_port", "ansible_ssh_port"]),
    parameter("user", &["ansible_user", "ansible_ssh_user"]),
    secret(
        "password",
        &[
            "ansible_password",
            "ansible_ssh_pass",
            "ansible_ssh_password",
        ],
    ),
    parameter(
        "private_key",
        &["ansible_ssh_private_key_file", "ansible_private_key_file"],
    ),
    secret(
        "private_key_content",
        &["ansible_ssh_private_key", "ansible_private_key"],
    ),
    secret(
        "private_key_passphrase",
        &[
            "ansible_ssh_private_key_passphrase",
            "ansible_private_key_passphrase",
        ],
    ),
    secret(
        "become_password",
        &[
            "ansible_become_password",
            "ansible_become_pass",
            "ansible_sudo_pass",
        ],
    ),
    parameter("proxy_jump", &[]),
];

/// Keys that other tools have for a parameter, too far from ours for a slip of the keys.
const FOREIGN_KEYS: [(&str, &str); 10] = [
    ("address", "host"),
    ("hostname", "host"),
    ("ip", "host"),
    ("username", "user"),
    ("privatekeypath", "private_key"),
    ("private_key_path", "private_key"),
    ("private_key_file", "private_key"),
    ("keypath", "private_key"),
    ("sudo_password", "become_password"),
    ("bastion", "proxy_jump"),
];

/// Whether a variable holds a secret of the connection, which is kept out of a host's variables. A template is none.
pub fn is_secret_variable(name: &str, value: &serde_json::Value) -> bool {
    if value.as_str().is_some_and(|text| text.contains("{{")) {
        return false;
    }
    name == "connector"
        || PARAMETERS
            .iter()
            .any(|parameter| parameter.secret && parameter.variables.contains(&name))
}

/// What was read, with the places that later checks need.
#[derive(Debug, Default)]
pub struct Reached {
    pub connection: Connection,
    pub become_password: Option<SecretString>,
    pub private_key_place: Option<Place>,
    pub proxy_jump_place: Option<Place>,
}

/// Reports keys of a `connector` that nothing reads.
pub fn check_keys(pairs: &[(Node, Node)], owner: &str, found: &mut Diagnostics) {
    for (key, _) in pairs {
        let name = key.as_str().unwrap_or_default();
        if PARAMETERS.iter().any(|parameter| parameter.key == name) {
            continue;
        }
        let known: Vec<&str> = PARAMETERS.iter().map(|parameter| parameter.key).collect();
        let diagnostic = Diagnostic::at(
            &key.place,
            format!("unknown key `{name}` in the connector of {owner}"),
        );
        let lower = name.to_lowercase();
        let foreign = FOREIGN_KEYS.iter().find(|(word, _)| *word == lower);
        let suggested = match foreign {
            Some((_, meant)) => diagnostic.hint(format!("did you mean `{meant}`?")),
            None => diagnostic.suggest(name, known.iter().copied()),
        };
        found.push(if suggested.hint.is_some() {
            suggested
        } else {
            suggested.hint(format!("known here: {}", known.join(", ")))
        });
    }
}

/// The values of one host: its connector (own keys before those of its groups), then its merged variables.
struct Given<'a> {
    connector: &'a IndexMap<String, (Node, Node)>,
    vars: &'a IndexMap<String, (Node, Node)>,
}

impl<'a> Given<'a> {
    fn node(&self, key: &str) -> Option<&'a Node> {
        let written = self.connector.get(key).map(|(_, value)| value);
        let variables = PARAMETERS
            .iter()
            .find(|parameter| parameter.key == key)
            .map_or(&[][..], |parameter| parameter.variables);
        written
            .into_iter()
            .chain(
                variables
                    .iter()
                    .filter_map(|name| self.vars.get(*name).map(|(_, value)| value)),
            )
            .find(|value| !value.is_null())
    }

    /// A text as it was written; an empty one counts as absent.
    fn text(&self, key: &str, found: &mut Diagnostics) -> Option<(&'a str, &'a Node)> {
        let node = self.node(key)?;
        match node.expect_str() {
            Ok("") => None,
            Ok(text) if text.contains("{{") => {
                found.push(
                    Diagnostic::at(
                        &node.place,
                        format!("`{key}` of a connection cannot be a template"),
                    )
                    .hint("write the value itself"),
                );
                None
            }
            Ok(text) => Some((text, node)),
            Err(diagnostic) => {
                found.push(diagnostic.label(format!("`{key}` of a connection")));
                None
            }
        }
    }

    /// The password of sudo, unless it is a template in a variable: a task gives that one its value.
    fn become_password(&self, found: &mut Diagnostics) -> Option<SecretString> {
        let node = self.node("become_password")?;
        let is_variable = !self.connector.contains_key("become_password");
        if is_variable && node.as_str().is_some_and(|text| text.contains("{{")) {
            return None;
        }
        self.secret("become_password", found)
    }

    fn secret(&self, key: &str, found: &mut Diagnostics) -> Option<SecretString> {
        self.text(key, found)
            .map(|(text, _)| SecretString::new(text.to_owned()))
    }
}

/// Whether a variable says something about a connection.
fn is_variable(name: &str) -> bool {
    let mut parameters = PARAMETERS.iter();
    parameters.any(|parameter| parameter.variables.contains(&name))
}

/// The values, those that matter for a connection decrypted: it is needed at once.
fn decrypted<'a>(
    given: &'a IndexMap<String, (Node, Node)>,
    matters: &dyn Fn(&str) -> bool,
    found: &mut Diagnostics,
) -> Cow<'a, IndexMap<String, (Node, Node)>> {
    let is_meant = |name: &str, value: &Node| value.is_encrypted() && matters(name);
    if !given.iter().any(|(name, (_, value))| is_meant(name, value)) {
        return Cow::Borrowed(given);
    }
    let mut opened = given.clone();
    opened.retain(|name, (_, value)| {
        if !is_meant(name, value) {
            return true;
        }
        match value.decrypted() {
            Ok(plain) => *value = plain,
            Err(diagnostic) => {
                found.push(diagnostic);
                return false;
            }
        }
        true
    });
    Cow::Owned(opened)
}

/// Reads how `name` is reached.
pub fn read(
    name: &str,
    connector: &IndexMap<String, (Node, Node)>,
    vars: &IndexMap<String, (Node, Node)>,
    machine: &LocalMachine,
    found: &mut Diagnostics,
) -> Reached {
    let (connector, vars) = (
        &decrypted(connector, &|_| true, found),
        &decrypted(vars, &is_variable, found),
    );
    let given = Given { connector, vars };
    let kind = given.text("type", found);
    let host = given
        .text("host", found)
        .and_then(|(text, node)| {
            check_host(text, node)
                .map_err(|diagnostic| found.push(diagnostic))
                .ok()
        })
        .unwrap_or_else(|| name.to_owned());
    let port = given
        .text("port", found)
        .map_or(Ok(22), |(text, node)| check_port(text, &node.place))
        .unwrap_or_else(|diagnostic| {
            found.push(diagnostic);
            22
        });
    let port_given = given.node("port").is_some();
    let user_given = given.node("user").is_some();
    let user = given
        .text("user", found)
        .and_then(|(text, node)| {
            check_user(text, node)
                .map_err(|diagnostic| found.push(diagnostic))
                .ok()
        })
        .unwrap_or_else(|| "root".to_owned());
    let password = given.secret("password", found);
    let private_key = given.text("private_key", found).and_then(|(text, node)| {
        expand_home(text, &node.place)
            .map_err(|diagnostic| found.push(diagnostic))
            .ok()
    });
    let private_key_place = given.node("private_key").map(|node| node.place.clone());
    let private_key_content = given.secret("private_key_content", found);
    let private_key_passphrase = given.secret("private_key_passphrase", found);
    let become_password = given.become_password(found);
    let jump = proxy_jump(&given, found);
    let is_local = match kind {
        Some(("local", _)) => true,
        Some(("ssh", _)) => false,
        // Ansible's other names for the same thing.
        Some(("smart" | "paramiko" | "paramiko_ssh" | "ansible.builtin.ssh", node))
            if !is_connector_key(connector, node) =>
        {
            false
        }
        Some(("ansible.builtin.local", node)) if !is_connector_key(connector, node) => true,
        Some((other, node)) => {
            let known = ["local", "ssh"];
            let diagnostic =
                Diagnostic::at(&node.place, format!("unknown connector type `{other}`"))
                    .hint("known here: local, ssh");
            found.push(diagnostic.suggest(other, known));
            false
        }
        // A tunnel or a virtual machine may be behind an address of this one: who writes it into Ansible's variables wants SSH.
        None => machine.is_local(&host) && !(connector.is_empty() && says_where(vars)),
    };
    let become_password = become_password.or_else(|| password.clone());
    if is_local {
        if kind.is_none() {
            warn_of_unused(name, &host, connector, found);
        }
        return Reached {
            connection: Connection::Local,
            become_password,
            ..Reached::default()
        };
    }
    Reached {
        become_password: become_password.clone(),
        private_key_place,
        proxy_jump_place: jump.as_ref().map(|(_, place)| place.clone()),
        connection: Connection::Ssh(SshConnection {
            host,
            port,
            port_given,
            user,
            user_given,
            password,
            private_key,
            private_key_content,
            private_key_passphrase,
            become_password,
            proxy_jump: jump.map(|(text, _)| text),
        }),
    }
}

/// Whether Ansible's variables say which address or port to go to.
fn says_where(vars: &IndexMap<String, (Node, Node)>) -> bool {
    let keys = ["host", "port"];
    PARAMETERS
        .iter()
        .filter(|parameter| keys.contains(&parameter.key))
        .flat_map(|parameter| parameter.variables)
        .any(|name| vars.get(*name).is_some_and(|(_, value)| !value.is_null()))
}

fn is_connector_key(connector: &IndexMap<String, (Node, Node)>, node: &Node) -> bool {
    connector
        .get("type")
        .is_some_and(|(_, value)| value.place == node.place)
}

/// A host that was found to be this machine, although its connector speaks of SSH.
fn warn_of_unused(
    name: &str,
    host: &str,
    connector: &IndexMap<String, (Node, Node)>,
    found: &mut Diagnostics,
) {
    let unused = ["port", "private_key", "private_key_content", "proxy_jump"];
    let Some((key, (node, _))) = unused
        .iter()
        .find_map(|key| connector.get_key_value(*key))
        .filter(|(_, (_, value))| !value.is_null())
    else {
        return;
    };
    let is_default_port = connector
        .get("port")
        .is_some_and(|(_, value)| value.as_str() == Some("22"));
    if key == "port" && is_default_port {
        return;
    }
    let what = if host == name || host == LOCALHOST {
        format!("`{name}` is this machine")
    } else {
        format!("`{host}`, the address of `{name}`, is this machine")
    };
    found.push(Diagnostic {
        place: Some(node.place.clone()),
        ..Diagnostic::warning(format!("{what}, so that `{key}` is not used"))
            .hint("write `type: ssh` to go through its SSH server, or `type: local`")
    });
}

/// `proxy_jump`, or what Ansible users write into `ansible_ssh_common_args`.
fn proxy_jump(given: &Given<'_>, found: &mut Diagnostics) -> Option<(String, Place)> {
    if let Some((text, node)) = given.text("proxy_jump", found) {
        for hop in text.split(',') {
            if let Err(reason) = check_hop(hop.trim()) {
                found.push(
                    Diagnostic::at(&node.place, format!("`{text}` is not a jump host"))
                        .label(reason)
                        .hint("write `[user@]host[:port]`, or the name of another host of the inventory"),
                );
                return None;
            }
        }
        return Some((text.to_owned(), node.place.clone()));
    }
    for name in [
        "ansible_ssh_common_args",
        "ansible_ssh_extra_args",
        "ansible_ssh_args",
    ] {
        let Some((_, node)) = given.vars.get(name) else {
            continue;
        };
        let Some(text) = node.as_str().filter(|text| !text.trim().is_empty()) else {
            continue;
        };
        if let Some(jump) = jump_in_arguments(text)
            && jump.split(',').all(|hop| check_hop(hop).is_ok())
        {
            return Some((jump, node.place.clone()));
        }
        found.push(Diagnostic {
            place: Some(node.place.clone()),
            ..Diagnostic::warning(format!("`{name}` is not read"))
                .hint("of its options only a jump host is known: `-J host` or `-o ProxyJump=host`")
        });
    }
    None
}

/// The jump host in options of the `ssh` command, when they hold nothing else.
fn jump_in_arguments(text: &str) -> Option<String> {
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| word.trim_matches(['"', '\'']))
        .collect();
    match words.as_slice() {
        ["-J", jump] => Some((*jump).to_owned()),
        ["-o", option] => option.strip_prefix("ProxyJump=").map(str::to_owned),
        [option] => option
            .strip_prefix("-oProxyJump=")
            .or_else(|| option.strip_prefix("-J"))
            .map(str::to_owned),
        _ => None,
    }
}
