//! Whether the chosen storage driver has what it needs: what its version refuses only once the registry starts, or
//! ignores without a word.

use super::checks::Resolved;
use super::drivers::{self, CLASS_OF_THREE_ONE, CLASSES_OF_TWO, Driver};
use super::layers::Given;
use super::schema::STORAGE;
use crate::diagnostic::{Diagnostic, Diagnostics, Place};

/// Whether a driver has what it needs, and nothing that its version does not know.
pub fn check_driver(
    driver: &Driver,
    named: &[(String, Place)],
    resolved: &Resolved,
    free: &[Given],
    found: &mut Diagnostics,
) {
    let version = resolved.text("docker_registry_version");
    let place = named
        .iter()
        .find(|(name, _)| name == driver.name)
        .map(|(_, place)| place);
    let Some(place) = place else { return };
    if !driver.known.by(&version) {
        found.push(
            Diagnostic::at(
                place,
                format!(
                    "docker-registry {version} has no storage driver `{}`",
                    driver.name
                ),
            )
            .hint("use version 2.8.3, or another driver"),
        );
        return;
    }
    let path_of = |parameter: &str| format!("{STORAGE}.{}.{parameter}", driver.name);
    for parameter in driver.parameters {
        if let Some(given) = resolved.given.get(&path_of(parameter.name))
            && !parameter.known.by(&version)
        {
            found.push(
                Diagnostic::at(
                    &given.key_place,
                    format!(
                        "docker-registry {version} does not know `{}` of the driver `{}`",
                        parameter.name, driver.name
                    ),
                )
                .hint("it would be ignored without a word: remove it, or choose another version"),
            );
        }
    }
    let missing: Vec<String> = driver
        .required
        .iter()
        .filter(|name| resolved.filled(&path_of(name)).is_none())
        .map(|name| format!("`{name}`"))
        .collect();
    if !missing.is_empty() {
        found.push(
            Diagnostic::at(
                place,
                format!(
                    "the storage driver `{}` needs {}",
                    driver.name,
                    missing.join(", ")
                ),
            )
            .hint(format!("add it below `{STORAGE}.{}`", driver.name)),
        );
    }
    let mut parameters = Parameters {
        driver,
        place,
        version: &version,
        resolved,
        free,
        found,
    };
    match driver.name {
        "s3" => s3(&mut parameters),
        "azure" => azure(&mut parameters),
        "gcs" => gcs(&mut parameters),
        "swift" => swift(&mut parameters),
        "oss" => parameters.address("endpoint", false),
        _ => {}
    }
}

/// One driver's parameters as a user gave them.
struct Parameters<'a> {
    driver: &'a Driver,
    place: &'a Place,
    version: &'a str,
    resolved: &'a Resolved,
    /// What is given below parameters that take anything.
    free: &'a [Given],
    found: &'a mut Diagnostics,
}

impl<'a> Parameters<'a> {
    /// A parameter that is given and not empty.
    fn given(&self, name: &str) -> Option<&'a Given> {
        let path = format!("{STORAGE}.{}.{name}", self.driver.name);
        let is_empty = |given: &&Given| given.value.as_str() == Some("");
        self.resolved
            .given
            .get(&path)
            .filter(|given| !is_empty(given))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.given(name)?.value.as_str()
    }

    fn is(&self, name: &str, value: bool) -> bool {
        self.given(name).is_some_and(|given| given.value == value)
    }

    /// Whether anything of a parameter that takes anything is given.
    fn any_of(&self, name: &str) -> bool {
        let path = format!("{STORAGE}.{}.{name}", self.driver.name);
        self.given(name).is_some() || self.free.iter().any(|given| given.path == path)
    }

    /// Says what is wrong, at the parameter or, where that is missing, at the driver.
    fn say(&mut self, name: &str, message: impl Into<String>, hint: &str) {
        let place = self.given(name).map_or(self.place, |given| &given.place);
        self.found.push(Diagnostic::at(place, message).hint(hint));
    }

    /// An address has `http://` or `https://` in front, or nothing.
    fn address(&mut self, name: &str, needs_scheme: bool) {
        let Some(text) = self.text(name) else { return };
        let bare = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let is_fine = match bare {
            Some(bare) => !bare.is_empty(),
            None => !needs_scheme && !text.contains("://"),
        };
        if !is_fine || text.contains(char::is_whitespace) {
            self.say(
                name,
                format!("`{name}` must be an address"),
                "such as `https://storage.example.com:9000`",
            );
        }
    }
}

fn s3(parameters: &mut Parameters<'_>) {
    let half = match (parameters.given("accesskey"), parameters.given("secretkey")) {
        (Some(_), None) => Some("accesskey"),
        (None, Some(_)) => Some("secretkey"),
        _ => None,
    };
    if let Some(half) = half {
        parameters.say(
            half,
            "the storage driver `s3` needs `accesskey` and `secretkey` together",
            "give both, or neither where the machine's role grants access",
        );
    }
    if parameters
        .text("bucket")
        .is_some_and(|text| text.contains("://"))
    {
        parameters.say(
            "bucket",
            "a bucket is named without `s3://`",
            "write the bucket's name alone; a prefix goes into `rootdirectory`",
        );
    }
    parameters.address("regionendpoint", false);
    parameters.address("redirectendpoint", true);
    let version = parameters.version;
    let is_amazon = match parameters.text("regionendpoint") {
        None => true,
        Some(endpoint) => endpoint.contains("s3.amazonaws.com"),
    };
    if parameters.given("regionendpoint").is_some()
        && !version.starts_with("2.")
        && !parameters.is("forcepathstyle", true)
    {
        parameters.say(
            "regionendpoint",
            format!("docker-registry {version} needs `forcepathstyle` with `regionendpoint`"),
            "add `forcepathstyle: true`",
        );
    }
    if is_amazon && parameters.is("v4auth", false) {
        parameters.say(
            "v4auth",
            "Amazon's S3 takes no other signature than version 4",
            "leave `v4auth` out, or name another service in `regionendpoint`",
        );
    }
    let region = parameters.text("region");
    if parameters.given("regionendpoint").is_none()
        && let Some(region) = region.filter(|region| !is_region(region))
    {
        parameters.say(
            "region",
            format!("`{region}` is no region of Amazon's"),
            "such as `eu-central-1`; for another service name its address in `regionendpoint`",
        );
    }
    if parameters.given("keyid").is_some() && !parameters.is("encrypt", true) {
        parameters.say(
            "keyid",
            "`keyid` is ignored without `encrypt: true`",
            "add it, or remove `keyid`",
        );
    }
    if let Some(class) = parameters.text("storageclass") {
        let numbers = drivers::numbers(version);
        let is_known = match numbers {
            (..=2, _, _) => CLASSES_OF_TWO.contains(&class),
            (3, 0, _) => class != CLASS_OF_THREE_ONE,
            _ => true,
        };
        if !is_known {
            parameters.say(
                "storageclass",
                format!("docker-registry {version} does not take the storage class `{class}`"),
                "leave it out for `STANDARD`, or choose another version",
            );
        }
    }
}

/// Whether a word has the shape of Amazon's regions: `eu-central-1`, `us-gov-west-1`.
fn is_region(word: &str) -> bool {
    let parts: Vec<&str> = word.split('-').collect();
    let Some((last, before)) = parts.split_last() else {
        return false;
    };
    let is_word =
        |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    before.len() >= 2
        && before.iter().all(is_word)
        && !last.is_empty()
        && last.bytes().all(|byte| byte.is_ascii_digit())
}

fn azure(parameters: &mut Parameters<'_>) {
    parameters.address("serviceurl", true);
    let version = parameters.version;
    if version.starts_with("2.") {
        if parameters.given("accountkey").is_none() {
            parameters.say(
                "accountkey",
                "the storage driver `azure` needs `accountkey`",
                "add the key of the account; docker-registry 3 takes `credentials` instead",
            );
        }
        return;
    }
    let needed: &[&str] = match parameters.text("credentials.type") {
        None => &["credentials.type"],
        Some("client_secret") => &[
            "credentials.clientid",
            "credentials.tenantid",
            "credentials.secret",
        ],
        Some("shared_key") => &["accountkey"],
        Some(_) => &[],
    };
    let missing: Vec<String> = needed
        .iter()
        .filter(|name| parameters.given(name).is_none())
        .map(|name| format!("`{name}`"))
        .collect();
    if !missing.is_empty() {
        let hint = if parameters.given("accountkey").is_some() {
            "with `accountkey` it is `credentials.type: shared_key`"
        } else {
            "`credentials.type` is `shared_key` with `accountkey`, `client_secret` with `clientid`, `tenantid` and `secret`, or `default_credentials`"
        };
        parameters.say(
            "credentials.type",
            format!(
                "docker-registry {version} needs {} for the storage driver `azure`",
                missing.join(", ")
            ),
            hint,
        );
    }
}

fn gcs(parameters: &mut Parameters<'_>) {
    let size = parameters
        .given("chunksize")
        .and_then(|given| given.value.as_u64());
    if size.is_some_and(|size| size % 262_144 != 0) {
        parameters.say(
            "chunksize",
            "`chunksize` must be a multiple of 262144",
            "leave it out for the default",
        );
    }
    if parameters.given(drivers::KEYFILE).is_some() && parameters.any_of("credentials") {
        parameters.say(
            drivers::KEYFILE,
            "the storage driver `gcs` takes `keyfile` or `credentials`, not both",
            "remove one of them",
        );
    }
}

fn swift(parameters: &mut Parameters<'_>) {
    parameters.address("authurl", true);
    let version = parameters
        .given("authversion")
        .and_then(|given| given.value.as_u64());
    let Some(address) = parameters.text("authurl") else {
        return;
    };
    let says = ["v1", "v2", "v3"]
        .iter()
        .any(|version| address.contains(version));
    if version.unwrap_or_default() == 0 && !says {
        parameters.say(
            "authurl",
            "`authurl` does not say the version of the authentication",
            "it ends with `/v3` for most services; else set `authversion` to 1, 2 or 3",
        );
    }
}
