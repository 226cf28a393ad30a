//! ansible-core, and what it has answered before.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest as _, Sha256};

use super::answer::Answer;
use super::case::Case;
use super::program::{self, Hosts};

/// A virtual environment with ansible-core.
pub struct Oracle {
    pub environment: PathBuf,
    version: String,
    asked: AtomicUsize,
}

/// Part of what an answer is known by: to be counted up when the same case gives another answer.
const FORMAT: u32 = 2;

impl Oracle {
    /// Installs it where it is not there.
    pub fn find() -> Result<Self, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/ansible");
        let output = Command::new(script)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr)
                .trim()
                .replace('\n', "; "));
        }
        let environment = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let version = fs::read_dir(&environment)
            .map_err(|error| error.to_string())?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .find(|name| name.starts_with("installed:"))
            .ok_or_else(|| "the environment has no mark".to_owned())?;
        Ok(Self {
            environment,
            version,
            asked: AtomicUsize::new(0),
        })
    }

    /// How often it was really asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// What it answered under this name, or what `ask` gets out of it now.
    pub fn remembered(
        &self,
        name: &str,
        ask: impl FnOnce() -> Result<String, String>,
    ) -> Result<String, String> {
        let version = Sha256::digest(&self.version);
        let version = version.iter().take(4).map(|byte| format!("{byte:02x}"));
        let folder = super::scratch().join("answers");
        let file = folder.join(format!("{}-{name}", version.collect::<String>()));
        if std::env::var_os("KK_ANSIBLE_FRESH").is_none()
            && let Ok(text) = fs::read_to_string(&file)
        {
            return Ok(text);
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let text = ask()?;
        fs::create_dir_all(folder).unwrap();
        fs::write(&file, &text).unwrap();
        Ok(text)
    }

    /// What it does with a case.
    pub fn answer(&self, case: &Case, hosts: &Hosts) -> Result<Answer, String> {
        let file =
            super::scratch()
                .join("answers")
                .join(format!("{}-{}.json", case.name, self.key(case)));
        if !case.fresh
            && std::env::var_os("KK_ANSIBLE_FRESH").is_none()
            && let Ok(text) = fs::read_to_string(&file)
            && let Ok(value) = serde_json::from_str(&text)
            && let Some(answer) = Answer::from_json(&value)
        {
            return Ok(answer);
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        let place = hosts.place(case, "a");
        let ran = program::run_ansible(self, case, &place, hosts);
        let wanted: Vec<i32> = case.steps.iter().map(|step| step.exit).collect();
        if ran.answer.exits != wanted {
            return Err(format!(
                "the case expects ansible-core to end with {wanted:?}, and it ended with {:?}:\n{}",
                ran.answer.exits,
                program::tail(&ran.said, 40)
            ));
        }
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, ran.answer.to_json().to_string()).unwrap();
        Ok(ran.answer)
    }

    /// Changes with everything that an answer depends on.
    fn key(&self, case: &Case) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{FORMAT} {} {}\n", self.version, case.ssh));
        hash.update(fs::read(program::common_inventory()).unwrap());
        for (path, what) in super::answer::snapshot(&case.folder) {
            hash.update(format!("{path}\n{what}\n"));
        }
        hash.finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
