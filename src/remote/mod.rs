//! A host as modules see it: commands with privilege, file operations, uploads.
//!
//! Everything here is built from [`Connector::exec`](crate::connect::Connector::exec): scripts for a POSIX `sh`, data
//! as arguments or standard input, never pasted into the script.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::connect::{Command, Connector, ExecRequest, Output, Stdin, TransportError};
use crate::secret::SecretString;

/// How to become another user on the host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Become {
    /// The user to become; nothing is done when the session already is that user.
    pub user: Option<String>,
    /// The password for sudo, sent over standard input.
    pub password: Option<SecretString>,
}

/// One host, one user on it. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Session {
    connector: Arc<dyn Connector>,
    privilege: Become,
    timeout: Option<Duration>,
    cancel: CancellationToken,
}

/// Why an operation on the host failed.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The session failed: it did not run, or its end was not seen.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// It ran and failed.
    #[error("{purpose}: {reason}")]
    Failed {
        /// What was tried: `write /etc/x`.
        purpose: String,
        /// The last line of standard error, or what was wrong.
        reason: String,
        /// Everything it said.
        details: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl Session {
    /// A session for one user on a connected host.
    pub fn new(
        connector: Arc<dyn Connector>,
        privilege: Become,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            connector,
            privilege,
            timeout: None,
            cancel,
        }
    }

    /// The same connection with another limit for each command.
    #[must_use]
    pub fn with_timeout(&self, timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            ..self.clone()
        }
    }

    /// The same connection as another user.
    #[must_use]
    pub fn with_become(&self, privilege: Become) -> Self {
        Self {
            privilege,
            ..self.clone()
        }
    }

    /// Runs a command that only reads. Modules call this while they plan.
    pub async fn probe(&self, command: Command) -> Result<Output, TransportError> {
        self.run(command, bytes::Bytes::new()).await
    }

    /// Runs a command with privilege and standard input.
    pub async fn run(
        &self,
        command: Command,
        input: bytes::Bytes,
    ) -> Result<Output, TransportError> {
        let mut request = ExecRequest::new(command)
            .stdin(Stdin::Bytes(input))
            .cancel(self.cancel.clone());
        request.timeout = self.timeout;
        self.connector.exec(request).await
    }
}
