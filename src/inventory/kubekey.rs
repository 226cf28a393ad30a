//! KubeKey's Inventory: `apiVersion`, `kind`, `metadata`, and hosts, groups and variables under `spec`.

use super::raw::{Raw, Reference, Variables, merge};
use crate::diagnostic::{Diagnostic, nearest};
use crate::yaml::{Fields, Node};

/// The API version that is read.
pub const API_VERSION: &str = "kubekey.kubesphere.io/v1";

/// Keys of a host that are not free-form variables.
const HOST_KEYS: [&str; 4] = ["connector", "internal_ipv4", "internal_ipv6", "vars"];

/// Connector keys that people put beside `connector` instead of under it.
const MISPLACED: [&str; 6] = [
    "port",
    "user",
    "password",
    "private_key",
    "private_key_content",
    "proxy_jump",
];

/// Reads a document of KubeKey's kind.
pub fn read(document: &Node, raw: &mut Raw) {
    let mut found = std::mem::take(&mut raw.found);
    match Fields::new(document, "the inventory") {
        Ok(fields) => {
            check_kind(&fields, &mut found);
            // Labels, annotations and whatever else a cluster writes are nobody's business here.
            if let Some(metadata) = fields.value("metadata") {
                match Fields::new(metadata, "metadata") {
                    Ok(metadata) => {
                        metadata.text("name", &mut found);
                    }
                    Err(diagnostic) => found.push(diagnostic),
                }
            }
            fields.node("status");
            let spec = fields.node("spec");
            if let Some(spec) = spec {
                raw.found = std::mem::take(&mut found);
                read_spec(spec, raw);
                found = std::mem::take(&mut raw.found);
            } else {
                found.push(
                    Diagnostic::at(fields.place(), "the inventory has no `spec`")
                        .hint("hosts and groups stand under `spec:`"),
                );
            }
            fields.finish(&mut found);
        }
        Err(diagnostic) => found.push(diagnostic),
    }
    raw.found = found;
}

fn check_kind(fields: &Fields<'_>, found: &mut crate::diagnostic::Diagnostics) {
    let version = fields.text("apiVersion", found);
    let kind = fields.text("kind", found);
    let place_of = |key: &'static str| {
        fields
            .node(key)
            .map_or_else(|| fields.place().within(0, 0), |node| node.place.clone())
    };
    match kind {
        Some("Inventory") => {}
        Some(other) => found.push(
            Diagnostic::at(
                &place_of("kind"),
                format!("expected the kind `Inventory`, found `{other}`"),
            )
            .hint(match other {
                "Config" => "give a Config file with `-c`, the inventory with `-i`",
                "Cluster" => "this is the configuration of an older KubeKey: `kk create inventory` writes a template to move its hosts to",
                _ => "write `kind: Inventory`",
            }),
        ),
        None => found.push(
            Diagnostic::at(&place_of("kind"), "the inventory has no `kind`")
                .hint("write `kind: Inventory`"),
        ),
    }
    if kind == Some("Inventory") {
        match version {
            Some(API_VERSION) => {}
            Some(other) => found.push(
                Diagnostic::at(
                    &place_of("apiVersion"),
                    format!("unknown API version `{other}`"),
                )
                .hint(format!("write `apiVersion: {API_VERSION}`")),
            ),
            None => found.push(
                Diagnostic::at(&place_of("apiVersion"), "the inventory has no `apiVersion`")
                    .hint(format!("write `apiVersion: {API_VERSION}`")),
            ),
        }
    }
}

fn read_spec(spec: &Node, raw: &mut Raw) {
    let fields = match Fields::new(spec, "`spec`") {
        Ok(fields) => fields,
        Err(diagnostic) => return raw.found.push(diagnostic),
    };
    if let Some(hosts) = fields.value("hosts") {
        read_hosts(hosts, raw);
    }
    if let Some(groups) = fields.value("groups") {
        read_groups(groups, raw);
    }
    if let Some(vars) = fields.value("vars") {
        let vars = read_vars(vars, raw);
        merge(&mut raw.group(super::ALL, &spec.place).vars, vars);
    }
    fields.finish(&mut raw.found);
}

fn read_hosts(node: &Node, raw: &mut Raw) {
    let Some(pairs) = node.as_mapping() else {
        let diagnostic = node.unexpected("a mapping of host names");
        return raw.found.push(if node.as_sequence().is_some() {
            diagnostic.hint("write `node1:` with its `connector:` below, without `-`")
        } else {
            diagnostic
        });
    };
    for (key, value) in pairs {
        let name = key.as_str().unwrap_or_default();
        if raw.check_name("host", name, &key.place) {
            read_host(name, key, value, raw);
            // The order of all hosts is the one written here, whatever groups they are in.
            let reference = Reference {
                name: name.to_owned(),
                place: key.place.clone(),
            };
            raw.group(super::ALL, &key.place).hosts.push(reference);
        }
    }
}

fn read_host(name: &str, key: &Node, node: &Node, raw: &mut Raw) {
    let fields = match Fields::new(node, format!("host `{name}`")) {
        Ok(fields) => fields,
        Err(diagnostic) => {
            raw.host(name, &key.place);
            let diagnostic = diagnostic.label(format!("host `{name}`"));
            return raw.found.push(match node.as_str() {
                Some(address) => diagnostic.hint(format!(
                    "write `connector: {{host: {address}}}` below `{name}:`"
                )),
                None => diagnostic,
            });
        }
    };
    let mut connector = Variables::new();
    if let Some(value) = fields.value("connector") {
        match value.as_mapping() {
            Some(pairs) => connector.extend(pairs.iter().cloned()),
            None => raw.found.push(value.unexpected("a mapping").hint(
                "write `type:`, `host:`, `user:` and so on below `connector:`, each on its own line",
            )),
        }
    }
    let mut vars = Variables::new();
    if let Some(value) = fields.value("vars") {
        merge(&mut vars, read_vars(value, raw));
    }
    for (key, value) in fields.rest() {
        let word = key.as_str().unwrap_or_default();
        if ["internal_ipv4", "internal_ipv6"].contains(&word) && value.is_null() {
            continue;
        }
        if let Some(meant) = slip_of(word, value) {
            raw.found.push(
                Diagnostic::at(&key.place, format!("unknown key `{word}` in host `{name}`"))
                    .hint(format!("did you mean `{meant}`?")),
            );
            continue;
        }
        if MISPLACED.contains(&word) {
            raw.found.push(Diagnostic {
                place: Some(key.place.clone()),
                ..Diagnostic::warning(format!(
                    "`{word}` of host `{name}` is a free variable here, and no part of its connection"
                ))
                .hint(format!("to connect with it, put `{word}` under `connector:`"))
            });
        }
        merge(&mut vars, [(key.clone(), value.clone())]);
    }
    let host = raw.host(name, &key.place);
    merge(&mut host.connector, connector);
    merge(&mut host.vars, vars);
}

/// The key of a host that was meant by a slip of the keys. Free variables are allowed, so only a near miss counts.
fn slip_of(word: &str, value: &Node) -> Option<&'static str> {
    if HOST_KEYS.contains(&word) {
        return None;
    }
    let meant = nearest(word, HOST_KEYS)?;
    let meant = HOST_KEYS.into_iter().find(|key| *key == meant)?;
    let same_start = word
        .chars()
        .next()
        .is_some_and(|first| meant.starts_with(first.to_ascii_lowercase()));
    let is_near = strsim::osa_distance(&word.to_lowercase(), meant) <= 2;
    let fits = match meant {
        "connector" | "vars" => value.as_mapping().is_some(),
        _ => value.as_mapping().is_none(),
    };
    (same_start && is_near && fits).then_some(meant)
}

fn read_groups(node: &Node, raw: &mut Raw) {
    let Some(pairs) = node.as_mapping() else {
        return raw.found.push(node.unexpected("a mapping of group names"));
    };
    for (key, value) in pairs {
        let name = key.as_str().unwrap_or_default();
        if !raw.check_name("group", name, &key.place) {
            continue;
        }
        let fields = match Fields::new(value, format!("group `{name}`")) {
            Ok(fields) => fields,
            Err(diagnostic) => {
                raw.found.push(if value.as_sequence().is_some() {
                    diagnostic.hint("write `hosts:` above the list")
                } else {
                    diagnostic
                });
                continue;
            }
        };
        let hosts = references(fields.value("hosts"), raw);
        let groups = references(fields.value("groups"), raw);
        let vars = fields
            .value("vars")
            .map(|vars| read_vars(vars, raw))
            .unwrap_or_default();
        finish_group(fields, raw);
        let group = raw.group(name, &key.place);
        group.hosts.extend(hosts);
        group.groups.extend(groups);
        merge(&mut group.vars, vars);
    }
}

/// Unknown keys of a group; `children` is what Ansible calls nested groups.
fn finish_group(fields: Fields<'_>, raw: &mut Raw) {
    let before = raw.found.0.len();
    fields.finish(&mut raw.found);
    for diagnostic in raw.found.0.iter_mut().skip(before) {
        if diagnostic.message.contains("`children`") {
            diagnostic.hint = Some("nested groups stand under `groups:` here".to_owned());
        }
    }
}

fn references(node: Option<&Node>, raw: &mut Raw) -> Vec<Reference> {
    let Some(node) = node else {
        return Vec::new();
    };
    let items = match (node.as_sequence(), node.as_str()) {
        (Some(items), _) => items,
        (None, Some(_)) => std::slice::from_ref(node),
        (None, None) => {
            let example = node
                .as_mapping()
                .and_then(|pairs| pairs.first())
                .and_then(|(key, _)| key.as_str())
                .unwrap_or("node1");
            raw.found.push(
                node.unexpected("a list of names")
                    .hint(format!("write `- {example}`, one name per line")),
            );
            return Vec::new();
        }
    };
    let mut names = Vec::new();
    for item in items {
        match item.expect_str() {
            Ok(name) => names.push(Reference {
                name: name.to_owned(),
                place: item.place.clone(),
            }),
            Err(diagnostic) => raw.found.push(diagnostic),
        }
    }
    names
}

/// Free-form variables; only their being a mapping is checked.
fn read_vars(node: &Node, raw: &mut Raw) -> Variables {
    let Some(pairs) = node.as_mapping() else {
        raw.found.push(node.unexpected("a mapping of variables"));
        return Variables::new();
    };
    pairs.to_vec()
}
