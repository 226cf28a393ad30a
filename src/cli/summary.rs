//! The last thing that a user reads after `kk init registry`: addresses, user, password, who can pull.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::live::Live;
use super::material::{Material, PASSWORD};
use super::names::Names;
use super::prepare::Prepared;
use crate::engine::{EventKind, RunReport};

/// The last thing that the user reads.
pub fn summarize(
    prepared: &Prepared,
    live: &Live,
    names: &Names,
    material: &Material,
    proof: &RunReport,
) {
    let registry = &prepared.settings.image_registry;
    let mut lines: Vec<(String, String)> = Vec::new();
    let scheme = if registry.plain_http { "http" } else { "https" };
    for called in names.endpoints() {
        let hosts = names.hosts.iter();
        let hosts: Vec<&str> = hosts
            .filter(|(_, host)| host.endpoint == called)
            .map(|(name, _)| name.as_str())
            .collect();
        let text = format!("{scheme}://{called} on {}", hosts.join(", "));
        lines.push(("registry".to_owned(), text));
    }
    lines.push(("user".to_owned(), registry.username.clone()));
    let secrets = &material.secrets_file;
    let password = match &registry.password {
        Some(_) => format!("the one you set; also in {}", secrets.display()),
        None => format!(
            "generated, in {} (`image_registry.auth.password`)",
            secrets.display()
        ),
    };
    lines.push(("password".to_owned(), password));
    if let Some(ca_file) = &material.ca_file {
        lines.push(("authority".to_owned(), ca_file.display().to_string()));
    }
    for endpoint in names.endpoints() {
        lines.push((
            "log in".to_owned(),
            login_line(material, &registry.username, endpoint),
        ));
    }
    let pulls = pulls(prepared, proof);
    for (host, can) in &pulls {
        lines.push(("can pull".to_owned(), format!("{host}: {can}")));
    }
    let data = BTreeMap::from([
        ("pulls".to_owned(), json!(pulls)),
        ("endpoints".to_owned(), json!(names.endpoints())),
        ("scheme".to_owned(), scheme.into()),
        ("username".to_owned(), registry.username.clone().into()),
        (
            "secrets_file".to_owned(),
            secrets.display().to_string().into(),
        ),
        ("ca_file".to_owned(), json!(material.ca_file)),
    ]);
    live.events.send(EventKind::Summary { lines, data });
}

/// For each host, with what it pulled from how many registries.
fn pulls(prepared: &Prepared, proof: &RunReport) -> IndexMap<String, String> {
    let mut pulls = IndexMap::new();
    for host in &prepared.names {
        let results = proof
            .variables
            .get(host)
            .and_then(|variables| variables.get("pulled")?.get("results")?.as_array());
        let Some(results) = results else { continue };
        let pulled: Vec<&Value> = results
            .iter()
            .filter(|result| result["runtime"].is_string())
            .collect();
        let how = pulled
            .first()
            .or(results.first().as_ref())
            .and_then(|result| result["msg"].as_str())
            .unwrap_or_default();
        let text = match (pulled.len(), results.len()) {
            (0, _) => how.to_owned(),
            (1, 1) => format!("yes, {how}"),
            (count, of) => format!("yes, from {count} of {of} registries, {how}"),
        };
        pulls.insert(host.clone(), text);
    }
    pulls
}

/// A line that logs in as it stands: the password goes from the file to Docker's standard input. A password that is
/// written with escapes in the file is left for Docker to ask for.
fn login_line(material: &Material, username: &str, endpoint: &str) -> String {
    let quote = |text: &str| crate::connect::Command::program(text).to_string();
    let (user, endpoint) = (quote(username), quote(endpoint));
    let bare = material
        .password
        .expose()
        .chars()
        .all(|c| c != '"' && c != '\\' && !c.is_control());
    if !bare {
        return format!("docker login --username {user} {endpoint}");
    }
    let file = quote(&material.secrets_file.display().to_string());
    format!(
        "sed -n 's/^{PASSWORD}: \"\\(.*\\)\"$/\\1/p' {file} | docker login --username {user} --password-stdin {endpoint}"
    )
}
