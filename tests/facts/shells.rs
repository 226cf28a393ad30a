//! Every shell says the same, and it is what this machine itself knows.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use kk::connect::local::LocalConnector;
use kk::facts::{Extent, Facts, FolderContent, SYSTEM_SCRIPT, Wanted, gather};
use kk::remote::{Become, Session};
use tokio_util::sync::CancellationToken;

use super::{by, facts_by, script_by, shells};

/// What may differ between two looks in a row.
fn without_what_moves(mut facts: Facts) -> Facts {
    facts.memory_available_bytes = None;
    facts.time_offset_seconds = None;
    facts.time_uncertainty_seconds = None;
    facts.listening.clear();
    facts.interfaces.clear();
    for mount in &mut facts.mounts {
        mount.free_bytes = 0;
    }
    for folder in facts.folders.values_mut() {
        folder.free_bytes = None;
        folder.free_inodes = None;
    }
    facts
}

fn registry(root: &Path) -> String {
    let data = root.join("a registry's data");
    let repositories = data.join("docker/registry/v2/repositories");
    for name in ["one", "library/two", "deep/er/three"] {
        fs::create_dir_all(repositories.join(name).join("_manifests/revisions")).unwrap();
        fs::create_dir_all(repositories.join(name).join("_layers/sha256/_manifests")).unwrap();
    }
    data.to_str().unwrap().to_owned()
}

#[test]
fn all_shells_see_the_same() {
    let root = tempfile::tempdir().unwrap();
    let data = registry(root.path());
    let missing = root.path().join("not/there $(yet)");
    let missing = missing.to_str().unwrap();
    let mut seen = Vec::new();
    for shell in shells() {
        let arguments = ["sh no-such-program", "", "/", &data, missing];
        let facts = facts_by(&mut script_by(&shell), &arguments);
        assert_eq!(
            facts.folders[&data].content,
            FolderContent::Distribution {
                repositories: Some(3)
            },
            "{shell:?}"
        );
        let later = &facts.folders[missing];
        assert!(!later.exists && later.free_bytes.is_some(), "{shell:?}");
        assert!(facts.tools.contains_key("sh") && facts.tools.len() == 1);
        seen.push((shell, without_what_moves(facts)));
    }
    for (shell, facts) in &seen {
        assert_eq!(*facts, seen[0].1, "{shell:?} and {:?}", seen[0].0);
    }
}

/// What may not differ, of what playbooks ask for.
fn what_stays(facts: &Facts) -> serde_json::Map<String, serde_json::Value> {
    let moving = [
        "date_time",
        "uptime_seconds",
        "loadavg",
        "memfree_mb",
        "swapfree_mb",
        "memory_mb",
        "mounts",
        "env",
        "interfaces",
        "default_ipv4",
        "default_ipv6",
        "all_ipv4_addresses",
        "all_ipv6_addresses",
        "locally_reachable_ips",
    ];
    let mut stays = serde_json::Map::new();
    for (name, value) in facts.to_vars() {
        let is_interface = value.get("device").is_some();
        if let Some(plain) = name.strip_prefix("ansible_")
            && !moving.contains(&plain)
            && !is_interface
        {
            stays.insert(name, value);
        }
    }
    stays
}

#[test]
fn all_shells_see_the_same_for_playbooks() {
    let mut first = None;
    for shell in shells() {
        let facts = facts_by(&mut by(&shell, &SYSTEM_SCRIPT), &["", "", "", "/"]);
        let said = what_stays(&facts);
        assert!(said.len() > 60, "{shell:?}: {}", said.len());
        let (_, expected) = first.get_or_insert_with(|| (shell.clone(), said.clone()));
        for (name, value) in expected.iter() {
            assert_eq!(said.get(name), Some(value), "{shell:?}: {name}");
        }
        assert_eq!(said.len(), expected.len(), "{shell:?}");
    }
}

#[tokio::test]
async fn a_session_reads_this_machine() {
    let session = Session::new(
        Arc::new(LocalConnector::new()),
        Become::default(),
        CancellationToken::new(),
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("empty");
    fs::create_dir(&folder).unwrap();
    let wanted = Wanted {
        extent: Extent::Whole,
        folders: vec![folder.to_str().unwrap().to_owned()],
        tools: vec!["sh".to_owned()],
        units: Vec::new(),
        fact_path: None,
    };
    let facts = gather(&session, &wanted).await.unwrap();
    let system = Wanted {
        extent: Extent::System,
        ..Wanted::default()
    };
    let system = gather(&session, &system).await.unwrap();
    assert_eq!(
        (
            &system.os,
            &system.interfaces,
            &system.package_manager,
            &system.selinux
        ),
        (
            &facts.os,
            &facts.interfaces,
            &facts.package_manager,
            &facts.selinux
        )
    );
    let (some, all) = (system.to_vars(), facts.to_vars());
    assert!(all.contains_key("listening") && !some.contains_key("listening"));
    assert!(some.contains_key("ansible_default_ipv4"));

    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    assert_eq!(facts.os.system, "Linux");
    assert_eq!(facts.kernel, read("/proc/sys/kernel/osrelease").trim());
    assert_eq!(facts.hostname, read("/proc/sys/kernel/hostname").trim());
    let total: u64 = read("/proc/meminfo")
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(facts.memory_bytes, total * 1024);
    assert!(facts.cores as usize >= std::thread::available_parallelism().unwrap().get());
    // Against its own clock this machine is right, as far as can be measured.
    let (offset, uncertainty) = (
        facts.time_offset_seconds.unwrap(),
        facts.time_uncertainty_seconds.unwrap(),
    );
    assert!(
        offset.abs() <= uncertainty + 0.01,
        "{offset} ± {uncertainty}"
    );
    assert!(
        facts
            .listening
            .iter()
            .any(|found| found.port == port && found.address == "127.0.0.1")
    );
    assert!(facts.addresses().any(|address| address == "127.0.0.1"));
    let seen = &facts.folders[&wanted.folders[0]];
    assert!(seen.is_directory && !seen.has_content && seen.free_bytes.is_some());
    assert!(
        facts
            .mounts
            .iter()
            .any(|mount| mount.path == "/" && mount.size_bytes > 0)
    );
    assert_eq!(facts.to_vars()["binary_type"], facts.binary_type.as_str());
}

/// A program of this name that leaves a trace when it is run.
fn trap(folder: &Path, name: &str, more: &str) -> std::path::PathBuf {
    let program = folder.join(name);
    let trace = folder.join(format!("{name}.was-run"));
    fs::write(
        &program,
        format!("#!/bin/sh\n{more}\n: >'{}'\n", trace.display()),
    )
    .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    trace
}

#[test]
fn an_engine_that_does_not_run_is_not_woken() {
    let root = tempfile::tempdir().unwrap();
    let docker = trap(root.path(), "docker", "");
    let compose = trap(root.path(), "docker-compose", "");
    let path = format!(
        "{}:{}",
        root.path().display(),
        std::env::var("PATH").unwrap()
    );
    for shell in shells() {
        let facts = facts_by(script_by(&shell).env("PATH", &path), &["", "", "/"]);
        let client = root.path().join("docker");
        assert_eq!(facts.docker_client.as_deref(), client.to_str(), "{shell:?}");
        assert!(!docker.exists() && !compose.exists(), "{shell:?}");
    }
}

#[test]
fn a_script_that_stands_in_for_docker_is_seen_and_not_run() {
    let root = tempfile::tempdir().unwrap();
    let trace = trap(root.path(), "docker", "# hands over to /usr/bin/podman");
    let path = format!(
        "{}:{}",
        root.path().display(),
        std::env::var("PATH").unwrap()
    );
    for shell in shells() {
        let facts = facts_by(script_by(&shell).env("PATH", &path), &["", "", "/"]);
        assert_eq!(
            facts.docker_stand_in.as_deref(),
            Some("podman"),
            "{shell:?}"
        );
        assert!(!trace.exists(), "{shell:?}");
    }
}

#[test]
fn a_file_system_that_hangs_costs_its_own_facts_only() {
    if !super::has("timeout") {
        eprintln!("SKIPPED a file system that hangs: there is no timeout program");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    // What `df` does when the server of a network file system is gone.
    trap(
        root.path(),
        "df",
        "case $2 in */dead) sleep 60 ;; *) exec /bin/df \"$@\" ;; esac",
    );
    let dead = root.path().join("dead");
    fs::create_dir(&dead).unwrap();
    let dead = dead.to_str().unwrap();
    let path = format!(
        "{}:{}",
        root.path().display(),
        std::env::var("PATH").unwrap()
    );
    let began = std::time::Instant::now();
    let facts = facts_by(
        script_by(&["sh"]).env("PATH", &path),
        &["", "", "/", dead, "/etc"],
    );
    assert!(began.elapsed().as_secs() < 30);
    assert!(facts.folders[dead].hangs && facts.folders[dead].free_bytes.is_none());
    assert!(!facts.folders["/etc"].hangs && facts.folders["/etc"].free_bytes.is_some());
    assert!(facts.time_offset_seconds.is_some());
}

#[test]
fn without_ip_ss_and_timeout_the_kernel_says_it() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for shell in shells() {
        let with = facts_by(&mut script_by(&shell), &["", "", "/"]);
        // The script adds the usual folders to PATH: take the programs away by name instead.
        let hidden = kk::facts::SCRIPT
            .replace("command -v ip ", "command -v no-ip ")
            .replace("command -v ss ", "command -v no-ss ")
            .replace("timeout -s KILL 5 true", "false")
            .replace("timeout -t 5 -s KILL true", "false");
        let mut command = by(&shell, &hidden);
        let without = facts_by(&mut command, &["", "", "/"]);
        let found = without
            .listening
            .iter()
            .find(|found| found.port == port)
            .unwrap();
        if super::is_root() {
            assert!(found.process.is_some(), "{shell:?}");
        }
        assert_eq!(
            with.default_interface, without.default_interface,
            "{shell:?}"
        );
        let family = |facts: &Facts, ipv6: bool| facts.default_address(ipv6).map(str::to_owned);
        assert_eq!(family(&with, false), family(&without, false), "{shell:?}");
        assert_eq!(family(&with, true), family(&without, true), "{shell:?}");
    }
}
