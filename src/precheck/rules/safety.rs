//! What protects the host and is left as it is.

use super::super::rule::{Judgement, Look};
use crate::facts::Facts;

pub(in crate::precheck) fn selinux(look: &Look<'_>, _: &str, facts: &Facts) -> Judgement {
    let required = "left as it is";
    match facts.selinux.as_deref() {
        Some("enforcing") => {
            let remedy = look.data_folder().map_or_else(
                || "if the registry cannot read its settings, look at `ausearch -m avc -ts recent`".to_owned(),
                |folder| {
                    format!("if the registry cannot write, look at `ausearch -m avc -ts recent` and give the folder its label: `chcon -Rt container_file_t {folder}`")
                },
            );
            Judgement::warn("enforcing", required, remedy)
        }
        Some(state) => Judgement::pass(state, required),
        None => Judgement::pass("none", required),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Status;
    use super::super::super::testing::*;

    #[test]
    fn enforcing_is_noted() {
        let mut world = World::new(&["node1"]);
        assert_eq!(world.finding("selinux", Some("node1")).status, Status::Pass);
        world.facts("node1").selinux = Some("permissive".to_owned());
        assert_eq!(world.finding("selinux", Some("node1")).status, Status::Pass);
        world.facts("node1").selinux = Some("enforcing".to_owned());
        let found = world.finding("selinux", Some("node1"));
        assert_eq!(found.status, Status::Warn);
        assert!(
            found
                .remedy
                .contains("chcon -Rt container_file_t /var/lib/docker-registry/data")
        );
    }
}
