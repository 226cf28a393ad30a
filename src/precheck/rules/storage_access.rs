//! The storage by using it: every registry host writes, another one reads that back, and it is taken away again.

use super::super::input::StorageProof;
use super::super::rule::{Judgement, Judgements, Look};

/// Seconds between a host's clock and the store's at which the store refuses what the host signs.
const CLOCK_LIMIT: f64 = 900.0;

pub(in crate::precheck) fn access(look: &Look<'_>) -> Judgements {
    let judge = |proof: &StorageProof| (Some(proof.host.clone()), judgement(look, proof));
    look.input.storage_proofs.iter().map(judge).collect()
}

fn judgement(look: &Look<'_>, proof: &StorageProof) -> Judgement {
    let required = "every registry host can write into the storage, and another one can read that";
    if let Some(fault) = &proof.fault {
        return Judgement::fail(
            fault.message.clone(),
            required,
            fault.hint.clone().unwrap_or_default(),
        );
    }
    let offset = look
        .input
        .hosts
        .get(&proof.host)
        .and_then(|state| state.connection.facts()?.time_offset_seconds);
    // Both against this machine's clock.
    if let (Some(host), Some(store)) = (offset, proof.clock_offset)
        && (host - store).abs() > CLOCK_LIMIT
    {
        return Judgement::fail(
            format!(
                "its clock and that of {} are {:.0} s apart",
                proof.place,
                (host - store).abs()
            ),
            "within 900 s",
            "set the host's clock, best by a time server: S3 refuses what was signed more than 15 minutes away",
        );
    }
    let reader = match &proof.reader {
        Some(reader) => format!("read back on `{reader}`"),
        None => "read back".to_owned(),
    };
    let way = if proof.is_direct {
        "; asked from this machine, because the host forwards nothing"
    } else {
        ""
    };
    if let Some(left) = &proof.left {
        return Judgement::warn(
            format!(
                "written into {}, {reader}, and not deleted{way}",
                proof.place
            ),
            required,
            format!("delete `{left}`, and look why the key may not: the registry deletes too"),
        );
    }
    Judgement::pass(
        format!("written into {}, {reader}, deleted{way}", proof.place),
        required,
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use super::super::super::{Finding, Status, StorageProof};
    use crate::diagnostic::Diagnostic;

    fn proof() -> StorageProof {
        StorageProof {
            host: "node1".to_owned(),
            place: "`images` at s3.example".to_owned(),
            reader: Some("node2".to_owned()),
            is_direct: false,
            clock_offset: Some(1.0),
            fault: None,
            left: None,
        }
    }

    fn found(proof: StorageProof) -> Finding {
        let mut world = World::new(&["node1", "node2"]);
        world.storage_proofs = vec![proof];
        world.finding("storage-access", Some("node1"))
    }

    #[test]
    fn what_was_tried_is_said() {
        let good = found(proof());
        assert_eq!(
            (good.status, good.measured.as_str()),
            (
                Status::Pass,
                "written into `images` at s3.example, read back on `node2`, deleted"
            )
        );
        let direct = found(StorageProof {
            is_direct: true,
            ..proof()
        });
        assert!(direct.measured.contains("from this machine"));
        let refused = found(StorageProof {
            fault: Some(Diagnostic::error("no bucket").hint("make it")),
            ..proof()
        });
        assert_eq!(
            (
                refused.status,
                refused.measured.as_str(),
                refused.remedy.as_str()
            ),
            (Status::Fail, "no bucket", "make it")
        );
        let left = found(StorageProof {
            left: Some("kk-precheck-1-node1".to_owned()),
            ..proof()
        });
        assert_eq!(left.status, Status::Warn);
        assert!(left.remedy.contains("`kk-precheck-1-node1`"));
        let nothing = World::new(&["node1"]);
        assert!(nothing.findings("storage-access").is_empty());
    }

    #[test]
    fn clocks_of_host_and_store() {
        for (store, status) in [
            (850.0, Status::Pass),
            (-950.0, Status::Fail),
            (950.0, Status::Fail),
        ] {
            let found = found(StorageProof {
                clock_offset: Some(store),
                ..proof()
            });
            assert_eq!(found.status, status, "{store}: {}", found.measured);
        }
    }
}
