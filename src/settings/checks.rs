//! What hangs together among the settings: the port in the registry's name, one storage driver, an own certificate with
//! its key, Harbor's two ports.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::drivers::{self, Driver};
use super::layers::Given;
use super::registry_name::RegistryName;
use super::schema::SETTINGS;
use super::tree;
use super::{OwnCertificate, RegistryKind};
use crate::diagnostic::{Diagnostic, Diagnostics, Place};

/// The values of all settings by path, defaults included.
pub struct Resolved {
    /// What users gave, by the short spelling.
    pub given: BTreeMap<String, Given>,
}

impl Resolved {
    /// The value of a setting: given, or its default.
    pub fn value(&self, path: &str) -> Value {
        match self.given.get(path) {
            Some(given) => given.value.clone(),
            None => tree::default_of(path),
        }
    }

    pub fn text(&self, path: &str) -> String {
        self.value(path).as_str().unwrap_or_default().to_owned()
    }

    /// A text, `None` where it is empty.
    pub fn filled(&self, path: &str) -> Option<String> {
        Some(self.text(path)).filter(|text| !text.is_empty())
    }

    pub fn boolean(&self, path: &str) -> bool {
        self.value(path).as_bool().unwrap_or_default()
    }

    pub fn number(&self, path: &str) -> u64 {
        self.value(path).as_u64().unwrap_or_default()
    }

    pub fn decimal(&self, path: &str) -> f64 {
        self.value(path).as_f64().unwrap_or_default()
    }

    pub fn port(&self, path: &str) -> u16 {
        u16::try_from(self.number(path)).unwrap_or_default()
    }
}

/// The words beside the caret at a value; a secret is not repeated.
pub fn label_of(given: &Given) -> String {
    match (&given.value, given.setting.secret) {
        (Value::String(text), false) => format!("`{text}` here"),
        (_, true) => "here".to_owned(),
        (other, false) => format!("`{other}` here"),
    }
}

/// The port in the registry's name is the one of https, or of http.
pub fn take_port(resolved: &mut Resolved, found: &mut Diagnostics) -> Option<RegistryName> {
    let path = "image_registry.auth.registry";
    let given = resolved.given.get(path)?.clone();
    let name = RegistryName::parse(given.value.as_str()?).ok()?;
    let Some(port) = name.port else {
        return Some(name);
    };
    let is_plain = resolved.boolean("image_registry.auth.plain_http");
    let path = if is_plain {
        "image_registry.http_port"
    } else {
        "image_registry.https_port"
    };
    match resolved.given.get(path) {
        Some(explicit) if explicit.value.as_u64() != Some(u64::from(port)) => found.push(
            Diagnostic::at(
                &explicit.place,
                format!("`{path}` and the port in `{}` disagree", given.spelled),
            )
            .label(label_of(explicit))
            .related(&given.place, format!("port `{port}` here"))
            .hint("give one of them, or the same port in both"),
        ),
        Some(_) => {}
        None => {
            let setting = SETTINGS.iter().find(|setting| setting.path == path);
            if let Some(setting) = setting {
                let taken = Given {
                    setting,
                    path: path.to_owned(),
                    value: port.into(),
                    ..given
                };
                resolved.given.insert(path.to_owned(), taken);
            }
        }
    }
    Some(name)
}

/// The storage driver that is named; `None` for none, and after a mistake.
pub fn one_driver(named: &[(String, Place)], found: &mut Diagnostics) -> Option<&'static Driver> {
    let (first, first_place) = named.first()?;
    let others: Vec<_> = named.iter().skip(1).collect();
    let Some((second, second_place)) = others.first() else {
        return drivers::driver(first);
    };
    let quoted: Vec<String> = named.iter().map(|(name, _)| format!("`{name}`")).collect();
    let (last, before) = quoted.split_last()?;
    let mut diagnostic = Diagnostic::at(
        second_place,
        format!("two storage drivers: {} and {last}", before.join(", ")),
    )
    .label(format!("`{second}` here"))
    .related(first_place, format!("`{first}` here"))
    .hint("a registry takes exactly one: remove the others");
    if named.len() > 2 {
        diagnostic.message = diagnostic
            .message
            .replacen("two", &named.len().to_string(), 1);
        for (name, place) in others.iter().skip(1) {
            diagnostic = diagnostic.related(place, format!("`{name}` here"));
        }
    }
    found.push(diagnostic);
    None
}

/// The user's own certificate: certificate and key belong together.
pub fn certificate(resolved: &Resolved, found: &mut Diagnostics) -> Option<OwnCertificate> {
    let path_of = |name: &str| format!("image_registry.certificate.{name}");
    let file = |name: &str| {
        resolved
            .filled(&path_of(name))
            .map(|text| expand_home(&text))
    };
    match (file("cert_file"), file("key_file"), file("ca_file")) {
        (Some(cert_file), Some(key_file), ca_file) => Some(OwnCertificate {
            cert_file,
            key_file,
            ca_file,
        }),
        (None, None, None) => None,
        (cert_file, key_file, _) => {
            let missing = match (cert_file, key_file) {
                (None, Some(_)) => "`cert_file` is",
                (Some(_), None) => "`key_file` is",
                _ => "`cert_file` and `key_file` are",
            };
            let given = ["cert_file", "key_file", "ca_file"]
                .iter()
                .find_map(|name| resolved.given.get(&path_of(name)));
            let message =
                format!("an own certificate needs certificate and key: {missing} missing");
            let mut diagnostic = Diagnostic::error(message)
                .hint("add it below `image_registry.certificate`, or leave all out for a certificate made by kk");
            diagnostic.place = given.map(|given| given.key_place.clone());
            found.push(diagnostic);
            None
        }
    }
}

/// Harbor publishes its http port beside the https one.
pub fn check_ports(kind: RegistryKind, resolved: &Resolved, found: &mut Diagnostics) {
    let https = resolved.given.get("image_registry.https_port");
    let http = resolved.given.get("image_registry.http_port");
    let is_plain = resolved.boolean("image_registry.auth.plain_http");
    let port = resolved.port("image_registry.https_port");
    if kind == RegistryKind::Harbor
        && !is_plain
        && port == resolved.port("image_registry.http_port")
        && let Some(given) = https.or(http)
    {
        found.push(
            Diagnostic::at(
                &given.place,
                format!("Harbor needs two ports, and https and http are both {port}"),
            )
            .hint("set `image_registry.http_port` to another one"),
        );
    }
}

/// VRRP's router id, where one is given.
pub fn router_id(resolved: &Resolved, found: &mut Diagnostics) -> Option<u8> {
    let path = "image_registry.ha_virtual_router_id";
    let given = resolved.given.get(path)?;
    let id = given.value.as_u64()?;
    let id = u8::try_from(id).ok().filter(|id| *id > 0);
    if id.is_none() {
        found.push(
            Diagnostic::at(
                &given.place,
                format!(
                    "`{path}` must be between 1 and 255, found `{}`",
                    given.value
                ),
            )
            .hint("leave it out to have the last byte of the virtual address"),
        );
    }
    id
}

/// A path with `~` as the home folder of whoever runs the program; as it is where that is not known.
pub fn expand_home(text: &str) -> PathBuf {
    match (text.strip_prefix('~'), std::env::home_dir()) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            home.join(rest.trim_start_matches('/'))
        }
        _ => PathBuf::from(text),
    }
}
