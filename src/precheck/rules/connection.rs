//! The way to a host: reached, trusted, let in, privileged, answered.

use super::super::HostConnection;
use super::super::rule::{Judgement, Look};
use crate::inventory::{Connection, SshConnection};

/// The steps to a host in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Reach,
    HostKey,
    Login,
    Privilege,
    Facts,
}

/// Where the connection ended, and the words about it.
fn failure(connection: &HostConnection) -> Option<(Step, &str, Option<&str>)> {
    let (step, message, hint) = match connection {
        HostConnection::Up(_) => return None,
        HostConnection::Unreachable { message, hint } => (Step::Reach, message, hint),
        HostConnection::HostKey { message, hint } => (Step::HostKey, message, hint),
        HostConnection::Login { message, hint } => (Step::Login, message, hint),
        HostConnection::Privilege { message, hint } => (Step::Privilege, message, hint),
        HostConnection::Facts { message, hint } => (Step::Facts, message, hint),
    };
    Some((step, message, hint.as_deref()))
}

/// One step: passed when the connection ended later or not at all.
fn step(
    here: Step,
    connection: &HostConnection,
    passed: String,
    required: &str,
    remedy: String,
) -> Judgement {
    match failure(connection) {
        Some((ended, message, hint)) if ended == here => {
            Judgement::fail(message, required, hint.map_or(remedy, str::to_owned))
        }
        Some((ended, ..)) if ended < here => Judgement::not_looked_at(),
        _ => Judgement::pass(passed, required),
    }
}

fn ssh<'a>(look: &Look<'a>, host: &str) -> Option<&'a SshConnection> {
    match &look.input.inventory.hosts.get(host)?.connection {
        Connection::Ssh(ssh) => Some(ssh),
        Connection::Local => None,
    }
}

/// `user@host:port` with brackets around an address of IPv6.
fn target(ssh: &SshConnection) -> String {
    if ssh.host.contains(':') {
        format!("{}@[{}]:{}", ssh.user, ssh.host, ssh.port)
    } else {
        format!("{}@{}:{}", ssh.user, ssh.host, ssh.port)
    }
}

pub(in crate::precheck) fn reachable(
    look: &Look<'_>,
    host: &str,
    connection: &HostConnection,
) -> Judgement {
    let ssh = ssh(look, host);
    let passed = ssh.map_or_else(|| "this machine".to_owned(), target);
    let remedy = ssh.map_or_else(
        || "look at the error above".to_owned(),
        |ssh| {
            format!(
                "check the address and port of `{host}` in the inventory, that the host is on, and that `ssh -p {} {}@{}` works from here",
                ssh.port, ssh.user, ssh.host
            )
        },
    );
    step(Step::Reach, connection, passed, "the host answers", remedy)
}

pub(in crate::precheck) fn host_key(
    look: &Look<'_>,
    host: &str,
    connection: &HostConnection,
) -> Option<Judgement> {
    let ssh = ssh(look, host)?;
    let remedy = format!(
        "compare the fingerprint on the host's own console; when it is right, add it with `ssh-keyscan -p {} {}`",
        ssh.port, ssh.host
    );
    Some(step(
        Step::HostKey,
        connection,
        "trusted".to_owned(),
        "the key that is known for the host",
        remedy,
    ))
}

pub(in crate::precheck) fn login(
    look: &Look<'_>,
    host: &str,
    connection: &HostConnection,
) -> Option<Judgement> {
    let ssh = ssh(look, host)?;
    Some(step(
        Step::Login,
        connection,
        format!("as `{}`", ssh.user),
        "the host lets the user in",
        format!("check `user`, `password` and `private_key` of `{host}` in the inventory"),
    ))
}

pub(in crate::precheck) fn privilege(
    look: &Look<'_>,
    host: &str,
    connection: &HostConnection,
) -> Judgement {
    let required = "commands run as root";
    let remedy = match ssh(look, host) {
        Some(ssh) if ssh.user != "root" => format!(
            "let `{}` use sudo on `{host}`, or give its password as `become_password` in the inventory",
            ssh.user
        ),
        Some(_) => format!("log in to `{host}` as root, or as a user that may use sudo"),
        None => "run kk as root, or as a user that may use sudo".to_owned(),
    };
    if let Some(facts) = connection.facts() {
        return match facts.uid {
            Some(0) => Judgement::pass("root", required),
            Some(uid) => Judgement::fail(format!("user id {uid}"), required, remedy),
            None => Judgement::unknown("the host did not say its user id", required, remedy),
        };
    }
    step(
        Step::Privilege,
        connection,
        "root".to_owned(),
        required,
        remedy,
    )
}

pub(in crate::precheck) fn facts(
    _look: &Look<'_>,
    host: &str,
    connection: &HostConnection,
) -> Judgement {
    let passed = connection
        .facts()
        .map(|facts| format!("{}, {}", facts.os.pretty_name, facts.machine))
        .unwrap_or_default();
    step(
        Step::Facts,
        connection,
        passed,
        "the host says what it is",
        format!(
            "run `sh -c 'uname -a; df -P /'` on `{host}`: a POSIX shell and its usual programs are needed"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::Status;
    use super::super::super::testing::*;
    use super::*;

    fn of(connection: HostConnection, check: &str) -> (Status, String, String) {
        let mut world = World::new(&["node1"]);
        world.state("node1").connection = connection;
        let found = world.finding(check, Some("node1"));
        (found.status, found.measured, found.remedy)
    }

    fn hint() -> String {
        "turn it on".to_owned()
    }

    #[test]
    fn each_step_fails_in_its_own_check() {
        let message = || "no".to_owned();
        for (connection, check, later) in [
            (
                HostConnection::Unreachable {
                    message: message(),
                    hint: Some(hint()),
                },
                "reachable",
                Some("host-key"),
            ),
            (
                HostConnection::HostKey {
                    message: message(),
                    hint: Some(hint()),
                },
                "host-key",
                Some("login"),
            ),
            (
                HostConnection::Login {
                    message: message(),
                    hint: Some(hint()),
                },
                "login",
                Some("privilege"),
            ),
            (
                HostConnection::Privilege {
                    message: message(),
                    hint: Some(hint()),
                },
                "privilege",
                Some("facts"),
            ),
            (
                HostConnection::Facts {
                    message: message(),
                    hint: Some(hint()),
                },
                "facts",
                Some("os"),
            ),
        ] {
            assert_eq!(
                of(connection.clone(), check),
                (Status::Fail, "no".to_owned(), "turn it on".to_owned())
            );
            if let Some(later) = later {
                assert_eq!(of(connection.clone(), later).0, Status::Unknown, "{check}");
            }
            if check != "reachable" {
                assert_eq!(of(connection, "reachable").0, Status::Pass, "{check}");
            }
        }
    }

    #[test]
    fn a_host_without_root_fails_though_it_answered() {
        let mut facts = healthy("node1");
        facts.uid = Some(1000);
        let (status, measured, _) = of(HostConnection::Up(Box::new(facts)), "privilege");
        assert_eq!((status, measured.as_str()), (Status::Fail, "user id 1000"));
        let up = HostConnection::Up(Box::new(healthy("node1")));
        assert_eq!(of(up, "privilege").0, Status::Pass);
    }

    #[test]
    fn this_machine_needs_no_key_and_no_login() {
        let mut world = World::new(&["node1"]);
        world.inventory.hosts.get_mut("node1").unwrap().connection = Connection::Local;
        assert!(world.findings("host-key").is_empty());
        assert!(world.findings("login").is_empty());
        assert_eq!(
            world.finding("reachable", Some("node1")).measured,
            "this machine"
        );
    }

    #[test]
    fn a_way_to_a_registry_host_cannot_be_waived_and_to_another_can() {
        let mut world = World::new(&["node1", "other"]);
        world.registry(&["node1"]);
        for name in ["node1", "other"] {
            world.state(name).connection = HostConnection::Unreachable {
                message: "refused".to_owned(),
                hint: None,
            };
        }
        world.waive("reachable=later");
        assert_eq!(world.finding("reachable", Some("node1")).waived, None);
        assert_eq!(
            world.finding("reachable", Some("other")).waived.as_deref(),
            Some("later")
        );
        assert!(
            world
                .finding("reachable", Some("node1"))
                .remedy
                .contains("ssh -p 22 root@10.0.0.11")
        );
    }
}
