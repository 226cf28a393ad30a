//! Block devices by Ansible's names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::frame::Frames;

/// Kinds of links below `/dev/disk`, by what Ansible calls them.
const LINKS: [(&str, &str); 3] = [
    ("by-id", "ids"),
    ("by-label", "labels"),
    ("by-uuid", "uuids"),
];

/// Names of each device, by the kind of link.
struct Links(BTreeMap<&'static str, BTreeMap<String, BTreeSet<String>>>);

impl Links {
    fn read(frames: &Frames<'_>) -> Self {
        let mut all: BTreeMap<&'static str, BTreeMap<String, BTreeSet<String>>> = LINKS
            .iter()
            .map(|(_, name)| (*name, BTreeMap::new()))
            .chain([("masters", BTreeMap::new())])
            .collect();
        let mut kind = None;
        for line in frames.lines("block-links") {
            if let Some(folder) = line.strip_suffix(':') {
                kind = LINKS
                    .iter()
                    .find(|(end, _)| folder.ends_with(end))
                    .map(|(_, name)| *name);
                continue;
            }
            let Some((name, target)) = line.split_once(" -> ") else {
                continue;
            };
            let name = name.rsplit(' ').next().unwrap_or(name);
            let device = target.rsplit('/').next().unwrap_or(target);
            if let Some(names) = kind.and_then(|kind| all.get_mut(kind)) {
                names
                    .entry(device.to_owned())
                    .or_default()
                    .insert(name.to_owned());
            }
        }
        for line in frames.lines("block-relations") {
            let parts: Vec<&str> = line.split('/').collect();
            if let [_, _, _, device, "slaves", target] = parts.as_slice()
                && let Some(names) = all.get_mut("masters")
            {
                names
                    .entry((*target).to_owned())
                    .or_default()
                    .insert((*device).to_owned());
            }
        }
        Self(all)
    }

    fn of(&self, device: &str) -> Value {
        let names = self.0.iter().map(|(kind, names)| {
            let names: Vec<&String> = names.get(device).into_iter().flatten().collect();
            ((*kind).to_owned(), json!(names))
        });
        Value::Object(names.collect())
    }
}

/// The label by which a device's file system is known best, as mounts show it.
pub(super) fn uuids(frames: &Frames<'_>) -> BTreeMap<String, String> {
    let mut links = Links::read(frames);
    let uuids = links.0.remove("uuids").unwrap_or_default().into_iter();
    uuids
        .filter_map(|(device, names)| Some((device, names.into_iter().next()?)))
        .collect()
}

/// `ansible_devices` and `ansible_device_links`.
pub(super) fn read(frames: &Frames<'_>) -> Map<String, Value> {
    let mut facts = Map::new();
    if !frames.has("files") {
        return facts;
    }
    let links = Links::read(frames);
    let mut values: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for line in frames.lines("files") {
        if let Some((name, rest)) = line
            .strip_prefix("/sys/block/")
            .and_then(|path| path.split_once('/'))
            && let Some((path, value)) = rest.split_once(':')
        {
            values.entry(name).or_default().insert(path, value.trim());
        }
    }
    let mut devices = Map::new();
    for (name, values) in values {
        let own = |path: &str| values.get(path).copied().filter(|text| !text.is_empty());
        let sector = own("queue/logical_block_size")
            .or_else(|| own("queue/hw_sector_size"))
            .unwrap_or("512");
        let sectors = own("size").unwrap_or("0");
        let scheduler = own("queue/scheduler").unwrap_or_default();
        let scheduler = scheduler
            .split_once('[')
            .and_then(|(_, rest)| rest.split_once(']'))
            .map_or("", |(word, _)| word);
        let mut device = json!({
            "virtual": 1, "links": links.of(name), "vendor": own("device/vendor"), "model": own("device/model"),
            "sas_address": own("device/sas_address"), "sas_device_handle": own("device/sas_device_handle"),
            "removable": own("removable"), "support_discard": own("queue/discard_granularity"),
            "rotational": own("queue/rotational"), "scheduler_mode": scheduler, "sectors": sectors, "sectorsize": sector,
            "size": size_in_words(sectors), "host": "", "holders": holders(frames, &format!("{name}/holders")),
        });
        let partitions: Map<String, Value> = values
            .keys()
            .filter_map(|path| path.strip_suffix("/start"))
            .map(|part| {
                let sectors = own(&format!("{part}/size")).unwrap_or("0");
                let partition = json!({
                    "links": links.of(part), "start": own(&format!("{part}/start")).unwrap_or("0"), "sectors": sectors,
                    "sectorsize": 512, "size": size_in_words(sectors), "uuid": links.0.get("uuids").and_then(|all| all.get(part)?.iter().next()),
                    "holders": holders(frames, &format!("{name}/{part}/holders")),
                });
                (part.to_owned(), partition)
            })
            .collect();
        if let Value::Object(device) = &mut device {
            device.insert("partitions".to_owned(), partitions.into());
            if let Some(serial) = own("device/serial") {
                device.insert("serial".to_owned(), serial.into());
            }
        }
        devices.insert(name.to_owned(), device);
    }
    facts.insert("ansible_devices".to_owned(), devices.into());
    facts.insert("ansible_device_links".to_owned(), json!(links.0));
    facts
}

fn holders(frames: &Frames<'_>, place: &str) -> Vec<String> {
    let start = format!("/sys/block/{place}/");
    frames
        .lines("block-relations")
        .filter_map(|line| line.strip_prefix(&start))
        .filter(|name| name.starts_with("dm-"))
        .map(str::to_owned)
        .collect()
}

/// `20.00 GB`, of a number of sectors.
fn size_in_words(sectors: &str) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let bytes = sectors.parse::<u64>().unwrap_or(0) as f64 * 512.0;
    let units = ["YB", "ZB", "EB", "PB", "TB", "GB", "MB", "KB"];
    let mut limit = 1024_f64.powi(8);
    for unit in units {
        if bytes >= limit {
            return format!("{:.2} {unit}", bytes / limit);
        }
        limit /= 1024.0;
    }
    format!("{bytes:.2} Bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_with_partitions() {
        let said = "=kk= files\n/sys/block/sda/size:41943040\n/sys/block/sda/removable:0\n/sys/block/sda/queue/scheduler:none [mq-deadline]\n/sys/block/sda/queue/logical_block_size:512\n/sys/block/sda/device/vendor:ATA     \n/sys/block/sda/sda1/start:2048\n/sys/block/sda/sda1/size:2097152\n=kk= block-links\n/dev/disk/by-uuid:\ntotal 0\nlrwxrwxrwx 1 root root 10 Jan  1 00:00 ab-cd -> ../../sda1\n=kk= block-relations\n/sys/block/sda/sda1/holders/dm-0\n/sys/block/dm-0/slaves/sda1\n=kk= end\n";
        let facts = Value::Object(read(&Frames::new(said)));
        for (pointer, expected) in [
            ("/ansible_devices/sda/size", json!("20.00 GB")),
            ("/ansible_devices/sda/scheduler_mode", json!("mq-deadline")),
            ("/ansible_devices/sda/vendor", json!("ATA")),
            ("/ansible_devices/sda/model", Value::Null),
            (
                "/ansible_devices/sda/partitions/sda1/size",
                json!("1.00 GB"),
            ),
            ("/ansible_devices/sda/partitions/sda1/uuid", json!("ab-cd")),
            (
                "/ansible_devices/sda/partitions/sda1/holders",
                json!(["dm-0"]),
            ),
            ("/ansible_device_links/uuids/sda1", json!(["ab-cd"])),
            ("/ansible_device_links/masters/sda1", json!(["dm-0"])),
        ] {
            assert_eq!(facts.pointer(pointer), Some(&expected), "{pointer}");
        }
    }
}
