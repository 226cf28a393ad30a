//! Every mistake that a user can make in an inventory, and exactly what kk says about it.

use super::{kubekey, machine, parse};
use crate::diagnostic::{Colour, Source, render_all};
use crate::inventory::{Inventory, LocalMachine};

/// What is said about a whole document that must be refused.
fn refused(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("this was taken:\n{text}"),
        Err(found) => render_all(&found, Colour::Never),
    }
}

/// What is said about a `spec` that must be refused.
fn spec(spec: &str) -> String {
    refused(&kubekey(spec))
}

/// What is said about an INI inventory that must be refused.
fn ini(text: &str) -> String {
    match Inventory::parse(&Source::new("hosts.ini", text), &machine()) {
        Ok(_) => panic!("this was taken:\n{text}"),
        Err(found) => render_all(&found, Colour::Never),
    }
}

/// What is said about a `spec` that is taken with a word of warning.
fn warned(spec: &str) -> String {
    match parse(&kubekey(spec)) {
        Ok(loaded) => render_all(&loaded.warnings, Colour::Never),
        Err(found) => panic!("{}", render_all(&found, Colour::Never)),
    }
}

#[test]
fn yaml_syntax() {
    insta::assert_snapshot!(refused("spec:\n  hosts:\n\tnode1: {}\n"), @r"
    error: invalid YAML: tabs disallowed within this context (block indentation)
     --> inventory.yaml:3:2
      |
    3 |     node1: {}
      |     ^
      |
      = hint: YAML does not allow tabs as indentation: use spaces
    ");
    insta::assert_snapshot!(refused("spec: {hosts: [\n"), @r"
    error: invalid YAML: while parsing a node, did not find expected node content
     --> inventory.yaml:1:17
      |
    1 | spec: {hosts: [
      |                ^
    ");
    insta::assert_snapshot!(spec("  hosts:\n    node1:\n      connector:\n        host: 10.0.0.1\n       port: 22\n"), @r"
    error: invalid YAML: while parsing a block mapping, did not find expected key
      --> inventory.yaml:10:8
       |
    10 |        port: 22
       |        ^
    ");
    insta::assert_snapshot!(spec("  hosts:\n    node1: {}\n    node1: {}\n"), @r"
    error: the key `node1` is given twice
     --> inventory.yaml:8:5
      |
    7 |     node1: {}
      |     ----- first here
    8 |     node1: {}
      |     ^^^^^
    ");
}

#[test]
fn the_password_in_a_line_that_is_shown_is_masked() {
    insta::assert_snapshot!(spec("  hosts:\n    node1:\n      connector: {host: 10.0.0.1, password: hunter2, prot: 22}\n"), @r"
    error: unknown key `prot` in the connector of host `node1`
     --> inventory.yaml:8:54
      |
    8 |       connector: {host: 10.0.0.1, password: *******, prot: 22}
      |                                                      ^^^^
      |
      = hint: did you mean `port`?
    ");
}

#[test]
fn kind_and_version() {
    insta::assert_snapshot!(refused("kind: Inventory\nspec: {}\n"), @r"
    error: the inventory has no `apiVersion`
     --> inventory.yaml:1:1
      |
    1 | kind: Inventory
      | ^
      |
      = hint: write `apiVersion: kubekey.kubesphere.io/v1`
    ");
    insta::assert_snapshot!(refused("apiVersion: kubekey.kubesphere.io/v1\nspec: {}\n"), @r"
    error: the inventory has no `kind`
     --> inventory.yaml:1:1
      |
    1 | apiVersion: kubekey.kubesphere.io/v1
      | ^
      |
      = hint: write `kind: Inventory`
    ");
    insta::assert_snapshot!(refused("apiVersion: kubekey.kubesphere.io/v2\nkind: Inventory\nspec: {}\n"), @r"
    error: unknown API version `kubekey.kubesphere.io/v2`
     --> inventory.yaml:1:13
      |
    1 | apiVersion: kubekey.kubesphere.io/v2
      |             ^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: write `apiVersion: kubekey.kubesphere.io/v1`
    ");
    insta::assert_snapshot!(refused("apiVersion: kubekey.kubesphere.io/v1alpha2\nkind: Cluster\nspec: {}\n"), @r"
    error: expected the kind `Inventory`, found `Cluster`
     --> inventory.yaml:2:7
      |
    2 | kind: Cluster
      |       ^^^^^^^
      |
      = hint: this is the configuration of an older KubeKey: `kk create inventory` writes a template to move its hosts to
    ");
    insta::assert_snapshot!(refused("apiVersion: kubekey.kubesphere.io/v1\nkind: Config\nspec: {}\n"), @r"
    error: expected the kind `Inventory`, found `Config`
     --> inventory.yaml:2:7
      |
    2 | kind: Config
      |       ^^^^^^
      |
      = hint: give a Config file with `-c`, the inventory with `-i`
    ");
    insta::assert_snapshot!(refused("apiVersion: kubekey.kubesphere.io/v1\nkind: Inventory\n"), @r"
    error: the inventory has no `spec`
     --> inventory.yaml:1:1
      |
    1 | / apiVersion: kubekey.kubesphere.io/v1
    2 | | kind: Inventory
      | |_______________^
      |
      = hint: hosts and groups stand under `spec:`
    ");
    insta::assert_snapshot!(refused(""), @r"
    error: the inventory is empty
     --> inventory.yaml:1:1
      |
    1 |
      | ^
      |
      = hint: `kk create inventory -o inventory.yaml` writes one to start from; without `-i` it is this machine alone
    ");
    insta::assert_snapshot!(refused("- node1\n- node2\n"), @r"
    error: expected an inventory, found a list
     --> inventory.yaml:1:1
      |
    1 | / - node1
    2 | | - node2
      | |_______^
      |
      = hint: begin with `apiVersion:`, `kind: Inventory` and `spec:`, or with Ansible's `all:`
    ");
}

#[test]
fn unknown_keys() {
    insta::assert_snapshot!(spec("  host:\n    node1: {}\n"), @r"
    error: unknown key `host` in `spec`
     --> inventory.yaml:6:3
      |
    6 |   host:
      |   ^^^^
      |
      = hint: did you mean `hosts`?
    ");
    insta::assert_snapshot!(spec("  hosts:\n    node1:\n      connetor: {host: 10.0.0.1}\n"), @r"
    error: unknown key `connetor` in host `node1`
     --> inventory.yaml:8:7
      |
    8 |       connetor: {host: 10.0.0.1}
      |       ^^^^^^^^
      |
      = hint: did you mean `connector`?
    ");
    insta::assert_snapshot!(spec("  hosts:\n    node1:\n      connector: {hots: 10.0.0.1, username: root, colour: red}\n"), @r"
    error: unknown key `hots` in the connector of host `node1`
     --> inventory.yaml:8:19
      |
    8 |       connector: {hots: 10.0.0.1, username: root, colour: red}
      |                   ^^^^
      |
      = hint: did you mean `host`?

    error: unknown key `username` in the connector of host `node1`
     --> inventory.yaml:8:35
      |
    8 |       connector: {hots: 10.0.0.1, username: root, colour: red}
      |                                   ^^^^^^^^
      |
      = hint: did you mean `user`?

    error: unknown key `colour` in the connector of host `node1`
     --> inventory.yaml:8:51
      |
    8 |       connector: {hots: 10.0.0.1, username: root, colour: red}
      |                                                   ^^^^^^
      |
      = hint: known here: type, host, port, user, password, private_key, private_key_content, private_key_passphrase, become_password, proxy_jump
    ");
    insta::assert_snapshot!(spec("  groups:\n    web:\n      host: [localhost]\n      children: [db]\n"), @r"
    error: unknown key `host` in group `web`
     --> inventory.yaml:8:7
      |
    8 |       host: [localhost]
      |       ^^^^
      |
      = hint: did you mean `hosts`?

    error: unknown key `children` in group `web`
     --> inventory.yaml:9:7
      |
    9 |       children: [db]
      |       ^^^^^^^^
      |
      = hint: nested groups stand under `groups:` here
    ");
    insta::assert_snapshot!(refused("apiVersion: kubekey.kubesphere.io/v1\nkind: Inventory\nspce: {}\nspec: {}\n"), @r"
    error: unknown key `spce` in the inventory
     --> inventory.yaml:3:1
      |
    3 | spce: {}
      | ^^^^
      |
      = hint: did you mean `spec`?
    ");
}

#[test]
fn free_variables_stay_free() {
    let inventory = super::load(&kubekey(
        "  hosts:\n    node1:\n      rack: 7\n      external_ipv4: 203.0.113.7\n      labels: {zone: a}\n      connector: {host: 10.0.0.1}\n  groups:\n    web:\n      vars: {connection_limit: 5, hosts: x}\n",
    ));
    let vars = inventory.host_vars("node1");
    assert_eq!(vars["rack"], 7);
    assert_eq!(vars["external_ipv4"], "203.0.113.7");
    assert_eq!(vars["labels"]["zone"], "a");
}

#[test]
fn wrong_types() {
    insta::assert_snapshot!(spec("  hosts:\n    - node1\n    - node2\n"), @r"
    error: expected a mapping of host names, found a list
     --> inventory.yaml:7:5
      |
    7 | /     - node1
    8 | |     - node2
      | |___________^
      |
      = hint: write `node1:` with its `connector:` below, without `-`
    ");
    insta::assert_snapshot!(spec("  hosts:\n    node1: 10.0.0.1\n"), @r"
    error: expected a mapping, found a text
     --> inventory.yaml:7:12
      |
    7 |     node1: 10.0.0.1
      |            ^^^^^^^^ host `node1`
      |
      = hint: write `connector: {host: 10.0.0.1}` below `node1:`
    ");
    insta::assert_snapshot!(spec("  hosts:\n    node1:\n      connector: 10.0.0.1\n"), @r"
    error: expected a mapping, found a text
     --> inventory.yaml:8:18
      |
    8 |       connector: 10.0.0.1
      |                  ^^^^^^^^
      |
      = hint: write `type:`, `host:`, `user:` and so on below `connector:`, each on its own line
    ");
    insta::assert_snapshot!(spec("  hosts:\n    node1:\n      connector: {password: [a, b]}\n"), @r"
    error: expected a text, found a list
     --> inventory.yaml:8:29
      |
    8 |       connector: {password: ******}
      |                             ^^^^^^ `password` of a connection
    ");
    insta::assert_snapshot!(spec("  groups:\n    - web\n"), @r"
    error: expected a mapping of group names, found a list
     --> inventory.yaml:7:5
      |
    7 |     - web
      |     ^^^^^
    ");
    insta::assert_snapshot!(spec("  groups:\n    web:\n      - localhost\n"), @r"
    error: expected a mapping, found a list
     --> inventory.yaml:8:7
      |
    8 |       - localhost
      |       ^^^^^^^^^^^
      |
      = hint: write `hosts:` above the list
    ");
    insta::assert_snapshot!(spec("  groups:\n    web:\n      hosts:\n        localhost: {}\n"), @r"
    error: expected a list of names, found a mapping
     --> inventory.yaml:9:9
      |
    9 |         localhost: {}
      |         ^^^^^^^^^^^^^
      |
      = hint: write `- localhost`, one name per line
    ");
    insta::assert_snapshot!(spec("  groups:\n    web:\n      hosts:\n        - [localhost]\n"), @r"
    error: expected a text, found a list
     --> inventory.yaml:9:11
      |
    9 |         - [localhost]
      |           ^^^^^^^^^^^
    ");
    insta::assert_snapshot!(spec("  vars: [a]\n"), @r"
    error: expected a mapping of variables, found a list
     --> inventory.yaml:6:9
      |
    6 |   vars: [a]
      |         ^^^
    ");
    insta::assert_snapshot!(refused("apiVersion: kubekey.kubesphere.io/v1\nkind: Inventory\nspec: hosts\n"), @r"
    error: expected a mapping, found a text
     --> inventory.yaml:3:7
      |
    3 | spec: hosts
      |       ^^^^^
    ");
}

#[test]
fn undeclared_hosts_and_groups() {
    insta::assert_snapshot!(spec("  hosts:\n    node1:\n      connector: {host: 10.0.0.1}\n  groups:\n    image_registry:\n      hosts:\n        - nod1\n        - registry\n"), @r"
    error: group `image_registry` names the host `nod1`, which is not declared
      --> inventory.yaml:12:11
       |
    12 |         - nod1
       |           ^^^^
       |
       = hint: did you mean `node1`?

    error: group `image_registry` names the host `registry`, which is not declared
      --> inventory.yaml:13:11
       |
    13 |         - registry
       |           ^^^^^^^^
       |
       = hint: declare `registry:` under `spec.hosts`
    ");
    insta::assert_snapshot!(spec("  groups:\n    k8s_cluster:\n      groups: [kube_control_plan, workers, localhost]\n      hosts: [kube_control_plane]\n    kube_control_plane:\n      hosts: [localhost]\n"), @r"
    error: group `k8s_cluster` names the host `kube_control_plane`, which is not declared
     --> inventory.yaml:9:15
      |
    9 |       hosts: [kube_control_plane]
      |               ^^^^^^^^^^^^^^^^^^
      |
      = hint: `kube_control_plane` is a group: name it under `groups:`

    error: group `k8s_cluster` names the group `kube_control_plan`, which is not declared
     --> inventory.yaml:8:16
      |
    8 |       groups: [kube_control_plan, workers, localhost]
      |                ^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `kube_control_plane`?

    error: group `k8s_cluster` names the group `workers`, which is not declared
     --> inventory.yaml:8:35
      |
    8 |       groups: [kube_control_plan, workers, localhost]
      |                                   ^^^^^^^
      |
      = hint: declare a group `workers`, or take the name out

    error: group `k8s_cluster` names the group `localhost`, which is not declared
     --> inventory.yaml:8:44
      |
    8 |       groups: [kube_control_plan, workers, localhost]
      |                                            ^^^^^^^^^
      |
      = hint: `localhost` is a host: name it under `hosts:`
    ");
}

#[test]
fn group_cycles() {
    insta::assert_snapshot!(spec("  groups:\n    a:\n      groups: [b]\n    b:\n      groups:\n        - c\n    c:\n      groups: [a]\n"), @r"
    error: group `a` contains itself: a → b → c → a
      --> inventory.yaml:13:16
       |
     8 |       groups: [b]
       |                - `b` is nested in `a` here
    ...
    11 |         - c
       |           - `c` is nested in `b` here
    12 |     c:
    13 |       groups: [a]
       |                ^ the circle closes here
       |
       = hint: take one of these groups out of the other
    ");
    insta::assert_snapshot!(spec("  groups:\n    a:\n      groups: [a]\n"), @r"
    error: group `a` contains itself: a → a
     --> inventory.yaml:8:16
      |
    8 |       groups: [a]
      |                ^ the circle closes here
      |
      = hint: take one of these groups out of the other
    ");
}

#[test]
fn names() {
    insta::assert_snapshot!(spec("  hosts:\n    \"node 1\": {}\n    -x: {}\n    node[1:3]: {}\n  groups:\n    \"!web\": {}\n"), @r#"
    error: `node 1` cannot be the name of a host
     --> inventory.yaml:7:5
      |
    7 |     "node 1": {}
      |     ^^^^^^^^ it contains white space
      |
      = hint: use letters, digits, `-`, `_` and `.`

    error: `-x` cannot be the name of a host
     --> inventory.yaml:8:5
      |
    8 |     -x: {}
      |     ^^ it begins with a character that has a meaning in host patterns
      |
      = hint: use letters, digits, `-`, `_` and `.`

    error: `node[1:3]` cannot be the name of a host
     --> inventory.yaml:9:5
      |
    9 |     node[1:3]: {}
      |     ^^^^^^^^^ it contains a character that has a meaning elsewhere
      |
      = hint: use letters, digits, `-`, `_` and `.`

    error: `!web` cannot be the name of a group
      --> inventory.yaml:11:5
       |
    11 |     "!web": {}
       |     ^^^^^^ it begins with a character that has a meaning in host patterns
       |
       = hint: use letters, digits, `-`, `_` and `.`
    "#);
}

#[test]
fn connections() {
    insta::assert_snapshot!(spec("  hosts:\n    a:\n      connector: {type: shh}\n    b:\n      connector: {type: kubernetes}\n"), @r"
    error: unknown connector type `shh`
     --> inventory.yaml:8:25
      |
    8 |       connector: {type: shh}
      |                         ^^^
      |
      = hint: did you mean `ssh`?

    error: unknown connector type `kubernetes`
      --> inventory.yaml:10:25
       |
    10 |       connector: {type: kubernetes}
       |                         ^^^^^^^^^^
       |
       = hint: known here: local, ssh
    ");
    insta::assert_snapshot!(spec("  hosts:\n    a:\n      connector: {host: a, port: 70000}\n    b:\n      connector: {host: b, port: 0}\n    c:\n      connector: {host: c, port: ssh}\n"), @r"
    error: expected a port from 1 to 65535, found `70000`
     --> inventory.yaml:8:34
      |
    8 |       connector: {host: a, port: 70000}
      |                                  ^^^^^

    error: expected a port from 1 to 65535, found `0`
      --> inventory.yaml:10:34
       |
    10 |       connector: {host: b, port: 0}
       |                                  ^

    error: expected a port from 1 to 65535, found `ssh`
      --> inventory.yaml:12:34
       |
    12 |       connector: {host: c, port: ssh}
       |                                  ^^^
    ");
    insta::assert_snapshot!(spec("  hosts:\n    a:\n      connector: {host: \"10.0.0.1:22\"}\n    b:\n      connector: {host: admin@10.0.0.2}\n    c:\n      connector: {host: 10.0.0.300}\n    d:\n      connector: {host: \"https://d.example.org/\"}\n    e:\n      connector: {host: \"2001:db8:::1\"}\n    f:\n      connector: {host: \"f g\"}\n    g:\n      connector: {host: \"[2001:db8::1]:22\"}\n"), @r#"
    error: expected a name or an address, found `10.0.0.1:22`
     --> inventory.yaml:8:25
      |
    8 |       connector: {host: "10.0.0.1:22"}
      |                         ^^^^^^^^^^^^^
      |
      = hint: write `host: 10.0.0.1` and `port: 22`

    error: expected a name or an address, found `admin@10.0.0.2`
      --> inventory.yaml:10:25
       |
    10 |       connector: {host: admin@10.0.0.2}
       |                         ^^^^^^^^^^^^^^
       |
       = hint: write `host: 10.0.0.2` and `user: admin`

    error: `10.0.0.300` is not an IPv4 address
      --> inventory.yaml:12:25
       |
    12 |       connector: {host: 10.0.0.300}
       |                         ^^^^^^^^^^
       |
       = hint: an IPv4 address has four numbers from 0 to 255, such as `10.0.0.11`

    error: expected a name or an address, found the URL `https://d.example.org/`
      --> inventory.yaml:14:25
       |
    14 |       connector: {host: "https://d.example.org/"}
       |                         ^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = hint: write `d.example.org`

    error: `2001:db8:::1` is not an IPv6 address
      --> inventory.yaml:16:25
       |
    16 |       connector: {host: "2001:db8:::1"}
       |                         ^^^^^^^^^^^^^^
       |
       = hint: an IPv6 address looks like `2001:db8::11`

    error: `f g` is neither a host name nor an address
      --> inventory.yaml:18:25
       |
    18 |       connector: {host: "f g"}
       |                         ^^^^^
       |
       = hint: write a name such as `node1.example.org` or an address such as `10.0.0.11`

    error: expected a name or an address, found `[2001:db8::1]:22`
      --> inventory.yaml:20:25
       |
    20 |       connector: {host: "[2001:db8::1]:22"}
       |                         ^^^^^^^^^^^^^^^^^^
       |
       = hint: write `host: 2001:db8::1` and `port: 22`
    "#);
    insta::assert_snapshot!(spec("  hosts:\n    a:\n      connector: {user: \"ro ot\", private_key: ~bob/key, password: \"{{ secret }}\"}\n"), @r#"
    error: `ro ot` is not a user name
     --> inventory.yaml:8:25
      |
    8 |       connector: {user: "ro ot", private_key: ~bob/key, password: **************}
      |                         ^^^^^^^
      |
      = hint: write the login name alone, such as `root`

    error: `password` of a connection cannot be a template
     --> inventory.yaml:8:67
      |
    8 |       connector: {user: "ro ot", private_key: ~bob/key, password: **************}
      |                                                                   ^^^^^^^^^^^^^^
      |
      = hint: write the value itself

    error: `~bob/key` names another user's home folder
     --> inventory.yaml:8:47
      |
    8 |       connector: {user: "ro ot", private_key: ~bob/key, password: **************}
      |                                               ^^^^^^^^
      |
      = hint: write the path out, such as `/home/admin/.ssh/id_ed25519`
    "#);
    insta::assert_snapshot!(spec("  hosts:\n    a:\n      connector: {host: 10.0.0.1, proxy_jump: \"bastion:port\"}\n"), @r#"
    error: `bastion:port` is not a jump host
     --> inventory.yaml:8:47
      |
    8 |       connector: {host: 10.0.0.1, proxy_jump: "bastion:port"}
      |                                               ^^^^^^^^^^^^^^ the port behind `:` is not a number from 1 to 65535
      |
      = hint: write `[user@]host[:port]`, or the name of another host of the inventory
    "#);
    insta::assert_snapshot!(spec("  hosts:\n    a:\n      connector: {host: 10.0.0.1, proxy_jump: b}\n    b:\n      connector: {host: 10.0.0.2, proxy_jump: a}\n"), @r"
    error: host `a` is reached through itself: a → b → a
     --> inventory.yaml:8:47
      |
    8 |       connector: {host: 10.0.0.1, proxy_jump: b}
      |                                               ^
      |
      = hint: name a jump host that is reached without it

    error: host `b` is reached through itself: b → a → b
      --> inventory.yaml:10:47
       |
    10 |       connector: {host: 10.0.0.2, proxy_jump: a}
       |                                               ^
       |
       = hint: name a jump host that is reached without it
    ");
    insta::assert_snapshot!(spec("  hosts:\n    a:\n      internal_ipv4: 10.0.0.1/24\n      internal_ipv6: 10.0.0.1\n"), @r"
    error: `internal_ipv4` is not an IPv4 address
     --> inventory.yaml:8:22
      |
    8 |       internal_ipv4: 10.0.0.1/24
      |                      ^^^^^^^^^^^ found `10.0.0.1/24`
      |
      = hint: write one address without a prefix length, such as `10.0.0.11`

    error: `internal_ipv6` is not an IPv6 address
     --> inventory.yaml:9:22
      |
    9 |       internal_ipv6: 10.0.0.1
      |                      ^^^^^^^^ found `10.0.0.1`
      |
      = hint: write one address without a prefix length, such as `2001:db8::11`
    ");
    insta::assert_snapshot!(spec("  vars:\n    connector: {user: root, pasword: x}\n"), @r"
    error: unknown key `pasword` in the connector of group `all`
     --> inventory.yaml:7:29
      |
    7 |     connector: {user: root, pasword: x}
      |                             ^^^^^^^
      |
      = hint: did you mean `password`?
    ");
}

#[test]
fn a_mistake_for_all_hosts_is_said_once() {
    insta::assert_snapshot!(spec("  hosts:\n    a: {}\n    b: {}\n  vars:\n    connector: {port: many}\n"), @r"
    error: expected a port from 1 to 65535, found `many`
      --> inventory.yaml:10:23
       |
    10 |     connector: {port: many}
       |                       ^^^^
    ");
}

#[test]
fn an_encrypted_value_that_a_connection_needs() {
    insta::assert_snapshot!(spec("  hosts:\n    a:\n      ansible_user: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        6638\n      other: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        6638\n"), @r"
    error: this value cannot be used: not in the format of ansible-vault: a part is missing
     --> inventory.yaml:8:21
      |
    8 |       ansible_user: !vault |
      |                     ^^^^^^^^
    ");
}

#[test]
fn several_mistakes_are_found_in_one_go() {
    let text = spec(
        "  hosts:\n    node1:\n      connector: {prot: 22}\n      connetor: {}\n    node2: 5\n  groups:\n    web: {hosts: [node9]}\n  extra: 1\n",
    );
    assert_eq!(text.matches("error: ").count(), 5, "{text}");
}

#[test]
fn warnings() {
    insta::assert_snapshot!(warned("  hosts:\n    a:\n      connector: {host: 10.0.0.1}\n    b:\n      connector: {host: 10.0.0.2}\n  groups:\n    web:\n      hosts: [a, b, a]\n    b: {}\n"), @r"
    warning: group `web` names the host `a` twice
      --> inventory.yaml:13:21
       |
    13 |       hosts: [a, b, a]
       |               -     ^
       |               |
       |               first here
       |
       = hint: remove one of them

    warning: `b` is the name of a host and of a group
      --> inventory.yaml:14:5
       |
     9 |     b:
       |     - the host
    ...
    14 |     b: {}
       |     ^
       |
       = hint: in host patterns it means the group: rename one of them
    ");
    insta::assert_snapshot!(warned("  hosts:\n    a:\n      connector: {host: 10.0.0.1}\n    b:\n      connector: {host: 10.0.0.1}\n"), @r"
    warning: hosts `a` and `b` are both the machine at `10.0.0.1` port 22
     --> inventory.yaml:9:5
      |
    7 |     a:
      |     - the other one
    8 |       connector: {host: 10.0.0.1}
    9 |     b:
      |     ^
      |
      = hint: everything would be done there twice: use one name, or correct the address
    ");
    insta::assert_snapshot!(warned("  hosts:\n    a:\n      connector: {host: 127.0.0.1, port: 2222}\n"), @r"
    warning: `127.0.0.1`, the address of `a`, is this machine, so that `port` is not used
     --> inventory.yaml:8:36
      |
    8 |       connector: {host: 127.0.0.1, port: 2222}
      |                                    ^^^^
      |
      = hint: write `type: ssh` to go through its SSH server, or `type: local`
    ");
    insta::assert_snapshot!(warned("  hosts:\n    a:\n      user: root\n      connector: {host: 10.0.0.1}\n"), @r"
    warning: `user` of host `a` is a free variable here, and no part of its connection
     --> inventory.yaml:8:7
      |
    8 |       user: root
      |       ^^^^
      |
      = hint: to connect with it, put `user` under `connector:`
    ");
}

#[test]
fn ansible_yaml() {
    insta::assert_snapshot!(refused("all:\n  hosts:\n    - a\n  groups:\n    web: {}\n  var: {}\n"), @r"
    error: expected a mapping of host names, found a list
     --> inventory.yaml:3:5
      |
    3 |     - a
      |     ^^^
      |
      = hint: write each host's name with a `:` behind it, without `-`

    error: unknown key `groups` in group `all`
     --> inventory.yaml:4:3
      |
    4 |   groups:
      |   ^^^^^^
      |
      = hint: nested groups stand under `children:` here

    error: unknown key `var` in group `all`
     --> inventory.yaml:6:3
      |
    6 |   var: {}
      |   ^^^
      |
      = hint: did you mean `vars`?
    ");
    insta::assert_snapshot!(refused("all:\n  hosts:\n    a: 5\n    n[1:x]: {}\n    b: {ansible_port: many, ansible_connection: docker}\n"), @r"
    error: expected a mapping of the host's variables, found a number
     --> inventory.yaml:3:8
      |
    3 |     a: 5
      |        ^

    error: `n[1:x]` does not name hosts
     --> inventory.yaml:4:5
      |
    4 |     n[1:x]: {}
      |     ^^^^^^ `[1:x]` is not a range such as `[1:3]` or `[a:c]`

    error: expected a port from 1 to 65535, found `many`
     --> inventory.yaml:5:23
      |
    5 |     b: {ansible_port: many, ansible_connection: docker}
      |                       ^^^^

    error: unknown connector type `docker`
     --> inventory.yaml:5:49
      |
    5 |     b: {ansible_port: many, ansible_connection: docker}
      |                                                 ^^^^^^
      |
      = hint: known here: local, ssh
    ");
    insta::assert_snapshot!(refused("_meta: {hostvars: {}}\nall: {}\n"), @r"
    error: this is what an inventory script says to Ansible
     --> inventory.yaml:1:1
      |
    1 | _meta: {hostvars: {}}
      | ^^^^^
      |
      = hint: save it in the form for people: `ansible-inventory -i SCRIPT --list --yaml`
    ");
    insta::assert_snapshot!(refused("web:\n  children: {db: {children: {web: }}}\n"), @r"
    error: group `web` contains itself: web → db → web
     --> inventory.yaml:2:30
      |
    2 |   children: {db: {children: {web: }}}
      |              --              ^^^ the circle closes here
      |              |
      |              `db` is nested in `web` here
      |
      = hint: take one of these groups out of the other
    ");
}

#[test]
fn ansible_ini() {
    insta::assert_snapshot!(ini("[web\n"), @r"
    error: the heading is not closed
     --> hosts.ini:1:1
      |
    1 | [web
      | ^^^^
      |
      = hint: write `[group]`
    ");
    insta::assert_snapshot!(ini("[web:var]\na=1\n"), @r"
    error: unknown kind of section `var`
     --> hosts.ini:1:6
      |
    1 | [web:var]
      |      ^^^
      |
      = hint: did you mean `vars`?

    error: expected a host's name, found a variable
     --> hosts.ini:2:1
      |
    2 | a=1
      | ^^^
      |
      = hint: variables of a group stand below `[web:vars]`
    ");
    insta::assert_snapshot!(ini("[web]\nnode1 ansible_host\nnode2 a=\"b\nansible_user=root\n"), @r#"
    error: expected `key=value`, found `ansible_host`
     --> hosts.ini:2:7
      |
    2 | node1 ansible_host
      |       ^^^^^^^^^^^^
      |
      = hint: write no blanks around `=`, and quote a value that has blanks in it

    error: this quote is not closed
     --> hosts.ini:3:9
      |
    3 | node2 a="b
      |         ^
      |
      = hint: write `\'` or `\"` for a quote that belongs to the value

    error: expected a host's name, found a variable
     --> hosts.ini:4:1
      |
    4 | ansible_user=root
      | ^^^^^^^^^^^^^^^^^
      |
      = hint: variables of a group stand below `[web:vars]`
    "#);
    insta::assert_snapshot!(ini("[web]\nnode1\n[wbe:vars]\na=1\n[web:vars]\njust words\n"), @r"
    error: expected `key=value`, found `just words`
     --> hosts.ini:6:1
      |
    6 | just words
      | ^^^^^^^^^^
      |
      = hint: hosts stand below `[web]`

    error: variables for the group `wbe`, which is not declared
     --> hosts.ini:3:2
      |
    3 | [wbe:vars]
      |  ^^^
      |
      = hint: did you mean `web`?
    ");
    insta::assert_snapshot!(ini("[web:children]\ndb\n[we b]\n"), @r"
    error: `we b` cannot be the name of a group
     --> hosts.ini:3:2
      |
    3 | [we b]
      |  ^^^^ it contains white space
      |
      = hint: use letters, digits, `-`, `_` and `.`

    error: group `web` names the group `db`, which is not declared
     --> hosts.ini:2:1
      |
    2 | db
      | ^^
      |
      = hint: declare a group `db`, or take the name out
    ");
    insta::assert_snapshot!(ini("[web]\nn[3:1] ansible_password=hunter2\n"), @r"
    error: `n[3:1]` does not name hosts
     --> hosts.ini:2:1
      |
    2 | n[3:1] ansible_password=*******
      | ^^^^^^ `[3:1]` ends before it begins
    ");
}

#[test]
fn files() {
    let machine = LocalMachine::default();
    let missing = Inventory::load(&["no/such/inventory.yaml".into()], &machine).unwrap_err();
    insta::assert_snapshot!(render_all(&missing, Colour::Never), @r"
    error: the inventory `no/such/inventory.yaml` does not exist
     |
     = hint: `kk create inventory -o inventory.yaml` writes one to start from
    ");
    let script = Source::new("inventory", "#!/bin/sh\necho '{}'\n");
    let refused = Inventory::parse(&script, &machine).unwrap_err();
    insta::assert_snapshot!(render_all(&refused, Colour::Never), @r"
    error: an inventory script is not run
     --> inventory:1:1
      |
    1 | #!/bin/sh
      | ^^
      |
      = hint: save what it says: `ansible-inventory -i SCRIPT --list --yaml > inventory.yaml`
    ");
}

#[test]
fn a_private_key_that_cannot_be_read() {
    let inventory = super::load(&kubekey(
        "  hosts:\n    a:\n      connector: {host: 10.0.0.1, private_key: no/such/key}\n    b:\n      connector: {host: 10.0.0.2, private_key: /dev/null}\n",
    ));
    let found = inventory.check_private_keys(["a", "b"]);
    insta::assert_snapshot!(render_all(&found, Colour::Never), @r"
    error: the private key `no/such/key` does not exist
     --> inventory.yaml:8:48
      |
    8 |       connector: {host: 10.0.0.1, private_key: no/such/key}
      |                                                ^^^^^^^^^^^
      |
      = hint: host `a` logs in with it: correct `private_key`, or make the file readable
    ");
}
