//! The storage drivers of docker-registry and their parameters, for its versions 2.8 and 3.
//!
//! What stands here was read from the drivers themselves (`FromParameters` in `registry/storage/driver/<driver>` of
//! distribution v2.8.3, v3.0.0 and v3.1.1), because the configuration reference names parameters that no driver reads
//! (`rootdirectory` of swift) and leaves out others. A parameter that a driver does not read is ignored without a word,
//! so it is no setting: s3 has no `sessiontoken` in any version, azure no `connectionstring`.

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
    /// The first version after this one of version 3, by its second and third number.
    After(u64, u64),
}

impl Known {
    /// Whether a version knows it.
    pub fn by(self, version: &str) -> bool {
        let is_two = version.starts_with("2.");
        match self {
            Self::Always => true,
            Self::Two => is_two,
            Self::Three => !is_two,
            Self::After(minor, patch) => numbers(version) > (3, minor, patch),
        }
    }

    /// The versions, for documentation.
    fn describe(self) -> String {
        match self {
            Self::Always => String::new(),
            Self::Two => " Registry 2 only.".to_owned(),
            Self::Three => " Registry 3 only.".to_owned(),
            Self::After(minor, patch) => format!(" Registry after 3.{minor}.{patch} only."),
        }
    }
}

/// The three numbers of a version; what is not one counts as 0.
pub fn numbers(version: &str) -> (u64, u64, u64) {
    let bare = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = bare.split('.').map(|part| part.parse().unwrap_or_default());
    let mut next = || parts.next().unwrap_or_default();
    (next(), next(), next())
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

const fn choice(
    name: &'static str,
    words: &'static [&'static str],
    summary: &'static str,
) -> Parameter {
    Parameter {
        kind: Kind::Choice(words),
        ..text(name, summary)
    }
}

const fn number(name: &'static str, least: i64, most: i64, summary: &'static str) -> Parameter {
    Parameter {
        kind: Kind::Between { least, most },
        ..text(name, summary)
    }
}

/// The least and the most that S3 takes as a part of an upload.
const S3_PART: (i64, i64) = (5 << 20, 5 << 30);
/// What the drivers hold numbers without a bound of their own in.
const INT: i64 = 2_147_483_647;

/// Storage classes of s3 that version 2 takes.
pub const CLASSES_OF_TWO: [&str; 3] = ["NONE", "STANDARD", "REDUCED_REDUNDANCY"];
/// The storage class that version 3.1 added.
pub const CLASS_OF_THREE_ONE: &str = "EXPRESS_ONEZONE";

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
/// The parameter of gcs that is a file of the control machine.
pub const KEYFILE: &str = "keyfile";

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
            number(
                "maxthreads",
                25,
                INT,
                "File operations at once; the registry's own default is 100.",
            ),
        ],
        required: &[],
    },
    Driver {
        name: "s3",
        known: Known::Always,
        parameters: &[
            hidden("accesskey", "Access key."),
            hidden("secretkey", "Secret key."),
            text("region", "Region; needed."),
            text(
                "regionendpoint",
                "Address of a service other than Amazon's, such as MinIO.",
            ),
            text("bucket", "Bucket, without `s3://`; needed."),
            switch("encrypt", "Encrypt on the server."),
            text("keyid", "Key to encrypt with; needs `encrypt`."),
            switch("secure", "Use https."),
            switch("skipverify", "Do not check the service's certificate."),
            switch(
                "v4auth",
                "Sign with version 4; `false` only with `regionendpoint`.",
            ),
            number(
                "chunksize",
                S3_PART.0,
                S3_PART.1,
                "Size of an upload's parts in bytes.",
            ),
            number(
                "multipartcopychunksize",
                S3_PART.0,
                S3_PART.1,
                "Size of a copy's parts in bytes.",
            ),
            number(
                "multipartcopymaxconcurrency",
                1,
                INT,
                "Parts of a copy at once.",
            ),
            number(
                "multipartcopythresholdsize",
                0,
                S3_PART.1,
                "Size in bytes from which a copy is made in parts.",
            ),
            text("rootdirectory", "Prefix of all keys."),
            choice(
                "storageclass",
                &[
                    "NONE",
                    "STANDARD",
                    "REDUCED_REDUNDANCY",
                    "STANDARD_IA",
                    "ONEZONE_IA",
                    "INTELLIGENT_TIERING",
                    "OUTPOSTS",
                    "GLACIER_IR",
                    CLASS_OF_THREE_ONE,
                ],
                "Storage class; `NONE` names none to the service. Registry 2 knows the first three, 3.0 all but the last.",
            ),
            text("useragent", "User agent to send."),
            choice(
                "objectacl",
                &[
                    "private",
                    "public-read",
                    "public-read-write",
                    "authenticated-read",
                    "aws-exec-read",
                    "bucket-owner-read",
                    "bucket-owner-full-control",
                ],
                "Access list of new objects.",
            ),
            switch(
                "forcepathstyle",
                "Put the bucket into the path; must be true with `regionendpoint`.",
            )
            .three(),
            switch("accelerate", "Use transfer acceleration.").three(),
            switch("usedualstack", "Use endpoints for IPv4 and IPv6.").three(),
            switch("usefipsendpoint", "Use FIPS endpoints.").three(),
            choice(
                "loglevel",
                &[
                    "off",
                    "debug",
                    "debugwithsigning",
                    "debugwithhttpbody",
                    "debugwithrequestretries",
                    "debugwithrequesterrors",
                    "debugwitheventstreambody",
                ],
                "What the client library logs.",
            )
            .three(),
            Parameter {
                known: Known::After(1, 1),
                ..text(
                    "redirectendpoint",
                    "Address that clients are sent to for blobs.",
                )
            },
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
            choice(
                "credentials.type",
                &["client_secret", "shared_key", "default_credentials"],
                "How to log in; needed with registry 3, `shared_key` uses `accountkey`.",
            )
            .three(),
            text("credentials.clientid", "Client of `client_secret`.").three(),
            text("credentials.tenantid", "Tenant of `client_secret`.").three(),
            hidden("credentials.secret", "Secret of `client_secret`.").three(),
            text(
                "serviceurl",
                "Address of the service, where it is not the account's at `realm`.",
            )
            .three(),
            switch("skipverify", "Do not check the service's certificate.").three(),
            number(
                "max_retries",
                -1,
                INT,
                "How often a copy that is under way is asked for; -1 not again.",
            )
            .three(),
            Parameter {
                kind: Kind::Duration,
                ..text("retry_delay", "Time between two of these.")
            }
            .three(),
        ],
        required: &["accountname", "container"],
    },
    Driver {
        name: "gcs",
        known: Known::Always,
        parameters: &[
            text("bucket", "Bucket; needed."),
            Parameter {
                kind: Kind::LocalPath,
                ..text(
                    KEYFILE,
                    "Service account's key, a JSON file on the control machine; it is copied to the registry hosts.",
                )
            },
            Parameter {
                kind: Kind::Free,
                ..hidden(
                    "credentials",
                    "Service account's key itself, a mapping, instead of `keyfile`.",
                )
            },
            text("rootdirectory", "Prefix of all keys."),
            number(
                "chunksize",
                262_144,
                INT,
                "Size of an upload's parts in bytes, a multiple of 262144.",
            ),
            number("maxconcurrency", 25, INT, "Requests at once."),
            text("useragent", "User agent to send.").three(),
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
            number(
                "authversion",
                0,
                3,
                "Version of the authentication; 0 to find it by `authurl`.",
            ),
            text("container", "Container; needed."),
            text("prefix", "Prefix of all keys."),
            choice(
                "endpointtype",
                &["public", "internal", "admin"],
                "Which of the service's addresses is used.",
            ),
            switch(
                "insecureskipverify",
                "Do not check the service's certificate.",
            ),
            number(
                "chunksize",
                1 << 20,
                INT,
                "Size of an upload's parts in bytes.",
            ),
            hidden("secretkey", "Secret key for temporary addresses."),
            hidden("accesskey", "Access key for temporary addresses."),
            switch(
                "tempurlcontainerkey",
                "Use the container's key for temporary addresses.",
            ),
            Parameter {
                kind: Kind::List,
                ..text("tempurlmethods", "Methods of temporary addresses.")
            },
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
            number(
                "chunksize",
                S3_PART.0,
                INT,
                "Size of an upload's parts in bytes.",
            ),
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
            let known = if driver.known == Known::Always {
                parameter.known
            } else {
                driver.known
            };
            let version = known.describe();
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
