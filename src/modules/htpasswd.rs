//! `htpasswd`: a user and a password (bcrypt) in a file of HTTP basic authentication.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::attributes::Attributes;
use super::file_state::{EDIT_LIMIT, Source, WantedFile, host_path};
use super::mode::Mode;
use super::{
    Argument, ArgumentKind, Arguments, Content, Look, Module, ModuleError, ModuleSpec, Plan,
};
use crate::remote::{FileContent, Found, FoundKind};
use crate::secret::SecretString;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "htpasswd",
    aliases: &[],
    summary: "keeps a user and a password in a file of HTTP basic authentication, by bcrypt",
    arguments: &[
        Argument::required("path", ArgumentKind::Path, "the file on the host").or(&["dest"]),
        Argument::required("name", ArgumentKind::Text, "the user").or(&["username"]),
        Argument::optional(
            "password",
            ArgumentKind::Secret,
            "the password, at most 72 bytes; needed unless `state: absent`",
        ),
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["present", "absent"]),
            "whether the user is in it; `present` by default",
        ),
        Argument::optional(
            "exclusive",
            ArgumentKind::Boolean,
            "take every other user out; false by default",
        ),
        Argument::optional(
            "cost",
            ArgumentKind::Integer,
            "bcrypt's cost, 5 to 15; 10 by default. A server that checks the password on every request pays it each time",
        ),
        Argument::optional(
            "mode",
            ArgumentKind::Mode,
            "permission bits; those it has, else 0600",
        ),
        super::attributes::OWNER,
        super::attributes::GROUP,
    ],
    examples: r#"- name: who may push
  htpasswd:
    path: /srv/registry/htpasswd
    name: admin
    password: "{{ registry_password }}"
"#,
    returns: &[("path", "the file"), ("name", "the user")],
    free_form: None,
    build,
    check: None,
};

struct Htpasswd {
    path: String,
    name: String,
    password: Option<SecretString>,
    exclusive: bool,
    cost: u32,
    attributes: Attributes,
}

impl Module for Htpasswd {
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
                (FoundKind::File, None) => {
                    return Err(ModuleError::failed(format!("`{}` is too big", found.path)));
                }
                (other, _) => {
                    return Err(ModuleError::failed(format!(
                        "`{}` is {}",
                        found.path,
                        other.describe()
                    )));
                }
            };
            let new = self.edit(&old).await?;
            if found.kind == FoundKind::Absent && new.is_empty() {
                return Ok(Plan::satisfied().with("path", found.path));
            }
            self.compare(found, old, new)
        }
        .boxed()
    }
}

impl Htpasswd {
    fn compare(&self, found: Found, old: String, new: String) -> Result<Plan, ModuleError> {
        let mut attributes = self.attributes.clone();
        if found.kind == FoundKind::Absent {
            attributes.mode.get_or_insert(Mode::Bits(0o600));
        }
        let is_same = old == new;
        let source = Source::Bytes(Content::secret(Bytes::from(new)));
        let wanted = WantedFile::new(found.path.clone(), source, attributes);
        let plan = wanted.against(&found, is_same, false)?;
        Ok(plan
            .with("path", found.path)
            .with("name", self.name.as_str()))
    }

    /// The file's lines as they should be; those of the user stay when their password is right.
    async fn edit(&self, old: &str) -> Result<String, ModuleError> {
        let mut lines: Vec<String> = Vec::new();
        let mut is_there = false;
        for line in old.lines() {
            let is_users = line
                .split_once(':')
                .is_some_and(|(name, _)| name == self.name);
            if !is_users {
                if !self.exclusive || line.trim().is_empty() || line.starts_with('#') {
                    lines.push(line.to_owned());
                }
                continue;
            }
            let (Some(password), false) = (&self.password, is_there) else {
                continue;
            };
            let hash = line.split_once(':').map_or("", |(_, hash)| hash);
            if verify(password.clone(), hash.to_owned()).await? {
                is_there = true;
                lines.push(line.to_owned());
            }
        }
        if let (Some(password), false) = (&self.password, is_there) {
            let hash = hash(password.clone(), self.cost).await?;
            lines.push(format!("{}:{hash}", self.name));
        }
        let mut text = lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        Ok(text)
    }
}

/// Both take tens of milliseconds on purpose, so they leave the executor's threads alone.
async fn verify(password: SecretString, hash: String) -> Result<bool, ModuleError> {
    let work = move || bcrypt::verify(password.expose(), &hash).unwrap_or(false);
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ModuleError::failed(format!("check the password: {error}")))
}

async fn hash(password: SecretString, cost: u32) -> Result<String, ModuleError> {
    let work = move || {
        bcrypt::hash_with_result(password.expose(), cost)
            .map(|parts| parts.format_for_version(bcrypt::Version::TwoY))
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| ModuleError::failed(format!("hash the password: {error}")))?
        .map_err(|error| ModuleError::failed(format!("hash the password: {error}")))
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let name = arguments.required_text("name")?;
    if name.is_empty() || name.contains([':', '\n', '\r']) || name.starts_with('#') {
        return Err(ModuleError::failed(format!("`{name}` cannot be a user"))
            .with_hint("a user has no `:` and no line break"));
    }
    let is_present = arguments.text("state").as_deref() != Some("absent");
    let password = arguments
        .text("password")
        .filter(|_| is_present)
        .map(SecretString::new);
    match &password {
        None if is_present => return Err(ModuleError::failed("`password` is missing")),
        Some(password) if password.expose().is_empty() => {
            return Err(ModuleError::failed("the password is empty"));
        }
        Some(password) if password.expose().len() > 72 || password.expose().contains('\0') => {
            return Err(ModuleError::failed(
                "the password is longer than 72 bytes, bcrypt's limit",
            )
            .with_hint("choose a shorter one"));
        }
        _ => {}
    }
    let cost = arguments.integer("cost").unwrap_or(10);
    let cost = u32::try_from(cost)
        .ok()
        .filter(|cost| (5..=15).contains(cost))
        .ok_or_else(|| ModuleError::failed(format!("a cost of {cost} is not between 5 and 15")))?;
    Ok(Box::new(Htpasswd {
        path: host_path(&arguments, "path")?,
        name,
        password,
        exclusive: arguments.boolean("exclusive", false),
        cost,
        attributes: Attributes::from_arguments(&arguments),
    }))
}
