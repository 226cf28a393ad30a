//! Signatures of requests to S3: AWS Signature Version 4, in the `Authorization` header.
//!
//! Own code, because the crates that do this bring two dozen others or sign addresses only; see
//! `docs/adr/0008-requests-to-s3-are-signed-here.md`.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

use super::error::{ApiError, ApiErrorKind};
use crate::secret::SecretString;

/// The scheme's name.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who signs, and for where.
pub(super) struct Signer<'a> {
    /// Access key.
    pub(super) access_key: &'a SecretString,
    /// Secret key.
    pub(super) secret_key: &'a SecretString,
    /// Region.
    pub(super) region: &'a str,
}

/// What is signed: a request without a query.
pub(super) struct Unsigned<'a> {
    /// Method.
    pub(super) method: &'a str,
    /// Path, percent-encoded as it is sent.
    pub(super) path: &'a str,
    /// Headers that are signed, names in lower case; `host` is one of them.
    pub(super) headers: Vec<(&'static str, String)>,
    /// Body.
    pub(super) body: &'a [u8],
}

impl Signer<'_> {
    /// All headers that the request is to be sent with, `authorization` among them.
    pub(super) fn sign(
        &self,
        request: Unsigned<'_>,
        now: OffsetDateTime,
    ) -> Result<Vec<(&'static str, String)>, ApiError> {
        let unusable =
            || ApiError::new(ApiErrorKind::Invalid, "this machine's time cannot be used");
        let time = now
            .to_offset(time::UtcOffset::UTC)
            .format(format_description!(
                "[year][month][day]T[hour][minute][second]Z"
            ))
            .map_err(|_| unusable())?;
        let day = time.split('T').next().unwrap_or_default().to_owned();
        let payload = hex::encode(Sha256::digest(request.body));
        let mut headers = request.headers;
        headers.push(("x-amz-content-sha256", payload.clone()));
        headers.push(("x-amz-date", time.clone()));
        headers.sort_by_key(|(name, _)| *name);
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{}\n", value.trim()))
            .collect();
        let canonical = format!(
            "{}\n{}\n\n{lines}\n{names}\n{payload}",
            request.method, request.path
        );
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let to_sign = format!(
            "{ALGORITHM}\n{time}\n{scope}\n{}",
            hex::encode(Sha256::digest(canonical))
        );
        let mut key = format!("AWS4{}", self.secret_key.expose()).into_bytes();
        for part in [day.as_str(), self.region, "s3", "aws4_request", &to_sign] {
            key = keyed(&key, part.as_bytes()).ok_or_else(unusable)?;
        }
        let authorization = format!(
            "{ALGORITHM} Credential={}/{scope},SignedHeaders={names},Signature={}",
            self.access_key.expose(),
            hex::encode(key)
        );
        headers.push(("authorization", authorization));
        Ok(headers)
    }
}

/// HMAC takes a key of any length, so that there is always an answer.
fn keyed(key: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    /// The examples of Amazon's own documentation ("Authenticating Requests: Using the Authorization Header").
    #[test]
    fn the_published_examples() {
        let (access_key, secret_key) = (
            SecretString::new("AKIAIOSFODNN7EXAMPLE".to_owned()),
            SecretString::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        );
        let signer = Signer {
            access_key: &access_key,
            secret_key: &secret_key,
            region: "us-east-1",
        };
        let host = ("host", "examplebucket.s3.amazonaws.com".to_owned());
        let authorization = |request| {
            let headers = signer
                .sign(request, datetime!(2013-05-24 0:00 UTC))
                .unwrap();
            headers.last().unwrap().1.clone()
        };
        assert_eq!(
            authorization(Unsigned {
                method: "GET",
                path: "/test.txt",
                headers: vec![host.clone(), ("range", "bytes=0-9".to_owned())],
                body: b"",
            }),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
             Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
        assert_eq!(
            authorization(Unsigned {
                method: "PUT",
                path: "/test%24file.text",
                headers: vec![
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY".to_owned()),
                    host,
                    ("date", "Fri, 24 May 2013 00:00:00 GMT".to_owned()),
                ],
                body: b"Welcome to Amazon S3.",
            }),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,\
             Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        );
    }
}
