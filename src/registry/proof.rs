//! Proving that a registry works: a tiny image goes in, comes back the same, and goes away again.

use std::time::Instant;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Authentication};
use super::call::{ApiCall, ProofImage};
use super::client::{Client, Who};
use super::error::{ApiError, ApiErrorKind};
use super::tiny::{Blob, MANIFEST_TYPE, TinyImage, digest};
use crate::secret::Secret;

/// Does what a call says. The value is what the call's documentation promises.
pub async fn execute(call: &ApiCall, cancel: &CancellationToken) -> Result<Value, ApiError> {
    let client = Client::new(call.endpoint().clone())?;
    let work = async {
        match call {
            ApiCall::WaitReady { limit, .. } => {
                let start = Instant::now();
                let (health, attempts) = client.wait_ready(*limit, cancel).await?;
                Ok(json!({
                    "seconds": (start.elapsed().as_secs_f64() * 10.0).round() / 10.0,
                    "attempts": attempts,
                    "authentication": health.authentication,
                }))
            }
            ApiCall::CheckAuthentication { .. } => client.check_authentication().await,
            ApiCall::PushProof { image, .. } => client.push(image).await,
            ApiCall::ReadProof { image, .. } => client.read_back(image).await,
            ApiCall::DeleteProof { image, .. } => client.delete(image).await,
        }
    };
    tokio::select! {
        () = cancel.cancelled() => Err(ApiError::cancelled()),
        result = work => result,
    }
}

impl Client {
    /// Proves that the registry refuses whoever has no password or a wrong one, and takes the right one.
    pub async fn check_authentication(&self) -> Result<Value, ApiError> {
        let registry = self.endpoint().describe();
        let anonymous = self.send(Method::GET, "v2/", Who::Anonymous, None).await?;
        let health = self.health(&anonymous)?;
        if health.authentication == Authentication::None {
            return Err(ApiError::new(
                ApiErrorKind::Proof,
                format!("{registry} lets anybody in without a password"),
            )
            .hint("its configuration has no `auth` section, or another program answers there"));
        }
        // Harbor locks a user for a moment after a wrong password, for everybody: ask it as somebody unknown.
        let wrong = Secret::new(format!("wrong-{:016x}", rand::random::<u64>()));
        let unknown = format!("kk-{:08x}", rand::random::<u32>());
        let user = match health.authentication {
            Authentication::Bearer => unknown.as_str(),
            _ => self.endpoint().username.as_str(),
        };
        let refused = self
            .send(Method::GET, "v2/", Who::Other(user, &wrong), None)
            .await?;
        if refused.status != StatusCode::UNAUTHORIZED {
            return Err(ApiError::new(
                ApiErrorKind::Proof,
                format!(
                    "{registry} answers {} to a wrong password, not 401",
                    refused.status.as_u16()
                ),
            )
            .hint(
                "its configuration has no working `auth` section, or another program answers there",
            ));
        }
        let accepted = self.send(Method::GET, "v2/", Who::User, None).await?;
        if accepted.status != StatusCode::OK {
            return Err(self.refusal(&accepted));
        }
        Ok(json!({"anonymous": 401, "wrong_password": 401, "right_password": 200}))
    }

    /// Pushes a tiny image, then reads it back.
    pub async fn push(&self, image: &ProofImage) -> Result<Value, ApiError> {
        let tiny = tiny(image)?;
        self.push_blob(image, &tiny.layer).await?;
        self.push_blob(image, &tiny.config).await?;
        let path = format!("v2/{}/manifests/{}", image.repository, image.tag);
        let body = (MANIFEST_TYPE, tiny.manifest.bytes.clone());
        let answer = self.send(Method::PUT, &path, Who::User, Some(body)).await?;
        if answer.status != StatusCode::CREATED {
            return Err(self.refusal(&answer));
        }
        if let Some(stored) = answer.header("docker-content-digest")
            && stored != tiny.manifest.digest
        {
            return Err(self.differs("manifest", &tiny.manifest.digest, stored));
        }
        self.read_back(image).await
    }

    async fn push_blob(&self, image: &ProofImage, blob: &Blob) -> Result<(), ApiError> {
        let path = format!("v2/{}/blobs/{}", image.repository, blob.digest);
        if self
            .send(Method::HEAD, &path, Who::User, None)
            .await?
            .status
            == StatusCode::OK
        {
            return Ok(());
        }
        let path = format!("v2/{}/blobs/uploads/", image.repository);
        let answer = self.send(Method::POST, &path, Who::User, None).await?;
        if answer.status != StatusCode::ACCEPTED {
            return Err(self.refusal(&answer));
        }
        let Some(place) = answer.header("location") else {
            return Err(ApiError::new(
                ApiErrorKind::NotARegistry,
                format!(
                    "{} began an upload without saying where",
                    self.endpoint().describe()
                ),
            ));
        };
        let mut url = self.url(place)?;
        url.query_pairs_mut().append_pair("digest", &blob.digest);
        let body = ("application/octet-stream", blob.bytes.clone());
        let answer = self
            .send(Method::PUT, url.as_str(), Who::User, Some(body))
            .await?;
        if answer.status == StatusCode::CREATED {
            Ok(())
        } else {
            Err(self.refusal(&answer))
        }
    }

    /// Reads a tiny image: tag, manifest by digest, configuration and layer, all compared with what was sent.
    pub async fn read_back(&self, image: &ProofImage) -> Result<Value, ApiError> {
        let tiny = tiny(image)?;
        let manifests = format!("v2/{}/manifests", image.repository);
        let tagged = self
            .send(
                Method::HEAD,
                &format!("{manifests}/{}", image.tag),
                Who::User,
                None,
            )
            .await?;
        if tagged.status != StatusCode::OK {
            return Err(self.not_there(image, &tagged));
        }
        if let Some(stored) = tagged.header("docker-content-digest")
            && stored != tiny.manifest.digest
        {
            return Err(self.differs("tag", &tiny.manifest.digest, stored));
        }
        let blobs = format!("v2/{}/blobs", image.repository);
        for (what, folder, blob) in [
            ("manifest", &manifests, &tiny.manifest),
            ("configuration", &blobs, &tiny.config),
            ("layer", &blobs, &tiny.layer),
        ] {
            let path = format!("{folder}/{}", blob.digest);
            let answer = self.send(Method::GET, &path, Who::User, None).await?;
            if answer.status != StatusCode::OK {
                return Err(self.not_there(image, &answer));
            }
            if answer.body != blob.bytes {
                return Err(self.differs(what, &blob.digest, &digest(&answer.body)));
            }
        }
        Ok(json!({
            "reference": format!("{}/{}@{}", self.endpoint().authority(), image.repository, tiny.manifest.digest),
            "endpoint": self.endpoint().authority(),
            "repository": image.repository,
            "tag": image.tag,
            "digest": tiny.manifest.digest,
            "config_digest": tiny.config.digest,
            "layer_digest": tiny.layer.digest,
            "size": tiny.size(),
        }))
    }

    /// Deletes a tiny image by its digest, its pieces with it, and looks whether it is gone.
    pub async fn delete(&self, image: &ProofImage) -> Result<Value, ApiError> {
        let tiny = tiny(image)?;
        let manifest = format!("v2/{}/manifests/{}", image.repository, tiny.manifest.digest);
        let answer = self
            .send(Method::DELETE, &manifest, Who::User, None)
            .await?;
        let deleted = match answer.status {
            StatusCode::ACCEPTED | StatusCode::OK | StatusCode::NO_CONTENT => true,
            StatusCode::NOT_FOUND => false,
            _ => return Err(self.refusal(&answer)),
        };
        // Harbor does not let its pieces be deleted; there they go with the next garbage collection.
        for blob in [&tiny.config, &tiny.layer] {
            let path = format!("v2/{}/blobs/{}", image.repository, blob.digest);
            self.send(Method::DELETE, &path, Who::User, None).await?;
        }
        let tag = format!("v2/{}/manifests/{}", image.repository, image.tag);
        for path in [&manifest, &tag] {
            let answer = self.send(Method::GET, path, Who::User, None).await?;
            let is_ours = digest(&answer.body) == tiny.manifest.digest;
            if answer.status == StatusCode::OK && is_ours {
                return Err(ApiError::new(
                    ApiErrorKind::Proof,
                    format!(
                        "{} still has `{}:{}` after it was deleted",
                        self.endpoint().describe(),
                        image.repository,
                        image.tag
                    ),
                )
                .hint(
                    "several registries may stand behind that name without sharing their storage",
                ));
            }
        }
        Ok(json!({"digest": tiny.manifest.digest, "deleted": deleted}))
    }

    fn differs(&self, what: &str, wanted: &str, found: &str) -> ApiError {
        let registry = self.endpoint().describe();
        ApiError::new(
            ApiErrorKind::Proof,
            format!("{registry} gives back another {what} than was pushed: {found}, not {wanted}"),
        )
        .hint("something between this machine and the registry changes what passes, or its storage is damaged")
    }

    fn not_there(&self, image: &ProofImage, answer: &Answer) -> ApiError {
        if answer.status != StatusCode::NOT_FOUND {
            return self.refusal(answer);
        }
        let registry = self.endpoint().describe();
        ApiError::new(
            ApiErrorKind::Status(404),
            format!(
                "{registry} does not have `{}:{}`",
                image.repository, image.tag
            ),
        )
        .hint("several registries may stand behind that name without sharing their storage")
    }
}

fn tiny(image: &ProofImage) -> Result<TinyImage, ApiError> {
    TinyImage::of(image).map_err(|error| {
        ApiError::new(
            ApiErrorKind::Invalid,
            format!("the image cannot be made: {error}"),
        )
    })
}
