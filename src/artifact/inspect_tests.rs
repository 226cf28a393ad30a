//! Every way in which a package can be right or wrong, on real archives.

use std::path::PathBuf;

use proptest::prelude::*;

use super::super::samples::{
    engine, executable, gzip, harbor, legacy_image, noise, oci_image, sha256, tar,
};
use super::*;

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn file(bytes: &[u8]) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("package");
    std::fs::write(&path, bytes).unwrap();
    File {
        _folder: folder,
        path,
    }
}

fn expect(arch: &str, version: &str) -> Expect {
    Expect {
        arch: arch.to_owned(),
        version: version.to_owned(),
        image: Some(format!("registry:{version}")),
        sums: Vec::new(),
    }
}

fn good(bytes: &[u8], kind: Kind, expect: &Expect) -> (Inspection, Fit) {
    inspect(&file(bytes).path, kind, expect).unwrap()
}

/// The message behind the path.
fn bad(bytes: &[u8], kind: Kind, expect: &Expect) -> String {
    let error = inspect(&file(bytes).path, kind, expect).unwrap_err();
    assert!(!error.hint().is_empty());
    error.fault.to_string()
}

#[test]
fn an_engine_archive_plain_and_gzip() {
    for (bytes, packing) in [
        (engine(62), Packing::Plain),
        (gzip(&engine(62)), Packing::Gzip),
    ] {
        let (seen, fit) = good(&bytes, Kind::Engine, &expect("amd64", "24.0.7"));
        assert_eq!(seen.packing, packing);
        assert_eq!(seen.size, bytes.len() as u64);
        assert_eq!(seen.sha256, sha256(&bytes));
        assert_eq!(seen.unpacked, engine(62).len() as u64);
        assert_eq!(fit.warnings, [""; 0]);
        let Contents::Engine { binaries, version } = &seen.contents else {
            panic!("{seen:?}")
        };
        assert_eq!(version.as_deref(), Some("24.0.7"));
        assert_eq!(binaries.len(), 8);
        let runc = binaries
            .iter()
            .find(|binary| binary.name == "runc")
            .unwrap();
        assert_eq!(runc.sha256, sha256(&executable(62, &noise(300_000))));
        assert_eq!(runc.size, 300_064);
    }
}

#[test]
fn an_engine_of_another_version_is_told() {
    let (_, fit) = good(&engine(62), Kind::Engine, &expect("amd64", "24.0.9"));
    assert_eq!(
        fit.warnings,
        ["holds version 24.0.7, while 24.0.9 is asked for"]
    );
}

#[test]
fn the_wrong_architecture_is_caught() {
    assert_eq!(
        bad(
            &gzip(&engine(183)),
            Kind::Engine,
            &expect("amd64", "24.0.7")
        ),
        "holds arm64 binaries, not amd64"
    );
    assert_eq!(
        bad(
            &legacy_image("arm64", "registry:2.8.3"),
            Kind::Image,
            &expect("amd64", "2.8.3")
        ),
        "holds arm64 images, not amd64"
    );
    assert_eq!(
        bad(
            &executable(183, b""),
            Kind::Compose,
            &expect("amd64", "v2.20.3")
        ),
        "holds arm64 binaries, not amd64"
    );
    assert_eq!(
        bad(
            &gzip(&harbor("arm64", "v2.10.2")),
            Kind::Harbor,
            &expect("amd64", "v2.10.2")
        ),
        "holds arm64 images, not amd64"
    );
}

#[test]
fn an_engine_archive_without_its_daemon() {
    let bytes = gzip(&tar(&[("docker-rootless-extras/rootlesskit", b"x")]));
    assert_eq!(
        bad(&bytes, Kind::Engine, &expect("amd64", "24.0.7")),
        "is not an archive of Docker's static binaries: there is no `docker/dockerd` in it"
    );
}

#[test]
fn a_compose_binary() {
    let bytes = executable(
        62,
        b"github.com/docker/compose/v2/internal.Version=v2.20.3\0",
    );
    let (seen, fit) = good(&bytes, Kind::Compose, &expect("amd64", "2.20.3"));
    assert_eq!(fit.warnings, [""; 0]);
    assert_eq!(seen.unpacked, bytes.len() as u64);
    assert_eq!(seen.binaries()[0].sha256, sha256(&bytes));
}

#[test]
fn a_compose_binary_cut_off() {
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let arch = elf::architecture(&own).unwrap();
    good(&own, Kind::Compose, &expect(arch, "1"));
    let message = bad(&own[..own.len() / 2], Kind::Compose, &expect(arch, "1"));
    assert!(
        message.starts_with(&format!("is truncated: it ends at byte {}", own.len() / 2)),
        "{message}"
    );
}

#[test]
fn files_that_are_something_else() {
    let cases: [(&[u8], Kind, &str); 7] = [
        (b"", Kind::Compose, "is empty"),
        (b"", Kind::Image, "is empty"),
        (
            b"<!DOCTYPE html><html>404",
            Kind::Engine,
            "is not an archive of Docker's static binaries: it is a web page, probably an error page of the server it was fetched from",
        ),
        (
            b"Not Found",
            Kind::Compose,
            "is not a Docker Compose executable: it starts with the text `Not Found`",
        ),
        (
            &gzip(b"x"),
            Kind::Compose,
            "is not a Docker Compose executable: it is a gzip file",
        ),
        (
            b"\x28\xb5\x2f\xfd....",
            Kind::Image,
            "is compressed with zstd; only gzip and plain tar archives are taken",
        ),
        (
            &executable(62, b""),
            Kind::Image,
            "is not an image archive made by `docker save`: it is an executable for amd64",
        ),
    ];
    for (bytes, kind, message) in cases {
        assert_eq!(bad(bytes, kind, &expect("amd64", "1")), message);
    }
    let nowhere = inspect(
        &PathBuf::from("/nonexistent/x"),
        Kind::Image,
        &expect("amd64", "1"),
    );
    assert_eq!(
        nowhere.unwrap_err().to_string(),
        "`/nonexistent/x` cannot be read: there is no such file"
    );
    let folder = inspect(&PathBuf::from("/"), Kind::Image, &expect("amd64", "1"));
    assert_eq!(
        folder.unwrap_err().to_string(),
        "`/` cannot be read: it is a folder"
    );
}

#[test]
fn images_of_both_forms() {
    for (bytes, is_oci) in [
        (legacy_image("amd64", "registry:2.8.3"), false),
        (
            gzip(&legacy_image("amd64", "docker.io/library/registry:2.8.3")),
            false,
        ),
        (oci_image("amd64", "registry:2.8.3", false), true),
        (gzip(&oci_image("amd64", "registry:2.8.3", true)), true),
    ] {
        let (seen, fit) = good(&bytes, Kind::Image, &expect("amd64", "2.8.3"));
        assert_eq!(
            fit,
            Fit {
                reference: Some("registry:2.8.3".to_owned()),
                warnings: Vec::new()
            }
        );
        let image = &seen.images()[0];
        let (layer, config) = super::super::samples::image_parts("amd64");
        assert_eq!(image.id, format!("sha256:{}", sha256(config.as_bytes())));
        assert_eq!((image.layers, image.layers_size), (1, layer.len() as u64));
        assert_eq!(seen.loaded(), layer.len() as u64);
        assert_eq!(
            (image.os.as_str(), image.architecture.as_str()),
            ("linux", "amd64")
        );
        assert_eq!(image.manifest_digest.is_some(), is_oci);
        assert_eq!(image.target_digest.is_some(), is_oci);
        assert!(!is_oci || image.target_digest != image.manifest_digest);
    }
}

#[test]
fn a_layer_saved_twice_is_a_link() {
    let (layer, _) = super::super::samples::image_parts("amd64");
    let digest = sha256(&layer);
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","rootfs":{{"diff_ids":["sha256:{digest}","sha256:{digest}"]}}}}"#
    );
    let config_name = format!("{}.json", sha256(config.as_bytes()));
    let manifest = format!(
        r#"[{{"Config":"{config_name}","RepoTags":["registry:2.8.3"],"Layers":["a/layer.tar","b/layer.tar"]}}]"#
    );
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8], link: Option<&str>| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        match link {
            Some(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                builder.append_link(&mut header, name, target).unwrap();
            }
            None => builder.append_data(&mut header, name, bytes).unwrap(),
        }
    };
    add("a/layer.tar", &layer, None);
    add("b/layer.tar", b"", Some("../a/layer.tar"));
    add(&config_name, config.as_bytes(), None);
    add("manifest.json", manifest.as_bytes(), None);
    let bytes = builder.into_inner().unwrap();
    let (seen, _) = good(&bytes, Kind::Image, &expect("amd64", "2.8.3"));
    assert_eq!(seen.images()[0].layers_size, 2 * layer.len() as u64);
}

#[test]
fn tags_that_fit_and_that_do_not() {
    let with = |tag: &str| legacy_image("amd64", tag);
    let (_, fit) = good(
        &with("mirror:5000/registry:2.8.3"),
        Kind::Image,
        &expect("amd64", "2.8.3"),
    );
    assert_eq!(fit.reference.as_deref(), Some("mirror:5000/registry:2.8.3"));
    assert_eq!(
        fit.warnings,
        ["holds `mirror:5000/registry:2.8.3`, which is taken for `registry:2.8.3`"]
    );
    assert_eq!(
        bad(
            &with("registry:2.7.1"),
            Kind::Image,
            &expect("amd64", "2.8.3")
        ),
        "holds `registry:2.7.1`, not the image `registry:2.8.3`"
    );
    let untagged = String::from_utf8_lossy(&with("registry:2.8.3")).contains("RepoTags");
    assert!(untagged);
}

#[test]
fn an_image_without_a_tag() {
    let (layer, config) = super::super::samples::image_parts("amd64");
    let bytes = tar(&[
        ("l.tar", &layer),
        ("c.json", config.as_bytes()),
        (
            "manifest.json",
            br#"[{"Config":"c.json","RepoTags":null,"Layers":["l.tar"]}]"#,
        ),
    ]);
    assert_eq!(
        bad(&bytes, Kind::Image, &expect("amd64", "2.8.3")),
        "holds an image without a name and tag, not the image `registry:2.8.3`"
    );
}

#[test]
fn images_that_contradict_themselves() {
    let (layer, config) = super::super::samples::image_parts("amd64");
    let manifest = br#"[{"Config":"c.json","RepoTags":["registry:2.8.3"],"Layers":["l.tar"]}]"#;
    let mut other = layer.clone();
    other[600] ^= 1;
    let bytes = tar(&[
        ("l.tar", &other),
        ("c.json", config.as_bytes()),
        ("manifest.json", manifest),
    ]);
    assert_eq!(
        bad(&bytes, Kind::Image, &expect("amd64", "2.8.3")),
        "is damaged: the layer `l.tar` is not the one that the image's configuration names"
    );
    let bytes = tar(&[("c.json", config.as_bytes()), ("manifest.json", manifest)]);
    assert_eq!(
        bad(&bytes, Kind::Image, &expect("amd64", "2.8.3")),
        "is damaged: `l.tar` is named in it and is not there"
    );
    let name = format!("blobs/sha256/{}", sha256(b"a"));
    let message = bad(
        &tar(&[(&name, b"b")]),
        Kind::Image,
        &expect("amd64", "2.8.3"),
    );
    assert!(
        message.ends_with("has another sha256 than its name"),
        "{message}"
    );
    let message = bad(
        &tar(&[("index.json", b"{}")]),
        Kind::Image,
        &expect("amd64", "2.8.3"),
    );
    assert!(message.contains("OCI layout without"), "{message}");
    let message = bad(&engine(62), Kind::Image, &expect("amd64", "2.8.3"));
    assert!(message.ends_with("it has no `manifest.json`"), "{message}");
}

#[test]
fn harbors_installer() {
    let (seen, _) = good(
        &gzip(&harbor("amd64", "v2.10.2")),
        Kind::Harbor,
        &expect("amd64", "2.10.2"),
    );
    let Contents::Harbor {
        version,
        files,
        images,
    } = &seen.contents
    else {
        panic!("{seen:?}")
    };
    assert_eq!(version, "v2.10.2");
    assert_eq!(files.len(), 6);
    assert_eq!(images[0].tags, ["goharbor/harbor-core:v2.10.2"]);
    assert_eq!(
        bad(
            &gzip(&harbor("amd64", "v2.10.2")),
            Kind::Harbor,
            &expect("amd64", "v2.11.0")
        ),
        "holds version v2.10.2, not v2.11.0"
    );
    let online = gzip(&tar(&[
        ("harbor/prepare", b"x"),
        ("harbor/LICENSE", b"x"),
        ("harbor/install.sh", b"x"),
        ("harbor/common.sh", b"x"),
        ("harbor/harbor.yml.tmpl", b"x"),
    ]));
    assert_eq!(
        bad(&online, Kind::Harbor, &expect("amd64", "v2.10.2")),
        "is not a Harbor offline installer: there is no `harbor/harbor.<version>.tar.gz` in it; the online installer has none"
    );
}

#[test]
fn a_damaged_archive_inside_harbors_installer() {
    let images = gzip(&legacy_image("amd64", "goharbor/harbor-core:v2.10.2"));
    let bytes = tar(&[("harbor/harbor.v2.10.2.tar.gz", &images[..images.len() / 2])]);
    let message = bad(&bytes, Kind::Harbor, &expect("amd64", "v2.10.2"));
    assert!(
        message.starts_with(
            "is damaged: the `harbor/harbor.v2.10.2.tar.gz` in it is truncated inside `"
        ),
        "{message}"
    );
}

#[test]
fn every_truncation_is_found() {
    for (bytes, kind, version) in [
        (gzip(&engine(62)), Kind::Engine, "24.0.7"),
        (engine(62), Kind::Engine, "24.0.7"),
        (
            legacy_image("amd64", "registry:2.8.3"),
            Kind::Image,
            "2.8.3",
        ),
        (
            gzip(&oci_image("amd64", "registry:2.8.3", true)),
            Kind::Image,
            "2.8.3",
        ),
        (gzip(&harbor("amd64", "v2.10.2")), Kind::Harbor, "v2.10.2"),
    ] {
        // All but the second block of zeros, which not every tool writes.
        let end = bytes.len() - if bytes[0] == 0x1f { 1 } else { 1024 };
        // Shorter than a header it could be anything.
        let lengths = (1..40).map(|step| step * end / 40).chain([end]);
        for length in lengths.filter(|length| bytes[0] == 0x1f || *length >= 512) {
            let message = bad(&bytes[..length], kind, &expect("amd64", version));
            assert!(
                message.starts_with(&format!("is truncated: it ends at byte {length}, ")),
                "{kind:?} at {length} of {}: {message}",
                bytes.len()
            );
        }
    }
}

#[test]
fn a_flipped_bit_in_gzip_is_found() {
    let bytes = gzip(&engine(62));
    for step in 1..60 {
        let mut flipped = bytes.clone();
        let at = 20 + step * (bytes.len() - 20) / 61;
        flipped[at] ^= 0x10;
        bad(&flipped, Kind::Engine, &expect("amd64", "24.0.7"));
    }
}

#[test]
fn what_follows_the_archive_is_looked_at() {
    let mut bytes = gzip(&engine(62));
    bytes.extend_from_slice(b"<html>");
    let message = bad(&bytes, Kind::Engine, &expect("amd64", "24.0.7"));
    assert!(
        message.starts_with("is damaged") || message.starts_with("is truncated"),
        "{message}"
    );
}

#[test]
fn members_that_lead_out_are_refused() {
    let make = |name: &str| {
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(0);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(&[0; 1024]);
        bytes
    };
    for name in ["../evil", "docker/../../evil", "/etc/passwd"] {
        for kind in [Kind::Engine, Kind::Image, Kind::Harbor] {
            let message = bad(&make(name), kind, &expect("amd64", "1"));
            assert!(message.starts_with("is refused: its member `"), "{message}");
        }
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_link(&mut header, "docker/dockerd", "/bin/sh")
        .unwrap();
    let message = bad(
        &builder.into_inner().unwrap(),
        Kind::Engine,
        &expect("amd64", "1"),
    );
    assert_eq!(
        message,
        "is refused: `docker/dockerd` is a link to `/bin/sh`"
    );
}

#[test]
fn absurd_sizes_are_refused_before_they_are_read() {
    let mut header = tar::Header::new_gnu();
    header.set_path("docker/dockerd").unwrap();
    header.set_size(1 << 50);
    header.set_cksum();
    let message = bad(header.as_bytes(), Kind::Engine, &expect("amd64", "1"));
    assert!(
        message.contains("claims to have 1125899906842624 bytes"),
        "{message}"
    );
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_cksum();
    let message = bad(header.as_bytes(), Kind::Engine, &expect("amd64", "1"));
    assert!(message.contains("extension header of"), "{message}");
}

#[test]
fn long_names_of_both_kinds_are_read() {
    let long = format!("blobs/{}/x", "n".repeat(150));
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_pax_extensions([("path", long.as_bytes())])
        .unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("short").unwrap();
    header.set_size(1);
    header.set_cksum();
    builder.append(&header, &b"x"[..]).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    builder.append_data(&mut header, &long, &b"x"[..]).unwrap();
    let bytes = builder.into_inner().unwrap();
    let mut names = Vec::new();
    let path = file(&bytes);
    stream::read_whole::<_, Fault>(
        &path.path,
        &|_| std::ops::ControlFlow::Continue(()),
        |feed| {
            tarball::walk_file(feed, "an archive", &mut |member, _| {
                names.push(member.name.clone());
                Ok(())
            })
        },
    )
    .unwrap();
    assert_eq!(names, [long.clone(), long]);
}

#[test]
fn a_checksum_that_does_not_match() {
    let bytes = engine(62);
    let mut expected = expect("amd64", "24.0.7");
    expected.sums.push(Sum {
        digits: sha256(&bytes),
        source: "`a`".to_owned(),
    });
    good(&bytes, Kind::Engine, &expected);
    expected.sums.push(Sum {
        digits: sha256(b"x"),
        source: "`docker.tgz.sha256`".to_owned(),
    });
    assert_eq!(
        bad(&bytes, Kind::Engine, &expected),
        format!(
            "has the sha256 {}, but `docker.tgz.sha256` says {}",
            sha256(&bytes),
            sha256(b"x")
        )
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096), prefix in 0..6_usize) {
        let prefixes: [&[u8]; 6] = [b"", &[0x1f, 0x8b, 8, 0], b"\x7fELF\x02\x01", b"BZh", b"docker/dockerd", b"[{"];
        let mut whole = prefixes[prefix].to_vec();
        whole.extend_from_slice(&bytes);
        let file = file(&whole);
        for kind in [Kind::Engine, Kind::Compose, Kind::Image, Kind::Harbor] {
            let _ = inspect(&file.path, kind, &expect("amd64", "1"));
        }
    }

    #[test]
    fn mutated_archives_never_panic(edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8), which in 0..4_usize, cut in any::<proptest::sample::Index>()) {
        let samples = [legacy_image("amd64", "registry:1"), oci_image("amd64", "registry:1", true), harbor("amd64", "v1"), gzip(&oci_image("amd64", "registry:1", false))];
        let mut bytes = samples[which].clone();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let file = file(&bytes);
        for kind in [Kind::Engine, Kind::Image, Kind::Harbor] {
            let _ = inspect(&file.path, kind, &expect("amd64", "1"));
        }
    }
}
