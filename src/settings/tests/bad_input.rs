//! Every mistake that a user can make in settings, and exactly what kk says about it.

use super::*;
use crate::yaml;

/// What is said about flags that must be refused.
fn refused(flags: &[SetFlag]) -> String {
    said(&SettingsInput {
        sets: flags,
        ..SettingsInput::default()
    })
}

/// What is said about one `--set` that must be refused.
fn set(text: &str) -> String {
    refused(&[SetFlag::set(text)])
}

/// What is said about the `spec` of a Config file that must be refused.
fn config(spec: &str) -> String {
    whole_config(&format!(
        "apiVersion: kubekey.kubesphere.io/v1\nkind: Config\nspec:\n{spec}"
    ))
}

fn whole_config(text: &str) -> String {
    said(&SettingsInput {
        config: Some(Source::new("config.yaml", text)),
        ..SettingsInput::default()
    })
}

fn said(input: &SettingsInput<'_>) -> String {
    match Settings::load(input) {
        Ok(_) => panic!("this was taken: {input:?}"),
        Err(found) => render_all(&found, Colour::Never),
    }
}

#[test]
fn unknown_keys() {
    insta::assert_snapshot!(set("image_registry.tpye=harbor"), @r"
    error: unknown setting `image_registry.tpye`
     --> --set:1:1
      |
    1 | image_registry.tpye=harbor
      | ^^^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `image_registry.type`?
    ");
    insta::assert_snapshot!(set("image_registry.type=harbor,harbour_version=v2.10.2"), @r"
    error: unknown setting `harbour_version`
     --> --set:1:28
      |
    1 | image_registry.type=harbor,harbour_version=v2.10.2
      |                            ^^^^^^^^^^^^^^^
      |
      = hint: did you mean `harbor_version`?
    ");
    insta::assert_snapshot!(set("image_registry.password=x"), @r"
    error: unknown setting `image_registry.password`
     --> --set:1:1
      |
    1 | image_registry.password=*
      | ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `image_registry.auth.password`?
    ");
    insta::assert_snapshot!(set("imageregistry.type=harbor"), @r"
    error: unknown setting `imageregistry.type`
     --> --set:1:1
      |
    1 | imageregistry.type=harbor
      | ^^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `image_registry.type`?
    ");
    insta::assert_snapshot!(set("kubernetes.version=v1.30.0"), @r"
    error: unknown setting `kubernetes.version`
     --> --set:1:1
      |
    1 | kubernetes.version=v1.30.0
      | ^^^^^^^^^^^^^^^^^^
      |
      = hint: settings begin with: image_registry, harbor_version, docker_registry_version, keepalived_version, dockercompose_version, docker_version, cri, artifact, download, requirements, work_dir, binary_dir
    ");
    insta::assert_snapshot!(set("image_registry.auth.colour=red"), @r"
    error: unknown setting `image_registry.auth.colour`
     --> --set:1:1
      |
    1 | image_registry.auth.colour=red
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: known under `image_registry.auth`: registry, username, password, plain_http
    ");
    insta::assert_snapshot!(set("docker_version.major=24"), @r"
    error: unknown setting `docker_version.major`
     --> --set:1:1
      |
    1 | docker_version.major=24
      | ^^^^^^^^^^^^^^^^^^^^
      |
      = hint: `docker_version` takes a value (version, `N.N.N`), and nothing is below it
    ");
    insta::assert_snapshot!(set("artifact.artifact_url.docker_regstry.amd64=x.tgz"), @r"
    error: unknown setting `artifact.artifact_url.docker_regstry.amd64`
     --> --set:1:1
      |
    1 | artifact.artifact_url.docker_regstry.amd64=x.tgz
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `artifact.artifact_url.docker_registry.amd64`?
    ");
    insta::assert_snapshot!(set("artifact.artifact_url.docker.i386=x.tgz"), @r"
    error: unknown setting `artifact.artifact_url.docker.i386`
     --> --set:1:1
      |
    1 | artifact.artifact_url.docker.i386=x.tgz
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: known under `artifact.artifact_url.docker`: amd64, arm64
    ");
    insta::assert_snapshot!(config("  image_registry:\n    docker_registry:\n      storage:\n        s3: {buckett: a, region: b}\n"), @r"
    error: unknown setting `image_registry.docker_registry.storage.s3.buckett`
     --> config.yaml:7:14
      |
    7 |         s3: {buckett: a, region: b}
      |              ^^^^^^^
      |
      = hint: did you mean `image_registry.docker_registry.storage.s3.bucket`?
    ");
    insta::assert_snapshot!(config("  harbor_verison: v2.10.2\n  cri: {container_manager: docker}\n"), @r"
    error: unknown setting `harbor_verison`
     --> config.yaml:4:3
      |
    4 |   harbor_verison: v2.10.2
      |   ^^^^^^^^^^^^^^
      |
      = hint: did you mean `harbor_version`?

    error: unknown setting `cri.container_manager`
     --> config.yaml:5:9
      |
    5 |   cri: {container_manager: docker}
      |         ^^^^^^^^^^^^^^^^^
      |
      = hint: known under `cri`: docker_version
    ");
}

#[test]
fn a_password_in_a_line_that_is_shown_is_masked() {
    insta::assert_snapshot!(set("image_registry.auth.password=hunter2,image_registry.auth.usrname=me"), @r"
    error: unknown setting `image_registry.auth.usrname`
     --> --set:1:38
      |
    1 | image_registry.auth.password=*******,image_registry.auth.usrname=me
      |                                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: did you mean `image_registry.auth.username`?
    ");
    insta::assert_snapshot!(set("image_registry.auth.password={\"a\": 1},image_registry.ha_vip=x"), @r"
    error: `image_registry.ha_vip` must be an IP address, found `x`
     --> --set:1:61
      |
    1 | image_registry.auth.password=********************************
      |                                                             ^
      |
      = hint: write an unused address of the hosts' subnet, such as `10.0.0.100`
    ");
    let long = "x".repeat(73);
    let text = set(&format!("image_registry.auth.password={long}"));
    assert!(!text.contains("xxx"), "{text}");
    insta::assert_snapshot!(text, @r"
    error: `image_registry.auth.password` is longer than 72 bytes
     --> --set:1:30
      |
    1 | image_registry.auth.password=*************************************************************************
      |                              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: bcrypt looks at no more: a longer one would be cut off without a word
    ");
}

#[test]
fn wrong_types() {
    insta::assert_snapshot!(set("image_registry=harbor"), @r"
    error: `image_registry` takes no value of its own
     --> --set:1:1
      |
    1 | image_registry=harbor
      | ^^^^^^^^^^^^^^
      |
      = hint: below it are known: type, auth, https_port, http_port, ha_vip, ha_interface, ha_virtual_router_id, ha_nopreempt, certificate, trust, harbor, docker_registry, harbor_version, docker_registry_version, keepalived_version, dockercompose_version
    ");
    insta::assert_snapshot!(set("image_registry.auth.plain_http=maybe"), @r"
    error: `image_registry.auth.plain_http` must be true or false, found `maybe`
     --> --set:1:32
      |
    1 | image_registry.auth.plain_http=maybe
      |                                ^^^^^
      |
      = hint: write `true` or `false`
    ");
    insta::assert_snapshot!(set("requirements.memory_gb=lots,requirements.control_plane_cores=2.5"), @r"
    error: `requirements.memory_gb` must be a number from 0, found `lots`
     --> --set:1:24
      |
    1 | requirements.memory_gb=lots,requirements.control_plane_cores=2.5
      |                        ^^^^

    error: `requirements.control_plane_cores` must be a whole number from 0, found `2.5`
     --> --set:1:62
      |
    1 | requirements.memory_gb=lots,requirements.control_plane_cores=2.5
      |                                                              ^^^
    ");
    insta::assert_snapshot!(set("docker_version[0]=24.0.7"), @r"
    error: `docker_version` is not a list
     --> --set:1:1
      |
    1 | docker_version[0]=24.0.7
      | ^^^^^^^^^^^^^^^^^
      |
      = hint: leave out the index
    ");
    insta::assert_snapshot!(set("image_registry[0].type=harbor"), @r"
    error: `image_registry` is not a list
     --> --set:1:1
      |
    1 | image_registry[0].type=harbor
      | ^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: leave out the index
    ");
    insta::assert_snapshot!(config("  image_registry: harbor\n"), @r"
    error: expected a mapping for `image_registry`, found a text
     --> config.yaml:4:19
      |
    4 |   image_registry: harbor
      |                   ^^^^^^
      |
      = hint: below it are known: type, auth, https_port, http_port, ha_vip, ha_interface, ha_virtual_router_id, ha_nopreempt, certificate, trust, harbor, docker_registry, harbor_version, docker_registry_version, keepalived_version, dockercompose_version
    ");
    insta::assert_snapshot!(config("  image_registry:\n    type: [harbor]\n    auth:\n      plain_http: {}\n"), @r"
    error: expected a text for `image_registry.type`, found a list
     --> config.yaml:5:11
      |
    5 |     type: [harbor]
      |           ^^^^^^^^

    error: expected a boolean for `image_registry.auth.plain_http`, found a mapping
     --> config.yaml:7:19
      |
    7 |       plain_http: {}
      |                   ^^
    ");
    insta::assert_snapshot!(config("  image_registry:\n    harbor:\n      data_dir: relative/path\n"), @r"
    error: `image_registry.harbor.data_dir` must be an absolute path, found `relative/path`
     --> config.yaml:6:17
      |
    6 |       data_dir: relative/path
      |                 ^^^^^^^^^^^^^
      |
      = hint: it lies on the hosts, so write it from the root
    ");
    insta::assert_snapshot!(set("image_registry.harbor.data_dir=/,image_registry.docker_registry.storage.filesystem.rootdir=/a/../b"), @r"
    error: `image_registry.harbor.data_dir` must not be the root folder, found `/`
     --> --set:1:32
      |
    1 | image_registry.harbor.data_dir=/,image_registry.docker_registry.storage.filesystem.rootdir=/a/../b
      |                                ^
      |
      = hint: name a folder of its own

    error: `image_registry.docker_registry.storage.filesystem.rootdir` must not contain `.` or `..`, found `/a/../b`
     --> --set:1:92
      |
    1 | image_registry.harbor.data_dir=/,image_registry.docker_registry.storage.filesystem.rootdir=/a/../b
      |                                                                                            ^^^^^^^
      |
      = hint: write the path straight
    ");
}

#[test]
fn unknown_type() {
    insta::assert_snapshot!(set("image_registry.type=docker-regisrty"), @r"
    error: `image_registry.type` must be `harbor` or `docker-registry`, found `docker-regisrty`
     --> --set:1:21
      |
    1 | image_registry.type=docker-regisrty
      |                     ^^^^^^^^^^^^^^^
      |
      = hint: did you mean `docker-registry`?
    ");
    insta::assert_snapshot!(set("image_registry.type=nexus"), @r"
    error: `image_registry.type` must be `harbor` or `docker-registry`, found `nexus`
     --> --set:1:21
      |
    1 | image_registry.type=nexus
      |                     ^^^^^
      |
      = hint: write `harbor` or `docker-registry`
    ");
}

#[test]
fn versions() {
    insta::assert_snapshot!(set("docker_version=24.0"), @r"
    error: `docker_version` must be a version such as `24.0.9`, found `24.0`
     --> --set:1:16
      |
    1 | docker_version=24.0
      |                ^^^^
      |
      = hint: a version has three numbers, and a suffix such as `-beta.1` behind them if any
    ");
    insta::assert_snapshot!(set("docker_version=v24.0.7"), @r"
    error: `docker_version` must be a version such as `24.0.9`, found `v24.0.7`
     --> --set:1:16
      |
    1 | docker_version=v24.0.7
      |                ^^^^^^^
      |
      = hint: write `24.0.7`, without the `v`
    ");
    insta::assert_snapshot!(set("harbor_version=latest"), @r"
    error: `harbor_version` must be a version such as `v2.10.2`, found `latest`
     --> --set:1:16
      |
    1 | harbor_version=latest
      |                ^^^^^^
    ");
    insta::assert_snapshot!(set("docker_registry_version=../../etc"), @r"
    error: `docker_registry_version` must be a version such as `2.8.3`, found `../../etc`
     --> --set:1:25
      |
    1 | docker_registry_version=../../etc
      |                         ^^^^^^^^^
    ");
    insta::assert_snapshot!(set("dockercompose_version="), @r"
    error: `dockercompose_version` must be a version such as `v2.20.3`, and is empty
     --> --set:1:23
      |
    1 | dockercompose_version=
      |                       ^
    ");
    insta::assert_snapshot!(config("  docker_version: 1.30\n"), @r"
    error: `docker_version` must be a version such as `24.0.9`, found `1.30`
     --> config.yaml:4:19
      |
    4 |   docker_version: 1.30
      |                   ^^^^
      |
      = hint: a version has three numbers, and a suffix such as `-beta.1` behind them if any
    ");
}

#[test]
fn ports_and_addresses() {
    insta::assert_snapshot!(set("image_registry.https_port=70000"), @r"
    error: `image_registry.https_port` must be a port from 1 to 65535, found `70000`
     --> --set:1:27
      |
    1 | image_registry.https_port=70000
      |                           ^^^^^
    ");
    insta::assert_snapshot!(set("image_registry.http_port=0"), @r"
    error: `image_registry.http_port` must be a port from 1 to 65535, found `0`
     --> --set:1:26
      |
    1 | image_registry.http_port=0
      |                          ^
    ");
    insta::assert_snapshot!(set("image_registry.ha_vip=10.0.0.256"), @r"
    error: `image_registry.ha_vip` must be an IP address, found `10.0.0.256`
     --> --set:1:23
      |
    1 | image_registry.ha_vip=10.0.0.256
      |                       ^^^^^^^^^^
      |
      = hint: write an unused address of the hosts' subnet, such as `10.0.0.100`
    ");
    insta::assert_snapshot!(set("image_registry.ha_vip=10.0.0.100/24"), @r"
    error: `image_registry.ha_vip` must be an IP address, found `10.0.0.100/24`
     --> --set:1:23
      |
    1 | image_registry.ha_vip=10.0.0.100/24
      |                       ^^^^^^^^^^^^^
      |
      = hint: write the address alone, without a prefix length
    ");
    insta::assert_snapshot!(set("image_registry.ha_virtual_router_id=256"), @r"
    error: `image_registry.ha_virtual_router_id` must be between 1 and 255, found `256`
     --> --set:1:37
      |
    1 | image_registry.ha_virtual_router_id=256
      |                                     ^^^
      |
      = hint: leave it out to have the last byte of the virtual address
    ");
    insta::assert_snapshot!(set("image_registry.ha_vip=127.0.0.1"), @r"
    error: `image_registry.ha_vip` must be an address that a host can have, found `127.0.0.1`
     --> --set:1:23
      |
    1 | image_registry.ha_vip=127.0.0.1
      |                       ^^^^^^^^^
      |
      = hint: write an unused address of the hosts' subnet
    ");
    insta::assert_snapshot!(set("image_registry.auth.registry=https://registry.example.org"), @r"
    error: `image_registry.auth.registry` must be `host[:port][/project]`, found `https://registry.example.org`
     --> --set:1:30
      |
    1 | image_registry.auth.registry=https://registry.example.org
      |                              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: write `registry.example.org`, without the scheme; `plain_http` says whether TLS is used
    ");
    insta::assert_snapshot!(set("image_registry.auth.registry=registry.example.org:port"), @r"
    error: `image_registry.auth.registry` must be `host[:port][/project]`, found `registry.example.org:port`
     --> --set:1:30
      |
    1 | image_registry.auth.registry=registry.example.org:port
      |                              ^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: a port is a number from 1 to 65535
    ");
    insta::assert_snapshot!(set("image_registry.auth.registry=2001:db8::1"), @r"
    error: `image_registry.auth.registry` must be `host[:port][/project]`, found `2001:db8::1`
     --> --set:1:30
      |
    1 | image_registry.auth.registry=2001:db8::1
      |                              ^^^^^^^^^^^
      |
      = hint: write an IPv6 address in brackets: `[2001:db8::1]`
    ");
    insta::assert_snapshot!(set("image_registry.https_port=80"), @r"
    error: Harbor needs two ports, and https and http are both 80
     --> --set:1:27
      |
    1 | image_registry.https_port=80
      |                           ^^
      |
      = hint: set `image_registry.http_port` to another one
    ");
}

#[test]
fn disagreeing_spellings() {
    insta::assert_snapshot!(set("harbor_version=v2.10.2,image_registry.harbor_version=v2.11.0"), @r"
    error: `harbor_version` and `image_registry.harbor_version` are one setting, and disagree
     --> --set:1:54
      |
    1 | harbor_version=v2.10.2,image_registry.harbor_version=v2.11.0
      |                ------- `v2.10.2` here                ^^^^^^^ `v2.11.0` here
      |
      = hint: give one of them, or the same value in both
    ");
    insta::assert_snapshot!(refused(&[
        SetFlag::set("docker_version=24.0.7"),
        SetFlag::set("cri.docker_version=24.0.9"),
    ]), @r"
    error: `docker_version` and `cri.docker_version` are one setting, and disagree
     --> --set:1:20
      |
    1 | cri.docker_version=24.0.9
      |                    ^^^^^^ `24.0.9` here
      |
     ::: --set:1:16
      |
    1 | docker_version=24.0.7
      |                ------ `24.0.7` here
      |
      = hint: give one of them, or the same value in both
    ");
    insta::assert_snapshot!(config("  harbor_version: v2.10.2\n  image_registry:\n    harbor_version: v2.11.0\n"), @r"
    error: `harbor_version` and `image_registry.harbor_version` are one setting, and disagree
     --> config.yaml:6:21
      |
    4 |   harbor_version: v2.10.2
      |                   ------- `v2.10.2` here
    5 |   image_registry:
    6 |     harbor_version: v2.11.0
      |                     ^^^^^^^ `v2.11.0` here
      |
      = hint: give one of them, or the same value in both
    ");
    insta::assert_snapshot!(config("  artifact:\n    artifact_url: {harbor: {amd64: a.tgz}}\n  download:\n    artifact_url: {harbor: {amd64: b.tgz}}\n"), @r"
    error: `artifact.artifact_url.harbor.amd64` and `download.artifact_url.harbor.amd64` are one setting, and disagree
     --> config.yaml:7:36
      |
    5 |     artifact_url: {harbor: {amd64: a.tgz}}
      |                                    ----- `a.tgz` here
    6 |   download:
    7 |     artifact_url: {harbor: {amd64: b.tgz}}
      |                                    ^^^^^ `b.tgz` here
      |
      = hint: give one of them, or the same value in both
    ");
    insta::assert_snapshot!(set("image_registry.auth.registry=r.example.org:5000,image_registry.https_port=5001"), @r"
    error: `image_registry.https_port` and the port in `image_registry.auth.registry` disagree
     --> --set:1:75
      |
    1 | image_registry.auth.registry=r.example.org:5000,image_registry.https_port=5001
      |                              ------------------ port `5000` here          ^^^^ `5001` here
      |
      = hint: give one of them, or the same port in both
    ");
}

#[test]
fn storage() {
    insta::assert_snapshot!(config("  image_registry:\n    docker_registry:\n      storage:\n        filesystem: {rootdir: /opt/docker-registry/data}\n        s3: {region: cn-north-1, bucket: b}\n"), @r"
    error: two storage drivers: `filesystem` and `s3`
     --> config.yaml:8:9
      |
    7 |         filesystem: {rootdir: /opt/docker-registry/data}
      |         ---------- `filesystem` here
    8 |         s3: {region: cn-north-1, bucket: b}
      |         ^^ `s3` here
      |
      = hint: a registry takes exactly one: remove the others
    ");
    insta::assert_snapshot!(config("  image_registry:\n    docker_registry:\n      storage:\n        s3: {region: cn-north-1, bucket: b}\n        azure: {accountname: a, container: b}\n        inmemory: {}\n"), @r"
    error: 3 storage drivers: `s3`, `azure` and `inmemory`
     --> config.yaml:8:9
      |
    7 |         s3: {region: cn-north-1, bucket: b}
      |         -- `s3` here
    8 |         azure: {accountname: a, container: b}
      |         ^^^^^ `azure` here
    9 |         inmemory: {}
      |         -------- `inmemory` here
      |
      = hint: a registry takes exactly one: remove the others
    ");
    insta::assert_snapshot!(config("  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        s3: {accesskey: a, secretkey: b}\n"), @r"
    error: the storage driver `s3` needs `region`, `bucket`
     --> config.yaml:8:9
      |
    8 |         s3: {accesskey: *, secretkey: *}
      |         ^^
      |
      = hint: add it below `image_registry.docker_registry.storage.s3`
    ");
    insta::assert_snapshot!(config("  docker_registry_version: 3.0.0\n  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        swift: {username: a, password: b, authurl: c, container: d}\n"), @r"
    error: docker-registry 3.0.0 has no storage driver `swift`
     --> config.yaml:9:9
      |
    9 |         swift: {username: a, password: *, authurl: c, container: d}
      |         ^^^^^
      |
      = hint: use version 2.8.3, or another driver
    ");
    insta::assert_snapshot!(config("  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        s3: {region: cn-north-1, bucket: b, forcepathstyle: true}\n"), @r"
    error: docker-registry 2.8.3 does not know `forcepathstyle` of the driver `s3`
     --> config.yaml:8:45
      |
    8 |         s3: {region: cn-north-1, bucket: b, forcepathstyle: true}
      |                                             ^^^^^^^^^^^^^^
      |
      = hint: it would be ignored without a word: remove it, or choose another version
    ");
    insta::assert_snapshot!(config("  docker_registry_version: 3.0.0\n  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        s3: {region: cn-north-1, bucket: b, regionendpoint: \"https://minio:9000\"}\n"), @r#"
    error: docker-registry 3.0.0 needs `forcepathstyle` with `regionendpoint`
     --> config.yaml:9:61
      |
    9 |         s3: {region: cn-north-1, bucket: b, regionendpoint: "https://minio:9000"}
      |                                                             ^^^^^^^^^^^^^^^^^^^^
      |
      = hint: add `forcepathstyle: true`
    "#);
    insta::assert_snapshot!(config("  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        s3: {region: cn-north-1, bucket: \"s3://b\", accesskey: a, chunksize: 1000}\n"), @r#"
    error: `image_registry.docker_registry.storage.s3.chunksize` must be at least 5242880, found `1000`
     --> config.yaml:8:77
      |
    8 |         s3: {region: cn-north-1, bucket: "s3://b", accesskey: *, chunksize: 1000}
      |                                                                             ^^^^

    error: the storage driver `s3` needs `accesskey` and `secretkey` together
     --> config.yaml:8:63
      |
    8 |         s3: {region: cn-north-1, bucket: "s3://b", accesskey: *, chunksize: 1000}
      |                                                               ^
      |
      = hint: give both, or neither where the machine's role grants access

    error: a bucket is named without `s3://`
     --> config.yaml:8:42
      |
    8 |         s3: {region: cn-north-1, bucket: "s3://b", accesskey: *, chunksize: 1000}
      |                                          ^^^^^^^^
      |
      = hint: write the bucket's name alone; a prefix goes into `rootdirectory`
    "#);
    insta::assert_snapshot!(config("  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        azure: {accountname: a, container: b}\n"), @r"
    error: the storage driver `azure` needs `accountkey`
     --> config.yaml:8:9
      |
    8 |         azure: {accountname: a, container: b}
      |         ^^^^^
      |
      = hint: add the key of the account; docker-registry 3 takes `credentials` instead
    ");
    insta::assert_snapshot!(config("  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        gcs: {bucket: a, chunksize: 1000}\n"), @r"
    error: `image_registry.docker_registry.storage.gcs.chunksize` must be at least 262144, found `1000`
     --> config.yaml:8:37
      |
    8 |         gcs: {bucket: a, chunksize: 1000}
      |                                     ^^^^
    ");
    insta::assert_snapshot!(config("  image_registry:\n    docker_registry:\n      storage:\n        nfs: {server: a}\n"), @r"
    error: unknown setting `image_registry.docker_registry.storage.nfs`
     --> config.yaml:7:9
      |
    7 |         nfs: {server: a}
      |         ^^^
      |
      = hint: known under `image_registry.docker_registry.storage`: filesystem, s3, azure, gcs, swift, oss, inmemory
    ");
    insta::assert_snapshot!(config("  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        s3: {region: frankfurt, bucket: b, keyid: k, v4auth: false, storageclass: GLACIER_IR}\n"), @r"
    error: Amazon's S3 takes no other signature than version 4
     --> config.yaml:8:62
      |
    8 |         s3: {region: frankfurt, bucket: b, keyid: k, v4auth: false, storageclass: GLACIER_IR}
      |                                                              ^^^^^
      |
      = hint: leave `v4auth` out, or name another service in `regionendpoint`

    error: `frankfurt` is no region of Amazon's
     --> config.yaml:8:22
      |
    8 |         s3: {region: frankfurt, bucket: b, keyid: k, v4auth: false, storageclass: GLACIER_IR}
      |                      ^^^^^^^^^
      |
      = hint: such as `eu-central-1`; for another service name its address in `regionendpoint`

    error: `keyid` is ignored without `encrypt: true`
     --> config.yaml:8:51
      |
    8 |         s3: {region: frankfurt, bucket: b, keyid: k, v4auth: false, storageclass: GLACIER_IR}
      |                                                   ^
      |
      = hint: add it, or remove `keyid`

    error: docker-registry 2.8.3 does not take the storage class `GLACIER_IR`
     --> config.yaml:8:83
      |
    8 |         s3: {region: frankfurt, bucket: b, keyid: k, v4auth: false, storageclass: GLACIER_IR}
      |                                                                                   ^^^^^^^^^^
      |
      = hint: leave it out for `STANDARD`, or choose another version
    ");
    insta::assert_snapshot!(config("  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        s3: {region: a, bucket: b, regionendpoint: \"minio/x y\", storageclass: standard, objectacl: public}\n"), @r#"
    error: `image_registry.docker_registry.storage.s3.storageclass` must be `NONE`, `STANDARD`, `REDUCED_REDUNDANCY`, `STANDARD_IA`, `ONEZONE_IA`, `INTELLIGENT_TIERING`, `OUTPOSTS`, `GLACIER_IR` or `EXPRESS_ONEZONE`, found `standard`
     --> config.yaml:8:79
      |
    8 |         s3: {region: a, bucket: b, regionendpoint: "minio/x y", storageclass: standard, objectacl: public}
      |                                                                               ^^^^^^^^
      |
      = hint: did you mean `STANDARD`?

    error: `image_registry.docker_registry.storage.s3.objectacl` must be `private`, `public-read`, `public-read-write`, `authenticated-read`, `aws-exec-read`, `bucket-owner-read` or `bucket-owner-full-control`, found `public`
     --> config.yaml:8:100
      |
    8 |         s3: {region: a, bucket: b, regionendpoint: "minio/x y", storageclass: standard, objectacl: public}
      |                                                                                                    ^^^^^^
      |
      = hint: write `private`, `public-read`, `public-read-write`, `authenticated-read`, `aws-exec-read`, `bucket-owner-read` or `bucket-owner-full-control`

    error: `regionendpoint` must be an address
     --> config.yaml:8:52
      |
    8 |         s3: {region: a, bucket: b, regionendpoint: "minio/x y", storageclass: standard, objectacl: public}
      |                                                    ^^^^^^^^^^^
      |
      = hint: such as `https://storage.example.com:9000`
    "#);
    insta::assert_snapshot!(config("  docker_registry_version: 3.0.0\n  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        s3: {region: cn-north-1, bucket: b, loglevel: loud, storageclass: EXPRESS_ONEZONE, redirectendpoint: cdn, sessiontoken: x}\n"), @r"
    error: `image_registry.docker_registry.storage.s3.loglevel` must be `off`, `debug`, `debugwithsigning`, `debugwithhttpbody`, `debugwithrequestretries`, `debugwithrequesterrors` or `debugwitheventstreambody`, found `loud`
     --> config.yaml:9:55
      |
    9 |         s3: {region: cn-north-1, bucket: b, loglevel: loud, storageclass: EXPRESS_ONEZONE, redirectendpoint: cdn, sessiontoken: *}
      |                                                       ^^^^
      |
      = hint: write `off`, `debug`, `debugwithsigning`, `debugwithhttpbody`, `debugwithrequestretries`, `debugwithrequesterrors` or `debugwitheventstreambody`

    error: unknown setting `image_registry.docker_registry.storage.s3.sessiontoken`
     --> config.yaml:9:115
      |
    9 |         s3: {region: cn-north-1, bucket: b, loglevel: loud, storageclass: EXPRESS_ONEZONE, redirectendpoint: cdn, sessiontoken: *}
      |                                                                                                                   ^^^^^^^^^^^^
      |
      = hint: known under `image_registry.docker_registry.storage.s3`: accesskey, secretkey, region, regionendpoint, bucket, encrypt, keyid, secure, skipverify, v4auth, chunksize, multipartcopychunksize, multipartcopymaxconcurrency, multipartcopythresholdsize, rootdirectory, storageclass, useragent, objectacl, forcepathstyle, accelerate, usedualstack, usefipsendpoint, loglevel, redirectendpoint

    error: docker-registry 3.0.0 does not know `redirectendpoint` of the driver `s3`
     --> config.yaml:9:92
      |
    9 |         s3: {region: cn-north-1, bucket: b, loglevel: loud, storageclass: EXPRESS_ONEZONE, redirectendpoint: cdn, sessiontoken: *}
      |                                                                                            ^^^^^^^^^^^^^^^^
      |
      = hint: it would be ignored without a word: remove it, or choose another version

    error: `redirectendpoint` must be an address
     --> config.yaml:9:110
      |
    9 |         s3: {region: cn-north-1, bucket: b, loglevel: loud, storageclass: EXPRESS_ONEZONE, redirectendpoint: cdn, sessiontoken: *}
      |                                                                                                              ^^^
      |
      = hint: such as `https://storage.example.com:9000`

    error: docker-registry 3.0.0 does not take the storage class `EXPRESS_ONEZONE`
     --> config.yaml:9:75
      |
    9 |         s3: {region: cn-north-1, bucket: b, loglevel: loud, storageclass: EXPRESS_ONEZONE, redirectendpoint: cdn, sessiontoken: *}
      |                                                                           ^^^^^^^^^^^^^^^
      |
      = hint: leave it out for `STANDARD`, or choose another version
    ");
    insta::assert_snapshot!(config("  docker_registry_version: 3.0.0\n  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        azure: {accountname: a, container: b, accountkey: k, retry_delay: soon, max_retries: -2}\n"), @r"
    error: `image_registry.docker_registry.storage.azure.retry_delay` is not a length of time, found `soon`
     --> config.yaml:9:75
      |
    9 |         azure: {accountname: a, container: b, accountkey: *, retry_delay: soon, max_retries: -2}
      |                                                                           ^^^^
      |
      = hint: such as `100ms` or `2s`

    error: `image_registry.docker_registry.storage.azure.max_retries` must be at least -1, found `-2`
     --> config.yaml:9:94
      |
    9 |         azure: {accountname: a, container: b, accountkey: *, retry_delay: soon, max_retries: -2}
      |                                                                                              ^^

    error: docker-registry 3.0.0 needs `credentials.type` for the storage driver `azure`
     --> config.yaml:9:9
      |
    9 |         azure: {accountname: a, container: b, accountkey: *, retry_delay: soon, max_retries: -2}
      |         ^^^^^
      |
      = hint: with `accountkey` it is `credentials.type: shared_key`
    ");
    insta::assert_snapshot!(config("  docker_registry_version: 3.0.0\n  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        azure: {accountname: a, container: b, credentials: {type: client_secret, clientid: c}}\n"), @r"
    error: docker-registry 3.0.0 needs `credentials.tenantid`, `credentials.secret` for the storage driver `azure`
     --> config.yaml:9:67
      |
    9 |         azure: {accountname: a, container: b, credentials: {type: client_secret, clientid: c}}
      |                                                                   ^^^^^^^^^^^^^
      |
      = hint: `credentials.type` is `shared_key` with `accountkey`, `client_secret` with `clientid`, `tenantid` and `secret`, or `default_credentials`
    ");
    insta::assert_snapshot!(config("  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        gcs: {bucket: a, chunksize: 262145, keyfile: k.json, maxconcurrency: 3, credentials: {client_email: me}}\n"), @r"
    error: `image_registry.docker_registry.storage.gcs.maxconcurrency` must be at least 25, found `3`
     --> config.yaml:8:78
      |
    8 |         gcs: {bucket: a, chunksize: 262145, keyfile: k.json, maxconcurrency: 3, credentials: {client_email: me}}
      |                                                                              ^

    error: `chunksize` must be a multiple of 262144
     --> config.yaml:8:37
      |
    8 |         gcs: {bucket: a, chunksize: 262145, keyfile: k.json, maxconcurrency: 3, credentials: {client_email: me}}
      |                                     ^^^^^^
      |
      = hint: leave it out for the default

    error: the storage driver `gcs` takes `keyfile` or `credentials`, not both
     --> config.yaml:8:54
      |
    8 |         gcs: {bucket: a, chunksize: 262145, keyfile: k.json, maxconcurrency: 3, credentials: {client_email: me}}
      |                                                      ^^^^^^
      |
      = hint: remove one of them
    ");
    insta::assert_snapshot!(config("  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        swift: {username: u, password: p, authurl: keystone, container: c, authversion: 4, chunksize: 1000, endpointtype: here, tempurlmethods: [[GET]]}\n"), @r"
    error: `image_registry.docker_registry.storage.swift.authversion` must be a whole number from 0 to 3, found `4`
     --> config.yaml:8:89
      |
    8 | ...   swift: {username: u, password: *, authurl: keystone, container: c, authversion: 4, chunksize: 1000, endpointtype: here, tempurl...
      |                                                                                       ^

    error: `image_registry.docker_registry.storage.swift.chunksize` must be at least 1048576, found `1000`
     --> config.yaml:8:103
      |
    8 | ...   swift: {username: u, password: *, authurl: keystone, container: c, authversion: 4, chunksize: 1000, endpointtype: here, tempurl...
      |                                                                                                     ^^^^

    error: `image_registry.docker_registry.storage.swift.endpointtype` must be `public`, `internal` or `admin`, found `here`
     --> config.yaml:8:123
      |
    8 | ...   swift: {username: u, password: *, authurl: keystone, container: c, authversion: 4, chunksize: 1000, endpointtype: here, tempurl...
      |                                                                                                                         ^^^^
      |
      = hint: write `public`, `internal` or `admin`

    error: expected a text in `image_registry.docker_registry.storage.swift.tempurlmethods`, found a list
     --> config.yaml:8:146
      |
    8 | ...ion: 4, chunksize: 1000, endpointtype: here, tempurlmethods: [[GET]]}
      |                                                                  ^^^^^

    error: `authurl` must be an address
     --> config.yaml:8:52
      |
    8 | ...   swift: {username: u, password: *, authurl: keystone, container: c, authversion: 4, chunksize: 1000, endpointtype: here, tempurl...
      |                                                  ^^^^^^^^
      |
      = hint: such as `https://storage.example.com:9000`

    error: `authurl` does not say the version of the authentication
     --> config.yaml:8:52
      |
    8 | ...   swift: {username: u, password: *, authurl: keystone, container: c, authversion: 4, chunksize: 1000, endpointtype: here, tempurl...
      |                                                  ^^^^^^^^
      |
      = hint: it ends with `/v3` for most services; else set `authversion` to 1, 2 or 3
    ");
    insta::assert_snapshot!(config("  image_registry:\n    type: docker-registry\n    docker_registry:\n      storage:\n        filesystem: {maxthreads: 5}\n"), @r"
    error: `image_registry.docker_registry.storage.filesystem.maxthreads` must be at least 25, found `5`
     --> config.yaml:8:34
      |
    8 |         filesystem: {maxthreads: 5}
      |                                  ^
    ");
    insta::assert_snapshot!(set("image_registry.docker_registry.storage.filesystem.nfs_mount=nfs://server/export"), @r"
    error: `image_registry.docker_registry.storage.filesystem.nfs_mount` must be an NFS export, found `nfs://server/export`
     --> --set:1:61
      |
    1 | image_registry.docker_registry.storage.filesystem.nfs_mount=nfs://server/export
      |                                                             ^^^^^^^^^^^^^^^^^^^
      |
      = hint: write `server:/path`, an IPv6 server in brackets, or `/path` of the first host in the group `nfs`
    ");
    insta::assert_snapshot!(set("image_registry.docker_registry.storage.inmemory=yes"), @r"
    error: `image_registry.docker_registry.storage.inmemory` takes no parameters
     --> --set:1:49
      |
    1 | image_registry.docker_registry.storage.inmemory=yes
      |                                                 ^^^
      |
      = hint: write `{}`
    ");
}

#[test]
fn certificates() {
    insta::assert_snapshot!(set("image_registry.certificate.cert_file=a.crt"), @r"
    error: an own certificate needs certificate and key: `key_file` is missing
     --> --set:1:1
      |
    1 | image_registry.certificate.cert_file=a.crt
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: add it below `image_registry.certificate`, or leave all out for a certificate made by kk
    ");
    insta::assert_snapshot!(set("image_registry.certificate.ca_file=a.crt"), @r"
    error: an own certificate needs certificate and key: `cert_file` and `key_file` are missing
     --> --set:1:1
      |
    1 | image_registry.certificate.ca_file=a.crt
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: add it below `image_registry.certificate`, or leave all out for a certificate made by kk
    ");
    insta::assert_snapshot!(set("artifact.sha256.docker.amd64=abc"), @r"
    error: `artifact.sha256.docker.amd64` must be 64 hexadecimal digits, found `abc`
     --> --set:1:30
      |
    1 | artifact.sha256.docker.amd64=abc
      |                              ^^^
      |
      = hint: `sha256sum FILE` says it
    ");
}

#[test]
fn config_files() {
    insta::assert_snapshot!(whole_config("image_registry: {type: harbor}\n"), @r"
    error: the Config file has no `kind`
     --> config.yaml:1:1
      |
    1 | image_registry: {type: harbor}
      | ^
      |
      = hint: begin with `apiVersion: kubekey.kubesphere.io/v1` and `kind: Config`, and put the settings under `spec:`

    error: unknown key `image_registry` in the Config file
     --> config.yaml:1:1
      |
    1 | image_registry: {type: harbor}
      | ^^^^^^^^^^^^^^
      |
      = hint: known here: kind, apiVersion, metadata, status, spec
    ");
    insta::assert_snapshot!(whole_config("apiVersion: kubekey.kubesphere.io/v1\nkind: Inventory\nspec: {}\n"), @r"
    error: expected the kind `Config`, found `Inventory`
     --> config.yaml:2:7
      |
    2 | kind: Inventory
      |       ^^^^^^^^^
      |
      = hint: give an inventory with `-i`, the Config file with `-c`
    ");
    insta::assert_snapshot!(whole_config("apiVersion: v1\nkind: Config\nspec: [a]\n"), @r"
    error: unknown API version `v1`
     --> config.yaml:1:13
      |
    1 | apiVersion: v1
      |             ^^
      |
      = hint: write `apiVersion: kubekey.kubesphere.io/v1`

    error: expected a mapping of settings, found a list
     --> config.yaml:3:7
      |
    3 | spec: [a]
      |       ^^^
    ");
    insta::assert_snapshot!(whole_config("kind: [\n"), @r"
    error: invalid YAML: while parsing a node, did not find expected node content
     --> config.yaml:1:9
      |
    1 | kind: [
      |        ^
    ");
    insta::assert_snapshot!(config("  docker_version: \"{{ version }}\"\n"), @r#"
    error: `docker_version` cannot be a template
     --> config.yaml:4:19
      |
    4 |   docker_version: "{{ version }}"
      |                   ^^^^^^^^^^^^^^^
      |
      = hint: settings are known before any host is: write the value itself
    "#);
}

#[test]
fn inventory_variables() {
    let source = Source::new(
        "inventory.yaml",
        "image_registry: {typ: harbor}\nimage_registy: {}\nfree: 1\n",
    );
    let vars = yaml::parse(&source).unwrap().as_mapping().unwrap().to_vec();
    insta::assert_snapshot!(said(&SettingsInput {
        inventory_vars: &vars,
        ..SettingsInput::default()
    }), @r"
    error: unknown setting `image_registry.typ`
     --> inventory.yaml:1:18
      |
    1 | image_registry: {typ: harbor}
      |                  ^^^
      |
      = hint: did you mean `image_registry.type`?

    warning: `image_registy` is a free variable and no setting
     --> inventory.yaml:2:1
      |
    2 | image_registy: {}
      | ^^^^^^^^^^^^^
      |
      = hint: did you mean the setting `image_registry`?
    ");
}

#[test]
fn settings_where_they_have_no_effect() {
    let source = Source::new("inventory.yaml", "docker_version: 1\nfree: 2\n");
    let document = yaml::parse(&source).unwrap();
    let nearer: Vec<_> = document
        .as_mapping()
        .unwrap()
        .iter()
        .flat_map(|(key, _)| {
            ["group `web`", "host `a`"].map(|owner| (owner.to_owned(), key.clone()))
        })
        .collect();
    let loaded = Settings::load(&SettingsInput {
        nearer_variables: &nearer,
        ..SettingsInput::default()
    })
    .unwrap();
    insta::assert_snapshot!(render_all(&loaded.warnings, Colour::Never), @r"
    warning: `docker_version` of group `web` has no effect: settings are the same for all hosts
     --> inventory.yaml:1:1
      |
    1 | docker_version: 1
      | ^^^^^^^^^^^^^^
      |
      = hint: put it among the variables of all hosts (`spec.vars`), or give it with `--set`
    ");
}

#[test]
fn flags_that_cannot_be_read() {
    insta::assert_snapshot!(set(""), @r"
    error: `--set` has no value
     |
     = hint: write `key=value`, several with commas between
    ");
    insta::assert_snapshot!(set("image_registry.type"), @r"
    error: `image_registry.type` has no value
     --> --set:1:1
      |
    1 | image_registry.type
      | ^^^^^^^^^^^^^^^^^^^
      |
      = hint: write `image_registry.type=value`
    ");
    insta::assert_snapshot!(set("harbor_version=v2.10.2,docker_version"), @r"
    error: `docker_version` has no value
     --> --set:1:24
      |
    1 | harbor_version=v2.10.2,docker_version
      |                        ^^^^^^^^^^^^^^
      |
      = hint: write `docker_version=value`; a comma that belongs to the value before is written `\,`
    ");
    insta::assert_snapshot!(set("harbor_version=v2.10.2,"), @r"
    error: expected `key=value`
     --> --set:1:24
      |
    1 | harbor_version=v2.10.2,
      |                        ^
      |
      = hint: remove the comma at the end
    ");
    insta::assert_snapshot!(set("harbor_version=v2.10.2,,docker_version=24.0.7"), @r"
    error: expected `key=value`
     --> --set:1:24
      |
    1 | harbor_version=v2.10.2,,docker_version=24.0.7
      |                        ^
      |
      = hint: remove one of the commas
    ");
    insta::assert_snapshot!(set("image_registry..type=harbor"), @r"
    error: a word of the key is missing
     --> --set:1:16
      |
    1 | image_registry..type=harbor
      |                ^ expected a word here
      |
      = hint: a key looks like `image_registry.type`
    ");
    insta::assert_snapshot!(set("=harbor"), @r"
    error: a word of the key is missing
     --> --set:1:1
      |
    1 | =harbor
      | ^ expected a word here
      |
      = hint: a key looks like `image_registry.type`
    ");
    insta::assert_snapshot!(set("harbor_version = v2.10.2"), @r"
    error: white space before `=`
     --> --set:1:15
      |
    1 | harbor_version = v2.10.2
      |               ^
      |
      = hint: write `key=value` without blanks
    ");
    insta::assert_snapshot!(set("harbor_version=v2.10.2 docker_version=24.0.7"), @r"
    error: `harbor_version` must be a version such as `v2.10.2`, found `v2.10.2 docker_version=24.0.7`
     --> --set:1:16
      |
    1 | harbor_version=v2.10.2 docker_version=24.0.7
      |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = hint: several settings in one flag have commas between them, and no blanks
    ");
    insta::assert_snapshot!(set("image_registry.harbor.a[x]=1,image_registry.harbor.a[0=1"), @r"
    error: `x` is not an index
     --> --set:1:24
      |
    1 | image_registry.harbor.a[x]=1,image_registry.harbor.a[0=1
      |                        ^^^
      |
      = hint: an index is a whole number that counts from 0, as in `key[0]=value`

    error: this `[` is not closed
     --> --set:1:53
      |
    1 | image_registry.harbor.a[x]=1,image_registry.harbor.a[0=1
      |                                                     ^
      |
      = hint: an index looks like `key[0]=value`
    ");
    insta::assert_snapshot!(set("image_registry.harbor.a[5000]=1"), @r"
    error: an index is at most 999
     --> --set:1:24
      |
    1 | image_registry.harbor.a[5000]=1
      |                        ^^^^^^
    ");
    insta::assert_snapshot!(set("image_registry.harbor.a[1]=1"), @r"
    error: `image_registry.harbor.a` has 0 items, so that item 1 would leave a gap
     --> --set:1:1
      |
    1 | image_registry.harbor.a[1]=1
      | ^^^^^^^^^^^^^^^^^^^^^^^^^^
    ");
    insta::assert_snapshot!(set("image_registry.harbor.a[0]b=1"), @r"
    error: expected `.`, `[` or `=` behind an index
     --> --set:1:27
      |
    1 | image_registry.harbor.a[0]b=1
      |                           ^
    ");
    insta::assert_snapshot!(set("image_registry.harbor.a=\"open,docker_version=24.0.7"), @r#"
    error: this quote is not closed
     --> --set:1:25
      |
    1 | image_registry.harbor.a="open,docker_version=24.0.7
      |                         ^
      |
      = hint: a value that begins with a quote of its own is written `\"`
    "#);
    insta::assert_snapshot!(set("image_registry.harbor.a=\"x\"y"), @r#"
    error: expected a comma behind the closing quote
     --> --set:1:28
      |
    1 | image_registry.harbor.a="x"y
      |                            ^
      |
      = hint: a quote that belongs to the value is written `\"` inside double quotes
    "#);
    insta::assert_snapshot!(set("image_registry.harbor.a={\"x\":1"), @r#"
    error: this `{` is not closed
     --> --set:1:25
      |
    1 | image_registry.harbor.a={"x":1
      |                         ^
      |
      = hint: `--set-string` takes a value as a text, whatever it holds
    "#);
    insta::assert_snapshot!(set("image_registry.harbor.a={x:1}"), @r#"
    error: invalid JSON: key must be a string
     --> --set:1:26
      |
    1 | image_registry.harbor.a={x:1}
      |                          ^
      |
      = hint: names and texts stand in double quotes, as in `{"name": "value"}`; `--set-string` takes a value as a text
    "#);
    insta::assert_snapshot!(set("image_registry.harbor.a=[1,2,]"), @r#"
    error: invalid JSON: trailing comma
     --> --set:1:30
      |
    1 | image_registry.harbor.a=[1,2,]
      |                              ^
      |
      = hint: names and texts stand in double quotes, as in `{"name": "value"}`; `--set-string` takes a value as a text
    "#);
    insta::assert_snapshot!(refused(&[SetFlag::file("image_registry.auth.password=no/such/file")]), @r"
    error: the file `no/such/file` does not exist
     --> --set-file:1:30
      |
    1 | image_registry.auth.password=************
      |                              ^^^^^^^^^^^^
      |
      = hint: `--set-file key=PATH` takes the content of PATH as the value
    ");
}
