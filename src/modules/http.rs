//! Requests that the host makes with curl: what `get_url` and `uri` share. Headers, bodies and passwords go to curl as
//! settings on standard input: anybody on the host can read a command's words.

use super::{Argument, ArgumentKind, Arguments, Content, ModuleError};
use serde_json::Value;

pub(super) const URL_USERNAME: Argument = Argument::optional(
    "url_username",
    ArgumentKind::Text,
    "the user for HTTP authentication",
)
.or(&["username", "user"]);
pub(super) const URL_PASSWORD: Argument = Argument::optional(
    "url_password",
    ArgumentKind::Secret,
    "the password for HTTP authentication",
)
.or(&["password"]);
pub(super) const FORCE_BASIC: Argument = Argument::optional(
    "force_basic_auth",
    ArgumentKind::Boolean,
    "name user and password in the first request, as kk does in any case",
);
pub(super) const VALIDATE_CERTS: Argument = Argument::optional(
    "validate_certs",
    ArgumentKind::Boolean,
    "check the certificate of HTTPS; true by default",
);
pub(super) const CA_PATH: Argument = Argument::optional(
    "ca_path",
    ArgumentKind::Path,
    "a file of the host with the authorities to trust",
);
pub(super) const CLIENT_CERT: Argument = Argument::optional(
    "client_cert",
    ArgumentKind::Path,
    "a file of the host with our certificate",
);
pub(super) const USE_NETRC: Argument = Argument::optional(
    "use_netrc",
    ArgumentKind::Boolean,
    "users and passwords of `~/.netrc` on the host are taken; true by default",
);
pub(super) const CIPHERS: Argument = Argument::optional(
    "ciphers",
    ArgumentKind::Texts,
    "ciphers for HTTPS, as OpenSSL calls them",
);
pub(super) const DECOMPRESS: Argument = Argument::optional(
    "decompress",
    ArgumentKind::Boolean,
    "ask for a compressed answer and unpack it; an answer is asked for as it is by default",
);
pub(super) const CLIENT_KEY: Argument = Argument::optional(
    "client_key",
    ArgumentKind::Path,
    "a file of the host with its key",
);
pub(super) const USE_PROXY: Argument = Argument::optional(
    "use_proxy",
    ArgumentKind::Boolean,
    "use the proxies that the environment names; true by default",
);
pub(super) const HTTP_AGENT: Argument = Argument::optional(
    "http_agent",
    ArgumentKind::Text,
    "how we call ourselves; `ansible-httpget` by default",
);
pub(super) const HEADERS: Argument =
    Argument::optional("headers", ArgumentKind::Mapping, "headers of the request");
pub(super) const TIMEOUT: Argument = Argument::optional(
    "timeout",
    ArgumentKind::Integer,
    "for how many seconds to wait for an answer",
);

/// Settings of curl, a line each.
#[derive(Default)]
pub(super) struct Settings(String);

impl Settings {
    /// Those that the arguments of both modules ask for.
    pub(super) fn new(arguments: &Arguments, url: &str, seconds: i64) -> Result<Self, ModuleError> {
        if !["http://", "https://", "ftp://", "file://"]
            .iter()
            .any(|start| url.to_lowercase().starts_with(start))
        {
            return Err(ModuleError::failed(format!(
                "`{url}` is no URL of http, https or ftp"
            )));
        }
        let mut settings = Self::default();
        settings.flag("silent");
        settings.flag("show-error");
        settings.set("url", url);
        settings.set("connect-timeout", &seconds.to_string());
        settings.set("speed-limit", "1");
        settings.set("speed-time", &seconds.to_string());
        let agent = arguments.filled("http_agent");
        settings.set("user-agent", agent.as_deref().unwrap_or("ansible-httpget"));
        if let Some(user) = arguments.filled("url_username") {
            let password = arguments.text("url_password").unwrap_or_default();
            settings.set("user", &format!("{user}:{password}"));
        }
        if !arguments.boolean("validate_certs", true) {
            settings.flag("insecure");
        }
        for (name, option) in [
            ("ca_path", "cacert"),
            ("client_cert", "cert"),
            ("client_key", "key"),
            ("unix_socket", "unix-socket"),
        ] {
            if let Some(path) = arguments.filled(name) {
                settings.set(option, &path);
            }
        }
        if arguments.boolean("use_netrc", true) {
            settings.flag("netrc-optional");
        }
        let ciphers = arguments.texts("ciphers").join(":");
        if !ciphers.is_empty() {
            settings.set("ciphers", &ciphers);
        }
        if arguments.flag("decompress") == Some(true) {
            settings.flag("compressed");
        }
        if !arguments.boolean("use_proxy", true) {
            settings.set("noproxy", "*");
        }
        if let Some(Value::Object(headers)) = arguments.value("headers") {
            for (name, value) in headers {
                let value = match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                settings.set("header", &format!("{name}: {value}"));
            }
        }
        Ok(settings)
    }

    /// A setting without a value.
    pub(super) fn flag(&mut self, name: &str) {
        self.0.push_str(name);
        self.0.push('\n');
    }

    /// A setting with a value.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let mut text = String::with_capacity(value.len());
        for letter in value.chars() {
            match letter {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                other => text.push(other),
            }
        }
        self.0.push_str(&format!("{name} = \"{text}\"\n"));
    }

    /// For standard input.
    pub(super) fn content(&self) -> Content {
        Content::secret(self.0.clone())
    }
}

/// Text as a part of a query.
pub(super) fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            byte if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// Curl's last words as Ansible's message has them, where the request itself failed.
pub(super) fn request_failed(line: &str) -> Option<String> {
    let (number, words) = line.strip_prefix("curl: (")?.split_once(") ")?;
    let why = match number {
        "7" => "<urlopen error [Errno 111] Connection refused>".to_owned(),
        "6" => "<urlopen error [Errno -2] Name or service not known>".to_owned(),
        "28" => "<urlopen error timed out>".to_owned(),
        "37" => {
            let path = words.strip_prefix("Couldn't open file ").unwrap_or(words);
            format!("<urlopen error [Errno 2] No such file or directory: '{path}'>")
        }
        _ => format!("<urlopen error {words}>"),
    };
    Some(format!("Request failed: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_hold_any_text() {
        let mut settings = Settings::default();
        settings.set("data", "a\"b\\c\nd");
        assert_eq!(settings.0, "data = \"a\\\"b\\\\c\\nd\"\n");
        assert_eq!(percent_encoded("a b&ü"), "a+b%26%C3%BC");
    }
}
