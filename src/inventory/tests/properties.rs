//! Whatever is written: no panic; and laws that merging and patterns keep.

use proptest::prelude::*;

use super::*;

/// Pieces that mean something in inventories, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("all:".to_owned()),
        Just("hosts:".to_owned()),
        Just("children:".to_owned()),
        Just("groups:".to_owned()),
        Just("vars:".to_owned()),
        Just("connector:".to_owned()),
        Just("spec:".to_owned()),
        Just("kind: Inventory".to_owned()),
        Just("[web]".to_owned()),
        Just("[web:children]".to_owned()),
        Just("[web:vars]".to_owned()),
        Just("node[1:3]".to_owned()),
        Just("ansible_host=10.0.0.1".to_owned()),
        Just("ansible_port: 22".to_owned()),
        Just("localhost".to_owned()),
        Just("\n".to_owned()),
        Just("\n  ".to_owned()),
        Just("\n    ".to_owned()),
        "[-:\\[\\]{}#&*!|>'\"%@`= a0\u{e4},.\n\t]{1,4}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.join(" "))
}

fn read(name: &str, text: &str) -> Option<Inventory> {
    match Inventory::parse(&Source::new(name, text), &machine()) {
        Ok(loaded) => {
            render_all(&loaded.warnings, Colour::Never);
            Some(loaded.inventory)
        }
        Err(found) => {
            assert!(found.has_errors());
            render_all(&found, Colour::Never);
            None
        }
    }
}

/// Everything that can be asked of an inventory.
fn exercise(inventory: &Inventory) {
    for host in inventory.hosts.keys() {
        inventory.host_vars(host);
        assert!(inventory.groups_of(host).contains(&ALL));
        if !inventory.groups.contains_key(host) {
            assert_eq!(inventory.select(host).unwrap(), std::slice::from_ref(host));
        }
    }
    for group in inventory.groups.keys() {
        for host in inventory.hosts_of(group) {
            assert!(inventory.hosts.contains_key(host));
            assert!(inventory.groups_of(host).contains(&group.as_str()));
        }
    }
    inventory.to_json();
}

const SOUND_YAML: &str = "apiVersion: kubekey.kubesphere.io/v1
kind: Inventory
metadata: {name: default}
spec:
  hosts:
    node1:
      connector: {type: ssh, host: 10.0.0.11, port: 22, user: root, password: hunter2, private_key: ~/.ssh/id}
      internal_ipv4: 10.0.0.11
    node2:
  groups:
    k8s_cluster: {groups: [kube_control_plane]}
    kube_control_plane: {hosts: [localhost, node2]}
    image_registry: {hosts: [node1], vars: {a: 1}}
  vars: {b: [1, 2]}
";

const SOUND_INI: &str = "lonely ansible_host=10.0.0.9
[web]
node[1:3] ansible_port=2222 ansible_password='hunter2' x=\"a b\" # comment
[web:vars]
y = some words
[prod:children]
web
[all:vars]
ansible_user=admin
";

static SOUND: std::sync::LazyLock<Inventory> =
    std::sync::LazyLock::new(|| read("i.ini", SOUND_INI).unwrap());

fn mutated(sound: &'static str) -> impl Strategy<Value = String> {
    let edit = (
        0..sound.len(),
        0..12usize,
        "[-:\\[\\]{}#&*!|>'\"%@`\t\n a0\u{e4},=]{0,4}",
    );
    prop::collection::vec(edit, 1..4).prop_map(move |edits| {
        let mut text = sound.to_owned();
        for (at, length, with) in edits {
            let boundary = |mut index: usize| {
                index = index.min(text.len());
                while !text.is_char_boundary(index) {
                    index -= 1;
                }
                index
            };
            let (start, end) = (boundary(at), boundary(at + length));
            text.replace_range(start..end.max(start), &with);
        }
        text
    })
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in pieces()) {
        for name in ["i.yaml", "i.ini", "inventory"] {
            if let Some(inventory) = read(name, &text) {
                exercise(&inventory);
            }
        }
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let text = String::from_utf8_lossy(&bytes);
        for name in ["i.yaml", "i.ini", "inventory"] {
            read(name, &text);
        }
    }

    #[test]
    fn a_changed_yaml_inventory_makes_no_panic(text in mutated(SOUND_YAML)) {
        if let Some(inventory) = read("i.yaml", &text) {
            exercise(&inventory);
        }
    }

    #[test]
    fn a_changed_ini_inventory_makes_no_panic(text in mutated(SOUND_INI)) {
        if let Some(inventory) = read("i.ini", &text) {
            exercise(&inventory);
        }
    }

    #[test]
    fn no_pattern_panics(pattern in "[a-z0-9*?!&~\\[\\]:,. -]{0,16}") {
        let inventory = &*SOUND;
        if let Ok(hosts) = inventory.select(&pattern) {
            let known = |host: &String| host == LOCALHOST || inventory.hosts.contains_key(host);
            prop_assert!(hosts.iter().all(known));
            let mut once = hosts.clone();
            once.sort();
            once.dedup();
            prop_assert_eq!(once.len(), hosts.len());
        }
    }

    #[test]
    fn patterns_are_sets(left in 0..5usize, right in 0..5usize) {
        let inventory = &*SOUND;
        let parts = ["all", "web", "node2", "lonely", "node*"];
        let (left, right) = (parts[left], parts[right]);
        let select = |pattern: String| inventory.select(&pattern).unwrap();
        let (ours, theirs) = (select(left.to_owned()), select(right.to_owned()));
        let both = select(format!("{left}:&{right}"));
        let without = select(format!("{left}:!{right}"));
        let either = select(format!("{left}:{right}"));
        for host in inventory.hosts.keys() {
            let (in_left, in_right) = (ours.contains(host), theirs.contains(host));
            prop_assert_eq!(both.contains(host), in_left && in_right);
            prop_assert_eq!(without.contains(host), in_left && !in_right);
            prop_assert_eq!(either.contains(host), in_left || in_right);
        }
    }

    /// Groups nested in a chain, each with some variables: the nearest one that has a variable wins.
    #[test]
    fn the_nearest_group_wins(has in prop::collection::vec(prop::collection::vec(any::<bool>(), 4), 1..6)) {
        let mut spec = String::from("  hosts:\n    n: {connector: {host: 10.0.0.1}}\n  groups:\n");
        for (depth, variables) in has.iter().enumerate() {
            let vars: Vec<String> = variables
                .iter()
                .enumerate()
                .filter(|(_, has)| **has)
                .map(|(variable, _)| format!("v{variable}: {depth}"))
                .collect();
            let nested = if depth + 1 == has.len() {
                "hosts: [n]".to_owned()
            } else {
                format!("groups: [g{}]", depth + 1)
            };
            spec.push_str(&format!("    g{depth}: {{{nested}, vars: {{{}}}}}\n", vars.join(", ")));
        }
        let vars = load(&kubekey(&spec)).host_vars("n");
        for variable in 0..4 {
            let expected = has.iter().rposition(|variables| variables[variable]);
            let found = vars.get(&format!("v{variable}")).and_then(serde_json::Value::as_u64);
            prop_assert_eq!(found, expected.map(|depth| depth as u64));
        }
    }
}

#[test]
fn the_sound_inventories_are_sound() {
    exercise(&read("i.yaml", SOUND_YAML).unwrap());
    exercise(&read("i.ini", SOUND_INI).unwrap());
}

#[test]
fn many_nested_groups_are_refused_and_do_not_overflow() {
    let mut text = String::new();
    for level in 0..20_000 {
        text.push_str(&format!("[g{level}:children]\ng{}\n", level + 1));
    }
    text.push_str("[g20000]\nn\n");
    let found = Inventory::parse(&Source::new("i.ini", text), &machine()).unwrap_err();
    let said = &found.0.first().unwrap().message;
    assert_eq!(said, "groups are nested deeper than 100 levels");
}
