//! `known_hosts`: keys of other hosts that a user's ssh trusts.

use base64::Engine as _;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use rand::Rng as _;
use sha1::Sha1;

use super::attributes::Attributes;
use super::copy_folder::make_folders;
use super::file_state::{EDIT_LIMIT, Source, WantedFile};
use super::{
    Argument, ArgumentKind, Arguments, Content, Look, Module, ModuleError, ModuleSpec, Plan,
};
use crate::remote::{FileContent, FoundKind};

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "known_hosts",
    aliases: &[],
    summary: "keeps the key of another host among those that ssh trusts, or out of them",
    arguments: &[
        Argument::required("name", ArgumentKind::Text, "the other host").or(&["host"]),
        Argument::optional(
            "key",
            ArgumentKind::Text,
            "the line of the key, as `ssh-keyscan` says it; needed unless `state: absent`",
        ),
        Argument::optional(
            "path",
            ArgumentKind::Path,
            "the file; `~/.ssh/known_hosts` by default",
        ),
        Argument::optional(
            "hash_host",
            ArgumentKind::Boolean,
            "the host's name is not readable in the file; false by default",
        ),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "absent"]),
            "`present` by default",
        ),
    ],
    examples: r"- known_hosts:
    name: git.example.com
    key: git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…
",
    returns: &[
        ("name", "the other host"),
        ("key", "the line that was given"),
        ("state", "`present` or `absent`"),
    ],
    free_form: None,
    build,
    check: None,
};

struct KnownHosts {
    name: String,
    key: Option<String>,
    path: String,
    hash: bool,
    is_present: bool,
}

/// A line of the file: its marker such as `@cert-authority` or nothing, whose names, which type, which key.
fn parts(line: &str) -> Option<(&str, &str, &str, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let mut words = line.split_whitespace();
    let first = words.next()?;
    let (marker, names) = if first.starts_with('@') {
        (first, words.next()?)
    } else {
        ("", first)
    };
    Some((marker, names, words.next()?, words.next()?))
}

fn digest(salt: &[u8], name: &str) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes()))
}

/// Whether the names of a line, which may be hashed, hold this one.
fn names(line: &str, name: &str) -> bool {
    line.split(',').any(|one| {
        let Some(hashed) = one.strip_prefix("|1|") else {
            return one == name;
        };
        let Some((salt, hash)) = hashed.split_once('|') else {
            return false;
        };
        let salt = base64::engine::general_purpose::STANDARD.decode(salt);
        salt.ok().and_then(|salt| digest(&salt, name)).as_deref() == Some(hash)
    })
}

impl KnownHosts {
    fn edited(&self, old: &str) -> Result<String, ModuleError> {
        let wanted: Vec<(&str, &str, &str, &str)> = self
            .key
            .iter()
            .flat_map(|key| key.lines())
            .filter_map(parts)
            .collect();
        let mut missing = wanted.clone();
        let mut lines = Vec::new();
        let mut is_changed = false;
        for line in old.lines() {
            let ours = parts(line).filter(|(_, whose, ..)| names(whose, &self.name));
            let Some((marker, whose, kind, key)) = ours else {
                lines.push(line.to_owned());
                continue;
            };
            let is_this =
                |new: &(&str, &str, &str, &str)| (new.0, new.2, new.3) == (marker, kind, key);
            let is_wanted = wanted.iter().any(is_this);
            let stays = if self.is_present {
                let is_same_form = whose.starts_with("|1|") == self.hash;
                let index = missing.iter().position(|new| is_this(new) && is_same_form);
                if let Some(index) = index {
                    missing.remove(index);
                }
                // Another key of the same type is the one that this one replaces. Of authorities there may be several.
                let replaces = |new: &(&str, &str, &str, &str)| new.0 == marker && new.2 == kind;
                index.is_some()
                    || if marker.is_empty() {
                        !wanted.iter().any(replaces)
                    } else {
                        is_same_form || !is_wanted
                    }
            } else {
                self.key.is_some() && !is_wanted
            };
            if stays {
                lines.push(line.to_owned());
            } else {
                is_changed = true;
            }
        }
        if self.is_present {
            for (marker, whose, kind, key) in missing {
                is_changed = true;
                let whose = if self.hash {
                    self.hashed()?
                } else {
                    whose.to_owned()
                };
                let words = [marker, &whose, kind, key];
                lines.push(words.join(" ").trim_start().to_owned());
            }
        }
        Ok(if is_changed {
            lines.iter().map(|line| format!("{line}\n")).collect()
        } else {
            old.to_owned()
        })
    }

    fn hashed(&self) -> Result<String, ModuleError> {
        let mut salt = [0_u8; 20];
        rand::rng().fill_bytes(&mut salt);
        let hash = digest(&salt, &self.name)
            .ok_or_else(|| ModuleError::failed("the host's name cannot be hashed"))?;
        let salt = base64::engine::general_purpose::STANDARD.encode(salt);
        Ok(format!("|1|{salt}|{hash}"))
    }
}

impl Module for KnownHosts {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let request = FileContent {
                follow: true,
                limit: EDIT_LIMIT,
                ..FileContent::default()
            };
            let found = look.session.look_at(&self.path, &request).await?;
            let old = match (found.kind, &found.content) {
                (FoundKind::Absent, _) => String::new(),
                (FoundKind::File, Some(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
                _ => {
                    return Err(ModuleError::failed(format!(
                        "edit `{}`: it is {}",
                        found.path,
                        found.kind.describe()
                    )));
                }
            };
            let new = self.edited(&old)?;
            let header = found.path.as_str();
            let shown = serde_json::json!({
                "before_header": header,
                "after_header": header,
                "before": old,
                "after": new,
            });
            let mut plan = if new == old {
                Plan::satisfied()
            } else {
                let source = Source::Bytes(Content::public(Bytes::from(new)));
                WantedFile::new(found.path.clone(), source, Attributes::default())
                    .against(&found, false, look.diff)?
            };
            if !plan.is_satisfied() && !found.missing.is_empty() {
                let folders = found.missing.clone();
                plan.steps
                    .insert(0, make_folders(&Attributes::default(), 0o700, folders));
            }
            let state = if self.is_present { "present" } else { "absent" };
            Ok(plan
                .with("name", self.name.as_str())
                .with("key", self.key.clone())
                .with("path", found.path.as_str())
                .with("hash_host", self.hash)
                .with("state", state)
                .with("diff", shown))
        }
        .boxed()
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let name = arguments.required_text("name")?.to_lowercase();
    let key = arguments.filled("key");
    let is_present = arguments.text("state").as_deref() != Some("absent");
    if name.contains(',') {
        return Err(ModuleError::failed("`name` is one name, without commas").saying(
            "Comma separated list of names is not supported. Please pass a single name to lookup in the known_hosts file.",
        ));
    }
    if is_present && key.is_none() {
        return Err(ModuleError::failed("no key specified when adding a host"));
    }
    for line in key.iter().flat_map(|key| key.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parts(line) {
            None => {
                return Err(ModuleError::failed(format!("`{line}` is no line of a key")));
            }
            Some((_, whose, ..)) if !names(whose, &name) => {
                return Err(ModuleError::failed(format!(
                    "the host parameter does not match hashed host field in supplied key, or names another host: `{whose}`"
                ))
                .saying("Host parameter does not match hashed host field in supplied key"));
            }
            Some(_) => {}
        }
    }
    Ok(Box::new(KnownHosts {
        name,
        key,
        path: arguments
            .filled("path")
            .unwrap_or_else(|| "~/.ssh/known_hosts".to_owned()),
        hash: arguments.boolean("hash_host", false),
        is_present,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_there_once_hashed_or_not() {
        let wanted = |hash, is_present| KnownHosts {
            name: "a".into(),
            key: Some("a ssh-rsa NEW".into()),
            path: String::new(),
            hash,
            is_present,
        };
        let old = "# x\nb ssh-rsa B\na ssh-rsa OLD\na,c ssh-ed25519 E\n";
        let plain = wanted(false, true).edited(old).unwrap();
        assert_eq!(
            plain,
            "# x\nb ssh-rsa B\na,c ssh-ed25519 E\na ssh-rsa NEW\n"
        );
        assert_eq!(wanted(false, true).edited(&plain).unwrap(), plain);
        let hashed = wanted(true, true).edited(&plain).unwrap();
        assert!(hashed.ends_with(" ssh-rsa NEW\n") && !hashed.contains("\na ssh-rsa"));
        assert_eq!(wanted(true, true).edited(&hashed).unwrap(), hashed);
        let gone = wanted(false, false).edited(&hashed).unwrap();
        assert_eq!(gone, "# x\nb ssh-rsa B\na,c ssh-ed25519 E\n");
    }

    #[test]
    fn another_authority_stays() {
        let wanted = KnownHosts {
            name: "*.a".into(),
            key: Some("@cert-authority *.a ssh-rsa NEW".into()),
            path: String::new(),
            hash: false,
            is_present: true,
        };
        let old = "@cert-authority *.a ssh-rsa OLD\n*.a ssh-rsa HOST\n";
        let new = wanted.edited(old).unwrap();
        assert_eq!(new, format!("{old}@cert-authority *.a ssh-rsa NEW\n"));
        assert_eq!(wanted.edited(&new).unwrap(), new);
    }
}
