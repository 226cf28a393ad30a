//! The rules, one group of them in each file, and the table of all.

mod certificate;
mod clock;
mod connection;
mod data;
mod disk;
mod engine;
mod machine;
mod network;
mod package;
mod safety;
mod storage;
mod storage_access;
mod vip;
mod vrrp;
mod whole;

pub use vip::{VipInterface, interface_of_vip};

use super::rule::{Judge, Rule, Scope, Waivable};

/// A host that cannot be worked on cannot be installed on.
const NO_HOST: Waivable = Waivable::OtherHosts;

const fn host(id: &'static str, scope: Scope, about: &'static str, judge: Judge) -> Rule {
    Rule {
        id,
        scope,
        about,
        waivable: Waivable::Yes,
        judge,
    }
}

const fn whole(id: &'static str, about: &'static str, judge: Judge) -> Rule {
    host(id, Scope::Whole, about, judge)
}

const fn firm(rule: Rule, waivable: Waivable) -> Rule {
    Rule { waivable, ..rule }
}

/// Every check, in the order in which findings are shown.
pub static RULES: [Rule; 38] = [
    firm(
        whole(
            "group",
            "the group `image_registry` names at least one host",
            Judge::Whole(whole::group),
        ),
        Waivable::Never("without a host there is nothing to install on"),
    ),
    whole(
        "type",
        "the kind of registry is one that kk knows",
        Judge::Whole(whole::kind),
    ),
    firm(
        whole(
            "versions",
            "the versions asked for are versions, and work together",
            Judge::Whole(whole::versions),
        ),
        Waivable::Never("a text that is no version names no package; set the version"),
    ),
    whole(
        "storage",
        "exactly one storage driver with everything it needs, shared where several hosts serve the same images",
        Judge::Whole(storage::storage),
    ),
    host(
        "storage-access",
        Scope::RegistryHosts,
        "an object can be written into the storage, read back from another host and deleted, and the clocks are near enough",
        Judge::Whole(storage_access::access),
    ),
    whole(
        "vip",
        "the virtual address is an address, in a network of every registry host, and unused",
        Judge::Whole(vip::vip),
    ),
    whole(
        "vrrp",
        "the registry hosts hear each other by VRRP, and nobody else there uses their router id",
        Judge::Whole(vrrp::vrrp),
    ),
    whole(
        "certificate-names",
        "every name that goes into the certificate is a name or an address",
        Judge::Whole(certificate::names),
    ),
    whole(
        "own-certificate",
        "the user's own certificate is valid, fits its key and covers the registry's names",
        Judge::Whole(certificate::own),
    ),
    firm(
        whole(
            "package",
            "each offline package is there for each host's architecture and is what it claims to be",
            Judge::Whole(package::package),
        ),
        Waivable::Never(
            "a package that is not there or broken cannot be installed; the finding says how to get it",
        ),
    ),
    firm(
        host(
            "reachable",
            Scope::EveryHost,
            "the host answers at its address",
            Judge::Connection(connection::reachable),
        ),
        NO_HOST,
    ),
    firm(
        host(
            "host-key",
            Scope::EveryHost,
            "the host's key is the one that is known for it",
            Judge::SshConnection(connection::host_key),
        ),
        NO_HOST,
    ),
    firm(
        host(
            "login",
            Scope::EveryHost,
            "the host lets the user in",
            Judge::SshConnection(connection::login),
        ),
        NO_HOST,
    ),
    firm(
        host(
            "privilege",
            Scope::EveryHost,
            "commands run as root, by login or by sudo",
            Judge::Connection(connection::privilege),
        ),
        NO_HOST,
    ),
    firm(
        host(
            "facts",
            Scope::EveryHost,
            "the host says what it is",
            Judge::Connection(connection::facts),
        ),
        NO_HOST,
    ),
    host(
        "os",
        Scope::EveryHost,
        "Linux with deb or rpm packages",
        Judge::Host(machine::os),
    ),
    host(
        "init",
        Scope::EveryHost,
        "systemd runs the host",
        Judge::Host(machine::init),
    ),
    host(
        "kernel",
        Scope::RegistryHosts,
        "the kernel is new enough for containers",
        Judge::Host(machine::kernel),
    ),
    firm(
        host(
            "architecture",
            Scope::EveryHost,
            "amd64 or arm64",
            Judge::Host(machine::architecture),
        ),
        Waivable::OtherHosts,
    ),
    host(
        "hostname-unique",
        Scope::EveryHost,
        "no two entries of the inventory are one machine or share a name",
        Judge::Whole(machine::unique),
    ),
    host(
        "memory",
        Scope::RegistryHosts,
        "memory of at least `requirements.memory_gb` (5 % less passes)",
        Judge::Host(machine::memory),
    ),
    host(
        "cores",
        Scope::ControlPlane,
        "at least `requirements.control_plane_cores` cores",
        Judge::Host(machine::cores),
    ),
    host(
        "disk",
        Scope::RegistryHosts,
        "`requirements.disk_gb` free under the data folder, on a file system that keeps it",
        Judge::HostIf(disk::disk),
    ),
    host(
        "inodes",
        Scope::RegistryHosts,
        "room for the many small files of a registry",
        Judge::HostIf(disk::inodes),
    ),
    host(
        "space-plan",
        Scope::RegistryHosts,
        "room for the packages as sent, unpacked and loaded, on each file system",
        Judge::Host(disk::space_plan),
    ),
    host(
        "clock",
        Scope::EveryHost,
        "the clock is within 30 s of the hosts' median and 300 s of this machine",
        Judge::Whole(clock::clock),
    ),
    firm(
        host(
            "ports",
            Scope::RegistryHosts,
            "the registry's ports are free or held by the registry that kk installed",
            Judge::Host(network::ports),
        ),
        Waivable::Never(
            "two programs cannot listen on one port; stop the other one or choose another port",
        ),
    ),
    host(
        "peers",
        Scope::Pairs,
        "each host reaches each registry host on the registry's ports",
        Judge::Whole(network::peers),
    ),
    host(
        "firewall",
        Scope::RegistryHosts,
        "which firewall is active, so that the port can be opened in it",
        Judge::Host(network::firewall),
    ),
    host(
        "docker",
        Scope::RegistryHosts,
        "no Docker, or a healthy one of at least 20.10",
        Judge::Host(engine::docker),
    ),
    host(
        "compose",
        Scope::RegistryHosts,
        "which Compose is there",
        Judge::Host(engine::compose),
    ),
    host(
        "containerd",
        Scope::RegistryHosts,
        "a containerd that belongs to somebody else is seen and left alone",
        Judge::Host(engine::containerd),
    ),
    host(
        "kubelet",
        Scope::RegistryHosts,
        "a kubelet is seen, so that nothing under it is restarted",
        Judge::Host(engine::kubelet),
    ),
    host(
        "tools",
        Scope::RegistryHosts,
        "the few programs that an installation uses are there",
        Judge::Host(engine::tools),
    ),
    host(
        "selinux",
        Scope::RegistryHosts,
        "SELinux is seen and left as it is",
        Judge::Host(safety::selinux),
    ),
    firm(
        host(
            "existing-data",
            Scope::RegistryHosts,
            "data under the data folder are of the same kind of registry and are kept",
            Judge::Host(data::existing_data),
        ),
        Waivable::Never(
            "somebody's images could be lost; choose another folder or move the data away",
        ),
    ),
    firm(
        host(
            "existing-registry",
            Scope::RegistryHosts,
            "no other registry on the host stands in the way",
            Judge::Host(data::existing_registry),
        ),
        Waivable::Never(
            "the other registry would be damaged; remove it by its own means or choose another host",
        ),
    ),
    host(
        "leftovers",
        Scope::RegistryHosts,
        "what other installers left behind is shown",
        Judge::Host(data::leftovers),
    ),
];
