//! Ansible's YAML inventory: groups with `hosts`, `children` and `vars`.

use super::range;
use super::raw::{Raw, Reference, Variables, merge};
use crate::diagnostic::{Diagnostic, Place};
use crate::yaml::{Fields, Kind, Node};

/// Reads a document: every key at the root is a group.
pub fn read(document: &Node, raw: &mut Raw) {
    if document.is_null() {
        raw.found.push(
            Diagnostic::at(&document.place, "the inventory is empty").hint(
                "`kk create inventory -o inventory.yaml` writes one to start from; without `-i` it is this machine alone",
            ),
        );
        return;
    }
    let Some(groups) = document.as_mapping() else {
        return raw.found.push(document.unexpected("an inventory").hint(
            "begin with `apiVersion:`, `kind: Inventory` and `spec:`, or with Ansible's `all:`",
        ));
    };
    for (key, value) in groups {
        let name = key.as_str().unwrap_or_default();
        if name == "_meta" {
            raw.found.push(
                Diagnostic::at(
                    &key.place,
                    "this is what an inventory script says to Ansible",
                )
                .hint(
                    "save it in the form for people: `ansible-inventory -i SCRIPT --list --yaml`",
                ),
            );
            continue;
        }
        read_group(key, value, raw);
    }
}

fn read_group(key: &Node, node: &Node, raw: &mut Raw) {
    let name = key.as_str().unwrap_or_default();
    if !raw.check_name("group", name, &key.place) {
        return;
    }
    let fields = match Fields::new(node, format!("group `{name}`")) {
        Ok(fields) => fields,
        Err(diagnostic) => return raw.found.push(diagnostic),
    };
    raw.group(name, &key.place);
    if let Some(hosts) = fields.value("hosts") {
        read_hosts(name, key, hosts, raw);
    }
    if let Some(children) = fields.value("children") {
        match children.as_mapping() {
            Some(pairs) => {
                for (child, value) in pairs {
                    let reference = Reference {
                        name: child.as_str().unwrap_or_default().to_owned(),
                        place: child.place.clone(),
                    };
                    read_group(child, value, raw);
                    raw.group(name, &key.place).groups.push(reference);
                }
            }
            None => raw.found.push(
                children
                    .unexpected("a mapping of group names")
                    .hint("write each group's name with a `:` behind it, without `-`"),
            ),
        }
    }
    if let Some(vars) = fields.value("vars") {
        match vars.as_mapping() {
            Some(pairs) => {
                merge(&mut raw.group(name, &key.place).vars, pairs.to_vec());
            }
            None => raw.found.push(vars.unexpected("a mapping of variables")),
        }
    }
    let before = raw.found.0.len();
    fields.finish(&mut raw.found);
    for diagnostic in raw.found.0.iter_mut().skip(before) {
        if diagnostic.message.contains("`groups`") {
            diagnostic.hint = Some("nested groups stand under `children:` here".to_owned());
        }
    }
}

fn read_hosts(group: &str, key: &Node, node: &Node, raw: &mut Raw) {
    let no_vars = Variables::new();
    if node.as_str().is_some() {
        declare(group, key, node, &no_vars, raw);
        return;
    }
    let Some(pairs) = node.as_mapping() else {
        return raw.found.push(
            node.unexpected("a mapping of host names")
                .hint("write each host's name with a `:` behind it, without `-`"),
        );
    };
    for (host, value) in pairs {
        if value.is_null() {
            declare(group, key, host, &no_vars, raw);
            continue;
        }
        match value.as_mapping() {
            Some(vars) => {
                declare(group, key, host, &vars.to_vec(), raw);
            }
            None => raw
                .found
                .push(value.unexpected("a mapping of the host's variables")),
        }
    }
}

fn declare(group: &str, key: &Node, host: &Node, vars: &Variables, raw: &mut Raw) {
    let text = host.as_str().unwrap_or_default();
    let names = declare_hosts(text, &host.place, vars, raw);
    raw.group(group, &key.place).hosts.extend(names);
}

/// Declares the hosts that a name with ranges and port stands for.
pub fn declare_hosts(text: &str, place: &Place, vars: &Variables, raw: &mut Raw) -> Vec<Reference> {
    let named = match range::expand(text) {
        Ok(named) => named,
        Err(reason) => {
            raw.found
                .push(Diagnostic::at(place, format!("`{text}` does not name hosts")).label(reason));
            return Vec::new();
        }
    };
    let mut references = Vec::new();
    for name in named.hosts {
        if !raw.check_name("host", &name, place) {
            break;
        }
        let port = named.port.as_ref().map(|port| {
            let scalar = |text: &str| Node {
                place: place.clone(),
                tag: None,
                kind: Kind::Scalar {
                    text: text.into(),
                    plain: true,
                },
            };
            (scalar("ansible_port"), scalar(port))
        });
        let host = raw.host(&name, place);
        merge(&mut host.vars, port);
        merge(&mut host.vars, vars.iter().cloned());
        references.push(Reference {
            name,
            place: place.clone(),
        });
    }
    references
}
