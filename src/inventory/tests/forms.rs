//! Ansible's forms, variables beside the inventory, precedence, connections, the listing.

use std::path::Path;

use serde_json::json;

use super::*;

fn ini(text: &str) -> Inventory {
    let loaded = Inventory::parse(&Source::new("hosts.ini", text), &machine())
        .unwrap_or_else(|found| panic!("{}", render_all(&found, Colour::Never)));
    assert_eq!(render_all(&loaded.warnings, Colour::Never), "");
    loaded.inventory
}

fn ssh<'a>(inventory: &'a Inventory, host: &str) -> &'a SshConnection {
    match &inventory.hosts[host].connection {
        Connection::Ssh(ssh) => ssh,
        Connection::Local => panic!("`{host}` is local"),
    }
}

fn names<'a>(hosts: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    hosts.into_iter().map(String::as_str).collect()
}

const ANSIBLE_YAML: &str = "
all:
  vars:
    ansible_user: admin
    ansible_become_password: 0123
    level: all
  hosts:
    lonely: {ansible_host: 10.0.0.9, ansible_connection: ssh}
  children:
    image_registry:
      hosts:
        node[1:2]:
      vars: {level: group, data: {a: 1}}
    k8s:
      children:
        control:
          hosts:
            node1:
              ansible_host: 10.0.0.1
              ansible_port: 2222
              ansible_password: 123456
              ansible_ssh_private_key_file: /keys/node1
              internal_ipv4: 192.168.0.1
              data: {b: 2}
            localhost:
        workers:
";

const ANSIBLE_INI: &str = "
# the same
lonely ansible_host=10.0.0.9 ansible_connection=ssh

[image_registry]
node[1:2]

[image_registry:vars]
level = group
data={'a': 1}

[k8s:children]
control
workers

[control]
node1 ansible_host=10.0.0.1 ansible_port=2222 ansible_password='123456' ansible_ssh_private_key_file=/keys/node1 internal_ipv4=192.168.0.1 data=\"{'b': 2}\" # comment
localhost

[workers]

[all:vars]
ansible_user=admin
ansible_become_password=\"0123\"
level=all
";

#[test]
fn ansibles_two_forms_mean_the_same() {
    let yaml = load(ANSIBLE_YAML);
    assert_eq!(
        names(yaml.hosts.keys()),
        ["lonely", "node1", "node2", "localhost"]
    );
    assert_eq!(
        names(yaml.groups.keys()),
        [
            "all",
            "image_registry",
            "k8s",
            "control",
            "workers",
            "ungrouped"
        ]
    );
    let node1 = ssh(&yaml, "node1");
    assert_eq!(
        (node1.host.as_str(), node1.port, node1.user.as_str()),
        ("10.0.0.1", 2222, "admin")
    );
    assert_eq!(node1.password.as_ref().unwrap().expose(), "123456");
    assert_eq!(node1.become_password.as_ref().unwrap().expose(), "0123");
    assert_eq!(node1.private_key.as_deref(), Some(Path::new("/keys/node1")));
    assert_eq!(
        yaml.hosts["node1"].internal_ipv4.as_deref(),
        Some("192.168.0.1")
    );
    assert_eq!(yaml.hosts["localhost"].connection, Connection::Local);
    assert_eq!(
        yaml.hosts["localhost"]
            .become_password
            .as_ref()
            .unwrap()
            .expose(),
        "0123"
    );
    assert_eq!(ssh(&yaml, "node2").host, "node2");
    assert_eq!(yaml.hosts_of("k8s"), ["node1", "localhost"]);
    assert_eq!(yaml.hosts_of("ungrouped"), ["lonely"]);
    assert_eq!(
        yaml.groups_of("node1"),
        ["all", "image_registry", "k8s", "control"]
    );
    let vars = yaml.host_vars("node1");
    assert_eq!(vars["level"], "group");
    assert_eq!(
        vars["data"],
        json!({"b": 2}),
        "a later value replaces an earlier one whole"
    );
    assert!(!vars.contains_key("ansible_password"));
    assert!(!vars.contains_key("ansible_become_password"));
    assert_eq!(vars["ansible_user"], "admin");

    let ini = ini(ANSIBLE_INI);
    for host in yaml.hosts.keys() {
        assert_eq!(
            ini.hosts[host].connection, yaml.hosts[host].connection,
            "{host}"
        );
        assert_eq!(ini.host_vars(host), yaml.host_vars(host), "{host}");
        assert_eq!(ini.groups_of(host), yaml.groups_of(host), "{host}");
    }
    for group in yaml.groups.keys() {
        assert_eq!(ini.hosts_of(group), yaml.hosts_of(group), "{group}");
    }
}

#[test]
fn values_in_ini_are_read_as_ansible_reads_them() {
    let inventory = ini(
        "n a=yes b=True c=8 d=0644 e=1.10 f=\"x y\" g='8' g2=\"'8'\" h=it\\'s i=\"[1, 'x']\" j=None k= l=a=b\n[all:vars]\nm = some words # kept\nn='quoted words'\n",
    );
    let vars = inventory.host_vars("n");
    let expected = json!({
        "m": "some words # kept", "n": "quoted words",
        "a": "yes", "b": true, "c": 8, "d": "0644", "e": "1.10", "f": "x y", "g": 8, "g2": "8", "h": "it's",
        "i": [1, "x"], "j": null, "k": "", "l": "a=b",
    });
    assert_eq!(serde_json::Value::Object(vars), expected);
}

#[test]
fn ipv6_hosts_work_in_every_form() {
    let inventory = load(&kubekey(
        "  hosts:\n    a:\n      connector: {host: \"2001:db8::1\", port: 2222}\n    b:\n      connector: {host: \"[fe80::1%eth0]\"}\n      internal_ipv6: 2001:db8::b\n    \"2001:db8::c\":\n",
    ));
    assert_eq!(ssh(&inventory, "a").host, "2001:db8::1");
    assert_eq!(ssh(&inventory, "b").host, "fe80::1%eth0");
    assert_eq!(
        inventory.hosts["b"].internal_ipv6.as_deref(),
        Some("2001:db8::b")
    );
    assert_eq!(inventory.hosts["b"].internal_address(), "2001:db8::b");
    assert_eq!(ssh(&inventory, "2001:db8::c").host, "2001:db8::c");
    assert_eq!(inventory.select("2001:db8::c").unwrap(), ["2001:db8::c"]);
    let inventory = ini("[web]\n[2001:db8::1]:2222\n2001:db8::2 a=1\nc ansible_host=2001:db8::3\n");
    assert_eq!(
        names(inventory.hosts.keys()),
        ["2001:db8::1", "2001:db8::2", "c"]
    );
    assert_eq!(ssh(&inventory, "2001:db8::1").port, 2222);
    assert_eq!(ssh(&inventory, "c").host, "2001:db8::3");
}

#[test]
fn a_host_without_type_is_local_when_it_is_this_machine() {
    let machine = LocalMachine::new("control.example.org", &["192.0.2.1".parse().unwrap()]);
    let text = kubekey(
        "  hosts:\n    localhost: {}\n    control: {}\n    a: {connector: {host: 192.0.2.1}}\n    b: {connector: {host: 192.0.2.2}}\n    c: {connector: {type: ssh, host: 127.0.0.1, port: 2222}}\n    d: {connector: {type: local, host: 10.0.0.4, password: 0451}}\n    control.example.com: {}\n",
    );
    let loaded = Inventory::parse(&Source::new("i.yaml", text), &machine).unwrap();
    let is_local = |host: &str| loaded.inventory.hosts[host].connection == Connection::Local;
    for (host, expected) in [
        ("localhost", true),
        ("control", true),
        ("a", true),
        ("b", false),
        ("c", false),
        ("d", true),
        ("control.example.com", false),
    ] {
        assert_eq!(is_local(host), expected, "{host}");
    }
    let password = loaded.inventory.hosts["d"]
        .become_password
        .as_ref()
        .unwrap();
    assert_eq!(password.expose(), "0451");
}

#[test]
fn ansibles_variables_may_name_a_tunnel_of_this_machine() {
    let inventory = ini(
        "box ansible_host=127.0.0.1 ansible_port=2222 ansible_user=vagrant\n127.0.0.1\n[::1]:2222\n",
    );
    assert_eq!(
        (
            ssh(&inventory, "box").host.as_str(),
            ssh(&inventory, "box").port
        ),
        ("127.0.0.1", 2222)
    );
    assert_eq!(inventory.hosts["127.0.0.1"].connection, Connection::Local);
    assert_eq!(ssh(&inventory, "::1").port, 2222);
}

#[test]
fn a_sudo_password_may_be_a_template_of_a_variable() {
    let inventory = ini("a ansible_become_password={{kept}}\nb ansible_become_password=x\n");
    assert!(inventory.hosts["a"].become_password.is_none());
    assert_eq!(
        inventory.host_vars("a")["ansible_become_password"],
        "{{kept}}"
    );
    assert!(
        !inventory
            .host_vars("b")
            .contains_key("ansible_become_password")
    );
}

#[test]
fn passwords_are_taken_as_written() {
    for written in [
        "123456", "0123", "1e5", "yes", "1.10", "'123456'", "\"a b\"", "0x1F", "!!str 5",
    ] {
        let inventory = load(&kubekey(&format!(
            "  hosts:\n    a:\n      connector:\n        host: 10.0.0.1\n        password: {written}\n"
        )));
        let password = ssh(&inventory, "a").password.clone().unwrap();
        let expected = written
            .trim_start_matches("!!str ")
            .trim_matches(['\'', '"']);
        assert_eq!(password.expose(), expected);
        assert_eq!(ssh(&inventory, "a").become_password, Some(password));
    }
    let inventory = load(&kubekey(
        "  hosts:\n    a:\n      connector: {host: 10.0.0.1, password: , private_key: ''}\n",
    ));
    assert_eq!(ssh(&inventory, "a").password, None);
    assert_eq!(ssh(&inventory, "a").private_key, None);
}

#[test]
fn home_folders_are_expanded() {
    let inventory = load(&kubekey(
        "  hosts:\n    a:\n      connector: {host: 10.0.0.1, private_key: ~/.ssh/id}\n    b:\n      connector: {host: 10.0.0.2, private_key: keys/id}\n",
    ));
    let home = std::env::home_dir().unwrap();
    assert_eq!(ssh(&inventory, "a").private_key, Some(home.join(".ssh/id")));
    assert_eq!(
        ssh(&inventory, "b").private_key.as_deref(),
        Some(Path::new("keys/id"))
    );
}

#[test]
fn a_connector_among_the_variables_gives_defaults() {
    let inventory = load(&kubekey(
        "  hosts:\n    a:\n      connector: {host: 10.0.0.1, user: own}\n    b:\n      connector: {host: 10.0.0.2}\n  groups:\n    web:\n      hosts: [b]\n      vars:\n        connector: {port: 2222}\n  vars:\n    connector: {user: shared, port: 22, password: hush}\n",
    ));
    let (a, b) = (ssh(&inventory, "a"), ssh(&inventory, "b"));
    assert_eq!((a.user.as_str(), a.port), ("own", 22));
    assert_eq!((b.user.as_str(), b.port), ("shared", 2222));
    assert_eq!(b.password.as_ref().unwrap().expose(), "hush");
    assert!(inventory.host_vars("b").is_empty());
    assert!(inventory.settings.is_empty());
}

#[test]
fn jump_hosts() {
    let inventory = load(&kubekey(
        "  hosts:\n    bastion:\n      connector: {host: 203.0.113.1}\n    a:\n      connector: {host: 10.0.0.1, proxy_jump: bastion}\n    b:\n      connector: {host: 10.0.0.1, proxy_jump: \"admin@[2001:db8::1]:2222,10.0.0.9\"}\n",
    ));
    assert_eq!(ssh(&inventory, "a").proxy_jump.as_deref(), Some("bastion"));
    assert_eq!(
        ssh(&inventory, "b").proxy_jump.as_deref(),
        Some("admin@[2001:db8::1]:2222,10.0.0.9")
    );
    let inventory = ini(
        "a ansible_ssh_common_args='-o ProxyJump=admin@bastion'\nb ansible_ssh_common_args='-J bastion:2222'\n",
    );
    assert_eq!(
        ssh(&inventory, "a").proxy_jump.as_deref(),
        Some("admin@bastion")
    );
    assert_eq!(
        ssh(&inventory, "b").proxy_jump.as_deref(),
        Some("bastion:2222")
    );
}

#[test]
fn nearer_variables_win() {
    let inventory = load(&kubekey(
        "  hosts:\n    n:\n      connector: {host: 10.0.0.1}\n      h: host\n      vars: {v: vars}\n  groups:\n    z_parent:\n      groups: [a_child]\n      vars: {g: parent, p: parent, h: parent}\n    a_child:\n      hosts: [n]\n      vars: {g: child, b: a}\n    b_peer:\n      hosts: [n]\n      vars: {g: peer, b: b}\n    c_first:\n      hosts: [n]\n      vars: {ansible_group_priority: 10, b: c}\n  vars: {g: all, p: all, h: all, a: all}\n",
    ));
    assert_eq!(
        inventory.groups_of("n"),
        ["all", "b_peer", "z_parent", "c_first", "a_child"]
    );
    let vars = inventory.host_vars("n");
    assert_eq!(vars["a"], "all");
    assert_eq!(vars["p"], "parent");
    assert_eq!(vars["g"], "child");
    assert_eq!(vars["b"], "a", "deeper beats a higher priority");
    assert_eq!(vars["h"], "host");
    assert_eq!(vars["v"], "vars");
    assert!(inventory.host_vars("nobody").is_empty());
    assert!(inventory.groups_of("nobody").is_empty());
}

#[test]
fn groups_have_their_hosts_in_order() {
    let inventory = load(&kubekey(
        "  hosts:\n    a: {connector: {host: 10.0.0.1}}\n    b: {connector: {host: 10.0.0.2}}\n    c: {connector: {host: 10.0.0.3}}\n  groups:\n    outer:\n      hosts: [c]\n      groups: [second, first]\n    first: {hosts: [a, c]}\n    second: {hosts: [b, a]}\n    none: \n    empty: {hosts: , groups: , vars: }\n",
    ));
    assert_eq!(inventory.hosts_of("outer"), ["c", "b", "a"]);
    assert_eq!(inventory.hosts_of("all"), ["a", "b", "c"]);
    assert!(inventory.hosts_of("none").is_empty());
    assert!(inventory.hosts_of("empty").is_empty());
    assert!(inventory.hosts_of("nobody").is_empty());
}

#[test]
fn the_hosts_of_all_come_group_by_group_as_in_ansible() {
    let inventory = ini("[web]\nb\na\n[spare]\nd\n[site:children]\nweb\n[web:vars]\nx=1\n");
    assert_eq!(inventory.hosts_of("all"), ["d", "b", "a"]);
    let inventory = ini("[late]\nz\n[ungrouped]\nlone\n[outer:children]\nlate\n");
    assert_eq!(inventory.select("all").unwrap(), ["lone", "z"]);
    assert_eq!(inventory.select("!lone").unwrap(), ["z"]);
}

#[test]
fn a_list_of_hosts_is_an_inventory() {
    let lists = |texts: &[&str]| {
        let paths: Vec<std::path::PathBuf> = texts.iter().map(Into::into).collect();
        Inventory::load(&paths, &machine()).map(|loaded| loaded.inventory)
    };
    let inventory = lists(&["b, a,10.0.0.1:2222", "single,"]).unwrap();
    assert_eq!(
        inventory.hosts_of("ungrouped"),
        ["b", "a", "10.0.0.1", "single"]
    );
    let Connection::Ssh(ssh) = &inventory.hosts["10.0.0.1"].connection else {
        panic!("it is reached over SSH");
    };
    assert_eq!(ssh.port, 2222);
    let said = render_all(&lists(&["a,b c=[", "x{y,"]).unwrap_err(), Colour::Never);
    assert!(said.contains("`x{y`"), "{said}");
}

#[test]
fn the_implicit_inventory_is_this_machine() {
    let loaded = Inventory::load(&[], &machine()).unwrap();
    let inventory = loaded.inventory;
    assert_eq!(names(inventory.hosts.keys()), ["localhost"]);
    assert_eq!(inventory.hosts["localhost"].connection, Connection::Local);
    assert_eq!(inventory.hosts_of("all"), ["localhost"]);
    assert_eq!(inventory.hosts_of("image_registry"), ["localhost"]);
    assert!(inventory.hosts_of("ungrouped").is_empty());
    assert_eq!(inventory.source, None);
}

#[test]
fn localhost_is_a_host_even_where_nobody_declares_it() {
    let inventory = load(&kubekey("  hosts:\n    a: {connector: {host: 10.0.0.1}}\n"));
    assert_eq!(
        inventory.host("localhost").unwrap().connection,
        Connection::Local
    );
    assert_eq!(inventory.host("a").unwrap().name, "a");
    assert!(inventory.host("b").is_none());
    assert_eq!(inventory.select("localhost").unwrap(), ["localhost"]);
    assert_eq!(inventory.select("all").unwrap(), ["a"]);
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn variables_beside_the_inventory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(
        path,
        "hosts",
        "[web]\nn1 x=file y=file\nn2\n[web:vars]\ng=file\n[all:vars]\na=file\n",
    );
    write(
        path,
        "group_vars/all.yml",
        "a: directory\ng: directory-all\ndocker_version: 24.0.7\n",
    );
    write(
        path,
        "group_vars/web/1.yaml",
        "w: 1\nansible_user: admin\nansible_password: hush\n",
    );
    write(path, "group_vars/web/2.yaml", "w: 2\n");
    write(path, "group_vars/web/.hidden.yaml", "w: 3\n");
    write(path, "group_vars/web/README.md", "not: variables: at all\n");
    write(path, "group_vars/elsewhere.yaml", "z: 1\n");
    write(path, "host_vars/n1", "x: directory\n");
    write(path, "host_vars/n2.json", "{\"x\": 5}\n");
    let loaded = Inventory::load(&[path.join("hosts")], &machine())
        .unwrap_or_else(|found| panic!("{}", render_all(&found, Colour::Never)));
    assert_eq!(loaded.warnings.0, []);
    let inventory = loaded.inventory;
    let n1 = inventory.host_vars("n1");
    assert_eq!(n1["a"], "directory");
    // As in Ansible: even `group_vars/all` beats what a file says about a group.
    assert_eq!(n1["g"], "directory-all");
    assert_eq!(n1["w"], 2);
    assert_eq!(n1["x"], "directory");
    assert_eq!(n1["y"], "file");
    assert!(!n1.contains_key("ansible_password"));
    assert_eq!(inventory.host_vars("n2")["x"], 5);
    assert_eq!(ssh(&inventory, "n2").user, "admin");
    assert_eq!(
        ssh(&inventory, "n2").password.as_ref().unwrap().expose(),
        "hush"
    );
    let nearer: Vec<String> = inventory
        .nearer_variables
        .iter()
        .map(|(owner, key)| format!("{owner}: {}", key.as_str().unwrap()))
        .collect();
    assert!(nearer.contains(&"group `web`: w".to_owned()), "{nearer:?}");
    assert!(nearer.contains(&"host `n1`: x".to_owned()), "{nearer:?}");
    assert!(!nearer.iter().any(|name| name.ends_with("docker_version")));
    let settings: Vec<&str> = inventory
        .settings
        .iter()
        .filter_map(|(key, _)| key.as_str())
        .collect();
    assert_eq!(settings, ["a", "g", "docker_version"]);
    assert_eq!(inventory.all_vars()["docker_version"], "24.0.7");
}

#[test]
fn a_folder_of_inventories_and_slips_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "1-hosts.yaml", "web: {hosts: {n1: {x: 1}}}\n");
    write(path, "2-hosts", "[web]\nn1 x=2\nn2\n");
    write(path, "notes.md", "# nothing\n");
    write(path, "3-more", "[image_registry]\nn2\n");
    write(path, "group_vars/image_registy.yaml", "a: 1\n");
    write(path, "group_vars/another.yaml", "a: 1\n");
    write(path, "host_vars/n3.yaml", "a: 1\n");
    let loaded = Inventory::load(&[path.to_path_buf()], &machine()).unwrap();
    assert_eq!(loaded.inventory.hosts_of("web"), ["n1", "n2"]);
    assert_eq!(loaded.inventory.host_vars("n1")["x"], 2);
    let said =
        render_all(&loaded.warnings, Colour::Never).replace(&path.display().to_string(), "DIR");
    insta::assert_snapshot!(said, @r"
    warning: `DIR/group_vars/image_registy.yaml` is not read: there is no group `image_registy`
     |
     = hint: did you mean `image_registry`?
    ");
}

#[test]
fn bad_variables_beside_the_inventory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "hosts", "[web]\nn1\n");
    write(path, "group_vars/web/a.yaml", "- not a mapping\n");
    write(
        path,
        "group_vars/web/b.yaml",
        "$ANSIBLE_VAULT;1.1;AES256\n3062\n",
    );
    write(path, "group_vars/web/c.yaml", "a: [\n");
    write(path, "host_vars/n1.yaml", "ansible_port: many\n");
    let found = Inventory::load(&[path.join("hosts")], &machine()).unwrap_err();
    let said = render_all(&found, Colour::Never).replace(&path.display().to_string(), "DIR");
    insta::assert_snapshot!(said, @r"
    error: expected a mapping of variables, found a list
     --> DIR/group_vars/web/a.yaml:1:1
      |
    1 | - not a mapping
      | ^^^^^^^^^^^^^^^

    error: `DIR/group_vars/web/b.yaml` cannot be decrypted: not in the format of ansible-vault: a part is missing
     --> DIR/group_vars/web/b.yaml:1:1
      |
    1 | $ANSIBLE_VAULT;1.1;AES256
      | ^^^^^^^^^^^^^^^^^^^^^^^^^

    error: invalid YAML: while parsing a node, did not find expected node content
     --> DIR/group_vars/web/c.yaml:1:6
      |
    1 | a: [
      |     ^

    error: expected a port from 1 to 65535, found `many`
     --> DIR/host_vars/n1.yaml:1:15
      |
    1 | ansible_port: many
      |               ^^^^
    ");
}

#[test]
fn the_listing_masks_secrets() {
    let inventory = load(&kubekey(
        "  hosts:\n    a:\n      connector: {host: 10.0.0.1, password: hunter2-in-use, private_key: /keys/a, become_password: other-secret}\n      internal_ipv4: 10.0.0.1\n      api_token: abc\n      note: \"log in with hunter2-in-use\"\n      nested: {db_password: [1, 2], port: 5}\n  groups:\n    image_registry: {hosts: [a, localhost], vars: {admin_password: x}}\n  vars: {free: 1}\n",
    ));
    insta::assert_json_snapshot!(inventory.to_json(), @r#"
    {
      "_meta": {
        "hostvars": {
          "a": {
            "free": 1,
            "admin_password": "********",
            "internal_ipv4": "10.0.0.1",
            "api_token": "********",
            "note": "log in with ********",
            "nested": {
              "db_password": "********",
              "port": 5
            }
          },
          "localhost": {
            "free": 1,
            "admin_password": "********"
          }
        }
      },
      "all": {
        "children": [
          "ungrouped",
          "image_registry"
        ]
      },
      "image_registry": {
        "hosts": [
          "a",
          "localhost"
        ]
      }
    }
    "#);
    insta::assert_json_snapshot!(inventory.connection_to_json("a"), @r#"
    {
      "connection": {
        "type": "ssh",
        "host": "10.0.0.1",
        "port": 22,
        "user": "root",
        "password": "********",
        "private_key": "/keys/a",
        "become_password": "********"
      },
      "internal_ipv4": "10.0.0.1",
      "internal_ipv6": null,
      "groups": [
        "all",
        "image_registry"
      ]
    }
    "#);
    let shown: fn(&serde_json::Value) -> String = ToString::to_string;
    insta::assert_snapshot!(inventory.to_tree(ALL, Some(shown)), @r#"
    @all:
      |--@ungrouped:
      |--@image_registry:
      |  |--a
      |  |  |--{admin_password = "********"}
      |  |  |--{api_token = "********"}
      |  |  |--{free = 1}
      |  |  |--{internal_ipv4 = "10.0.0.1"}
      |  |  |--{nested = {"db_password":"********","port":5}}
      |  |  |--{note = "log in with ********"}
      |  |--localhost
      |  |  |--{admin_password = "********"}
      |  |  |--{free = 1}
      |  |--{admin_password = "********"}
      |--{free = 1}
    "#);
}

#[test]
fn the_template_loads() {
    let inventory = load(skeleton());
    assert_eq!(names(inventory.hosts.keys()), ["localhost"]);
    assert_eq!(inventory.hosts_of("image_registry"), ["localhost"]);
    let text: String = skeleton()
        .lines()
        .map(|line| {
            let bare = line.strip_prefix('#').filter(|rest| rest.starts_with("  "));
            format!("{}\n", bare.unwrap_or(line))
        })
        .collect();
    let text = text.replace("        - nfs1", "        - node1");
    let inventory = load(&text);
    assert_eq!(
        names(inventory.hosts.keys()),
        ["node1", "node2", "localhost"]
    );
    assert_eq!(inventory.hosts_of("nfs"), ["node1"]);
    assert_eq!(
        ssh(&inventory, "node1").proxy_jump.as_deref(),
        Some("admin@bastion:22")
    );
}

#[test]
fn as_a_tree() {
    let inventory = load(&kubekey(
        "  hosts:\n    a: {connector: {host: 10.0.0.1}}\n    b: {connector: {host: 10.0.0.2}}\n    c: {connector: {host: 10.0.0.3}}\n  groups:\n    outer:\n      hosts: [b]\n      groups: [inner, empty]\n    inner: {hosts: [a]}\n    empty: {hosts: }\n",
    ));
    insta::assert_snapshot!(inventory.to_tree(ALL, None), @r"
    @all:
      |--@ungrouped:
      |  |--c
      |--@outer:
      |  |--@inner:
      |  |  |--a
      |  |--@empty:
      |  |--b
    ");
    assert!(
        inventory.connection_to_json("a").unwrap()["groups"]
            .to_string()
            .contains("inner")
    );
    assert_eq!(inventory.host_to_json("nobody"), None);
}
