//! What OpenSSH's own client says about a host: `ssh -G`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::settings::Written;
use super::{ConfigFiles, Mistake, Question, Surroundings};

/// How long it may take: a `Match exec` runs a command of the user.
const LIMIT: Duration = Duration::from_secs(30);

/// The files of keys that `ssh` tries where nobody names one, below `~/.ssh`.
const DEFAULT_IDENTITIES: [&str; 7] = [
    "id_rsa",
    "id_ecdsa",
    "id_ecdsa_sk",
    "id_ed25519",
    "id_ed25519_sk",
    "id_xmss",
    "id_dsa",
];

/// Asks, and leaves out what is only OpenSSH's default.
pub(super) async fn ask(
    program: &Path,
    files: &ConfigFiles,
    question: &Question<'_>,
    surroundings: &Surroundings,
) -> Result<Written, Mistake> {
    let mut command = Command::new(program);
    command.arg("-G");
    match files {
        ConfigFiles::Default => {}
        ConfigFiles::None => {
            command.args(["-F", "none"]);
        }
        ConfigFiles::File(path) => {
            command.arg("-F").arg(path);
        }
    }
    if let Some(user) = question.user {
        command.args(["-l", user]);
    }
    if let Some(port) = question.port {
        command.args(["-p", &port.to_string()]);
    }
    command
        .args(["--", question.host])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let failed = |reason: String| {
        Mistake(format!(
            "ask ssh about its configuration for `{}`: {reason}",
            question.host
        ))
    };
    let output = tokio::time::timeout(LIMIT, command.output())
        .await
        .map_err(|_| failed(format!("no answer within {} s", LIMIT.as_secs())))?
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("Pseudo-terminal"))
            .collect();
        return Err(failed(lines.join("; ")));
    }
    Ok(read(&String::from_utf8_lossy(&output.stdout), surroundings))
}

/// Reads an answer.
fn read(answer: &str, surroundings: &Surroundings) -> Written {
    let mut written = Written::default();
    for line in answer.lines() {
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        let keyword = keyword.to_ascii_lowercase();
        let words: Vec<String> = match keyword.as_str() {
            "userknownhostsfile" | "globalknownhostsfile" => {
                rest.split_whitespace().map(str::to_owned).collect()
            }
            _ => vec![rest.to_owned()],
        };
        written.take(&keyword, &words, rest);
    }
    // Its tokens are replaced already.
    written.host_name = written.host_name.map(|name| name.replace('%', "%%"));
    written.without_defaults(surroundings)
}

impl Written {
    fn without_defaults(mut self, surroundings: &Surroundings) -> Self {
        let is_default = |text: &String| {
            text.strip_prefix("~/.ssh/")
                .is_some_and(|name| DEFAULT_IDENTITIES.contains(&name))
        };
        // All of them are there only when nobody named one.
        if self.identity_files.len() >= 4 && self.identity_files.iter().all(is_default) {
            self.identity_files.clear();
        }
        let home = surroundings.home.display().to_string();
        let is_list = |found: Option<&Vec<String>>, expected: [String; 2]| {
            found.is_some_and(|found| found.as_slice() == expected.as_slice())
        };
        let own = ["known_hosts", "known_hosts2"];
        if is_list(
            self.user_known_hosts.as_ref(),
            own.map(|name| format!("{home}/.ssh/{name}")),
        ) || is_list(
            self.user_known_hosts.as_ref(),
            own.map(|name| format!("~/.ssh/{name}")),
        ) {
            self.user_known_hosts = None;
        }
        let of_system =
            ["ssh_known_hosts", "ssh_known_hosts2"].map(|name| format!("/etc/ssh/{name}"));
        if is_list(self.global_known_hosts.as_ref(), of_system) {
            self.global_known_hosts = None;
        }
        let drop_if = |place: &mut Option<String>, default: &str| {
            if place.as_deref() == Some(default) {
                *place = None;
            }
        };
        drop_if(&mut self.host_key_checking, "ask");
        drop_if(&mut self.connect_timeout, "none");
        drop_if(&mut self.alive_interval, "0");
        // What Debian's client takes where nobody is asked.
        if self.batch_mode.as_deref() == Some("yes") {
            drop_if(&mut self.alive_interval, "300");
        }
        drop_if(&mut self.alive_count, "3");
        drop_if(&mut self.port, "22");
        drop_if(&mut self.refused, "none");
        drop_if(&mut self.revoked_host_keys, "none");
        self
    }
}
