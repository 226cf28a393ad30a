//! Hosts that have no registry but use one, and the machine that kk runs on.

use std::path::Path;

use crate::lab_tests::client::{answer_to, assert_registry_works};
use crate::lab_tests::lab::Case;
use crate::lab_tests::site::Site;

/// Runs a command in a view of this machine in which `/etc` and kk's own folder can be written to without any effect:
/// what is written to `/etc` lies in the first folder afterwards.
const ASIDE: &str = r#"set -e
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1,workdir=$2" /etc
mount -t overlay overlay -o "lowerdir=/var/lib,upperdir=$3,workdir=$4" /var/lib
shift 4
exec "$@""#;

#[test]
fn one_registry_and_hosts_that_only_use_it() {
    let case = Case::new(
        "one registry, trusted by plain hosts and by this machine",
        &[1, 2, 3],
    );
    let site = Site::of(&case.hosts, 1);
    let [node1, node2, node3] = &case.hosts[..] else {
        unreachable!()
    };
    let name = "registry.lab.example";

    case.step("install");
    // Overlays take no path with a blank or a colon.
    let aside = tempfile::tempdir().unwrap();
    let folder = |name: &str| {
        let path = aside.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path.display().to_string()
    };
    let etc = folder("etc");
    let (etc_work, state, state_work) = (folder("etc.work"), folder("state"), folder("state.work"));
    let aside_words = [
        "unshare",
        "-m",
        "sh",
        "-c",
        ASIDE,
        "sh",
        &etc,
        &etc_work,
        &state,
        &state_work,
    ];
    let run = |words: &str| {
        site.kk(words)
            .set("image_registry.auth.registry", name)
            .set("image_registry.trust.control_machine", "true")
            .under(&aside_words)
            .run()
    };
    let here_before = std::fs::read_to_string("/etc/hosts").unwrap();
    let ran = run("init registry -o json").expect(0);
    ran.expect_recap(&[("failed", 0), ("unreachable", 0), ("rescued", 0)]);

    case.step("every host can pull, with what it has");
    let document = ran.json();
    let pulled = document["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|task| task["module"] == "registry_pull")
        .unwrap_or_else(|| panic!("no proof in {document:#}"));
    for host in &case.hosts {
        let result = &pulled["results"][&host.name];
        assert_eq!(result["outcome"], "ok", "{host:?}: {result}");
    }
    for host in [node2, node3] {
        assert!(host.is("! command -v docker && [ ! -e /etc/docker-registry ]"));
        assert_registry_works(&site, host, name);
        // The authority is trusted for this one registry, not for everything.
        assert!(host.is(&format!("! curl -s https://{name}/v2/")));
        assert!(host.is(&format!("[ -s /etc/containerd/certs.d/{name}/hosts.toml ]")));
    }
    // The registry keeps an empty name; nothing is under it.
    let tags = answer_to(node2, name, "/v2/kk-proof/tags/list", &site.password());
    assert!(tags.contains("\"tags\":null"), "{tags}");

    case.step("this machine trusts it too");
    let written = |path: &str| Path::new(&etc).join(path);
    assert!(written(&format!("docker/certs.d/{name}/ca.crt")).exists());
    let hosts = std::fs::read_to_string(written("hosts")).unwrap();
    assert!(
        hosts.contains(&format!("{} {name}", node1.address)),
        "{hosts}"
    );
    assert_eq!(
        std::fs::read_to_string("/etc/hosts").unwrap(),
        here_before,
        "this test changed the machine"
    );
    let ran = run("init registry -o json").expect(0);
    ran.expect_recap(&[("changed", 0), ("bytes_sent", 0)]);

    case.step("and does not any more after delete");
    run("delete registry -o json --with-data").expect(0);
    assert!(!written(&format!("docker/certs.d/{name}")).exists());
    let hosts = std::fs::read_to_string(written("hosts")).unwrap();
    assert_eq!(hosts, here_before);
    for host in [node2, node3] {
        assert!(host.is(&format!(
            "[ ! -e /etc/docker ] && [ ! -e /etc/containerd ] && ! grep -q {name} /etc/hosts"
        )));
    }
}
