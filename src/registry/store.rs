//! An object store as a registry will use it: one small object goes in, comes out and is taken away again.
//!
//! It is asked as distribution's own S3 driver asks it: the same address, the same style, signatures in a header, and the
//! same headers of a new object.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use reqwest::header::{DATE, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::error::{ApiError, ApiErrorKind};
use super::signature::{Signer, Unsigned};
use super::tls;
use crate::secret::SecretString;

/// The longest time of one request with its answer, in seconds.
const REQUEST_LIMIT: u64 = 10;
/// What is encoded in a path.
const ENCODED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');
/// Clocks further apart than this many seconds are refused by S3.
pub const CLOCK_LIMIT: i64 = 900;
/// The most bytes of an answer that are read.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Where a bucket is, and who asks.
#[derive(Debug, Clone)]
pub struct StorePlace {
    /// The service: scheme, host and port.
    pub endpoint: String,
    /// The bucket stands in the path, not in the host's name.
    pub path_style: bool,
    /// Region to sign for.
    pub region: String,
    /// Bucket.
    pub bucket: String,
    /// Access key.
    pub access_key: SecretString,
    /// Secret key.
    pub secret_key: SecretString,
    /// An authority to trust beside those of this machine, in PEM.
    pub ca_pem: Option<String>,
    /// `false` takes any certificate.
    pub verify: bool,
    /// What a new object is put with: access list, storage class, encryption.
    pub headers: Vec<(&'static str, String)>,
}

/// A bucket that can be asked.
pub struct Store {
    place: StorePlace,
    base: Url,
    http: reqwest::Client,
    through: Option<SocketAddr>,
}

/// What a store answers when it does what it was asked.
#[derive(Debug, Clone)]
pub struct Stored {
    /// What it sent.
    pub body: Bytes,
    /// Its clock against this machine's, in seconds; positive when it is ahead.
    pub ahead: Option<i64>,
}

impl StorePlace {
    /// Host and port of the service that is connected to.
    pub fn address(&self) -> Result<(String, u16), ApiError> {
        let url = self.base()?;
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(443);
        Ok((host.trim_matches(['[', ']']).to_owned(), port))
    }

    /// The address of the bucket, a slash at its end.
    fn base(&self) -> Result<Url, ApiError> {
        let wrong = || invalid(format!("`{}` is no address", self.endpoint));
        let endpoint = format!("{}/", self.endpoint.trim_end_matches('/'));
        let mut url = Url::parse(&endpoint).map_err(|_| wrong())?;
        let host = url.host_str().ok_or_else(wrong)?.to_owned();
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        if self.path_style {
            url = url
                .join(&format!("{}/", encoded(&self.bucket)))
                .map_err(|_| wrong())?;
        } else {
            url.set_host(Some(&format!("{}.{host}", self.bucket)))
                .map_err(|_| wrong())?;
        }
        Ok(url)
    }
}

fn invalid(message: String) -> ApiError {
    ApiError::new(ApiErrorKind::Invalid, message)
}

/// A key or a bucket in a path, the way that signatures want it.
fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, &ENCODED).to_string()
}

impl Store {
    /// A bucket, asked at its address or through the entrance of a forwarding that leads there. Connects to nothing yet.
    pub fn new(place: StorePlace, through: Option<SocketAddr>) -> Result<Self, ApiError> {
        let base = place.base()?;
        let (name, _) = place.address()?;
        let configuration = if base.scheme() != "https" {
            tls::unused()?
        } else if place.verify {
            tls::with_system(place.ca_pem.as_deref(), &name)?
        } else {
            crate::pki::unverified().map_err(tls::invalid)?
        };
        let http = reqwest::Client::builder()
            .no_proxy()
            .user_agent(concat!("kk/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(REQUEST_LIMIT))
            .tls_backend_preconfigured(configuration)
            .build()
            .map_err(|error| invalid(format!("an HTTP client cannot be made: {error}")))?;
        Ok(Self {
            place,
            base,
            http,
            through,
        })
    }

    /// Writes an object.
    pub async fn put(&self, key: &str, body: &[u8]) -> Result<Stored, ApiError> {
        let headers = self.place.headers.clone();
        let request = self.request(Method::PUT, key, headers, body)?;
        self.answer(request, "write into").await
    }

    /// Reads an object.
    pub async fn get(&self, key: &str) -> Result<Stored, ApiError> {
        let request = self.request(Method::GET, key, Vec::new(), b"")?;
        self.answer(request, "read from").await
    }

    /// Deletes an object; one that is not there is no failure.
    pub async fn delete(&self, key: &str) -> Result<Stored, ApiError> {
        let request = self.request(Method::DELETE, key, Vec::new(), b"")?;
        self.answer(request, "delete in").await
    }

    /// The store as a person names it.
    pub fn describe(&self) -> &str {
        self.place
            .endpoint
            .trim_start_matches("https://")
            .trim_start_matches("http://")
            .trim_end_matches('/')
    }

    /// A signed request for an object. The signature holds for the store's own name, wherever it is sent.
    fn request(
        &self,
        method: Method,
        key: &str,
        mut headers: Vec<(&'static str, String)>,
        body: &[u8],
    ) -> Result<reqwest::RequestBuilder, ApiError> {
        let wrong = || invalid(format!("`{}` is no address", self.place.endpoint));
        let mut url = self.base.join(&encoded(key)).map_err(|_| wrong())?;
        let authority = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        headers.push(("host", authority));
        let signer = Signer {
            access_key: &self.place.access_key,
            secret_key: &self.place.secret_key,
            region: &self.place.region,
        };
        let unsigned = Unsigned {
            method: method.as_str(),
            path: url.path(),
            headers,
            body,
        };
        let headers = signer.sign(unsigned, OffsetDateTime::now_utc())?;
        if let Some(through) = self.through {
            let is_set =
                url.set_ip_host(through.ip()).is_ok() && url.set_port(Some(through.port())).is_ok();
            if !is_set {
                return Err(wrong());
            }
        }
        let mut request = self.http.request(method, url).body(body.to_vec());
        for (name, value) in headers {
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| invalid(format!("`{name}` has characters that no header can hold")))?;
            value.set_sensitive(name == "authorization");
            request = request.header(name, value);
        }
        Ok(request)
    }

    async fn answer(
        &self,
        request: reqwest::RequestBuilder,
        verb: &str,
    ) -> Result<Stored, ApiError> {
        let failed = |error: reqwest::Error| {
            Self::told(ApiError::transport(&error, self.describe(), REQUEST_LIMIT))
        };
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        let ahead = response
            .headers()
            .get(DATE)
            .and_then(|value| OffsetDateTime::parse(value.to_str().ok()?, &Rfc2822).ok())
            .map(|date| date.unix_timestamp() - OffsetDateTime::now_utc().unix_timestamp());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_ANSWER {
                break;
            }
        }
        if status.is_success() {
            return Ok(Stored {
                body: body.into(),
                ahead,
            });
        }
        Err(self.refusal(status, &String::from_utf8_lossy(&body), ahead, verb))
    }

    /// A request without an answer, told for a store.
    fn told(error: ApiError) -> ApiError {
        let hint = match error.kind {
            ApiErrorKind::Tls if error.message.contains("authority") => {
                "name the authority's certificate in `image_registry.docker_registry.storage_ca`"
            }
            ApiErrorKind::Tls => {
                "look at the certificate with `openssl s_client`, and whether `regionendpoint` has the right scheme, name and port"
            }
            _ => {
                "look whether the service runs, whether `regionendpoint` is right, and at the firewalls on the way"
            }
        };
        ApiError::new(error.kind, error.message).hint(hint)
    }

    fn refusal(&self, status: StatusCode, body: &str, ahead: Option<i64>, verb: &str) -> ApiError {
        let (store, bucket) = (self.describe(), &self.place.bucket);
        let code = element(body, "Code").unwrap_or_default();
        let say = |kind, message: String, hint: &str| ApiError::new(kind, message).hint(hint);
        let status_kind = ApiErrorKind::Status(status.as_u16());
        let apart = ahead.filter(|ahead| ahead.abs() > CLOCK_LIMIT);
        if code == "RequestTimeTooSkewed" || status == StatusCode::FORBIDDEN && apart.is_some() {
            let far = match apart {
                Some(ahead) => format!("{} s", ahead.abs()),
                None => "more than 15 minutes".to_owned(),
            };
            return say(
                status_kind,
                format!("the clocks of this machine and of {store} are {far} apart"),
                "set the clock, best by a time server: S3 refuses what was signed more than 15 minutes away",
            );
        }
        match (code, status) {
            ("InvalidAccessKeyId" | "InvalidClientTokenId", _) => say(
                ApiErrorKind::Authentication,
                format!("{store} does not know the access key"),
                "check `accesskey`",
            ),
            ("SignatureDoesNotMatch", _) => say(
                ApiErrorKind::Authentication,
                format!("{store} says that the secret key is wrong"),
                "check `secretkey`; where it is right, check `region` and whether a proxy on the way changes requests",
            ),
            ("NoSuchBucket", _) => say(
                status_kind,
                format!("{store} has no bucket `{bucket}`"),
                "make it: the registry does not; or check `bucket`",
            ),
            (
                "AuthorizationHeaderMalformed"
                | "PermanentRedirect"
                | "AuthorizationQueryParametersError",
                _,
            )
            | (_, StatusCode::MOVED_PERMANENTLY) => say(
                status_kind,
                format!(
                    "the bucket `{bucket}` is in another region than `{}`",
                    self.place.region
                ),
                "check `region`",
            ),
            ("AccessDenied", _) | (_, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => say(
                ApiErrorKind::Authentication,
                format!("{store} does not let the key {verb} the bucket `{bucket}`"),
                "the key needs the rights s3:PutObject, s3:GetObject, s3:DeleteObject, s3:ListBucket, s3:ListBucketMultipartUploads, s3:ListMultipartUploadParts and s3:AbortMultipartUpload",
            ),
            _ => say(
                status_kind,
                format!(
                    "{store} refuses to {verb} the bucket `{bucket}`: {status}{}",
                    if code.is_empty() {
                        String::new()
                    } else {
                        format!(", {code}")
                    }
                ),
                "look at the log of the service",
            ),
        }
    }
}

/// The text of the first element of a name; a code of S3 is a word.
fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let is_word = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(endpoint: &str) -> StorePlace {
        StorePlace {
            endpoint: endpoint.to_owned(),
            path_style: true,
            region: "eu-central-1".to_owned(),
            bucket: "images".to_owned(),
            access_key: SecretString::new("AKIA".to_owned()),
            secret_key: SecretString::new("hush".to_owned()),
            ca_pem: None,
            verify: true,
            headers: Vec::new(),
        }
    }

    fn refused(status: u16, code: &str, ahead: Option<i64>) -> ApiError {
        let store = Store::new(place("http://s3.example:9000/"), None).unwrap();
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>hush</Message></Error>"
        );
        let status = StatusCode::from_u16(status).unwrap();
        store.refusal(status, &body, ahead, "write into")
    }

    #[test]
    fn refusals_in_words() {
        let cases = [
            (
                403,
                "InvalidAccessKeyId",
                None,
                "s3.example:9000 does not know the access key",
            ),
            (
                403,
                "SignatureDoesNotMatch",
                Some(3),
                "s3.example:9000 says that the secret key is wrong",
            ),
            (
                403,
                "RequestTimeTooSkewed",
                None,
                "the clocks of this machine and of s3.example:9000 are more than 15 minutes apart",
            ),
            (
                403,
                "RequestTimeTooSkewed",
                Some(-1200),
                "the clocks of this machine and of s3.example:9000 are 1200 s apart",
            ),
            (
                403,
                "AccessDenied",
                Some(1200),
                "the clocks of this machine and of s3.example:9000 are 1200 s apart",
            ),
            (
                403,
                "AccessDenied",
                None,
                "s3.example:9000 does not let the key write into the bucket `images`",
            ),
            (
                404,
                "NoSuchBucket",
                None,
                "s3.example:9000 has no bucket `images`",
            ),
            (
                400,
                "AuthorizationHeaderMalformed",
                None,
                "the bucket `images` is in another region than `eu-central-1`",
            ),
            (
                301,
                "",
                None,
                "the bucket `images` is in another region than `eu-central-1`",
            ),
            (
                503,
                "SlowDown",
                None,
                "s3.example:9000 refuses to write into the bucket `images`: 503 Service Unavailable, SlowDown",
            ),
            // What is no code is not shown.
            (
                500,
                "<b>",
                None,
                "s3.example:9000 refuses to write into the bucket `images`: 500 Internal Server Error",
            ),
        ];
        for (status, code, ahead, expected) in cases {
            let error = refused(status, code, ahead);
            assert_eq!(error.message, expected);
            assert!(error.hint.is_some_and(|hint| !hint.contains("hush")));
        }
    }

    #[test]
    fn addresses_of_buckets() {
        let address = |endpoint: &str, path_style| {
            let place = StorePlace {
                path_style,
                ..place(endpoint)
            };
            (place.base().map(String::from), place.address())
        };
        let (base, host) = address("https://s3.example", false);
        assert_eq!(base.unwrap(), "https://images.s3.example/");
        assert_eq!(host.unwrap(), ("images.s3.example".to_owned(), 443));
        let (base, host) = address("http://[fd00::1]:9000", true);
        assert_eq!(base.unwrap(), "http://[fd00::1]:9000/images/");
        assert_eq!(host.unwrap(), ("fd00::1".to_owned(), 9000));
        for wrong in ["", "s3.example", "ftp://s3.example", "http://"] {
            assert!(address(wrong, true).0.is_err(), "{wrong}");
        }
        assert_eq!(encoded("a b/ü~"), "a%20b/%C3%BC~");
    }
}
