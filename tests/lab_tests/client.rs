//! Clients of a registry, as its users have them: Docker's command line on another host, and curl.

use super::hosts::Host;
use super::site::Site;

/// A host with Docker, somebody's login on it in a folder of its own.
pub struct DockerClient<'a> {
    host: &'a Host,
    folder: String,
}

/// What an image holds: its one file.
#[derive(Debug, Clone)]
pub struct Image {
    /// `endpoint/repository:tag`.
    pub reference: String,
    /// The content of `/proof` in it.
    pub content: String,
}

impl<'a> DockerClient<'a> {
    /// A client without a login.
    pub fn new(host: &'a Host) -> Self {
        let folder = host.sh("mktemp -d /tmp/client.XXXXXX");
        Self { host, folder }
    }

    fn docker(&self, words: &str) -> String {
        format!("docker --config {} {words}", self.folder)
    }

    /// Logs in as `admin`; Docker's own words when it is refused.
    pub fn login(&self, endpoint: &str, password: &str) -> Result<(), String> {
        let script = self.docker(&format!(
            "login --username admin --password-stdin {endpoint}"
        ));
        let output = self.host.feed(&script, password.as_bytes());
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Makes an image of one file and pushes it; Docker's own words when it is refused.
    pub fn push(&self, endpoint: &str, name: &str) -> Result<Image, String> {
        let content = format!("{name} {}", std::process::id());
        let reference = format!("{endpoint}/{name}");
        let import = format!(
            "set -e; d=$(mktemp -d /tmp/image.XXXXXX); echo '{content}' >$d/proof; tar -C $d -c proof | docker import - {reference} >/dev/null; rm -r $d"
        );
        self.host.sh(&import);
        let pushed = self
            .host
            .try_sh(&self.docker(&format!("push -q {reference}")));
        self.host.sh(&format!("docker rmi {reference} >/dev/null"));
        if pushed.status.success() {
            Ok(Image { reference, content })
        } else {
            Err(String::from_utf8_lossy(&pushed.stderr).into_owned())
        }
    }

    /// Pulls an image, reads its file, and removes it again; Docker's own words when it is refused.
    pub fn pull(&self, image: &Image) -> Result<(), String> {
        let reference = &image.reference;
        let pulled = self
            .host
            .try_sh(&self.docker(&format!("pull -q {reference}")));
        if !pulled.status.success() {
            return Err(String::from_utf8_lossy(&pulled.stderr).into_owned());
        }
        let content = self.host.sh(&format!(
            "set -e; c=$(docker create {reference} none); docker cp $c:/proof - | tar -xO; docker rm $c >/dev/null; docker rmi {reference} >/dev/null"
        ));
        assert_eq!(content, image.content, "what was pulled of {reference}");
        Ok(())
    }
}

impl Drop for DockerClient<'_> {
    fn drop(&mut self) {
        // The host may be off or have no client any more.
        let _ = self.host.try_sh(&format!("rm -rf {}", self.folder));
    }
}

/// Asks a registry from a host with curl, with the authority that kk put there. HTTP status, `000` without an answer.
pub fn status_from(host: &Host, endpoint: &str, path: &str, password: Option<&str>) -> String {
    ask(
        host,
        endpoint,
        path,
        password,
        "-o /dev/null -w '%{http_code}'",
    )
}

/// The same; what the registry answers.
pub fn answer_to(host: &Host, endpoint: &str, path: &str, password: &str) -> String {
    ask(host, endpoint, path, Some(password), "-f")
}

fn ask(host: &Host, endpoint: &str, path: &str, password: Option<&str>, flags: &str) -> String {
    let ca = format!("/etc/docker/certs.d/{endpoint}/ca.crt");
    // The password by a configuration on standard input: it must not be among the words of a process.
    let config = password.map_or_else(String::new, |password| {
        format!("user = \"admin:{password}\"\n")
    });
    let script = format!("curl -K - --cacert {ca} -s -m 10 {flags} https://{endpoint}{path}; :");
    let output = host.feed(&script, config.as_bytes());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The registry of a host is there for those who know the password, and for nobody else. Asked from another host.
#[track_caller]
pub fn assert_registry_works(site: &Site, from: &Host, endpoint: &str) {
    let password = site.password();
    let mut status = String::new();
    for _ in 0..50 {
        status = status_from(from, endpoint, "/v2/_catalog", Some(&password));
        if status == "200" {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    assert_eq!(status, "200", "{endpoint} asked from {}", from.name);
    assert_eq!(status_from(from, endpoint, "/v2/_catalog", None), "401");
    assert_eq!(
        status_from(from, endpoint, "/v2/_catalog", Some("wrong")),
        "401"
    );
}
