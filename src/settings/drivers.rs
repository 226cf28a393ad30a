//! The storage drivers of docker-registry and their parameters, for its versions 2.8 and 3.

use super::schema::STORAGE;
use super::value::Kind;

/// Which versions of the registry know something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// All that are supported.
    Always,
    /// Version 2 only.
    Two,
    /// Version 3 and later.
    Three,
}

impl Known {
    /// Whether a version knows it.
    pub fn by(self, version: &str) -> bool {
        let is_two = version.starts_with("2.");
        match self {
            Self::Always => true,
            Self::Two => is_two,
            Self::Three => !is_two,
        }
    }
}

/// One storage driver.
#[derive(Debug)]
pub struct Driver {
    /// Its name in the registry's configuration.
    pub name: &'static str,
    /// Which versions have it.
    pub known: Known,
    /// What it can be told.
    pub parameters: &'static [Parameter],
    /// What it must be told.
    pub required: &'static [&'static str],
}

/// One parameter of a driver.
#[derive(Debug)]
pub struct Parameter {
    /// Its name; a dot leads into a nested mapping.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its value is never shown.
    pub secret: bool,
    /// Which versions have it.
    pub known: Known,
    /// What it means.
    pub summary: &'static str,
}

const fn text(name: &'static str, summary: &'static str) -> Parameter {
    Parameter {
        name,
        kind: Kind::Text,
        secret: false,
        known: Known::Always,
        summary,
    }
}

const fn hidden(name: &'static str, summary: &'static str) -> Parameter {
    Parameter {
        secret: true,
        ..text(name, summary)
    }
}

const fn switch(name: &'static str, summary: &'static str) -> Parameter {
    Parameter {
        kind: Kind::Boolean,
        ..text(name, summary)
    }
}

const fn count(name: &'static str, summary: &'static str) -> Parameter {
    Parameter {
        kind: Kind::Count,
        ..text(name, summary)
    }
}

impl Parameter {
    const fn three(self) -> Self {
        Self {
            known: Known::Three,
            ..self
        }
    }
}

/// The default driver's name.
pub const FILESYSTEM: &str = "filesystem";

/// Every driver.
pub static DRIVERS: [Driver; 7] = [
    Driver {
        name: FILESYSTEM,
        known: Known::Always,
        parameters: &[
            Parameter {
                kind: Kind::HostFolder,
                ..text("rootdir", "Data folder on the registry hosts.")
            },
            Parameter {
                kind: Kind::NfsExport,
                ..text(
                    "nfs_mount",
                    "NFS export to mount there: `server:/path`, or `/path` of the first host in the group `nfs`.",
                )
            },
        ],
        required: &[],
    },
    Driver {
        name: "s3",
        known: Known::Always,
        parameters: &[
            hidden("accesskey", "Access key."),
            hidden("secretkey", "Secret key."),
            hidden("sessiontoken", "Session token, for temporary keys."),
            text("region", "Region; needed."),
            text(
                "regionendpoint",
                "Address of a service other than Amazon's, such as MinIO.",
            ),
            text("bucket", "Bucket, without `s3://`; needed."),
            switch("encrypt", "Encrypt on the server."),
            text("keyid", "Key to encrypt with."),
            switch("secure", "Use https."),
            switch("skipverify", "Do not check the service's certificate."),
            switch("v4auth", "Sign with version 4."),
            count(
                "chunksize",
                "Size of an upload's parts in bytes, at least 5242880.",
            ),
            count("multipartcopychunksize", "Size of a copy's parts in bytes."),
            count("multipartcopymaxconcurrency", "Parts of a copy at once."),
            count(
                "multipartcopythresholdsize",
                "Size in bytes from which a copy is made in parts.",
            ),
            text("rootdirectory", "Prefix of all keys."),
            text("storageclass", "Storage class."),
            text("useragent", "User agent to send."),
            text("objectacl", "Access list of new objects."),
            switch(
                "forcepathstyle",
                "Put the bucket into the path; must be true with `regionendpoint`.",
            )
            .three(),
            switch("accelerate", "Use transfer acceleration.").three(),
            switch("usedualstack", "Use endpoints for IPv4 and IPv6.").three(),
            switch("usefipsendpoint", "Use FIPS endpoints.").three(),
            text("loglevel", "What the client library logs.").three(),
            text(
                "redirectendpoint",
                "Address that clients are sent to for blobs.",
            )
            .three(),
        ],
        required: &["region", "bucket"],
    },
    Driver {
        name: "azure",
        known: Known::Always,
        parameters: &[
            text("accountname", "Storage account; needed."),
            hidden("accountkey", "Key of the account."),
            text("container", "Container; needed."),
            text("realm", "Domain of the service."),
            text("rootdirectory", "Prefix of all keys.").three(),
            text(
                "credentials.type",
                "`client_secret`, `shared_key` or `default_credentials`.",
            )
            .three(),
            text("credentials.clientid", "Client of `client_secret`.").three(),
            text("credentials.tenantid", "Tenant of `client_secret`.").three(),
            hidden("credentials.secret", "Secret of `client_secret`.").three(),
            count("max_retries", "How often a request is tried again.").three(),
            text("retry_delay", "Time between two tries, such as `100ms`.").three(),
        ],
        required: &["accountname", "container"],
    },
    Driver {
        name: "gcs",
        known: Known::Always,
        parameters: &[
            text("bucket", "Bucket; needed."),
            text("keyfile", "Service account's key, a JSON file."),
            Parameter {
                kind: Kind::Free,
                ..hidden("credentials", "Service account's key itself, a mapping.")
            },
            text("rootdirectory", "Prefix of all keys."),
            count(
                "chunksize",
                "Size of an upload's parts in bytes, a multiple of 262144.",
            ),
            count("maxconcurrency", "Requests at once."),
        ],
        required: &["bucket"],
    },
    Driver {
        name: "swift",
        known: Known::Two,
        parameters: &[
            text("username", "User; needed."),
            hidden("password", "Password; needed."),
            text("authurl", "Address of the authentication service; needed."),
            text("tenant", "Tenant's name."),
            text("tenantid", "Tenant's id."),
            text("domain", "Domain's name."),
            text("domainid", "Domain's id."),
            text("tenantdomain", "Name of the tenant's domain."),
            text("tenantdomainid", "Id of the tenant's domain."),
            text("trustid", "Trust's id."),
            text("region", "Region."),
            count("authversion", "Version of the authentication."),
            text("container", "Container; needed."),
            text("prefix", "Prefix of all keys."),
            text("endpointtype", "`public`, `internal` or `admin`."),
            switch(
                "insecureskipverify",
                "Do not check the service's certificate.",
            ),
            count("chunksize", "Size of an upload's parts in bytes."),
            hidden("secretkey", "Secret key for temporary addresses."),
            hidden("accesskey", "Access key for temporary addresses."),
            switch(
                "tempurlcontainerkey",
                "Use the container's key for temporary addresses.",
            ),
            text("tempurlmethods", "Methods of temporary addresses."),
        ],
        required: &["username", "password", "authurl", "container"],
    },
    Driver {
        name: "oss",
        known: Known::Two,
        parameters: &[
            text("accesskeyid", "Access key's id; needed."),
            hidden("accesskeysecret", "Access key's secret; needed."),
            text("region", "Region; needed."),
            text("bucket", "Bucket; needed."),
            text("endpoint", "Address of the service."),
            switch("internal", "Use the internal endpoint."),
            switch("encrypt", "Encrypt on the server."),
            switch("secure", "Use https."),
            count("chunksize", "Size of an upload's parts in bytes."),
            text("rootdirectory", "Prefix of all keys."),
        ],
        required: &["accesskeyid", "accesskeysecret", "region", "bucket"],
    },
    Driver {
        name: "inmemory",
        known: Known::Always,
        parameters: &[],
        required: &[],
    },
];

/// A driver by its name.
pub fn driver(name: &str) -> Option<&'static Driver> {
    DRIVERS.iter().find(|driver| driver.name == name)
}

/// The rows of the table of settings that describe drivers.
pub fn rows(row: &mut impl FnMut(&str, Kind, &str, &str)) {
    for driver in &DRIVERS {
        if driver.parameters.is_empty() {
            let path = format!("{STORAGE}.{}", driver.name);
            let summary = "Keeps everything in memory and loses it at a restart: for trials only.";
            row(&path, Kind::Nothing, "", summary);
        }
        for parameter in driver.parameters {
            let default = match (driver.name, parameter.name) {
                (FILESYSTEM, "rootdir") => "/var/lib/docker-registry/data",
                _ => "",
            };
            let path = format!("{STORAGE}.{}.{}", driver.name, parameter.name);
            let version = match (driver.known, parameter.known) {
                (Known::Two, _) | (_, Known::Two) => " Registry 2 only.",
                (Known::Three, _) | (_, Known::Three) => " Registry 3 only.",
                _ => "",
            };
            let summary = format!("{}{version}", parameter.summary);
            row(&path, parameter.kind, default, &summary);
        }
    }
}

/// Whether the path of a setting is a secret parameter of a driver.
pub fn is_secret(path: &str) -> bool {
    parameter(path).is_some_and(|(_, parameter)| parameter.secret)
}

/// The driver and parameter that the path of a setting names.
pub fn parameter(path: &str) -> Option<(&'static Driver, &'static Parameter)> {
    let rest = path.strip_prefix(STORAGE)?.strip_prefix('.')?;
    let (name, parameter) = rest.split_once('.')?;
    let driver = driver(name)?;
    let parameter = driver
        .parameters
        .iter()
        .find(|known| known.name == parameter)?;
    Some((driver, parameter))
}
