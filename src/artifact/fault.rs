//! What can be wrong with a package, in words that follow its path.

use std::io;
use std::path::PathBuf;

/// A package that cannot be used: which, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {fault}", path.display())]
pub struct InspectError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

impl InspectError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        self.fault.hint()
    }
}

/// What is wrong with a package. Shown, it continues "`<path>` …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The reading was broken off by the user.
    #[error("was not read to its end: interrupted")]
    Cancelled,
    /// Has no bytes.
    #[error("is empty")]
    Empty,
    /// Something else than what it should be.
    #[error("is not {wanted}: {found}")]
    WrongKind {
        /// What it should be, with an article.
        wanted: &'static str,
        /// What it is or what is missing.
        found: String,
    },
    /// Packed by something that Docker or tar on the hosts may not know.
    #[error("is compressed with {method}; only gzip and plain tar archives are taken")]
    Compression {
        /// For instance `zstd`.
        method: &'static str,
    },
    /// Ends too early.
    #[error("is truncated: it ends at byte {at}, {inside}")]
    Truncated {
        /// The file's length.
        at: u64,
        /// Where that is: "inside `docker/dockerd`".
        inside: String,
    },
    /// Its bytes contradict themselves.
    #[error("is damaged: {what}")]
    Damaged {
        /// What does not fit.
        what: String,
    },
    /// Made to do harm, or hopelessly broken.
    #[error("is refused: {what}")]
    Unsafe {
        /// What it tries.
        what: String,
    },
    /// For other hardware.
    #[error("holds {found} {what}, not {wanted}")]
    Architecture {
        /// `binaries` or `an image`, for the sentence.
        what: &'static str,
        /// What it is for.
        found: String,
        /// What the host is.
        wanted: String,
    },
    /// Another version than asked for.
    #[error("holds version {found}, not {wanted}")]
    Version {
        /// Inside.
        found: String,
        /// Asked for.
        wanted: String,
    },
    /// Another image than asked for.
    #[error("holds {found}, not the image `{wanted}`")]
    Tag {
        /// Inside, with backticks.
        found: String,
        /// Asked for.
        wanted: String,
    },
    /// Not the file that its checksum was made of.
    #[error("has the sha256 {found}, but {source_name} says {wanted}")]
    Checksum {
        /// Of the file.
        found: String,
        /// What it should be.
        wanted: String,
        /// Who says so.
        source_name: String,
    },
}

impl Fault {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable(_) => "check that the file exists and that you may read it".to_owned(),
            Self::Cancelled => "run the command again".to_owned(),
            Self::Empty | Self::Truncated { .. } | Self::Damaged { .. } => {
                "the file did not arrive whole: fetch or copy it again, and compare its sha256 with the origin's"
                    .to_owned()
            }
            Self::WrongKind { wanted, .. } => format!("name a file that is {wanted}"),
            Self::Compression { method } => match *method {
                "zstd" => "unpack it first: `zstd -d FILE -o FILE.tar`, and name the result".to_owned(),
                "xz" => "unpack it first: `xz -dk FILE`, and name the result".to_owned(),
                _ => "unpack it first and name the tar archive".to_owned(),
            },
            Self::Unsafe { .. } => "get the file from its origin; do not use this one".to_owned(),
            Self::Architecture { wanted, .. } => format!("get the {wanted} package and put it there"),
            Self::Version { .. } => {
                "name the file of the wanted version, or set the version to the one inside".to_owned()
            }
            Self::Tag { wanted, .. } => {
                format!("save the right one: `docker save {wanted}`, or set the version to the one inside")
            }
            Self::Checksum { .. } => {
                "fetch the file again from its origin; if you trust this one, say so by `artifact.sha256.<name>.<arch>`".to_owned()
            }
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        if error.to_string() == super::stream::CANCELLED {
            return Self::Cancelled;
        }
        Self::Unreadable(match error.kind() {
            io::ErrorKind::NotFound => "there is no such file".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
            _ => error.to_string(),
        })
    }
}
