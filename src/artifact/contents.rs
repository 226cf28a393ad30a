//! What a package turned out to hold: plain data, the same for every host that asks, so that it can be remembered.

use serde::{Deserialize, Serialize};

pub use super::detect::Packing;

/// What is known about a file once it was read from end to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// Of the whole file, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Of the whole file, in bytes.
    pub size: u64,
    /// How it is packed, whatever its name says.
    pub packing: Packing,
    /// Bytes of the unpacked archive, or of the file where it is none.
    pub unpacked: u64,
    /// What is in it.
    pub contents: Contents,
}

impl Inspection {
    /// Bytes that the images in it take once an engine has loaded them; 0 where there are none.
    pub fn loaded(&self) -> u64 {
        self.images().iter().map(|image| image.layers_size).sum()
    }

    /// The binaries in it; none for images.
    pub fn binaries(&self) -> &[Binary] {
        match &self.contents {
            Contents::Engine { binaries, .. } => binaries,
            Contents::Compose { binary, .. } => std::slice::from_ref(binary),
            Contents::Image { .. } | Contents::Harbor { .. } => &[],
        }
    }

    /// The images in it; none for binaries.
    pub fn images(&self) -> &[Image] {
        match &self.contents {
            Contents::Image { images } | Contents::Harbor { images, .. } => images,
            Contents::Engine { .. } | Contents::Compose { .. } => &[],
        }
    }
}

/// What is in a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Contents {
    /// Docker's static binaries.
    Engine {
        /// Those under `docker/`, in the archive's order.
        binaries: Vec<Binary>,
        /// The engine's version, where the binary says it.
        version: Option<String>,
    },
    /// Docker Compose.
    Compose {
        /// The file itself.
        binary: Binary,
        /// Its version, where the binary says it.
        version: Option<String>,
    },
    /// Saved images.
    Image {
        /// In the archive's order; never empty.
        images: Vec<Image>,
    },
    /// Harbor's installer.
    Harbor {
        /// Its version, from the name of the archive inside.
        version: String,
        /// Paths under `harbor/`.
        files: Vec<String>,
        /// The images of the archive inside.
        images: Vec<Image>,
    },
}

/// One executable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binary {
    /// Its name without a folder.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// 64 lower-case hexadecimal digits: what `sha256sum` says of the installed file.
    pub sha256: String,
    /// `amd64`, `arm64` …; `None` for a script.
    pub architecture: Option<String>,
}

/// One saved image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `sha256:…` of its configuration: what `docker images --no-trunc` shows, except where the engine keeps its
    /// images in containerd; there it shows [`Image::target_digest`].
    pub id: String,
    /// `sha256:…` of its manifest, where the archive has the OCI layout too.
    pub manifest_digest: Option<String>,
    /// `sha256:…` of what its name points to in the OCI layout: the manifest or an index around it.
    pub target_digest: Option<String>,
    /// `amd64`, `arm64` …
    pub architecture: String,
    /// `linux` …
    pub os: String,
    /// `name:tag`, as in the archive.
    pub tags: Vec<String>,
    /// How many layers.
    pub layers: usize,
    /// Bytes of its unpacked layers.
    pub layers_size: u64,
}
