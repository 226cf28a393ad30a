//! What a file is, from its first bytes.

use serde::{Deserialize, Serialize};

use super::fault::Fault;

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packing {
    /// A tar archive inside gzip.
    Gzip,
    /// A tar archive as it is, whatever its name says.
    Plain,
    /// No archive.
    None,
}

/// How the archive that starts with `head` is packed.
pub(super) fn detect(head: &[u8], wanted: &'static str) -> Result<Packing, Fault> {
    if head.is_empty() {
        return Err(Fault::Empty);
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        return Ok(Packing::Gzip);
    }
    for (magic, method) in [
        (&[0x28, 0xb5, 0x2f, 0xfd][..], "zstd"),
        (b"\xfd7zXZ", "xz"),
        (b"BZh", "bzip2"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"PK\x03\x04", "zip"),
    ] {
        if head.starts_with(magic) {
            return Err(Fault::Compression { method });
        }
    }
    if head.get(257..262) == Some(b"ustar") || is_tar_header(head) {
        return Ok(Packing::Plain);
    }
    Err(Fault::WrongKind {
        wanted,
        found: describe_head(head),
    })
}

/// What a file is that starts like this, for messages.
pub(super) fn describe_head(head: &[u8]) -> String {
    if let Some(architecture) = super::elf::architecture(head) {
        return format!("it is an executable for {architecture}");
    }
    if head.starts_with(&[0x1f, 0x8b]) {
        return "it is a gzip file".to_owned();
    }
    if head.get(257..262) == Some(b"ustar") {
        return "it is a tar archive".to_owned();
    }
    let text: String = String::from_utf8_lossy(head.get(..64).unwrap_or(head))
        .chars()
        .take(24)
        .collect();
    let lower = text.trim_start().to_lowercase();
    if lower.starts_with("<!doctype") || lower.starts_with("<html") || lower.starts_with("<?xml") {
        return "it is a web page, probably an error page of the server it was fetched from"
            .to_owned();
    }
    if lower.starts_with("version https://git-lfs") {
        return "it is a pointer of Git LFS, not the file itself".to_owned();
    }
    if text
        .chars()
        .all(|character| !character.is_control() || character.is_whitespace())
    {
        return format!("it starts with the text `{}`", text.escape_debug());
    }
    "it is neither a gzip file nor a tar archive".to_owned()
}

/// Whether 512 bytes have the checksum of a tar header; old archives have no magic.
fn is_tar_header(head: &[u8]) -> bool {
    let Some(block) = head.get(..512) else {
        return false;
    };
    let header = tar::Header::from_byte_slice(block);
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(index, byte)| {
            if (148..156).contains(&index) {
                32
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    block.iter().any(|byte| *byte != 0) && header.cksum().is_ok_and(|stated| stated == sum)
}
