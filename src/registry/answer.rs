//! One answer of a registry, and its refusals in words.

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde::{Deserialize, Serialize};

use super::call::RegistryEndpoint;
use super::challenge::Challenge;
use super::error::{ApiError, ApiErrorKind};

/// An answer, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// How a registry asks who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// It does not: anybody may do anything.
    None,
    /// By user and password.
    Basic,
    /// By tokens, as Harbor does.
    Bearer,
}

/// What a registry said to `GET /v2/` without a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// 200 or 401.
    pub status: u16,
    /// How it asks who is there.
    pub authentication: Authentication,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<RegistryError>,
}

#[derive(Deserialize)]
struct RegistryError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Answer {
    pub(super) fn challenge(&self) -> Option<Challenge> {
        self.headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(Challenge::parse)
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether this is what a registry answers to `GET /v2/`.
    pub(super) fn health(&self, endpoint: &RegistryEndpoint) -> Result<Health, ApiError> {
        let registry = endpoint.describe();
        let is_api = self.headers.contains_key("docker-distribution-api-version");
        match self.status {
            StatusCode::OK if is_api || self.body.trim_ascii() == b"{}" => Ok(Health {
                status: 200,
                authentication: Authentication::None,
            }),
            StatusCode::UNAUTHORIZED => match self.challenge() {
                Some(Challenge::Basic) => Ok(Health {
                    status: 401,
                    authentication: Authentication::Basic,
                }),
                Some(Challenge::Bearer { .. }) => Ok(Health {
                    status: 401,
                    authentication: Authentication::Bearer,
                }),
                None => Err(ApiError::new(
                    ApiErrorKind::NotARegistry,
                    format!("{registry} asks for a password in a way that no registry does"),
                )
                .hint("another program listens on that port")),
            },
            status if status.is_server_error() => Err(self.refusal(endpoint)),
            StatusCode::BAD_REQUEST if endpoint.plain_http => Err(ApiError::new(
                ApiErrorKind::NotARegistry,
                format!("{registry} does not answer plain HTTP; it may want TLS"),
            )
            .hint("set `image_registry.auth.plain_http=false`")),
            status => Err(ApiError::new(
                ApiErrorKind::NotARegistry,
                format!(
                    "{registry} answers {} to `/v2/`, which no registry does",
                    status.as_u16()
                ),
            )
            .hint("another program listens on that port, or a proxy stands before the registry")),
        }
    }

    /// This refusal by a registry in words.
    pub(super) fn refusal(&self, endpoint: &RegistryEndpoint) -> ApiError {
        let registry = endpoint.describe();
        let status = self.status.as_u16();
        let errors: Option<Errors> = serde_json::from_slice(&self.body).ok();
        let (code, message) = errors
            .and_then(|list| list.errors.into_iter().next())
            .map(|error| (error.code, error.message))
            .unwrap_or_default();
        if self.status == StatusCode::UNAUTHORIZED {
            return ApiError::new(
                ApiErrorKind::Authentication,
                format!(
                    "{registry} refuses the user `{}` with the password given",
                    endpoint.username
                ),
            )
            .hint("check `image_registry.auth.username` and `image_registry.auth.password`");
        }
        if self.status == StatusCode::FORBIDDEN {
            return ApiError::new(
                ApiErrorKind::Authentication,
                format!(
                    "{registry} does not allow it to the user `{}`",
                    endpoint.username
                ),
            )
            .hint("give the user the right to push and delete in that project");
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED && code == "UNSUPPORTED" {
            return ApiError::new(
                ApiErrorKind::Status(status),
                format!(
                    "{registry} does not support it: deleting is switched off or it is read-only"
                ),
            )
            .hint("set `storage.delete.enabled: true` in the registry's configuration");
        }
        let said = if code.is_empty() && message.is_empty() {
            // A proxy's page: its first line says enough.
            let text = String::from_utf8_lossy(&self.body);
            let line = text.lines().map(str::trim).find(|line| !line.is_empty());
            line.map(|line| line.chars().take(120).collect())
                .unwrap_or_default()
        } else {
            format!("{code} {message}").trim().to_owned()
        };
        let reason = self.status.canonical_reason().unwrap_or_default();
        let mut message = format!("{registry} answers {status} {reason}");
        if !said.is_empty() {
            message.push_str(": ");
            message.push_str(&said);
        }
        ApiError::new(ApiErrorKind::Status(status), message).hint("look at the registry's log")
    }
}
