//! What the engine does itself, apart from the commonest: files of variables, facts, new hosts, waiting.

use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};

use super::attempt::Attempt;
use super::event::{NoticeLevel, Outcome};
use super::perform::Doing;
use crate::facts::FactsError;
use crate::playbook::{ArgumentValue, EngineAction, Frame, check_arguments, parse_variables};
use crate::template::{Scope, Template, display, truthy};

impl Doing<'_> {
    pub(super) async fn engine_action(
        &self,
        kind: EngineAction,
        given: &[(String, ArgumentValue)],
        more: Option<&Template>,
        scope: &Scope,
    ) -> Attempt {
        let mut arguments = Map::new();
        match more.map(|more| more.evaluate(scope)) {
            None => {}
            Some(Ok(Json::Object(more))) => arguments.extend(more),
            Some(Ok(_)) => return Attempt::failed("the template of the arguments is no mapping"),
            Some(Err(diagnostic)) => return Attempt::from_diagnostic(&diagnostic),
        }
        for (name, value) in given {
            match value.resolve(scope) {
                Ok(Some(value)) => {
                    arguments.insert(name.clone(), value);
                }
                Ok(None) => {}
                Err(diagnostic) => return Attempt::from_diagnostic(&diagnostic),
            }
        }
        match kind {
            EngineAction::AddHost => self.add_host(arguments),
            EngineAction::AsyncStatus => self.async_status(&arguments),
            EngineAction::GroupBy => self.group_by(&arguments),
            EngineAction::IncludeVars => self.include_vars(&arguments, scope),
            EngineAction::Pause => self.pause(&arguments).await,
            EngineAction::Setup | EngineAction::GatherFacts => self.setup(&arguments, scope).await,
            EngineAction::ValidateArguments => validate(&arguments, scope),
        }
    }

    fn add_host(&self, mut arguments: Map<String, Json>) -> Attempt {
        let mut taken = |names: &[&str]| {
            let found = names.iter().find_map(|name| arguments.remove(*name));
            found.filter(|value| !value.is_null())
        };
        let name = taken(&["name", "hostname", "host"]).map(|name| display(&name));
        let groups = taken(&["groups", "group", "groupname"]);
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Attempt::failed("`add_host` needs the name of a host");
        };
        let groups = groups.map(|groups| words(&groups)).unwrap_or_default();
        let changed = self.runner.add_host(&name, &groups, &arguments);
        let (name, port) = super::hosts::name_and_port(&name);
        if let Some(port) = port {
            arguments.insert("ansible_ssh_port".to_owned(), port.into());
        }
        let mut attempt = changed_or_ok(changed);
        attempt.result.insert(
            "add_host".to_owned(),
            json!({"host_name": name, "groups": groups, "host_vars": arguments}),
        );
        attempt
    }

    fn group_by(&self, arguments: &Map<String, Json>) -> Attempt {
        // A group's name has no spaces.
        let plain = |name: String| name.replace(' ', "-");
        let key = arguments
            .get("key")
            .map(|key| plain(display(key)))
            .unwrap_or_default();
        let parents: Vec<String> = arguments
            .get("parents")
            .map_or_else(|| vec!["all".to_owned()], words)
            .into_iter()
            .map(plain)
            .collect();
        let changed = self.runner.add_to_group(self.host, &key, &parents);
        let mut attempt = changed_or_ok(changed);
        attempt.result.insert("add_group".to_owned(), key.into());
        attempt
            .result
            .insert("parent_groups".to_owned(), json!(parents));
        attempt
    }

    fn async_status(&self, arguments: &Map<String, Json>) -> Attempt {
        let job = arguments.get("jid").map(display).unwrap_or_default();
        let mode = arguments
            .get("mode")
            .map_or_else(|| "status".to_owned(), display);
        let mut background = self
            .runner
            .background
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if mode == "cleanup" {
            background.remove(&job);
            let mut attempt = Attempt::ended(Outcome::Ok, Map::new());
            attempt
                .result
                .insert("ansible_job_id".to_owned(), job.into());
            return attempt;
        }
        let Some(result) = background.get(&job).cloned() else {
            let mut attempt = Attempt::failed("could not find job");
            attempt
                .result
                .insert("ansible_job_id".to_owned(), job.into());
            attempt.result.insert("started".to_owned(), 1.into());
            attempt.result.insert("finished".to_owned(), 1.into());
            return attempt;
        };
        let is = |name: &str| result.get(name) == Some(&Json::Bool(true));
        let outcome = match (is("failed"), is("changed")) {
            (true, _) => Outcome::Failed,
            (false, true) => Outcome::Changed,
            (false, false) => Outcome::Ok,
        };
        let mut attempt = Attempt::ended(outcome, result);
        attempt.message = attempt
            .result
            .get("msg")
            .and_then(Json::as_str)
            .map(str::to_owned);
        attempt
    }

    fn include_vars(&self, arguments: &Map<String, Json>, scope: &Scope) -> Attempt {
        let frame = &self.task.frame;
        let found = match arguments.get("file").map(display) {
            Some(file) => self.variables_of_file(frame, file.trim()),
            None => self.variables_of_folder(frame, arguments),
        };
        let (mut variables, files) = match found {
            Ok(found) => found,
            Err(message) => {
                // Of this action alone Ansible calls it `message`.
                let mut attempt = Attempt::failed(message.as_str());
                let said = in_ansibles_words(&message);
                attempt.result.insert("message".to_owned(), said.into());
                return attempt;
            }
        };
        if let Some(name) = arguments.get("name").map(display) {
            variables = Map::from_iter([(name, Json::Object(variables))]);
        }
        if arguments.get("hash_behaviour").map(display).as_deref() == Some("merge") {
            for (name, value) in &mut variables {
                if let Ok(Some(before)) = scope.variable(name) {
                    *value = merged(before, std::mem::take(value));
                }
            }
        }
        self.runner
            .events
            .redactor()
            .learn_named(&Json::Object(variables.clone()));
        for host in self.receivers {
            if let Some(state) = self.runner.variables.host(host) {
                state.include_variables(variables.clone());
            }
        }
        let mut attempt = Attempt::ended(Outcome::Ok, Map::new());
        attempt
            .result
            .insert("ansible_facts".to_owned(), Json::Object(variables));
        attempt
            .result
            .insert("ansible_included_var_files".to_owned(), json!(files));
        attempt
    }

    fn variables_of_file(
        &self,
        frame: &Frame,
        file: &str,
    ) -> Result<(Map<String, Json>, Vec<String>), String> {
        let places = frame.places("vars", file);
        for place in &places {
            let entry = self.runner.library.read(place);
            let Ok(Some(entry)) = entry else {
                continue;
            };
            let variables = parse_variables(&entry.name, &entry.bytes)
                .map_err(|diagnostic| diagnostic.to_string())?;
            return Ok((variables, vec![self.runner.library.absolute(place)]));
        }
        Err(format!("there is no file of variables `{file}`"))
    }

    fn variables_of_folder(
        &self,
        frame: &Frame,
        arguments: &Map<String, Json>,
    ) -> Result<(Map<String, Json>, Vec<String>), String> {
        let folder = arguments.get("dir").map(display).unwrap_or_default();
        let library = self.runner.library;
        let folder = folder.trim_end_matches('/');
        let place = frame
            .places("vars", folder)
            .into_iter()
            .find(|place| library.has_folder(place))
            .ok_or_else(|| format!("there is no folder of variables `{folder}`"))?;
        let extensions = arguments.get("extensions").map_or_else(
            || ["yaml", "yml", "json"].map(str::to_owned).to_vec(),
            words,
        );
        let ignored = arguments.get("ignore_files").map(words).unwrap_or_default();
        let depth = arguments.get("depth").and_then(Json::as_u64).unwrap_or(0);
        let pattern = arguments
            .get("files_matching")
            .map(display)
            .map(|pattern| regex::Regex::new(&pattern))
            .transpose()
            .map_err(|error| format!("`files_matching`: {error}"))?;
        let (mut variables, mut files) = (Map::new(), Vec::new());
        for path in library.files_in(&place) {
            let below = path.get(place.len() + 1..).unwrap_or_default();
            let name = below.rsplit('/').next().unwrap_or(below);
            let level = below.matches('/').count() as u64 + 1;
            // A name without a dot has the extension ''.
            let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
            let is_main = extensions.iter().any(|known| known == ending);
            if depth > 0 && level > depth
                || ignored.iter().any(|known| known == name)
                || pattern
                    .as_ref()
                    .is_some_and(|pattern| !pattern.is_match(name))
            {
                continue;
            }
            if !is_main {
                let tolerates = arguments
                    .get("ignore_unknown_extensions")
                    .is_some_and(truthy);
                if tolerates || pattern.is_some() {
                    continue;
                }
                return Err(format!(
                    "`{path}` has none of the extensions {}",
                    extensions.join(", ")
                ));
            }
            let (more, _) = self.variables_of_path(&path)?;
            variables.extend(more);
            files.push(library.absolute(&path));
        }
        Ok((variables, files))
    }

    fn variables_of_path(&self, path: &str) -> Result<(Map<String, Json>, String), String> {
        let entry = self
            .runner
            .library
            .read(path)
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("there is no file `{path}`"))?;
        let variables = parse_variables(&entry.name, &entry.bytes)
            .map_err(|diagnostic| diagnostic.to_string())?;
        Ok((variables, entry.name))
    }

    async fn pause(&self, arguments: &Map<String, Json>) -> Attempt {
        let number = |name: &str| -> Result<Option<f64>, String> {
            let Some(value) = arguments.get(name) else {
                return Ok(None);
            };
            let text = display(value);
            let number = text.trim().parse::<f64>().ok();
            number
                .filter(|number| number.is_finite())
                .map(Some)
                .ok_or_else(|| format!("`{name}: {text}` is not a number"))
        };
        let seconds = match (number("seconds"), number("minutes")) {
            (Ok(seconds), Ok(minutes)) => seconds.or(minutes.map(|minutes| minutes * 60.0)),
            (Err(message), _) | (_, Err(message)) => return Attempt::failed(message),
        };
        let started = Instant::now();
        let began = crate::modules::local_time();
        let mut answer = String::new();
        let prompt = arguments.get("prompt").map(display);
        if let Some(seconds) = seconds {
            if let Some(prompt) = &prompt {
                self.runner.events.notice(NoticeLevel::Info, prompt.clone());
            }
            let time = Duration::try_from_secs_f64(seconds.max(1.0)).unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = self.runner.control.stop.cancelled() => {}
            }
        } else if let Some(ask) = self.runner.options.ask.clone() {
            let echo = arguments.get("echo").is_none_or(truthy);
            let mut prompt =
                prompt.unwrap_or_else(|| "Press enter to go on, Ctrl-C to stop".to_owned());
            if !echo {
                prompt.push_str(" (what you type is hidden)");
            }
            let asked = tokio::task::spawn_blocking(move || (ask.0)(&prompt, echo)).await;
            answer = asked.ok().flatten().unwrap_or_default();
            if !echo {
                self.runner.events.redactor().learn(&answer);
            }
        } else {
            self.runner.events.notice(
                NoticeLevel::Warning,
                "`pause` does not wait for an answer: nobody is at a terminal",
            );
        }
        let delta = started.elapsed().as_secs();
        let took = (started.elapsed().as_secs_f64() * 100.0).round() / 100.0;
        let mut attempt = Attempt::ended(Outcome::Ok, Map::new());
        let said = match seconds {
            Some(_) if arguments.contains_key("seconds") => format!("Paused for {took:?} seconds"),
            _ => {
                let minutes = (started.elapsed().as_secs_f64() / 60.0 * 100.0).round() / 100.0;
                format!("Paused for {minutes:?} minutes")
            }
        };
        for (name, value) in [
            ("delta", json!(delta)),
            ("stdout", said.into()),
            ("user_input", answer.into()),
            ("echo", arguments.get("echo").is_none_or(truthy).into()),
            ("rc", 0.into()),
            ("stderr", "".into()),
            ("start", began.into()),
            ("stop", crate::modules::local_time().into()),
        ] {
            attempt.result.insert(name.to_owned(), value);
        }
        attempt
    }

    async fn setup(&self, arguments: &Map<String, Json>, scope: &Scope) -> Attempt {
        let target = self.target().to_owned();
        let Some(member) = self.runner.reach(&target, &self.task.frame, scope).await else {
            return Attempt::failed(format!("`{target}` is no host of this run"));
        };
        let (session, _) = match self.session(scope).await {
            Ok(session) => session,
            Err(attempt) => return *attempt,
        };
        let wanted = crate::facts::Wanted {
            extent: crate::facts::Extent::System,
            fact_path: arguments.get("fact_path").map(display),
            ..crate::facts::Wanted::default()
        };
        let facts = match self.runner.facts_of(&member, &session, &wanted).await {
            Ok(facts) => facts,
            Err(FactsError::Transport(error)) => return self.broken(error.into()),
            Err(error) => return Attempt::failed(error.to_string()),
        };
        let filters = arguments.get("filter").map(words).unwrap_or_default();
        let filters: Vec<&String> = filters.iter().filter(|filter| !filter.is_empty()).collect();
        let is_wanted = |name: &str| {
            filters.is_empty()
                || filters.iter().any(|filter| {
                    super::schedule::matches_glob(filter, name)
                        || super::schedule::matches_glob(
                            filter,
                            name.strip_prefix("ansible_").unwrap_or(name),
                        )
                })
        };
        let asked = arguments
            .get("gather_subset")
            .map(words)
            .unwrap_or_default();
        let subset = match crate::facts::Subset::parse(&asked) {
            Ok(subset) => subset,
            Err(message) => return Attempt::failed(message),
        };
        let is_own = |name: &str| !name.starts_with("ansible_");
        let mut facts: Map<String, Json> = facts
            .into_iter()
            .filter(|(name, _)| is_wanted(name) && (is_own(name) || subset.takes(name)))
            .filter_map(|(name, text)| Some((name, serde_json::from_str(&text).ok()?)))
            .collect();
        if !asked.is_empty() && facts.contains_key("gather_subset") {
            facts.insert("gather_subset".to_owned(), json!(asked));
        }
        let mut attempt = Attempt::ended(Outcome::Ok, Map::new());
        attempt
            .result
            .insert("ansible_facts".to_owned(), Json::Object(facts));
        attempt
    }
}

/// Mappings laid one over the other, however deep.
fn merged(below: Json, above: Json) -> Json {
    match (below, above) {
        (Json::Object(mut below), Json::Object(above)) => {
            for (name, value) in above {
                let value = match below.remove(&name) {
                    Some(known) => merged(known, value),
                    None => value,
                };
                below.insert(name, value);
            }
            Json::Object(below)
        }
        (_, above) => above,
    }
}

fn changed_or_ok(changed: bool) -> Attempt {
    let outcome = if changed {
        Outcome::Changed
    } else {
        Outcome::Ok
    };
    let mut attempt = Attempt::ended(outcome, Map::new());
    attempt.result.insert("changed".to_owned(), changed.into());
    attempt
}

/// What the result says of variables that `include_vars` cannot find: playbooks look for it.
fn in_ansibles_words(message: &str) -> String {
    if let Some(name) = message.strip_prefix("there is no file of variables ") {
        return format!("Could not find file on this machine: {name}");
    }
    message.replacen(
        " has none of the extensions ",
        " does not have a valid extension: ",
        1,
    )
}

/// A list of texts, or one text with commas.
fn words(value: &Json) -> Vec<String> {
    match value {
        Json::Array(items) => items.iter().map(display).collect(),
        Json::Null => Vec::new(),
        other => display(other)
            .split(',')
            .map(|word| word.trim().to_owned())
            .filter(|word| !word.is_empty())
            .collect(),
    }
}

/// `validate_argument_spec`: what the role is given, and variables of the names of its arguments.
fn validate(arguments: &Map<String, Json>, scope: &Scope) -> Attempt {
    let Some(Json::Object(options)) = arguments.get("argument_spec") else {
        return Attempt::failed("`argument_spec` is not a mapping of arguments");
    };
    let mut given = Map::new();
    for (name, option) in options {
        let aliases = option.get("aliases").and_then(Json::as_array);
        let aliases = aliases.into_iter().flatten().filter_map(Json::as_str);
        for name in std::iter::once(name.as_str()).chain(aliases) {
            match scope.variable(name) {
                Ok(Some(value)) => {
                    given.insert(name.to_owned(), value);
                }
                Ok(None) => {}
                Err(message) => return Attempt::failed(message),
            }
        }
    }
    if let Some(Json::Object(provided)) = arguments.get("provided_arguments") {
        given.extend(provided.clone());
    }
    let wrong = check_arguments(options, &given);
    if wrong.is_empty() {
        let mut attempt = Attempt::ended(Outcome::Ok, Map::new());
        attempt
            .result
            .insert("msg".to_owned(), "The arg spec validation passed".into());
        return attempt;
    }
    let mut attempt = Attempt::failed(format!("the arguments are wrong: {}", wrong.join("; ")));
    attempt
        .result
        .insert("argument_errors".to_owned(), json!(wrong));
    attempt
}
