//! File systems under the folders that matter, and what those folders hold.

use std::collections::BTreeMap;

use super::frame::{Frames, values};
use super::model::{Facts, Folder, FolderContent, Mount};

/// Reads the sections about storage into `facts`.
pub(super) fn read(frames: &Frames<'_>, facts: &mut Facts) {
    let types = types(frames.text("mounts"));
    for text in frames.all("folder") {
        let Some(path) = head(text).get("path").map(|path| (*path).to_owned()) else {
            continue;
        };
        let (mut folder, mount) = folder(text, &path);
        if let Some(mut mount) = mount {
            mount.fstype = types.get(&mount.path).cloned().unwrap_or_default();
            folder.fstype.clone_from(&mount.fstype);
            if !facts.mounts.iter().any(|known| known.path == mount.path) {
                facts.mounts.push(mount);
            }
        }
        // The root is looked at for its file system only.
        if path != "/" {
            facts.folders.insert(path, folder);
        }
    }
    facts.mounts.sort_by(|one, other| one.path.cmp(&other.path));
}

/// Types of file systems by mount point; the last one mounted at a place counts.
fn types(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            Some((unescape(words.next()?), words.next()?.to_owned()))
        })
        .collect()
}

/// `\040` and the like of `/proc/mounts`.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(code) = code {
            plain.push(char::from(code));
            plain.push_str(part.get(3..).unwrap_or_default());
        } else {
            plain.push('\\');
            plain.push_str(part);
        }
    }
    plain
}

/// The values at the top: names of files further down may look like values too.
fn head(text: &str) -> BTreeMap<&str, &str> {
    values(text.split("\n=space\n").next().unwrap_or(text))
}

fn folder(text: &str, path: &str) -> (Folder, Option<Mount>) {
    let mut folder = Folder::default();
    let mut mount = None;
    let mut tree = None;
    let mut part = "";
    for line in text.lines() {
        match part {
            _ if ["=space", "=inodes", "=entries"].contains(&line) => part = line,
            "=entries" => folder.entries.push(line.to_owned()),
            // A heading of `df` has no numbers and is no line of it.
            "=space" => mount = disk_line(line).or(mount),
            "=inodes" => {
                // A file system without a fixed number of inodes says 0 of 0.
                let found = disk_line(line).filter(|found| found.size_bytes > 0);
                folder.free_inodes = found.map(|found| found.free_bytes / 1024);
            }
            _ => match line {
                "exists" => folder.exists = true,
                "directory" => folder.is_directory = true,
                "cut=yes" => folder.hangs = true,
                _ => {
                    if let Some(path) = line.strip_prefix("distribution ") {
                        tree = Some(path.to_owned());
                    }
                }
            },
        }
    }
    if let Some(found) = &mount {
        folder.mount.clone_from(&found.path);
        folder.free_bytes = Some(found.free_bytes);
    }
    folder.entries.sort();
    folder.has_content = folder.entries.iter().any(|name| name != "lost+found");
    let repositories = head(text)
        .get("repositories")
        .and_then(|count| count.parse().ok());
    folder.content = content(&folder, path, tree.as_deref(), repositories);
    (folder, mount)
}

fn content(
    folder: &Folder,
    path: &str,
    tree: Option<&str>,
    repositories: Option<u32>,
) -> FolderContent {
    let has = |name: &str| folder.entries.iter().any(|entry| entry == name);
    let own_tree = format!("{}/docker/registry/v2", path.trim_end_matches('/'));
    if !folder.has_content {
        FolderContent::Nothing
    } else if (has("database") && has("secret")) || tree.is_some_and(|tree| tree != own_tree) {
        FolderContent::Harbor { repositories }
    } else if tree.is_some() {
        FolderContent::Distribution { repositories }
    } else {
        FolderContent::Other
    }
}

/// The last line of `df -P`: device, size, used, available, share, mount point. Sizes come in units of 1024.
fn disk_line(line: &str) -> Option<Mount> {
    let words: Vec<&str> = line.split_whitespace().collect();
    // The device may hold blanks: the share is the first word that ends in a percent sign (or a bare dash) after three numbers.
    let share = (4..words.len()).find(|index| {
        words
            .get(index - 3..*index)
            .is_some_and(|numbers| numbers.iter().all(|word| word.parse::<i64>().is_ok()))
            && words
                .get(*index)
                .is_some_and(|word| word.ends_with('%') || *word == "-")
    })?;
    let number = |back: usize| -> Option<u64> {
        let count: i64 = words.get(share - back)?.parse().ok()?;
        Some(u64::try_from(count).unwrap_or(0) * 1024)
    };
    let point = line.split_once(words.get(share..=share)?.first()?)?.1;
    Some(Mount {
        path: point.trim().to_owned(),
        device: words.get(..share - 3)?.join(" "),
        fstype: String::new(),
        size_bytes: number(3)?,
        free_bytes: number(1)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_df() {
        let mount = disk_line("/dev/vda1         264212084 20519836  74766052      22% /").unwrap();
        assert_eq!(mount.path, "/");
        assert_eq!(mount.device, "/dev/vda1");
        assert_eq!(mount.free_bytes, 74_766_052 * 1024);
        let odd = disk_line("my server:/a b 100 50 50 50% /mnt/with blank").unwrap();
        assert_eq!(
            (odd.device.as_str(), odd.path.as_str()),
            ("my server:/a b", "/mnt/with blank")
        );
        let overfull = disk_line("/dev/sda1 100 105 -5 100% /").unwrap();
        assert_eq!(overfull.free_bytes, 0);
        assert_eq!(disk_line("btrfs 0 0 0 - /x").unwrap().size_bytes, 0);
        assert_eq!(disk_line("df: no such file"), None);
    }

    #[test]
    fn escapes_of_mounts() {
        assert_eq!(unescape(r"/mnt/a\040b"), "/mnt/a b");
        assert_eq!(unescape(r"/mnt/a\zz"), r"/mnt/a\zz");
    }

    fn read_one(text: &str) -> Folder {
        let mut facts = Facts::default();
        read(&Frames::new(text), &mut facts);
        facts.folders.into_values().next().unwrap()
    }

    const DISK: &str = "=space\nFilesystem     1024-blocks      Used Available Capacity Mounted on\n/dev/sdb 100 0 100 0% /data\n";

    #[test]
    fn what_a_folder_holds() {
        let with = |before: &str, entries: &str| {
            read_one(&format!(
                "=kk= folder\npath=/data\n{before}exists\ndirectory\n{DISK}=entries\n{entries}"
            ))
            .content
        };
        assert_eq!(with("", ""), FolderContent::Nothing);
        assert_eq!(with("", "lost+found\n"), FolderContent::Nothing);
        assert_eq!(with("", "notes.txt\n"), FolderContent::Other);
        // A name may look like anything.
        assert_eq!(with("", "exists\npath=/x\ncut=yes\n"), FolderContent::Other);
        assert_eq!(
            with(
                "repositories=12\ndistribution /data/docker/registry/v2\n",
                "docker\n"
            ),
            FolderContent::Distribution {
                repositories: Some(12)
            }
        );
        assert_eq!(
            with("", "database\nregistry\nsecret\n"),
            FolderContent::Harbor { repositories: None }
        );
        assert_eq!(
            with(
                "distribution /data/registry/docker/registry/v2\nrepositories=\n",
                "registry\n"
            ),
            FolderContent::Harbor { repositories: None }
        );
    }

    #[test]
    fn a_dead_network_file_system_is_said() {
        let folder = read_one("=kk= folder\npath=/data\ncut=yes\nexists\n");
        assert!(folder.hangs && folder.free_bytes.is_none());
    }

    #[test]
    fn inodes_are_counted_where_there_is_a_number() {
        let inodes = |line: &str| {
            read_one(&format!(
                "=kk= folder\npath=/data\n{DISK}=inodes\nFilesystem Inodes IUsed IFree IUse% Mounted on\n{line}\n"
            ))
            .free_inodes
        };
        assert_eq!(inodes("/dev/sdb 200 50 150 25% /data"), Some(150));
        assert_eq!(inodes("/dev/sdb 0 0 0 - /data"), None);
    }
}
