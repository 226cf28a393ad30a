//! What Ansible calls the hardware: firmware, processors, memory, file systems, and whether there is a real machine.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::ansible::number;
use super::frame::Frames;

pub(super) fn firmware(machine: &BTreeMap<&str, &str>) -> Value {
    let names = [
        "bios_date",
        "bios_vendor",
        "bios_version",
        "board_asset_tag",
        "board_name",
        "board_serial",
        "board_vendor",
        "board_version",
        "chassis_asset_tag",
        "chassis_serial",
        "chassis_vendor",
        "chassis_version",
        "product_name",
        "product_serial",
        "product_uuid",
        "product_version",
    ];
    let said = |name: &str| Value::from(machine.get(name).copied().unwrap_or("NA"));
    let mut all: Map<String, Value> = names
        .into_iter()
        .map(|name| (format!("ansible_{name}"), said(name)))
        .collect();
    all.insert("ansible_system_vendor".to_owned(), said("sys_vendor"));
    all.insert("ansible_form_factor".to_owned(), said("form_factor"));
    Value::Object(all)
}

fn processor_lines<'a>(frames: &Frames<'a>) -> impl Iterator<Item = &'a str> {
    let lines = frames.lines("files");
    lines.filter_map(|line| line.strip_prefix("/proc/cpuinfo:"))
}

pub(super) fn processors(frames: &Frames<'_>) -> Value {
    let mut list: Vec<Value> = Vec::new();
    let (mut sockets, mut cores, mut siblings, mut count) = (Vec::new(), 1, 1, 0_u64);
    for line in processor_lines(frames) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match name.trim() {
            "processor" => {
                count += 1;
                list.push(value.into());
            }
            "vendor_id" | "model name" => list.push(value.into()),
            "physical id" if !sockets.contains(&value) => sockets.push(value),
            "cpu cores" => cores = number(Some(value)).unwrap_or(1),
            "siblings" => siblings = number(Some(value)).unwrap_or(1),
            _ => {}
        }
    }
    if count == 0 {
        return Value::Null;
    }
    let (sockets, cores, threads) = match sockets.len() as u64 {
        0 => (count, 1, 1),
        sockets => (sockets, cores, (siblings / cores.max(1)).max(1)),
    };
    json!({
        "ansible_processor": list,
        "ansible_processor_count": sockets,
        "ansible_processor_cores": cores,
        "ansible_processor_threads_per_core": threads,
        "ansible_processor_vcpus": threads * sockets * cores,
        "ansible_processor_nproc": count,
    })
}

pub(super) fn memory(frames: &Frames<'_>) -> Value {
    let megabytes: BTreeMap<&str, u64> = frames
        .lines("memory")
        .filter_map(|line| {
            let (name, rest) = line.split_once(':')?;
            Some((name, number(rest.split_whitespace().next())? / 1024))
        })
        .collect();
    let of = |name: &str| megabytes.get(name).copied().unwrap_or(0);
    let (total, free) = (of("MemTotal"), of("MemFree"));
    let uncached = free + of("Cached") + of("Buffers");
    json!({
        "ansible_memfree_mb": free,
        "ansible_swapfree_mb": of("SwapFree"),
        "ansible_memory_mb": {
            "real": { "total": total, "used": total.saturating_sub(free), "free": free },
            "nocache": { "free": uncached, "used": total.saturating_sub(uncached) },
            "swap": {
                "total": of("SwapTotal"), "free": of("SwapFree"), "cached": of("SwapCached"),
                "used": of("SwapTotal").saturating_sub(of("SwapFree")),
            },
        },
    })
}

pub(super) fn virtualization(frames: &Frames<'_>, machine: &BTreeMap<&str, &str>) -> Value {
    let identity = frames.values("identity");
    let product = machine.get("product_name").copied().unwrap_or_default();
    let vendor = machine.get("sys_vendor").copied().unwrap_or_default();
    let mut guest: Vec<&str> = Vec::new();
    match identity.get("container").copied() {
        Some("podman") => guest.extend(["podman", "container"]),
        Some(_) => guest.extend(["docker", "container"]),
        None => {}
    }
    if machine.contains_key("lxc") {
        guest.extend(["lxc", "container"]);
    }
    let known = [
        ("KVM", "kvm"),
        ("Bochs", "kvm"),
        ("QEMU", "kvm"),
        ("Google", "kvm"),
        ("Amazon EC2", "kvm"),
        ("OpenStack", "openstack"),
        ("VMware", "VMware"),
        ("VirtualBox", "virtualbox"),
        ("innotek", "virtualbox"),
        ("Virtual Machine", "VirtualPC"),
        ("Parallels", "parallels"),
        ("HVM domU", "xen"),
    ];
    let found = known
        .iter()
        .find(|(mark, _)| product.contains(mark) || vendor.contains(mark));
    if let Some((_, name)) = found {
        guest.push(name);
    } else if machine.contains_key("xen") {
        guest.push("xen");
    } else if guest.is_empty() && processor_lines(frames).any(|line| line.trim() == "hypervisor") {
        guest.push("kvm");
    }
    let host: Vec<&str> = machine
        .contains_key("kvm")
        .then_some("kvm")
        .into_iter()
        .collect();
    let (kind, role) = match (guest.first(), host.first()) {
        (Some(kind), _) => (*kind, "guest"),
        (None, Some(kind)) => (*kind, "host"),
        (None, None) => ("NA", "NA"),
    };
    json!({
        "ansible_virtualization_type": kind,
        "ansible_virtualization_role": role,
        "ansible_virtualization_tech_guest": guest,
        "ansible_virtualization_tech_host": host,
    })
}

/// Whether another machine, or another program, answers for a file system: then it may not answer at all, and is given up.
fn lies_elsewhere(kind: &str) -> bool {
    kind.starts_with("fuse")
        || [
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "ceph",
            "glusterfs",
            "9p",
            "afs",
            "lustre",
        ]
        .contains(&kind)
}

pub(super) fn mounts(frames: &Frames<'_>) -> Value {
    let sizes: BTreeMap<&str, Vec<u64>> = frames
        .lines("file-system-sizes")
        .filter_map(|line| {
            let (point, rest) = line.split_once(' ')?;
            Some((
                point,
                rest.split(' ')
                    .filter_map(|word| word.parse().ok())
                    .collect(),
            ))
        })
        .collect();
    let uuids = super::ansible_devices::uuids(frames);
    let mut all = Vec::new();
    for line in frames.lines("file-systems") {
        let words: Vec<&str> = line.split(' ').collect();
        let [device, point, kind, options] = words.as_slice() else {
            continue;
        };
        let mut mount = json!({
            "device": device, "mount": point, "fstype": kind, "options": options, "dump": 0, "passno": 0,
            "uuid": device.strip_prefix("/dev/").and_then(|name| uuids.get(name)).map_or("N/A", String::as_str),
        });
        if let (Some([size, total, available, inodes, free_inodes]), Value::Object(mount)) =
            (sizes.get(point).map(Vec::as_slice), &mut mount)
        {
            for (name, value) in [
                ("block_size", *size),
                ("block_total", *total),
                ("block_available", *available),
                ("block_used", total.saturating_sub(*available)),
                ("size_total", size * total),
                ("size_available", size * available),
                ("inode_total", *inodes),
                ("inode_available", *free_inodes),
                ("inode_used", inodes.saturating_sub(*free_inodes)),
            ] {
                mount.insert(name.to_owned(), value.into());
            }
        } else if lies_elsewhere(kind)
            && let Value::Object(mount) = &mut mount
        {
            let note = "Could not get extra information due to timeout";
            mount.insert("note".to_owned(), note.into());
        }
        all.push(mount);
    }
    Value::Array(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_folders_and_file_systems_that_do_not_answer() {
        let said = "=kk= file-systems\n/dev/vda / ext4 rw\n/dev/vda /srv/b ext4 rw,bind\n/dev/vda /srv/c ext4 rw,bind\nhost:/x /mnt nfs4 rw\nhost:/y /mnt/y nfs4 rw\n=kk= file-system-sizes\n/ 4096 100 40 10 4\n/mnt/y 4096 100 40 10 4\n=kk= end\n";
        let mounts = mounts(&Frames::new(said));
        let shown: Vec<String> = mounts
            .as_array()
            .unwrap()
            .iter()
            .map(|mount| {
                let text = |name: &str| mount[name].as_str().unwrap_or("-").to_owned();
                format!(
                    "{} {} {} {}",
                    text("mount"),
                    text("options"),
                    mount["size_total"],
                    text("note")
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "/ rw 409600 -",
                "/srv/b rw,bind null -",
                "/srv/c rw,bind null -",
                "/mnt rw null Could not get extra information due to timeout",
                "/mnt/y rw 409600 -",
            ]
        );
    }
}
