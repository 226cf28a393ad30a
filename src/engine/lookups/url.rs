//! The lookup `url`: what a web server or a file answers, asked from this machine.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value as Json;

use super::options::Options;
use super::programs::blocking;
use crate::template::display;

/// What pages say, line by line or whole.
pub(super) fn get(terms: &[Json], options: &Options<'_>) -> Result<Vec<Json>, String> {
    let splits = options.flag("split_lines", true);
    let request = Request::new(options)?;
    let mut found = Vec::new();
    for term in terms {
        let url = display(term);
        let text = match url.strip_prefix("file://") {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read `{path}`: {error}"))?,
            None => blocking(|| request.send(&url))?,
        };
        if splits {
            found.extend(lines(&text).map(Json::from));
        } else {
            found.push(text.into());
        }
    }
    Ok(found)
}

/// The lines of a text, each ended by `\n`, `\r\n` or `\r`.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n')
        .map(|line| line.strip_suffix('\n').unwrap_or(line))
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .flat_map(|line| line.split('\r'))
}

/// A user and a password.
type User = (String, Option<String>);

/// What is the same for every page.
struct Request {
    headers: HeaderMap,
    user: Option<User>,
    /// The password is sent at once, not only when it is asked for.
    is_eager: bool,
    timeout: Duration,
    agent: String,
    uses_proxy: bool,
    follows: bool,
    tls: ClientConfig,
}

impl Request {
    fn new(options: &Options<'_>) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        match options.value("headers") {
            None => {}
            Some(Json::Object(given)) => {
                for (name, value) in given {
                    let header = HeaderName::try_from(name)
                        .map_err(|_| format!("`{name}` is no name of a header"))?;
                    // The value may be a secret: it is not shown.
                    let mut value = HeaderValue::try_from(display(value))
                        .map_err(|_| format!("the value of the header `{name}` is none"))?;
                    value.set_sensitive(true);
                    headers.insert(header, value);
                }
            }
            Some(_) => return Err("`headers` is not a mapping".to_owned()),
        }
        if options.flag("force", false) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        let password = options.text("password");
        if let Some(password) = &password {
            crate::vault::redactor().learn(password);
        }
        let timeout = options.text("timeout").unwrap_or_else(|| "10".to_owned());
        let timeout = timeout
            .parse()
            .ok()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| format!("`timeout` is no number of seconds: `{timeout}`"))?;
        let follows = options.text("follow_redirects");
        Ok(Self {
            headers,
            user: options.text("username").map(|user| (user, password)),
            is_eager: options.flag("force_basic_auth", false),
            timeout,
            agent: options
                .text("http_agent")
                .unwrap_or_else(|| "ansible-httpget".to_owned()),
            uses_proxy: options.flag("use_proxy", true),
            follows: !follows.is_some_and(|word| {
                matches!(word.to_lowercase().as_str(), "none" | "no" | "false")
            }),
            tls: trust(options)?,
        })
    }

    /// The address without a user in it, and the user of the arguments or else of the address.
    fn whom(&self, url: &str) -> Result<(Url, Option<User>), String> {
        let mut address =
            Url::parse(url).map_err(|error| format!("`{url}` is no address of a page: {error}"))?;
        let plain = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8_lossy()
                .into_owned()
        };
        let named = (!address.username().is_empty()).then(|| {
            let password = address.password().map(plain);
            if let Some(password) = &password {
                crate::vault::redactor().learn(password);
            }
            (plain(address.username()), password)
        });
        // Only addresses that cannot have one refuse it.
        let _ = address.set_username("");
        let _ = address.set_password(None);
        Ok((address, self.user.clone().or(named)))
    }

    /// On a runtime of its own: whoever asks waits.
    fn send(&self, url: &str) -> Result<String, String> {
        let failed = |error: &dyn std::error::Error| {
            let mut message = format!("cannot get `{url}`: {error}");
            let mut source = error.source();
            while let Some(inner) = source {
                message.push_str(&format!(": {inner}"));
                source = inner.source();
            }
            message
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(self.agent.as_str())
            .default_headers(self.headers.clone())
            .timeout(self.timeout)
            .tls_backend_preconfigured(self.tls.clone());
        if !self.uses_proxy {
            builder = builder.no_proxy();
        }
        if !self.follows {
            builder = builder.redirect(reqwest::redirect::Policy::none());
        }
        let client = builder
            .build()
            .map_err(|error| failed(&error.without_url()))?;
        let (address, user) = self.whom(url)?;
        let ask = async {
            let get = |with: Option<&User>| {
                let request = client.get(address.clone());
                match with {
                    Some((user, password)) => request.basic_auth(user, password.as_ref()),
                    None => request,
                }
                .send()
            };
            let mut answer = get(user.as_ref().filter(|_| self.is_eager)).await?;
            if user.is_some() && !self.is_eager && wants_password(&answer) {
                answer = get(user.as_ref()).await?;
            }
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.text().await?))
        };
        let asked = std::thread::scope(|threads| {
            let thread = threads.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                Ok::<_, std::io::Error>(runtime.block_on(ask))
            });
            thread.join()
        });
        let (status, text) = match asked {
            Ok(Ok(asked)) => asked.map_err(|error| failed(&error.without_url()))?,
            Ok(Err(error)) => return Err(failed(&error)),
            Err(_) => return Err(format!("cannot get `{url}`")),
        };
        // A redirection that is not followed is no page either.
        if !status.is_success() {
            return Err(format!("`{url}` answers {status}"));
        }
        Ok(text)
    }
}

/// Whether a server asks for a password.
fn wants_password(answer: &reqwest::Response) -> bool {
    let asked = answer.headers().get_all(WWW_AUTHENTICATE);
    answer.status() == StatusCode::UNAUTHORIZED
        && asked.iter().any(|scheme| {
            let scheme = scheme.as_bytes().get(..5);
            scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic"))
        })
}

/// Whom to trust.
fn trust(options: &Options<'_>) -> Result<ClientConfig, String> {
    if !options.flag("validate_certs", true) {
        return crate::pki::unverified();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let mut roots = RootCertStore::empty();
    match options.text("ca_path") {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(&path)
                .map_err(|error| format!("cannot read `{path}`: {error}"))?;
            roots.add_parsable_certificates(certificates.flatten());
        }
        // Single broken files in the system's store are not this program's to judge.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
