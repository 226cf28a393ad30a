//! An object store beside the hosts: S3 on the machine's end of the lab's bridge, for the length of one case.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use kk::pki::{CertificateNames, Wanted, ensure};

use super::lab::{lab, script};

/// The bucket that is there.
pub const BUCKET: &str = "images";

/// A running store; ends when it is dropped.
pub struct ObjectStore {
    /// Its address.
    pub endpoint: String,
    /// A key that may do everything in the bucket.
    pub accesskey: String,
    /// Its secret.
    pub secretkey: String,
    /// The authority of its certificate.
    pub authority: PathBuf,
    log: PathBuf,
    child: Child,
}

impl ObjectStore {
    /// Starts one with TLS under an authority of its own, whose files lie in `folder`.
    pub fn start(folder: &Path, port: u16) -> Self {
        let folder = folder.join("object store");
        std::fs::create_dir_all(&folder).unwrap();
        let names = CertificateNames::only([lab().get("GATEWAY")]);
        let now = time::OffsetDateTime::now_utc();
        ensure(&folder, &Wanted::new(names), now)
            .unwrap()
            .apply()
            .unwrap();
        let file = |name: &str| folder.join(name).display().to_string();
        let mut child = script(
            600,
            &[
                "objects",
                &port.to_string(),
                BUCKET,
                &file("server.crt"),
                &file("server.key"),
            ],
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let key: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            panic!("the object store did not start: {error}\n{log}")
        });
        let text = |name: &str| key[name].as_str().unwrap().to_owned();
        Self {
            endpoint: text("endpoint"),
            accesskey: text("accesskey"),
            secretkey: text("secretkey"),
            authority: folder.join("ca.crt"),
            log: folder.join("log"),
            child,
        }
    }

    /// Names of the objects that a precheck wrote and did not delete, by what the store says of its work.
    pub fn leftovers(&self) -> Vec<String> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let done = |verb: &str, status: &str| -> Vec<String> {
            let lines = log.lines().filter(|line| line.contains("/kk-precheck-"));
            lines
                .filter(|line| {
                    line.contains(&format!("\"{verb} ")) && line.contains(&format!("\" {status} "))
                })
                .filter_map(|line| line.split(' ').find(|word| word.contains("/kk-precheck-")))
                .map(str::to_owned)
                .collect()
        };
        let (written, deleted) = (done("PUT", "200"), done("DELETE", "204"));
        assert!(
            !written.is_empty(),
            "the log says nothing of a precheck\n{log}"
        );
        written
            .into_iter()
            .filter(|name| !deleted.contains(name))
            .collect()
    }

    /// The settings of a registry on it, as the `spec` of a Config file.
    pub fn settings(&self) -> serde_json::Value {
        serde_json::json!({"image_registry": {"docker_registry": {
            "storage_ca": self.authority,
            "storage": {"s3": {
                "region": "us-east-1",
                "regionendpoint": self.endpoint,
                "bucket": BUCKET,
                "rootdirectory": "/registry",
                "accesskey": self.accesskey,
                "secretkey": self.secretkey,
            }},
        }}})
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
