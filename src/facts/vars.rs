//! Facts as the names that templates see.

use serde_json::{Map, Value, json};

use super::model::Facts;

/// What only [`Extent::Whole`](super::Extent) looks at: better no variable than an empty one.
const OF_THE_WHOLE: &[&str] = &[
    "compose",
    "containerd",
    "containers",
    "docker",
    "docker_client",
    "docker_root",
    "docker_stand_in",
    "firewall",
    "folders",
    "kubelet",
    "kubelet_running",
    "ledgers",
    "leftovers",
    "listening",
    "mounts",
    "own_data",
    "services",
];

impl Facts {
    /// The variables of a host that come from its facts: `binary_type`, `os`, everything else under its own name, and
    /// the few of Ansible's names that playbooks use most.
    pub fn to_vars(&self) -> Map<String, Value> {
        let mut vars = match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        };
        if self.extent == super::Extent::System {
            vars.retain(|name, _| !OF_THE_WHOLE.contains(&name.as_str()));
        }
        if let Some(Value::Object(os)) = vars.get_mut("os") {
            os.insert("hostname".to_owned(), json!(self.hostname));
            os.insert("kernel_version".to_owned(), json!(self.kernel));
            os.insert("architecture".to_owned(), json!(self.machine));
        }
        let version = &self.os.version_id;
        let ansible = json!({
            "ansible_architecture": self.machine,
            "ansible_machine": self.machine,
            "ansible_system": self.os.system,
            "ansible_kernel": self.kernel,
            "ansible_distribution": distribution(&self.os.id),
            "ansible_distribution_version": version,
            "ansible_distribution_major_version": version.split('.').next().unwrap_or(version),
            "ansible_os_family": self.family(),
            "ansible_pkg_mgr": self.package_manager.as_deref().map(|name| if name == "apt-get" { "apt" } else { name }),
            "ansible_service_mgr": self.init,
            "ansible_hostname": self.hostname.split('.').next().unwrap_or(&self.hostname),
            "ansible_nodename": self.hostname,
            "ansible_machine_id": self.machine_id,
            "ansible_processor_vcpus": self.cores,
            "ansible_memtotal_mb": self.memory_bytes / (1024 * 1024),
            "ansible_swaptotal_mb": self.swap_bytes / (1024 * 1024),
            "ansible_interfaces": self.interfaces.iter().map(|interface| &interface.name).collect::<Vec<_>>(),
            "ansible_all_ipv4_addresses": self.plain_addresses(false),
            "ansible_all_ipv6_addresses": self.plain_addresses(true),
            "ansible_default_ipv4": self.default_route(false),
            "ansible_default_ipv6": self.default_route(true),
        });
        if let Value::Object(map) = ansible {
            vars.extend(map);
        }
        vars.extend(self.ansible.variables());
        vars
    }

    /// Ansible's name of the family: `Debian`, `RedHat`, `Suse`, `Alpine`.
    fn family(&self) -> String {
        let is = |name: &str| self.os.id == name || self.os.id_like.iter().any(|like| like == name);
        for (names, family) in [
            (&["debian", "ubuntu"][..], "Debian"),
            (&["rhel", "fedora", "centos"], "RedHat"),
            (&["suse", "sles", "opensuse"], "Suse"),
            (&["alpine"], "Alpine"),
        ] {
            if names.iter().any(|name| is(name)) {
                return family.to_owned();
            }
        }
        match self.package_manager.as_deref() {
            Some("apt-get") => "Debian".to_owned(),
            Some("dnf" | "yum") => "RedHat".to_owned(),
            Some("zypper") => "Suse".to_owned(),
            _ => distribution(&self.os.id),
        }
    }

    fn plain_addresses(&self, ipv6: bool) -> Vec<&str> {
        self.addresses()
            .filter(|address| {
                address.contains(':') == ipv6 && !address.starts_with("127.") && *address != "::1"
            })
            .collect()
    }

    fn default_route(&self, ipv6: bool) -> Value {
        match self.default_address(ipv6) {
            Some(address) => json!({"address": address, "interface": self.default_interface}),
            None => json!({}),
        }
    }
}

/// Ansible's name of a distribution.
pub(super) fn distribution(id: &str) -> String {
    match id {
        "rhel" => "RedHat".to_owned(),
        "centos" => "CentOS".to_owned(),
        "almalinux" => "AlmaLinux".to_owned(),
        "ol" => "OracleLinux".to_owned(),
        "sles" => "SLES".to_owned(),
        "amzn" => "Amazon".to_owned(),
        "openEuler" => "openEuler".to_owned(),
        other => {
            let mut letters = other.chars();
            letters
                .next()
                .map(|first| first.to_uppercase().chain(letters).collect())
                .unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::{Interface, Os};
    use super::*;

    #[test]
    fn names_that_templates_see() {
        let facts = Facts {
            os: Os {
                system: "Linux".to_owned(),
                id: "rocky".to_owned(),
                id_like: vec!["rhel".to_owned()],
                version_id: "9.3".to_owned(),
                ..Os::default()
            },
            machine: "aarch64".to_owned(),
            binary_type: "arm64".to_owned(),
            hostname: "node1.example.com".to_owned(),
            cores: 4,
            memory_bytes: 8 << 30,
            package_manager: Some("dnf".to_owned()),
            default_interface: Some("eth0".to_owned()),
            interfaces: vec![Interface {
                name: "eth0".to_owned(),
                addresses: vec!["10.0.0.11/24".to_owned(), "fe80::1/64".to_owned()],
                up: true,
            }],
            ..Facts::default()
        };
        let vars = Value::Object(facts.to_vars());
        for (pointer, expected) in [
            ("/binary_type", json!("arm64")),
            ("/os/id", json!("rocky")),
            ("/os/architecture", json!("aarch64")),
            ("/cores", json!(4)),
            ("/ansible_distribution", json!("Rocky")),
            ("/ansible_os_family", json!("RedHat")),
            ("/ansible_distribution_major_version", json!("9")),
            ("/ansible_hostname", json!("node1")),
            ("/ansible_processor_vcpus", json!(4)),
            ("/ansible_memtotal_mb", json!(8192)),
            ("/ansible_default_ipv4/address", json!("10.0.0.11")),
            ("/ansible_default_ipv6", json!({})),
        ] {
            assert_eq!(vars.pointer(pointer), Some(&expected), "{pointer}");
        }
    }
}
