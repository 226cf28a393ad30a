//! A folder that several registry hosts are to share, by using it: one writes, the next one reads, the first one deletes.

use std::time::Duration;

use futures::future::join_all;

use super::live::Live;
use super::prepare::Prepared;
use crate::connect::Command;
use crate::diagnostic::Diagnostic;
use crate::engine::Fleet;
use crate::precheck::StorageProof;
use crate::remote::Session;
use crate::settings::{RegistryKind, Storage};

/// How long a host may take; a network file system whose server is gone never answers.
const LIMIT: Duration = Duration::from_secs(10);

const WRITE: &str = r#"umask 077; printf '%s' "$3" >"$1/$2""#;
const READ: &str = r#"cat "$1/$2""#;
const DELETE: &str = r#"rm -f "$1/$2""#;

/// Uses the data folder from every registry host, where all hosts serve the same images from it. A folder that is not
/// there yet on every host is not tried: nothing is made on a host.
pub async fn prove(prepared: &Prepared, live: &Live, fleet: &Fleet) -> Vec<StorageProof> {
    let registry = &prepared.settings.image_registry;
    let Storage::Filesystem { rootdir, .. } = &registry.storage else {
        return Vec::new();
    };
    if registry.kind != RegistryKind::DockerRegistry || registry.ha_vip.is_none() {
        return Vec::new();
    }
    let hosts: Vec<(String, Session)> = prepared
        .registry_hosts()
        .into_iter()
        .filter_map(|host| {
            let member = fleet.member(&host)?;
            let facts = member.facts()?;
            let folder = facts.folders.get(rootdir)?;
            let session = member.session_as_root(&live.control.cancel).ok()?;
            (folder.is_directory && !folder.hangs).then_some((host, session))
        })
        .collect();
    if hosts.len() < 2 || hosts.len() < prepared.registry_hosts().len() {
        return Vec::new();
    }
    let name = |host: &str| format!("kk-precheck-{}-{host}", live.run_id);
    let text = |host: &str| format!("{} {host}", live.run_id);
    let run = |session: &Session, script: &'static str, host: &str| {
        let arguments = [rootdir.clone(), name(host), text(host)];
        let session = session.with_timeout(Some(LIMIT));
        async move {
            let output = session.probe(Command::script(script, arguments)).await;
            let output = output.map_err(|error| error.to_string())?;
            if output.success() {
                Ok(output.stdout_text())
            } else {
                let said = output.stderr_text();
                Err(said.lines().last().unwrap_or_default().to_owned())
            }
        }
    };
    let written = join_all(
        hosts
            .iter()
            .map(|(host, session)| run(session, WRITE, host)),
    )
    .await;
    let readers = || hosts.iter().cycle().skip(1);
    let read = join_all(
        hosts
            .iter()
            .zip(readers())
            .map(|((writer, _), (_, session))| run(session, READ, writer)),
    )
    .await;
    let deleted = join_all(
        hosts
            .iter()
            .map(|(host, session)| run(session, DELETE, host)),
    )
    .await;
    hosts
        .iter()
        .zip(readers())
        .zip(written.into_iter().zip(read).zip(deleted))
        .map(|(((host, _), (reader, _)), ((written, read), deleted))| {
            let fault = match (written, read) {
                (Err(reason), _) => Some(
                    Diagnostic::error(format!("`{host}` cannot write into `{rootdir}`: {reason}"))
                        .hint("root has to be able to write there: on NFS export it with `no_root_squash`"),
                ),
                (_, Ok(read)) if read == text(host) => None,
                _ => Some(
                    Diagnostic::error(format!(
                        "`{reader}` does not see in `{rootdir}` what `{host}` wrote there"
                    ))
                    .hint("mount the same shared file system on the folder of every host"),
                ),
            };
            StorageProof {
                host: host.clone(),
                place: format!("`{rootdir}`"),
                reader: Some(reader.clone()),
                is_direct: false,
                clock_offset: None,
                fault,
                left: deleted.is_err().then(|| format!("{rootdir}/{}", name(host))),
            }
        })
        .collect()
}
