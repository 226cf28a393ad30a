//! Tests of the whole room: forms that must load, and what is made of them.

mod bad_input;
mod examples;
mod forms;
mod patterns;
mod properties;

use super::*;
use crate::diagnostic::{Colour, Source, render_all};

/// A machine that no inventory of the tests speaks of by accident.
pub fn machine() -> LocalMachine {
    LocalMachine::new("control.example.org", &["192.0.2.1".parse().unwrap()])
}

/// Reads an inventory that must be fine.
pub fn load(text: &str) -> Inventory {
    let loaded =
        parse(text).unwrap_or_else(|found| panic!("{}", render_all(&found, Colour::Never)));
    assert_eq!(
        render_all(&loaded.warnings, Colour::Never),
        "",
        "warnings were not expected"
    );
    loaded.inventory
}

/// Reads an inventory.
pub fn parse(text: &str) -> Result<Loaded, Diagnostics> {
    Inventory::parse(&Source::new("inventory.yaml", text), &machine())
}

/// A KubeKey inventory with this spec, indented by two blanks.
pub fn kubekey(spec: &str) -> String {
    format!(
        "apiVersion: kubekey.kubesphere.io/v1\nkind: Inventory\nmetadata:\n  name: default\nspec:\n{spec}"
    )
}

/// The form that users have: hosts are all comments, groups name `localhost`, groups in groups.
const DOCUMENTED: &str = "  hosts: # all of them
#    node1:
#      connector:
#        type: ssh
#        host: node1
#        port: 22
#        user: root
#        password: 123456
  groups:
    # all Kubernetes nodes
    k8s_cluster:
      groups:
        - kube_control_plane
        - kube_worker
    kube_control_plane:
      hosts:
        - localhost
    kube_worker:
      hosts:
        - localhost
    etcd:
      hosts:
        - localhost
    image_registry:
      hosts:
       - localhost
#    nfs:
#      hosts:
#        - localhost
";

#[test]
fn the_documented_form_loads() {
    let inventory = load(&kubekey(DOCUMENTED));
    assert_eq!(inventory.hosts.keys().collect::<Vec<_>>(), ["localhost"]);
    assert_eq!(inventory.hosts["localhost"].connection, Connection::Local);
    assert_eq!(
        inventory.groups.keys().collect::<Vec<_>>(),
        [
            "all",
            "k8s_cluster",
            "kube_control_plane",
            "kube_worker",
            "etcd",
            "image_registry",
            "ungrouped"
        ]
    );
    assert_eq!(inventory.hosts_of("k8s_cluster"), ["localhost"]);
    assert_eq!(inventory.hosts_of("image_registry"), ["localhost"]);
    assert!(inventory.hosts_of("ungrouped").is_empty());
    assert!(inventory.hosts_of("nfs").is_empty());
}

#[test]
fn the_documented_form_with_its_comments_removed_loads() {
    let text = kubekey(DOCUMENTED)
        .replace("#    node1", "    node1")
        .replace("#      ", "      ")
        .replace("#        ", "        ")
        .replace("#    nfs", "    nfs");
    let inventory = load(&text);
    let Connection::Ssh(ssh) = &inventory.hosts["node1"].connection else {
        panic!("node1 is reached over SSH")
    };
    assert_eq!(
        (ssh.host.as_str(), ssh.port, ssh.user.as_str()),
        ("node1", 22, "root")
    );
    assert_eq!(ssh.password.as_ref().unwrap().expose(), "123456");
    assert_eq!(inventory.hosts_of("nfs"), ["localhost"]);
    assert_eq!(inventory.hosts_of("ungrouped"), ["node1"]);
}
