//! Which host keys are trusted for a host, and what happens with those that are not known.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::connect::TransportError;
use crate::connect::config::{Checking, HostSettings};
use crate::connect::known_hosts::KnownHosts;
use crate::connect::ssh::HostKeyPolicy;
use crate::engine::{Events, NoticeLevel};

/// The files of host keys of one host: the user's, the system's, and those that are revoked.
type Files = (Vec<PathBuf>, Vec<PathBuf>, Option<PathBuf>);

/// What the command line says about host keys, and what was read of those that the configuration names.
#[derive(Default)]
pub struct Trust {
    /// Host keys of the file that the command line names.
    given: Option<PathBuf>,
    /// What the command line says about unknown keys.
    policy: Option<HostKeyPolicy>,
    /// What happens with unknown keys where nobody says anything.
    fallback: Option<HostKeyPolicy>,
    files: Mutex<HashMap<Files, Arc<KnownHosts>>>,
    said_off: AtomicBool,
}

impl Trust {
    /// What the command line says; `fallback` is for hosts about which neither it nor the configuration says anything.
    pub fn new(
        given: Option<PathBuf>,
        policy: Option<HostKeyPolicy>,
        fallback: HostKeyPolicy,
    ) -> Self {
        Self {
            given,
            policy,
            fallback: Some(fallback),
            ..Self::default()
        }
    }

    /// The host keys that are known for a host. Files that several hosts share are read once.
    pub(super) fn known_hosts(
        &self,
        settings: &HostSettings,
        events: &Events,
    ) -> Result<Arc<KnownHosts>, TransportError> {
        let revoked = settings.revoked_host_keys.clone();
        let (user, system) = match &self.given {
            Some(file) => (vec![file.clone()], Vec::new()),
            None => (
                settings
                    .user_known_hosts
                    .clone()
                    .unwrap_or_else(KnownHosts::files_of_user),
                settings
                    .global_known_hosts
                    .clone()
                    .unwrap_or_else(KnownHosts::files_of_system),
            ),
        };
        let key = (user, system, revoked);
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(&key) {
            return Ok(Arc::clone(known));
        }
        let (mut known, warnings) = KnownHosts::load(&key.0, &key.1);
        for warning in &warnings.0 {
            events.notice(NoticeLevel::Warning, warning.to_string());
        }
        if let Some(file) = &key.2 {
            // As with ssh: where it cannot be known which keys are revoked, none is trusted.
            known
                .revoke(file)
                .map_err(|reason| TransportError::Local {
                    reason,
                    hint: "`RevokedHostKeys` in the configuration of ssh must name a file with one public key a line"
                        .to_owned(),
                })?;
        }
        let known = Arc::new(known);
        files.insert(key, Arc::clone(&known));
        Ok(known)
    }

    /// What happens with a key of the host that is not known.
    pub(super) fn policy(
        &self,
        settings: &HostSettings,
        host: &str,
        events: &Events,
    ) -> HostKeyPolicy {
        if let Some(policy) = &self.policy {
            return policy.clone();
        }
        match settings.host_key_checking {
            Some(Checking::Strict) => HostKeyPolicy::Strict,
            Some(Checking::AcceptNew) => HostKeyPolicy::AcceptNew,
            Some(Checking::Off) => {
                if !self.said_off.swap(true, Ordering::Relaxed) {
                    events.notice(
                        NoticeLevel::Warning,
                        format!(
                            "the configuration of ssh says `StrictHostKeyChecking no` for `{host}`: new keys are \
                             remembered unseen, and one that has changed is refused all the same"
                        ),
                    );
                }
                HostKeyPolicy::AcceptNew
            }
            Some(Checking::Ask) | None => match &self.fallback {
                Some(policy) if !settings.batch_mode => policy.clone(),
                Some(HostKeyPolicy::AcceptNew) => HostKeyPolicy::AcceptNew,
                _ => HostKeyPolicy::Strict,
            },
        }
    }
}
