//! Archives made by `docker save`: the old form with a folder per layer, and the new one that is an OCI layout too.

use std::collections::HashMap;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::contents::Image;
use super::fault::Fault;
use super::stream::{CHUNK, hex};
use super::tarball::{Member, Shape, Stop};

/// Larger members are layers, not descriptions.
const LARGEST_DESCRIPTION: u64 = 4 * 1024 * 1024;

/// The most bytes of descriptions that are kept.
const MOST_DESCRIPTIONS: usize = 64 * 1024 * 1024;

/// Steps that links are followed.
const MOST_LINKS: usize = 16;

/// One regular member.
struct Blob {
    sha256: String,
    /// Of what it unpacks to; `None` where that is not known, because zstd packed it.
    unpacked_sha256: Option<String>,
    unpacked: u64,
    text: Option<Vec<u8>>,
}

/// What was seen of an archive so far. The manifest may be its last member, so nothing is judged before the end.
#[derive(Default)]
pub(super) struct Collector {
    blobs: HashMap<String, Blob>,
    links: HashMap<String, String>,
    kept: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    rootfs: RootFs,
}

#[derive(Deserialize, Default)]
struct RootFs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
}

impl Collector {
    /// Takes one member in.
    pub(super) fn member(&mut self, member: &Member, data: &mut dyn Read) -> Result<(), Stop> {
        match &member.shape {
            Shape::File => {
                let blob = self.read(member, data)?;
                if let Some(digits) = member.name.strip_prefix("blobs/sha256/")
                    && digits != blob.sha256
                {
                    return Err(Fault::Damaged {
                        what: format!("`{}` has another sha256 than its name", member.name),
                    }
                    .into());
                }
                self.blobs.insert(member.name.clone(), blob);
            }
            Shape::Link { target, hard } => {
                let folder = member
                    .name
                    .rsplit_once('/')
                    .map_or("", |(folder, _)| folder);
                let target = if *hard {
                    joined("", target)
                } else {
                    joined(folder, target)
                };
                self.links.insert(member.name.clone(), target);
            }
            Shape::Folder => {}
            Shape::Special => {
                return Err(Fault::Unsafe {
                    what: format!("`{}` is a device", member.name),
                }
                .into());
            }
        }
        Ok(())
    }

    fn read(&mut self, member: &Member, data: &mut dyn Read) -> Result<Blob, Stop> {
        let mut hashed = Hashed {
            inner: data,
            hash: Sha256::new(),
        };
        let mut head = [0; 4];
        let length = read_up_to(&mut hashed, &mut head)?;
        let start = head.get(..length).unwrap_or_default();
        if start.starts_with(&[0x1f, 0x8b]) {
            let mut inner = Hashed {
                inner: MultiGzDecoder::new(start.chain(&mut hashed)),
                hash: Sha256::new(),
            };
            let copied = copy(&mut inner, None);
            let unpacked_sha256 = Some(hex(&inner.hash.finalize()));
            let unpacked = copied?;
            copy(&mut hashed, None)?;
            return Ok(Blob {
                sha256: hex(&hashed.hash.finalize()),
                unpacked_sha256,
                unpacked,
                text: None,
            });
        }
        let is_description = member.size <= LARGEST_DESCRIPTION
            && matches!(start.first(), Some(b'{' | b'['))
            && self.kept < MOST_DESCRIPTIONS;
        let mut text = is_description.then(|| start.to_vec());
        let size = copy(&mut hashed, text.as_mut())? + length as u64;
        self.kept += text.as_ref().map_or(0, Vec::len);
        let sha256 = hex(&hashed.hash.finalize());
        let is_zstd = start == [0x28, 0xb5, 0x2f, 0xfd];
        let unpacked_sha256 = (!is_zstd).then(|| sha256.clone());
        Ok(Blob {
            unpacked_sha256,
            sha256,
            unpacked: size,
            text,
        })
    }

    /// The images, now that everything was seen.
    pub(super) fn finish(self) -> Result<Vec<Image>, Fault> {
        let wanted = super::catalogue::Kind::Image.describe();
        let Some(manifest) = self.blob("manifest.json") else {
            let found = if self.blobs.contains_key("index.json") {
                "it is an OCI layout without a `manifest.json`, which engines before 25 cannot load"
            } else {
                "it has no `manifest.json`"
            };
            return Err(Fault::WrongKind {
                wanted,
                found: found.to_owned(),
            });
        };
        let entries: Vec<Entry> = parse("manifest.json", manifest)?;
        if entries.is_empty() {
            return Err(Fault::WrongKind {
                wanted,
                found: "its `manifest.json` names no image".to_owned(),
            });
        }
        entries.iter().map(|entry| self.image(entry)).collect()
    }

    fn image(&self, entry: &Entry) -> Result<Image, Fault> {
        let config = self.named(&entry.config)?;
        let configuration: Configuration = parse(&entry.config, config)?;
        let stem = entry.config.rsplit('/').next().unwrap_or_default();
        let stem = stem.strip_suffix(".json").unwrap_or(stem);
        if super::sums::is_sha256(stem) && stem != config.sha256 {
            return Err(Fault::Damaged {
                what: format!("`{}` has another sha256 than its name", entry.config),
            });
        }
        let names = entry.layers.as_deref().unwrap_or_default();
        let diff_ids = &configuration.rootfs.diff_ids;
        if names.len() != diff_ids.len() {
            return Err(Fault::Damaged {
                what: format!(
                    "its manifest names {} layers and its configuration {}",
                    names.len(),
                    diff_ids.len()
                ),
            });
        }
        let mut layers_size = 0;
        for (name, diff_id) in names.iter().zip(diff_ids) {
            let layer = self.named(name)?;
            layers_size += layer.unpacked;
            if let Some(sha256) = &layer.unpacked_sha256
                && diff_id.strip_prefix("sha256:") != Some(sha256)
            {
                return Err(Fault::Damaged {
                    what: format!(
                        "the layer `{name}` is not the one that the image's configuration names"
                    ),
                });
            }
        }
        let id = format!("sha256:{}", config.sha256);
        let manifest_digest = self.manifest_of(&id);
        Ok(Image {
            target_digest: self.target_of(manifest_digest.as_deref()),
            manifest_digest,
            id,
            architecture: configuration.architecture,
            os: configuration.os,
            tags: entry.repo_tags.clone().unwrap_or_default(),
            layers: names.len(),
            layers_size,
        })
    }

    /// The digest of the manifest whose configuration this is.
    fn manifest_of(&self, id: &str) -> Option<String> {
        self.blobs
            .iter()
            .filter(|(name, _)| name.starts_with("blobs/sha256/"))
            .find(|(_, blob)| {
                let text = blob.text.as_deref().unwrap_or_default();
                serde_json::from_slice::<Manifest>(text)
                    .is_ok_and(|manifest| manifest.config.digest == id)
            })
            .map(|(_, blob)| format!("sha256:{}", blob.sha256))
    }

    /// The digest that `index.json` has for a manifest: its own, or that of an index that holds it.
    fn target_of(&self, manifest: Option<&str>) -> Option<String> {
        let manifest = manifest?;
        let index: Index =
            serde_json::from_slice(self.blob("index.json")?.text.as_deref()?).ok()?;
        index
            .manifests
            .into_iter()
            .map(|descriptor| descriptor.digest)
            .find(|digest| digest == manifest || self.holds(digest, manifest))
    }

    fn holds(&self, digest: &str, manifest: &str) -> bool {
        let name = digest.replace(':', "/");
        self.blob(&format!("blobs/{name}"))
            .and_then(|blob| serde_json::from_slice::<Index>(blob.text.as_deref()?).ok())
            .is_some_and(|index| index.manifests.iter().any(|inner| inner.digest == manifest))
    }

    /// The member of a name, links followed.
    fn blob(&self, name: &str) -> Option<&Blob> {
        let mut name = name;
        for _ in 0..MOST_LINKS {
            if let Some(blob) = self.blobs.get(name) {
                return Some(blob);
            }
            name = self.links.get(name)?;
        }
        None
    }

    fn named(&self, name: &str) -> Result<&Blob, Fault> {
        self.blob(name).ok_or_else(|| Fault::Damaged {
            what: format!("`{name}` is named in it and is not there"),
        })
    }
}

fn parse<'a, T: Deserialize<'a>>(name: &str, blob: &'a Blob) -> Result<T, Fault> {
    let text = blob.text.as_deref().unwrap_or_default();
    serde_json::from_slice(text).map_err(|error| Fault::Damaged {
        what: format!("`{name}` cannot be understood: {error}"),
    })
}

/// `target` as seen from `folder`, without `.` and `..`.
fn joined(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let start = if target.starts_with('/') { "" } else { folder };
    for part in start.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// Hashes what passes through.
struct Hashed<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}

fn read_up_to(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest)? {
            0 => break,
            more => length += more,
        }
    }
    Ok(length)
}

fn copy(reader: &mut impl Read, mut kept: Option<&mut Vec<u8>>) -> io::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    let mut total = 0;
    loop {
        let length = reader.read(&mut buffer)?;
        if length == 0 {
            return Ok(total);
        }
        total += length as u64;
        if let Some(kept) = kept.as_mut() {
            kept.extend_from_slice(buffer.get(..length).unwrap_or_default());
        }
    }
}
