//! Requests to one registry: its name, its authorities, who asks, and answers in words.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine as _;
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, Health};
use super::call::{RegistryEndpoint, bracketed};
use super::challenge::Challenge;
use super::error::{ApiError, ApiErrorKind};
use super::tls;
use crate::secret::SecretString;

/// The longest time to a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The longest time of one request with its answer, in seconds.
const REQUEST_LIMIT: u64 = 30;

/// The most bytes of an answer that are read; a tiny image has a few thousand.
const LARGEST_ANSWER: usize = 4 * 1024 * 1024;

/// Redirections of one request that are followed.
const MOST_REDIRECTIONS: usize = 3;

/// A client of one registry.
pub struct Client {
    endpoint: RegistryEndpoint,
    http: reqwest::Client,
    base: Url,
    /// The `Host` header, where the base is not the registry's own name.
    host: Option<HeaderValue>,
    /// What was accepted last.
    authorization: Mutex<Option<HeaderValue>>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who<'a> {
    /// Nobody in particular.
    Anonymous,
    /// The endpoint's user.
    User,
    /// Somebody with these.
    Other(&'a str, &'a SecretString),
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

impl Client {
    /// A client of a registry. Connects to nothing yet.
    pub fn new(endpoint: RegistryEndpoint) -> Result<Self, ApiError> {
        let invalid = |message: String| ApiError::new(ApiErrorKind::Invalid, message);
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .user_agent(concat!("kk/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_LIMIT)
            .timeout(Duration::from_secs(REQUEST_LIMIT));
        let mut host = None;
        let (mut target, mut port) = (endpoint.name.clone(), endpoint.port);
        let elsewhere = endpoint
            .connect_to
            .map(|address| SocketAddr::new(address, port));
        if let Some(elsewhere) = endpoint.through.or(elsewhere) {
            if endpoint.through.is_some() || endpoint.name.parse::<std::net::IpAddr>().is_ok() {
                // An address is never resolved, and a name never to another port: connect there and ask by name.
                target = elsewhere.ip().to_string();
                port = elsewhere.port();
                let header = HeaderValue::from_str(&endpoint.authority());
                host = Some(
                    header.map_err(|_| invalid(format!("`{}` is no host name", endpoint.name)))?,
                );
            } else {
                builder = builder.resolve(&endpoint.name, elsewhere);
            }
        }
        let scheme = if endpoint.plain_http { "http" } else { "https" };
        let base = format!("{scheme}://{}:{port}/", bracketed(&target));
        let base = Url::parse(&base)
            .map_err(|error| invalid(format!("`{}` is no host name: {error}", endpoint.name)))?;
        let configuration = if endpoint.plain_http {
            tls::unused()?
        } else {
            tls::configuration(endpoint.ca_pem.as_deref(), &endpoint.name)?
        };
        let http = builder
            .tls_backend_preconfigured(configuration)
            .build()
            .map_err(|error| invalid(format!("an HTTP client cannot be made: {error}")))?;
        Ok(Self {
            endpoint,
            http,
            base,
            host,
            authorization: Mutex::new(None),
        })
    }

    /// Whom it asks.
    pub const fn endpoint(&self) -> &RegistryEndpoint {
        &self.endpoint
    }

    /// Asks whether a registry is there and how it wants to know who asks.
    pub async fn ping(&self) -> Result<Health, ApiError> {
        let answer = self.send(Method::GET, "v2/", Who::Anonymous, None).await?;
        self.health(&answer)
    }

    /// Whether an answer to `GET /v2/` is that of a registry.
    pub(super) fn health(&self, answer: &Answer) -> Result<Health, ApiError> {
        answer.health(&self.endpoint)
    }

    /// A refusal in words.
    pub(super) fn refusal(&self, answer: &Answer) -> ApiError {
        answer.refusal(&self.endpoint)
    }

    /// Asks until a registry answers, at most for `limit`. Says how often it asked.
    pub async fn wait_ready(
        &self,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<(Health, u32), ApiError> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(100);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let left = limit.saturating_sub(start.elapsed());
            let error = tokio::select! {
                () = cancel.cancelled() => return Err(ApiError::cancelled()),
                answer = tokio::time::timeout(left, self.ping()) => match answer {
                    Ok(Ok(health)) => return Ok((health, attempts)),
                    Ok(Err(error)) => error,
                    Err(_) => ApiError::new(
                        ApiErrorKind::Unreachable,
                        format!("{} did not answer", self.endpoint.describe()),
                    ),
                },
            };
            if error.kind == ApiErrorKind::Invalid {
                return Err(error);
            }
            if start.elapsed() + pause >= limit {
                let message = format!("not ready after {} s: {}", limit.as_secs(), error.message);
                let late = ApiError::new(ApiErrorKind::TimedOut, message);
                return Err(late.hint(
                    error
                        .hint
                        .unwrap_or_else(|| "look at the registry's log".to_owned()),
                ));
            }
            tokio::select! {
                () = cancel.cancelled() => return Err(ApiError::cancelled()),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// One request to a path under the base (or a place that the registry named), with whatever it asks to be shown.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        who: Who<'_>,
        body: Option<(&'static str, Bytes)>,
    ) -> Result<Answer, ApiError> {
        let url = self.url(path)?;
        let known = match who {
            Who::User => self
                .authorization
                .lock()
                .ok()
                .and_then(|guard| guard.clone()),
            _ => None,
        };
        let answer = self.once(method.clone(), &url, known, body.clone()).await?;
        let (user, password) = match who {
            Who::Anonymous => return self.follow(method, answer).await,
            Who::User => (self.endpoint.username.as_str(), &self.endpoint.password),
            Who::Other(user, password) => (user, password),
        };
        if answer.status != StatusCode::UNAUTHORIZED {
            return self.follow(method, answer).await;
        }
        let Some(challenge) = answer.challenge() else {
            return Ok(answer);
        };
        let Some(shown) = self.authorization(&challenge, user, password).await? else {
            return Ok(answer);
        };
        let answer = self
            .once(method.clone(), &url, Some(shown.clone()), body)
            .await?;
        if matches!(who, Who::User)
            && answer.status != StatusCode::UNAUTHORIZED
            && let Ok(mut guard) = self.authorization.lock()
        {
            *guard = Some(shown);
        }
        self.follow(method, answer).await
    }

    /// Object stores are often asked by redirection; they are told nothing of user and password.
    async fn follow(&self, method: Method, mut answer: Answer) -> Result<Answer, ApiError> {
        for _ in 0..MOST_REDIRECTIONS {
            let is_redirection = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
            if !is_redirection || (method != Method::GET && method != Method::HEAD) {
                return Ok(answer);
            }
            let Some(place) = answer
                .headers
                .get(LOCATION)
                .and_then(|value| value.to_str().ok())
            else {
                return Ok(answer);
            };
            let url = self.url(place)?;
            answer = if self.is_own(&url) {
                self.once(method.clone(), &url, None, None).await?
            } else {
                let request = elsewhere(&url, self.endpoint.ca_pem.as_deref())?;
                let request = request.request(method.clone(), url.clone());
                self.answer(request, url.host_str().unwrap_or("the storage"))
                    .await?
            };
        }
        Ok(answer)
    }

    /// What to show for a challenge; `None` when user and password are refused by the token service.
    async fn authorization(
        &self,
        challenge: &Challenge,
        user: &str,
        password: &SecretString,
    ) -> Result<Option<HeaderValue>, ApiError> {
        let basic = format!("{user}:{}", password.expose());
        let basic = base64::engine::general_purpose::STANDARD.encode(basic);
        let basic = secret_header(&format!("Basic {basic}"))?;
        let Challenge::Bearer {
            realm,
            service,
            scope,
        } = challenge
        else {
            return Ok(Some(basic));
        };
        let mut url = self.url(realm)?;
        if url.scheme() != "https" && !self.endpoint.plain_http {
            return Err(ApiError::new(
                ApiErrorKind::Authentication,
                format!(
                    "{} wants the password to be sent to `{realm}`, without TLS",
                    self.endpoint.describe()
                ),
            ));
        }
        url.query_pairs_mut()
            .extend_pairs(service.iter().map(|service| ("service", service)))
            .extend_pairs(scope.iter().map(|scope| ("scope", scope)))
            .append_pair("account", user);
        let answer = if self.is_own(&url) {
            self.once(Method::GET, &url, Some(basic), None).await?
        } else {
            let client = elsewhere(&url, self.endpoint.ca_pem.as_deref())?;
            let request = client.get(url.clone()).header(AUTHORIZATION, basic);
            self.answer(request, url.host_str().unwrap_or("the token service"))
                .await?
        };
        if matches!(
            answer.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        ) {
            return Ok(None);
        }
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        let token: Option<Token> = serde_json::from_slice(&answer.body).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        match token {
            Some(token) => Ok(Some(secret_header(&format!("Bearer {token}"))?)),
            None => Err(ApiError::new(
                ApiErrorKind::NotARegistry,
                format!("the token service `{realm}` gave no token"),
            )),
        }
    }

    async fn once(
        &self,
        method: Method,
        url: &Url,
        authorization: Option<HeaderValue>,
        body: Option<(&'static str, Bytes)>,
    ) -> Result<Answer, ApiError> {
        let mut request = self.http.request(method, url.clone());
        if let Some(host) = &self.host {
            request = request.header(HOST, host);
        }
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        request = request.header(
            reqwest::header::ACCEPT,
            concat!(
                "application/vnd.docker.distribution.manifest.v2+json, ",
                "application/vnd.oci.image.manifest.v1+json, */*;q=0.1"
            ),
        );
        if let Some((kind, bytes)) = body {
            request = request.header(CONTENT_TYPE, kind).body(bytes);
        }
        self.answer(request, &self.endpoint.describe()).await
    }

    async fn answer(
        &self,
        request: reqwest::RequestBuilder,
        name: &str,
    ) -> Result<Answer, ApiError> {
        let failed = |error: &reqwest::Error| ApiError::transport(error, name, REQUEST_LIMIT);
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_ANSWER {
                return Err(ApiError::new(
                    ApiErrorKind::NotARegistry,
                    format!("{name} answers with more than {} MiB", LARGEST_ANSWER >> 20),
                ));
            }
        }
        Ok(Answer {
            status,
            headers,
            body: body.into(),
        })
    }

    /// A path under the base or a URL that the registry named; its own name in one becomes the base again.
    pub(super) fn url(&self, place: &str) -> Result<Url, ApiError> {
        let mut url = self.base.join(place).map_err(|error| {
            ApiError::new(
                ApiErrorKind::NotARegistry,
                format!("`{place}` is no URL: {error}"),
            )
        })?;
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let is_registry = name.eq_ignore_ascii_case(&self.endpoint.name)
            && url.port_or_known_default() == Some(self.endpoint.port);
        if is_registry {
            let host = self.base.host_str();
            // The scheme too: a registry behind a proxy that ends TLS may call itself `http`.
            let set = url.set_scheme(self.base.scheme()).is_ok() && url.set_host(host).is_ok();
            if !set || url.set_port(self.base.port()).is_err() {
                return Err(ApiError::new(
                    ApiErrorKind::NotARegistry,
                    format!("`{place}` is no URL"),
                ));
            }
        }
        Ok(url)
    }

    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }
}

/// A client for another server that the registry sends us to; the registry's authorities or the machine's vouch for it.
fn elsewhere(url: &Url, ca_pem: Option<&str>) -> Result<reqwest::Client, ApiError> {
    let invalid = |error: reqwest::Error| {
        ApiError::new(
            ApiErrorKind::Invalid,
            format!("an HTTP client cannot be made: {error}"),
        )
    };
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_LIMIT)
        .timeout(Duration::from_secs(REQUEST_LIMIT));
    let configuration = if url.scheme() == "https" {
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        tls::with_system(ca_pem, name)?
    } else {
        tls::unused()?
    };
    builder
        .tls_backend_preconfigured(configuration)
        .build()
        .map_err(invalid)
}

/// A header that is not shown by accident.
fn secret_header(text: &str) -> Result<HeaderValue, ApiError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        ApiError::new(
            ApiErrorKind::Authentication,
            "the token has characters that no header can hold",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}
