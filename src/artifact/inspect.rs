//! Reading a package from end to end, and comparing what was found with what was asked for.

use std::io::{self, BufRead, Read};
use std::ops::ControlFlow;
use std::path::Path;

use regex::bytes::Regex;
use sha2::{Digest, Sha256};

use super::catalogue::{Kind, bare};
use super::contents::{Binary, Contents, Image, Inspection, Packing};
use super::detect::describe_head;
use super::elf;
use super::fault::{Fault, InspectError};
use super::image::Collector;
use super::stream::{self, CHUNK, Feed, Watch, hex};
use super::sums::Sum;
use super::tarball::{self, Member, Shape};

/// What a package should be.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// The architecture of the hosts it is for.
    pub arch: String,
    /// The version asked for.
    pub version: String,
    /// For images: `name:tag`.
    pub image: Option<String>,
    /// What its sha256 must be, by everybody who says so.
    pub sums: Vec<Sum>,
}

/// What is worth knowing about a package that fits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fit {
    /// For images: the `name:tag` that the image has once it is loaded.
    pub reference: Option<String>,
    /// What the user should know, one line each.
    pub warnings: Vec<String>,
}

/// Reads a package and compares it with what was asked for.
pub fn inspect(
    path: &Path,
    kind: Kind,
    expect: &Expect,
) -> Result<(Inspection, Fit), InspectError> {
    let inspection = read(path, kind, &|_| ControlFlow::Continue(()))?;
    let fit = compare(&inspection, expect).map_err(|fault| at(path, fault))?;
    Ok((inspection, fit))
}

/// Reads a package once from end to end. The answer depends on nothing but the file.
pub fn read(path: &Path, kind: Kind, watch: Watch<'_>) -> Result<Inspection, InspectError> {
    let result = stream::read_whole(path, watch, |feed| match kind {
        Kind::Engine => read_engine(feed),
        Kind::Compose => read_compose(feed),
        Kind::Image => read_image(feed),
        Kind::Harbor => read_harbor(feed),
    });
    let (whole, (packing, unpacked, contents)) = result.map_err(|fault| at(path, fault))?;
    Ok(Inspection {
        sha256: whole.sha256,
        size: whole.size,
        packing,
        unpacked: if packing == Packing::None {
            whole.size
        } else {
            unpacked
        },
        contents,
    })
}

fn at(path: &Path, fault: Fault) -> InspectError {
    InspectError {
        path: path.to_owned(),
        fault,
    }
}

/// What must be under `docker/`; `docker-init` and `ctr` are of use but not needed.
const ENGINE: [&str; 6] = [
    "dockerd",
    "docker",
    "containerd",
    "containerd-shim-runc-v2",
    "runc",
    "docker-proxy",
];

/// What must be under `harbor/`, beside the images.
const HARBOR: [&str; 5] = [
    "prepare",
    "install.sh",
    "common.sh",
    "harbor.yml.tmpl",
    "LICENSE",
];

type Seen = (Packing, u64, Contents);

fn read_engine(feed: &mut Feed) -> Result<Seen, Fault> {
    let wanted = Kind::Engine.describe();
    let mut binaries: Vec<Binary> = Vec::new();
    let mut version = None;
    let (packing, unpacked) = tarball::walk_file(feed, wanted, &mut |member, data| {
        refuse_links(member)?;
        if let (Some(name), Shape::File) = (member.name.strip_prefix("docker/"), &member.shape)
            && !name.contains('/')
        {
            let (binary, said) = read_binary(name, data)?;
            if name == "dockerd" {
                version = said;
            }
            binaries.push(binary);
        }
        Ok(())
    })?;
    for name in ENGINE {
        let Some(binary) = binaries.iter().find(|binary| binary.name == name) else {
            return Err(Fault::WrongKind {
                wanted,
                found: format!("there is no `docker/{name}` in it"),
            });
        };
        if binary.architecture.is_none() {
            return Err(Fault::WrongKind {
                wanted,
                found: format!("its `docker/{name}` is no executable"),
            });
        }
    }
    Ok((packing, unpacked, Contents::Engine { binaries, version }))
}

fn read_compose(feed: &mut Feed) -> Result<Seen, Fault> {
    let head = feed.fill_buf()?;
    if head.is_empty() {
        return Err(Fault::Empty);
    }
    if elf::architecture(head).is_none() {
        return Err(Fault::WrongKind {
            wanted: Kind::Compose.describe(),
            found: describe_head(head),
        });
    }
    let end = elf_end(head);
    let (binary, version) = read_binary("docker-compose", feed)?;
    if end.is_some_and(|end| binary.size < end) {
        return Err(Fault::Truncated {
            at: binary.size,
            inside: "before the section table that its first bytes announce".to_owned(),
        });
    }
    Ok((Packing::None, 0, Contents::Compose { binary, version }))
}

fn read_image(feed: &mut Feed) -> Result<Seen, Fault> {
    let mut collector = Collector::default();
    let (packing, unpacked) =
        tarball::walk_file(feed, Kind::Image.describe(), &mut |member, data| {
            collector.member(member, data)
        })?;
    let images = collector.finish()?;
    Ok((packing, unpacked, Contents::Image { images }))
}

fn read_harbor(feed: &mut Feed) -> Result<Seen, Fault> {
    let wanted = Kind::Harbor.describe();
    let mut files: Vec<String> = Vec::new();
    let mut archives: Vec<String> = Vec::new();
    let mut images: Vec<Image> = Vec::new();
    let (packing, unpacked) = tarball::walk_file(feed, wanted, &mut |member, data| {
        refuse_links(member)?;
        let (Some(name), Shape::File) = (member.name.strip_prefix("harbor/"), &member.shape) else {
            return Ok(());
        };
        if name.starts_with("harbor") && name.ends_with(".tar.gz") && !name.contains('/') {
            let mut collector = Collector::default();
            tarball::walk_nested(data, &member.name, &mut |member, data| {
                collector.member(member, data)
            })?;
            images.extend(collector.finish()?);
            archives.push(name.to_owned());
        }
        files.push(name.to_owned());
        Ok(())
    })?;
    for name in HARBOR {
        if !files.iter().any(|file| file == name) {
            return Err(Fault::WrongKind {
                wanted,
                found: format!("there is no `harbor/{name}` in it"),
            });
        }
    }
    let [archive] = archives.as_slice() else {
        let found = match archives.len() {
            0 => {
                "there is no `harbor/harbor.<version>.tar.gz` in it; the online installer has none"
                    .to_owned()
            }
            more => format!(
                "there are {more} image archives in it, of which the installer would load none"
            ),
        };
        return Err(Fault::WrongKind { wanted, found });
    };
    let version = archive.trim_start_matches("harbor").trim_start_matches('.');
    let version = version.trim_end_matches(".tar.gz").to_owned();
    Ok((
        packing,
        unpacked,
        Contents::Harbor {
            version,
            files,
            images,
        },
    ))
}

/// What is unpacked by `tar` on a host may not lead anywhere else.
fn refuse_links(member: &Member) -> Result<(), Fault> {
    let what = match &member.shape {
        Shape::File | Shape::Folder => return Ok(()),
        Shape::Link { target, .. } => {
            format!("`{}` is a link to `{}`", member.name, target.escape_debug())
        }
        Shape::Special => format!("`{}` is a device", member.name),
    };
    Err(Fault::Unsafe { what })
}

/// Hashes an executable and looks for the version that the Go linker was told to put in.
fn read_binary(name: &str, data: &mut dyn Read) -> io::Result<(Binary, Option<String>)> {
    /// Bytes of a chunk that are looked at again with the next one.
    const OVERLAP: usize = 128;
    static VERSION: std::sync::LazyLock<Option<Regex>> = std::sync::LazyLock::new(|| {
        Regex::new(r"(?-u)(?:dockerversion|compose/v[0-9]+/internal)\.Version=(v?[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+~-]*)[^0-9A-Za-z.+~-]").ok()
    });
    let mut hash = Sha256::new();
    let mut head: Vec<u8> = Vec::with_capacity(elf::HEADER);
    let mut size = 0;
    let mut version = None;
    let mut window: Vec<u8> = Vec::with_capacity(CHUNK + OVERLAP);
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = data.read(&mut buffer)?;
        let chunk = buffer.get(..length).unwrap_or_default();
        if chunk.is_empty() {
            break;
        }
        hash.update(chunk);
        size += length as u64;
        let missing = elf::HEADER.saturating_sub(head.len()).min(length);
        head.extend_from_slice(chunk.get(..missing).unwrap_or_default());
        if version.is_none() {
            window.extend_from_slice(chunk);
            version = VERSION
                .as_ref()
                .and_then(|pattern| pattern.captures(&window))
                .and_then(|captures| captures.get(1))
                .map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned());
            window.drain(..window.len().saturating_sub(OVERLAP));
        }
    }
    let binary = Binary {
        name: name.to_owned(),
        size,
        sha256: hex(&hash.finalize()),
        architecture: elf::architecture(&head).map(str::to_owned),
    };
    Ok((binary, version))
}

/// Where the section table of an ELF file ends, which is the last thing in files that a linker wrote.
fn elf_end(head: &[u8]) -> Option<u64> {
    let is_64_bit_little = head.get(4) == Some(&2) && head.get(5) == Some(&1);
    if !is_64_bit_little {
        return None;
    }
    let offset = u64::from_le_bytes(head.get(40..48)?.try_into().ok()?);
    let size = u16::from_le_bytes(head.get(58..60)?.try_into().ok()?);
    let count = u16::from_le_bytes(head.get(60..62)?.try_into().ok()?);
    offset.checked_add(u64::from(size) * u64::from(count))
}

/// Compares what a package holds with what was asked for.
pub fn compare(inspection: &Inspection, expect: &Expect) -> Result<Fit, Fault> {
    for sum in &expect.sums {
        if sum.digits != inspection.sha256 {
            return Err(Fault::Checksum {
                found: inspection.sha256.clone(),
                wanted: sum.digits.clone(),
                source_name: sum.source.clone(),
            });
        }
    }
    let mut fit = Fit::default();
    for binary in inspection.binaries() {
        if let Some(found) = &binary.architecture
            && *found != expect.arch
        {
            return Err(Fault::Architecture {
                what: "binaries",
                found: found.clone(),
                wanted: expect.arch.clone(),
            });
        }
    }
    match &inspection.contents {
        Contents::Engine { version, .. } | Contents::Compose { version, .. } => {
            if let Some(found) = version
                && !same_version(found, &expect.version)
            {
                fit.warnings.push(format!(
                    "holds version {found}, while {} is asked for",
                    expect.version
                ));
            }
        }
        Contents::Image { images } => {
            let wanted = expect.image.clone().unwrap_or_default();
            let (image, reference) = choose(images, &wanted)?;
            same_architecture(image, &expect.arch)?;
            if familiar(&reference) != familiar(&wanted) {
                fit.warnings.push(format!(
                    "holds `{reference}`, which is taken for `{wanted}`"
                ));
            }
            fit.reference = Some(familiar(&reference));
        }
        Contents::Harbor {
            version, images, ..
        } => {
            if !same_version(version, &expect.version) {
                return Err(Fault::Version {
                    found: version.clone(),
                    wanted: expect.version.clone(),
                });
            }
            for image in images {
                same_architecture(image, &expect.arch)?;
            }
        }
    }
    Ok(fit)
}

fn same_architecture(image: &Image, wanted: &str) -> Result<(), Fault> {
    if image.os == "linux" && image.architecture == wanted {
        return Ok(());
    }
    let found = if image.os == "linux" {
        image.architecture.clone()
    } else {
        format!("{}/{}", image.os, image.architecture)
    };
    Err(Fault::Architecture {
        what: "images",
        found,
        wanted: wanted.to_owned(),
    })
}

/// The image that was asked for and the tag it has: the very tag, else one of another repository with that version.
fn choose<'a>(images: &'a [Image], wanted: &str) -> Result<(&'a Image, String), Fault> {
    let tagged = || {
        images
            .iter()
            .flat_map(|image| image.tags.iter().map(move |tag| (image, tag)))
    };
    let version = tag_of(wanted);
    tagged()
        .find(|(_, tag)| familiar(tag) == familiar(wanted))
        .or_else(|| tagged().find(|(_, tag)| same_version(tag_of(tag), version)))
        .map(|(image, tag)| (image, tag.clone()))
        .ok_or_else(|| {
            let tags: Vec<String> = tagged().map(|(_, tag)| format!("`{tag}`")).collect();
            let found = if tags.is_empty() {
                "an image without a name and tag".to_owned()
            } else {
                tags.join(", ")
            };
            Fault::Tag {
                found,
                wanted: wanted.to_owned(),
            }
        })
}

/// What follows the last colon of `name:tag`; empty without a tag.
fn tag_of(reference: &str) -> &str {
    match reference.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => tag,
        _ => "",
    }
}

/// A reference as Docker shows it: without its own registry's name.
fn familiar(reference: &str) -> String {
    let rest = ["docker.io/", "index.docker.io/"]
        .iter()
        .find_map(|prefix| reference.strip_prefix(prefix));
    match rest {
        Some(rest) => rest.strip_prefix("library/").unwrap_or(rest).to_owned(),
        None => reference
            .strip_prefix("library/")
            .unwrap_or(reference)
            .to_owned(),
    }
}

/// Whether two versions are the same apart from a leading `v` and what a distribution adds behind `+`.
fn same_version(found: &str, wanted: &str) -> bool {
    let plain = |version: &str| {
        bare(version)
            .split('+')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    plain(found) == plain(wanted)
}

#[cfg(test)]
#[path = "inspect_tests.rs"]
mod tests;
