//! What links are made of, by Ansible's names: the interfaces of bridges and of bonds.

use serde_json::{Map, Value};

use super::frame::Frames;

/// Adds to the facts of interfaces what is known of those that are made of others.
pub(super) fn add(frames: &Frames<'_>, interfaces: &mut Map<String, Value>) {
    for line in frames.lines("made-links") {
        let mut words = line.splitn(3, ' ');
        let (Some(name), Some(kind)) = (words.next(), words.next()) else {
            continue;
        };
        let Some(Value::Object(interface)) = interfaces.get_mut(name) else {
            continue;
        };
        let details = words.next().unwrap_or_default().trim_start();
        match kind {
            "bridge" => bridge(details, interface),
            "bonding" => bond(details, interface),
            _ => {}
        }
    }
}

fn bridge(details: &str, interface: &mut Map<String, Value>) {
    let mut words = details.split_whitespace();
    interface.insert("type".to_owned(), "bridge".into());
    if let Some(id) = words.next().filter(|id| *id != "-") {
        interface.insert("id".to_owned(), id.into());
    }
    if let Some(state) = words.next().filter(|state| *state != "-") {
        interface.insert("stp".to_owned(), (state == "1").into());
    }
    interface.insert("interfaces".to_owned(), words.map(Value::from).collect());
}

fn bond(details: &str, interface: &mut Map<String, Value>) {
    let first = |text: &str| {
        text.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    interface.insert("type".to_owned(), "bonding".into());
    let values = details.trim_start_matches('|').split('|');
    for (name, value) in ["mode", "miimon", "lacp_rate", "primary", "slaves"]
        .into_iter()
        .zip(values)
    {
        let value = match name {
            "slaves" => value.split_whitespace().map(Value::from).collect(),
            "primary" if value.is_empty() => continue,
            "primary" => value.into(),
            _ => first(value).into(),
        };
        interface.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bridges_and_bonds() {
        let said = "=kk= made-links\nbr0 bridge  8000.0242 1 eth0 veth1\nbr1 bridge  8000.0243 -\nbond0 bonding |balance-rr 0|100|slow 0||eth1 eth2\nbond1 bonding |active-backup 1|0|fast 1|eth3|\ngone bridge  x 0\n=kk= end\n";
        let mut interfaces = Map::new();
        for name in ["br0", "br1", "bond0", "bond1", "eth0"] {
            interfaces.insert(name.to_owned(), json!({"type": "ether"}));
        }
        add(&Frames::new(said), &mut interfaces);
        assert_eq!(
            Value::Object(interfaces),
            json!({
                "br0": {"type": "bridge", "id": "8000.0242", "stp": true, "interfaces": ["eth0", "veth1"]},
                "br1": {"type": "bridge", "id": "8000.0243", "interfaces": []},
                "bond0": {"type": "bonding", "mode": "balance-rr", "miimon": "100", "lacp_rate": "slow", "slaves": ["eth1", "eth2"]},
                "bond1": {"type": "bonding", "mode": "active-backup", "miimon": "0", "lacp_rate": "fast", "primary": "eth3", "slaves": []},
                "eth0": {"type": "ether"},
            })
        );
    }
}
