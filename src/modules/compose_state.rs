//! A compose project: what it is, what it was when kk brought it up, and what differs. Pure.

use std::collections::BTreeMap;

/// A compose project as a look found it, and as kk left it.
#[derive(Default)]
pub(super) struct ComposeState {
    pub(super) file: Option<String>,
    pub(super) services: Vec<String>,
    /// State, service, hash.
    pub(super) containers: Vec<(String, String, String)>,
    pub(super) digests: BTreeMap<String, String>,
    pub(super) compose_files: Vec<String>,
    was_digests: BTreeMap<String, String>,
    was_containers: Vec<(String, String)>,
    pub(super) is_remembered: bool,
}

impl ComposeState {
    /// From what the look at a project said.
    pub(super) fn parse(answer: &str) -> Self {
        let mut found = Self::default();
        let digest = |text: &str| {
            text.split_once(' ')
                .map(|(sum, path)| (path.to_owned(), sum.to_owned()))
        };
        let container = |text: &str| {
            let mut words = text.splitn(3, ' ').map(str::to_owned);
            Some((words.next()?, words.next()?, words.next()?))
        };
        for line in answer.lines() {
            let Some((word, rest)) = line.split_once(' ') else {
                continue;
            };
            match word {
                "file" => {
                    found.file.get_or_insert_with(|| rest.to_owned());
                    found.compose_files.push(rest.to_owned());
                }
                "service" if !rest.is_empty() => found.services.push(rest.to_owned()),
                "container" => found.containers.extend(container(rest)),
                "digest" => found.digests.extend(digest(rest)),
                "was" => {
                    found.is_remembered = true;
                    match rest.split_once(' ') {
                        Some(("digest", rest)) => found.was_digests.extend(digest(rest)),
                        Some(("container", rest)) => found
                            .was_containers
                            .extend(container(rest).map(|(_, service, hash)| (service, hash))),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// Files whose content is not the one of last time.
    pub(super) fn changed_files(&self) -> Vec<&String> {
        if !self.is_remembered {
            return Vec::new();
        }
        let changed = self
            .digests
            .iter()
            .filter(|(path, sum)| self.was_digests.get(*path) != Some(sum));
        let forgotten = self
            .was_digests
            .iter()
            .filter(|(path, _)| !self.digests.contains_key(*path));
        changed.chain(forgotten).map(|(path, _)| path).collect()
    }

    /// Why the containers are not as they should be.
    pub(super) fn container_faults(&self) -> Vec<String> {
        let mut words = Vec::new();
        for service in &self.services {
            let of_service = || {
                self.containers
                    .iter()
                    .filter(|(_, name, _)| name == service)
            };
            if of_service().next().is_none() {
                words.push(format!("{service} is not there"));
            } else if let Some((state, ..)) = of_service().find(|(state, ..)| state != "running") {
                words.push(format!("{service} is {state}"));
            } else if self.is_remembered
                && !of_service().all(|(_, name, hash)| {
                    self.was_containers.contains(&(name.clone(), hash.clone()))
                })
            {
                words.push(format!("{service} was changed by somebody else"));
            }
        }
        let orphans = self
            .containers
            .iter()
            .filter(|(_, service, _)| !self.services.contains(service));
        words.extend(orphans.map(|(_, service, _)| format!("{service} is not wanted any more")));
        words
    }
}
