//! Small packages for tests: real archives, made here.

use std::io::Write as _;

use sha2::{Digest, Sha256};

use super::stream::hex;

/// The first bytes of a 64-bit executable for a machine (62 is amd64, 183 arm64), then `rest`.
pub(crate) fn executable(machine: u16, rest: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1]);
    bytes[16] = 2;
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

/// Bytes that do not compress, the same each time.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..length).map(step).collect()
}

/// A tar archive of these files.
pub(crate) fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Docker's static binaries for a machine, as a tar archive.
pub(crate) fn engine(machine: u16) -> Vec<u8> {
    let dockerd = executable(
        machine,
        b"-X github.com/docker/docker/dockerversion.Version=24.0.7 -X other",
    );
    let other = executable(machine, &noise(300_000));
    let mut files: Vec<(&str, &[u8])> = vec![("docker/dockerd", &dockerd)];
    for name in [
        "docker/docker",
        "docker/containerd",
        "docker/containerd-shim-runc-v2",
        "docker/runc",
        "docker/docker-proxy",
        "docker/docker-init",
        "docker/ctr",
    ] {
        files.push((name, &other));
    }
    tar(&files)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The layer and the configuration of a small image.
pub(crate) fn image_parts(arch: &str) -> (Vec<u8>, String) {
    let layer = tar(&[("hello", b"world")]);
    let config = format!(
        r#"{{"architecture":"{arch}","os":"linux","rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}}"#,
        sha256(&layer)
    );
    (layer, config)
}

/// What engines before 25 save: a folder per layer, the manifest at the end.
pub(crate) fn legacy_image(arch: &str, tag: &str) -> Vec<u8> {
    let (layer, config) = image_parts(arch);
    let config_name = format!("{}.json", sha256(config.as_bytes()));
    let manifest =
        format!(r#"[{{"Config":"{config_name}","RepoTags":["{tag}"],"Layers":["0a/layer.tar"]}}]"#);
    tar(&[
        ("0a/VERSION", b"1.0"),
        ("0a/json", b"{}"),
        ("0a/layer.tar", &layer),
        (&config_name, config.as_bytes()),
        ("manifest.json", manifest.as_bytes()),
        ("repositories", b"{}"),
    ])
}

/// What newer engines save: an OCI layout with `manifest.json` beside it. Its layer may be packed.
pub(crate) fn oci_image(arch: &str, tag: &str, packed: bool) -> Vec<u8> {
    let (layer, config) = image_parts(arch);
    let layer = if packed { gzip(&layer) } else { layer };
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", sha256(bytes));
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{{"digest":"sha256:{}"}},"layers":[{{"digest":"sha256:{}"}}]}}"#,
        sha256(config.as_bytes()),
        sha256(&layer)
    );
    let index = format!(
        r#"{{"manifests":[{{"digest":"sha256:{}"}}]}}"#,
        sha256(manifest.as_bytes())
    );
    let top = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"digest":"sha256:{}"}}]}}"#,
        sha256(index.as_bytes())
    );
    let docker = format!(
        r#"[{{"Config":"{}","RepoTags":["{tag}"],"Layers":["{}"]}}]"#,
        blob(config.as_bytes()),
        blob(&layer)
    );
    tar(&[
        (&blob(config.as_bytes()), config.as_bytes()),
        (&blob(&layer), &layer),
        (&blob(manifest.as_bytes()), manifest.as_bytes()),
        (&blob(index.as_bytes()), index.as_bytes()),
        ("index.json", top.as_bytes()),
        ("manifest.json", docker.as_bytes()),
        ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#),
    ])
}

/// Harbor's offline installer with one image.
pub(crate) fn harbor(arch: &str, version: &str) -> Vec<u8> {
    let images = gzip(&legacy_image(
        arch,
        &format!("goharbor/harbor-core:{version}"),
    ));
    tar(&[
        (&format!("harbor/harbor.{version}.tar.gz"), &images),
        ("harbor/prepare", b"#!/bin/bash\n"),
        ("harbor/LICENSE", b"Apache"),
        ("harbor/install.sh", b"#!/bin/bash\n"),
        ("harbor/common.sh", b"#!/bin/bash\n"),
        ("harbor/harbor.yml.tmpl", b"hostname: x\n"),
    ])
}
