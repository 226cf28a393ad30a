//! Modules that Ansible or one of its collections has and kk has not.
//!
//! Roles for many systems name the modules of each under conditions. A task with such a module is a mistake where nothing
//! stands between it and the hosts; under a condition it fails when the run comes to it, and never before.

use super::Frame;
use super::load::Loader;
use crate::diagnostic::Diagnostic;
use crate::yaml::{Fields, Kind, Node};

/// Whether a module is for hosts that kk does not manage.
fn is_of_windows(name: &str) -> bool {
    name.starts_with("win_")
        || name.starts_with("ansible.windows.")
        || name.starts_with("community.windows.")
}

/// Whether a module is one of Ansible's, or at least named as one of a collection.
fn is_elsewhere(name: &str) -> bool {
    let short = name.rsplit('.').next().unwrap_or(name);
    NAMES.contains(&short) || name.matches('.').count() >= 2
}

/// A `fail` in the place of a module that there is not, where it may be named all the same.
pub(super) fn refusal(
    loader: &mut Loader<'_>,
    word: &Node,
    fields: &Fields<'_>,
    parent: &Frame,
) -> Option<(Node, Node)> {
    let name = word.as_str().unwrap_or_default();
    if is_of_windows(name) {
        let message = format!("`{name}` is for Windows, which kk does not manage");
        return Some(failure(word, message));
    }
    let is_conditional = loader.conditions_around > 0
        || fields.value("when").is_some()
        || parent.chain().any(|frame| !frame.when.is_empty());
    if !is_conditional || !is_elsewhere(name) {
        return None;
    }
    let message = format!("kk has no module `{name}`");
    loader.found.push(
        Diagnostic::warning_at(&word.place, message.clone())
            .hint("where its condition holds, the task will fail"),
    );
    Some(failure(word, message))
}

fn failure(word: &Node, message: String) -> (Node, Node) {
    let plain = |text: String| Node {
        kind: Kind::Scalar {
            text: text.into(),
            plain: true,
        },
        ..word.clone()
    };
    let arguments = Node {
        kind: Kind::Mapping(vec![(plain("msg".to_owned()), plain(message))]),
        ..word.clone()
    };
    (plain("fail".to_owned()), arguments)
}

/// Modules without their collections.
const NAMES: &[&str] = &[
    "acl",
    "alternatives",
    "apache2_module",
    "apk",
    "apt_key",
    "apt_repository",
    "apt_rpm",
    "assemble",
    "at",
    "bundler",
    "capabilities",
    "cargo",
    "composer",
    "copr",
    "cpanm",
    "deb822_repository",
    "debconf",
    "dnf5",
    "docker_compose_v2",
    "docker_container",
    "docker_image",
    "docker_login",
    "docker_network",
    "docker_volume",
    "dpkg_selections",
    "expect",
    "filesystem",
    "firewalld",
    "flatpak",
    "flatpak_remote",
    "gem",
    "git",
    "git_config",
    "github_release",
    "homebrew",
    "homebrew_cask",
    "homebrew_tap",
    "installp",
    "interfaces_file",
    "iptables",
    "iptables_state",
    "java_cert",
    "java_keystore",
    "locale_gen",
    "lvg",
    "lvol",
    "macports",
    "mail",
    "make",
    "mysql_db",
    "mysql_user",
    "nmcli",
    "npm",
    "openbsd_pkg",
    "openssl_certificate",
    "openssl_csr",
    "openssl_dhparam",
    "openssl_privatekey",
    "opkg",
    "pacman",
    "pam_limits",
    "pamd",
    "parted",
    "patch",
    "pear",
    "pip",
    "pipx",
    "pkg5",
    "pkgin",
    "pkgng",
    "portage",
    "postgresql_db",
    "postgresql_user",
    "redhat_subscription",
    "rhel_repo",
    "rhsm_repository",
    "rpm_key",
    "seboolean",
    "sefcontext",
    "selinux",
    "selinux_permissive",
    "selogin",
    "seport",
    "slackpkg",
    "snap",
    "subversion",
    "sudoers",
    "supervisorctl",
    "svr4pkg",
    "swdepot",
    "synchronize",
    "sysrc",
    "sysvinit",
    "ufw",
    "x509_certificate",
    "xbps",
    "xml",
    "yarn",
    "yum_repository",
    "zfs",
    "zpool",
    "zypper",
    "zypper_repository",
];
