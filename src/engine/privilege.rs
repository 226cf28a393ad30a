//! As whom a task does its work: what variables, keywords and the command line say about `become`.

use serde_json::Value as Json;

use super::Member;
use super::keywords;
use super::runner::Runner;
use crate::diagnostic::Diagnostic;
use crate::modules::split_words;
use crate::playbook::Frame;
use crate::remote::{Become, Method};
use crate::secret::SecretString;
use crate::template::{Scope, Template, display, truthy};

impl Runner<'_> {
    /// The user to become on a host, and how; nothing for the one that logged in. Variables are those of the host that
    /// does the work, and stronger than keywords, which `scope` gives their values; the command line is the weakest.
    pub(super) fn privilege(
        &self,
        member: &Member,
        frame: &Frame,
        scope: &Scope,
        of_host: &Scope,
    ) -> Result<Option<Become>, Diagnostic> {
        let variable = |name: &str| of_host.variable(name).ok().flatten();
        let elevate = match variable("ansible_become") {
            Some(value) => truthy(&value),
            None => keywords::setting(frame, scope, |frame| frame.elevate.as_ref())?
                .unwrap_or(self.options.elevate),
        };
        if !elevate {
            return Ok(None);
        }
        // The variables of one method go before those of all.
        let text = |method: Option<Method>, what: &str, pick: fn(&Frame) -> Option<&Template>| {
            let own =
                method.and_then(|method| variable(&format!("ansible_{}_{what}", method.name())));
            match own.or_else(|| variable(&format!("ansible_become_{what}"))) {
                Some(value) => Ok(Some(display(&value))),
                None => keywords::text(frame, scope, pick),
            }
        };
        let method = match text(None, "method", |frame| frame.become_method.as_ref())? {
            Some(name) => Method::named(&name).ok_or_else(|| not_supported(&name))?,
            None => self.options.become_method.unwrap_or_default(),
        };
        let of_method = Some(method);
        let user = text(of_method, "user", |frame| frame.become_user.as_ref())?
            .or_else(|| self.options.become_user.clone())
            .filter(|user| !user.is_empty())
            .unwrap_or_else(|| "root".to_owned());
        let flags = text(of_method, "flags", |frame| frame.become_flags.as_ref())?
            .map(|flags| split_words(&flags))
            .transpose()
            .map_err(|reason| Diagnostic::error(format!("`become_flags`: {reason}")))?;
        let executable = text(of_method, "exe", |frame| frame.become_exe.as_ref())?
            .filter(|executable| !executable.is_empty());
        Ok(Some(Become {
            user: Some(user),
            password: self
                .password(method, of_host)?
                .or_else(|| member.become_password()),
            method,
            flags,
            executable,
        }))
    }

    /// The password that variables give, which nothing may print from now on.
    fn password(
        &self,
        method: Method,
        of_host: &Scope,
    ) -> Result<Option<SecretString>, Diagnostic> {
        let of_method = format!("ansible_{}_pass", method.name());
        let names = [
            of_method.as_str(),
            "ansible_become_pass",
            "ansible_become_password",
        ];
        for name in names {
            let value = of_host
                .variable(name)
                .map_err(|reason| Diagnostic::error(format!("`{name}`: {reason}")))?;
            let text = match value {
                None | Some(Json::Null) => continue,
                Some(value) => display(&value),
            };
            self.events.redactor().learn(&text);
            return Ok(Some(SecretString::new(text)));
        }
        Ok(None)
    }
}

fn not_supported(method: &str) -> Diagnostic {
    Diagnostic::error(format!("`become_method: {method}` is not supported"))
        .hint(format!("there is {}", Method::NAMES.join(", ")))
}
