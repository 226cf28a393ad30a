//! The tiny image that proves a registry works: one small file, made here, with digests that follow from its seed.

use std::io::{self, Write as _};

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::call::ProofImage;

/// Every engine since Docker 1.10, containerd, CRI-O and podman take this kind of manifest.
pub(super) const MANIFEST_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";

const CONFIG_TYPE: &str = "application/vnd.docker.container.image.v1+json";
const LAYER_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// A piece of an image and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// `sha256:…`.
    pub digest: String,
    /// Its bytes.
    pub bytes: Bytes,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Self {
        Self {
            digest: digest(&bytes),
            bytes: bytes.into(),
        }
    }
}

/// An image of one layer with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TinyImage {
    /// The manifest; its digest is what hosts pull.
    pub manifest: Blob,
    /// The configuration; its digest is the image's ID.
    pub config: Blob,
    /// The one layer.
    pub layer: Blob,
}

impl TinyImage {
    /// The image of a seed for an architecture. The same seed gives the same image.
    pub fn new(seed: &str, architecture: &str) -> io::Result<Self> {
        let archive = archive(seed)?;
        // Stored, not compressed: the bytes then do not depend on a compressor's version.
        let mut packer = flate2::GzBuilder::new()
            .mtime(0)
            .write(Vec::new(), flate2::Compression::none());
        packer.write_all(&archive)?;
        let layer = Blob::new(packer.finish()?);
        let config = Blob::new(serde_json::to_vec(&json!({
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {"Cmd": ["/kk-proof"], "Labels": {"kk.proof": seed}},
            "rootfs": {"type": "layers", "diff_ids": [digest(&archive)]},
            "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "kk"}],
        }))?);
        let manifest = Blob::new(serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {"mediaType": CONFIG_TYPE, "size": config.bytes.len(), "digest": config.digest},
            "layers": [{"mediaType": LAYER_TYPE, "size": layer.bytes.len(), "digest": layer.digest}],
        }))?);
        Ok(Self {
            manifest,
            config,
            layer,
        })
    }

    /// The image that a call names.
    pub fn of(image: &ProofImage) -> io::Result<Self> {
        Self::new(&image.seed, &image.architecture)
    }

    /// Bytes of all its pieces.
    pub fn size(&self) -> usize {
        self.manifest.bytes.len() + self.config.bytes.len() + self.layer.bytes.len()
    }
}

fn archive(seed: &str) -> io::Result<Vec<u8>> {
    let text = format!("This file proves that the registry works: {seed}\n");
    let mut header = tar::Header::new_ustar();
    header.set_size(text.len() as u64);
    header.set_mode(0o444);
    header.set_mtime(0);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, "kk-proof", text.as_bytes())?;
    builder.into_inner()
}

/// `sha256:` and 64 lower-case hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let one = TinyImage::new("a", "amd64").unwrap();
        assert_eq!(one, TinyImage::new("a", "amd64").unwrap());
        assert_ne!(one.layer, TinyImage::new("b", "amd64").unwrap().layer);
        let arm = TinyImage::new("a", "arm64").unwrap();
        assert_eq!(one.layer, arm.layer);
        assert_ne!(one.config.digest, arm.config.digest);
        assert!(one.size() < 8192);
    }

    #[test]
    fn its_digests_never_change() {
        // Another program that reads it back, or the next version of this one, must find the same.
        insta::assert_snapshot!(TinyImage::new("seed", "amd64").unwrap().manifest.digest, @"sha256:432da98cfa89701149f0420860f4a534cb241a322b384e68bf37038aff890d85");
    }
}
