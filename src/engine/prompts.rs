//! `vars_prompt`: asks a person before a play begins.

use std::sync::atomic::Ordering;

use serde_json::{Map, Value as Json};

use super::event::NoticeLevel;
use super::runner::Runner;
use crate::playbook::{Play, Prompt};
use crate::template::{Layer, Scope, Template, display, truthy};

/// Takes the form of a password file from variables of these names.
const ENCRYPTED: &str =
    "{{ answer | password_hash(kind, salt=given_salt, salt_size=given_salt_size) }}";

impl Runner<'_> {
    /// The variables that a play asks for, in the order of their entries. One that the command line gives is not asked
    /// for. Where nobody can answer, the default counts.
    pub(super) async fn ask_variables(
        &self,
        play: &Play,
        scope: &Scope,
    ) -> Result<Vec<Layer>, String> {
        let mut answers = Vec::new();
        for prompt in &play.prompts {
            let strongest = &self.variables.strongest;
            if strongest
                .iter()
                .any(|layer| layer.variables().contains_key(&prompt.name))
            {
                continue;
            }
            let about = match prompt.about.resolve(scope) {
                Ok(Some(Json::Object(about))) => about,
                Ok(_) => Map::new(),
                Err(diagnostic) => return Err(diagnostic.to_string()),
            };
            let value = self.answer(prompt, &about, scope).await?;
            let variables = Map::from_iter([(prompt.name.clone(), value)]);
            answers.push(if is_set(&about, "unsafe", false) {
                Layer::raw(variables)
            } else {
                Layer::templated(variables)
            });
        }
        Ok(answers)
    }

    async fn answer(
        &self,
        prompt: &Prompt,
        about: &Map<String, Json>,
        scope: &Scope,
    ) -> Result<Json, String> {
        let default = about.get("default").filter(|value| !value.is_null());
        let asked = match about.get("prompt").map(display) {
            Some(text) if !text.is_empty() => text,
            _ => prompt.name.clone(),
        };
        let asked = match default {
            Some(default) => format!("{asked} [{}]", display(default)),
            None => asked,
        };
        let is_private = is_set(about, "private", true);
        let typed = if self.options.ask.is_some() {
            Some(
                self.typed(&asked, is_private, is_set(about, "confirm", false))
                    .await?,
            )
        } else {
            self.events.notice(
                NoticeLevel::Warning,
                format!("nobody is at a terminal to be asked for `{}`", prompt.name),
            );
            None
        };
        let value = match typed.filter(|text| !text.is_empty() || default.is_none()) {
            Some(text) => {
                if is_private {
                    self.events.redactor().learn(&text);
                }
                text
            }
            // What Python calls nothing, as a text: every answer is one.
            None => default.map_or_else(|| "None".to_owned(), display),
        };
        match about.get("encrypt").map(display) {
            Some(kind) if !kind.is_empty() && value != "None" => {
                let given = |name: &str| about.get(name).cloned().unwrap_or(Json::Null);
                let variables = [
                    ("answer", value.into()),
                    ("kind", kind.into()),
                    ("given_salt", given("salt")),
                    ("given_salt_size", given("salt_size")),
                ];
                let variables = variables.map(|(name, value)| (name.to_owned(), value));
                let scope = scope.with(Layer::raw(Map::from_iter(variables)));
                Template::parse(ENCRYPTED, None)
                    .and_then(|template| template.evaluate(&scope))
                    .map_err(|diagnostic| diagnostic.to_string())
            }
            _ => Ok(value.into()),
        }
    }

    /// What a person types; twice the same where it is to be confirmed.
    async fn typed(
        &self,
        asked: &str,
        is_private: bool,
        is_confirmed: bool,
    ) -> Result<String, String> {
        loop {
            let first = self.ask(asked.to_owned(), !is_private).await?;
            if !is_confirmed {
                return Ok(first);
            }
            let second = self.ask(format!("confirm {asked}"), !is_private).await?;
            if first == second {
                return Ok(first);
            }
            self.events.notice(
                NoticeLevel::Warning,
                "the two answers differ: once more".to_owned(),
            );
        }
    }

    async fn ask(&self, prompt: String, echo: bool) -> Result<String, String> {
        let nobody = || "nobody answered what the play asks for".to_owned();
        let ask = self.options.ask.clone().ok_or_else(nobody)?;
        let answer = tokio::task::spawn_blocking(move || (ask.0)(&prompt, echo)).await;
        if self.control.stop.is_cancelled() || self.halted.load(Ordering::Relaxed) {
            return Err(nobody());
        }
        answer.ok().flatten().ok_or_else(nobody)
    }
}

fn is_set(about: &Map<String, Json>, name: &str, default: bool) -> bool {
    about.get(name).map_or(default, truthy)
}
