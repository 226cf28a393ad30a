//! What a rule is, and how all of them are applied.

use std::net::IpAddr;

use super::{Finding, HostConnection, HostState, Input, RULES, Status, requirements};
use crate::facts::Facts;
use crate::settings::{Requirements, Settings};

/// One check: its name, what it looks at and how.
pub struct Rule {
    /// The name that `--waive` takes.
    pub id: &'static str,
    /// What it looks at.
    pub scope: Scope,
    /// What it checks, in one line.
    pub about: &'static str,
    /// Whether a failure can be waived.
    pub waivable: Waivable,
    /// The check itself.
    pub(super) judge: Judge,
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every host that takes part.
    EveryHost,
    /// Every host of the group `image_registry`.
    RegistryHosts,
    /// Every host that takes part and belongs to the group `kube_control_plane`.
    ControlPlane,
    /// Every host against the others.
    Pairs,
    /// The installation as a whole.
    Whole,
}

/// Whether a failure can be waived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waivable {
    /// By its name.
    Yes,
    /// By its name, but not for a host of the group `image_registry`.
    OtherHosts,
    /// Not at all, and why.
    Never(&'static str),
}

/// The function of a rule.
pub(super) enum Judge {
    /// On the way to a host, before its facts are known.
    Connection(fn(&Look<'_>, &str, &HostConnection) -> Judgement),
    /// The same for hosts that are reached over SSH only: `None` says nothing about the host.
    SshConnection(fn(&Look<'_>, &str, &HostConnection) -> Option<Judgement>),
    /// On the facts of a host; a host without facts is `Unknown`.
    Host(fn(&Look<'_>, &str, &Facts) -> Judgement),
    /// The same where it does not apply to every installation: `None` says nothing about the host.
    HostIf(fn(&Look<'_>, &str, &Facts) -> Option<Judgement>),
    /// On the whole: each judgement with the host it belongs to.
    Whole(fn(&Look<'_>) -> Judgements),
}

/// Judgements with the hosts they belong to; `None` is the installation as a whole.
pub(super) type Judgements = Vec<(Option<String>, Judgement)>;

/// How a rule ended for one host or for the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) status: Status,
    pub(super) measured: String,
    pub(super) required: String,
    pub(super) remedy: String,
}

impl Judgement {
    pub(super) fn pass(measured: impl Into<String>, required: impl Into<String>) -> Self {
        Self::new(Status::Pass, measured, required, "")
    }

    pub(super) fn warn(
        measured: impl Into<String>,
        required: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Status::Warn, measured, required, remedy)
    }

    pub(super) fn fail(
        measured: impl Into<String>,
        required: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Status::Fail, measured, required, remedy)
    }

    pub(super) fn unknown(
        measured: impl Into<String>,
        required: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Status::Unknown, measured, required, remedy)
    }

    /// For a host that did not get as far. Why, and what to do, is said by the check that failed there.
    pub(super) fn not_looked_at() -> Self {
        Self::new(Status::Unknown, "not looked at", "", "")
    }

    fn new(
        status: Status,
        measured: impl Into<String>,
        required: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let mut measured = measured.into();
        if measured.is_empty() {
            "not seen".clone_into(&mut measured);
        }
        Self {
            status,
            measured,
            required: required.into(),
            remedy: remedy.into(),
        }
    }
}

/// The input as rules see it, with what several of them need.
pub(super) struct Look<'a> {
    pub(super) input: &'a Input<'a>,
    /// Members of the group `image_registry`, nested groups resolved, in order.
    pub(super) registry: Vec<String>,
    /// Members of the group `kube_control_plane`.
    pub(super) control_plane: Vec<String>,
}

impl<'a> Look<'a> {
    pub(super) fn new(input: &'a Input<'a>) -> Self {
        Self {
            input,
            registry: requirements::members(input.inventory, "image_registry"),
            control_plane: requirements::members(input.inventory, "kube_control_plane"),
        }
    }

    pub(super) fn settings(&self) -> &'a Settings {
        self.input.settings
    }

    pub(super) fn requirements(&self) -> Requirements {
        self.input.settings.requirements
    }

    pub(super) fn is_registry(&self, host: &str) -> bool {
        self.registry.iter().any(|name| name == host)
    }

    /// Hosts that answered, with their facts, in order.
    pub(super) fn facts(&self) -> impl Iterator<Item = (&'a str, &'a Facts)> {
        self.input
            .hosts
            .iter()
            .filter_map(|(name, state)| Some((name.as_str(), state.connection.facts()?)))
    }

    /// Registry hosts that answered, with their facts, in order.
    pub(super) fn registry_facts(&self) -> impl Iterator<Item = (&'a str, &'a Facts)> {
        self.facts().filter(|(name, _)| self.is_registry(name))
    }

    /// The registry's data folder on the hosts; `None` when the data lie elsewhere.
    pub(super) fn data_folder(&self) -> Option<&'a str> {
        requirements::data_folder(self.input.settings)
    }

    /// Several hosts behind a virtual address.
    pub(super) fn is_highly_available(&self) -> bool {
        self.registry.len() > 1 && self.input.settings.image_registry.ha_vip.is_some()
    }

    /// The virtual address, where it is one.
    pub(super) fn vip(&self) -> Option<IpAddr> {
        self.input
            .settings
            .image_registry
            .ha_vip
            .as_deref()?
            .trim()
            .parse()
            .ok()
    }
}

/// Applies every rule: findings by rule in the order of [`RULES`], within a rule by host in the input's order.
pub fn check(input: &Input<'_>) -> Vec<Finding> {
    let look = Look::new(input);
    let mut findings = Vec::new();
    for rule in &RULES {
        for (host, judgement) in apply(rule, &look) {
            let waived = waiver(rule, &look, host.as_deref(), &judgement);
            findings.push(Finding {
                check: rule.id.to_owned(),
                host,
                status: judgement.status,
                measured: judgement.measured,
                required: judgement.required,
                remedy: judgement.remedy,
                waived,
            });
        }
    }
    findings
}

fn apply(rule: &Rule, look: &Look<'_>) -> Judgements {
    let hosts = || {
        look.input
            .hosts
            .iter()
            .filter(|(name, _)| match rule.scope {
                Scope::RegistryHosts => look.is_registry(name),
                Scope::ControlPlane => look.control_plane.contains(name),
                Scope::EveryHost | Scope::Pairs | Scope::Whole => true,
            })
    };
    let of_host = |name: &str, state: &HostState| match (&rule.judge, &state.connection) {
        (Judge::Connection(judge), connection) => Some(judge(look, name, connection)),
        (Judge::SshConnection(judge), connection) => judge(look, name, connection),
        (Judge::Host(judge), HostConnection::Up(facts)) => Some(judge(look, name, facts)),
        (Judge::HostIf(judge), HostConnection::Up(facts)) => judge(look, name, facts),
        (Judge::Host(_) | Judge::HostIf(_), _) => Some(Judgement::not_looked_at()),
        (Judge::Whole(_), _) => None,
    };
    if let Judge::Whole(judge) = rule.judge {
        return judge(look);
    }
    hosts()
        .filter_map(|(name, state)| Some((Some(name.clone()), of_host(name, state)?)))
        .collect()
}

fn waiver(
    rule: &Rule,
    look: &Look<'_>,
    host: Option<&str>,
    judgement: &Judgement,
) -> Option<String> {
    (judgement.status == Status::Fail).then_some(())?;
    let allowed = match rule.waivable {
        Waivable::Yes => true,
        Waivable::OtherHosts => host.is_some_and(|host| !look.is_registry(host)),
        Waivable::Never(_) => false,
    };
    allowed
        .then(|| look.input.waivers.reason(rule.id))
        .flatten()
        .map(str::to_owned)
}

/// What the findings come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The installation may begin.
    Pass,
    /// At least one failure that is not waived.
    Fail,
}

/// A failure counts unless it is waived; a warning or something that could not be looked at does not.
pub fn verdict(findings: &[Finding]) -> Verdict {
    let counts = |finding: &Finding| finding.status == Status::Fail && finding.waived.is_none();
    if findings.iter().any(counts) {
        Verdict::Fail
    } else {
        Verdict::Pass
    }
}
