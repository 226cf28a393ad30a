//! `registry_api`: what this machine asks of an installed registry, through the connection to its host.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;

use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    Step, StepOutput,
};
use crate::registry::{ApiCall, ProofImage, RegistryEndpoint};
use crate::secret::SecretString;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "registry_api",
    aliases: &[],
    summary: "asks an installed registry through the host: wait for it, check its login, push, read and delete a tiny image",
    arguments: &[
        Argument::required(
            "action",
            ArgumentKind::Choice(&["wait", "check_login", "push", "read", "delete"]),
            "what to ask",
        ),
        Argument::required(
            "name",
            ArgumentKind::Text,
            "the registry's name or address, without port: what its certificate is valid for",
        ),
        Argument::optional(
            "connect_to",
            ArgumentKind::Text,
            "the address to connect to, as the host sees it, instead of where the name leads",
        ),
        Argument::required("port", ArgumentKind::Integer, "its port"),
        Argument::optional(
            "plain_http",
            ArgumentKind::Boolean,
            "HTTP without TLS; false by default",
        ),
        Argument::optional(
            "ca_file",
            ArgumentKind::Path,
            "PEM file here with the only authority to trust; those of this machine by default",
        ),
        Argument::required("username", ArgumentKind::Text, "the user"),
        Argument::required("password", ArgumentKind::Secret, "the password"),
        Argument::optional(
            "seconds",
            ArgumentKind::Integer,
            "how long `wait` waits at most; 120 by default",
        ),
        Argument::optional(
            "repository",
            ArgumentKind::Text,
            "the repository of the tiny image",
        ),
        Argument::optional("tag", ArgumentKind::Text, "its tag"),
        Argument::optional(
            "architecture",
            ArgumentKind::Text,
            "its architecture; amd64 by default",
        ),
    ],
    examples: r#"- name: the registry answers
  registry_api:
    action: wait
    name: registry.example.com
    port: 443
    username: admin
    password: "{{ registry_password }}"
"#,
    returns: &[("digest", "`push`: the manifest's digest")],
    free_form: None,
    build,
    check: None,
};

struct RegistryApi {
    action: String,
    endpoint: RegistryEndpoint,
    ca_file: Option<String>,
    limit: Duration,
    image: Option<ProofImage>,
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let action = arguments.required_text("action")?;
    let port = arguments
        .integer("port")
        .and_then(|port| u16::try_from(port).ok())
        .ok_or_else(|| ModuleError::failed("`port` is not a port"))?;
    let connect_to = arguments
        .text("connect_to")
        .map(|text| {
            text.parse()
                .map_err(|_| ModuleError::failed(format!("`connect_to: {text}` is not an address")))
        })
        .transpose()?;
    let image = match (arguments.text("repository"), arguments.text("tag")) {
        (Some(repository), Some(tag)) => Some(ProofImage {
            seed: format!("{repository}:{tag}"),
            repository,
            tag,
            architecture: arguments
                .text("architecture")
                .unwrap_or_else(|| "amd64".to_owned()),
        }),
        _ => None,
    };
    if image.is_none() && matches!(action.as_str(), "push" | "read" | "delete") {
        return Err(ModuleError::failed(format!(
            "`action: {action}` needs `repository` and `tag`"
        )));
    }
    let seconds = arguments.integer("seconds").unwrap_or(120).max(1);
    Ok(Box::new(RegistryApi {
        action,
        endpoint: RegistryEndpoint {
            name: arguments.required_text("name")?,
            port,
            plain_http: arguments.boolean("plain_http", false),
            ca_pem: None,
            connect_to,
            through: None,
            username: arguments.required_text("username")?,
            password: SecretString::new(arguments.required_text("password")?),
        },
        ca_file: arguments.text("ca_file").filter(|file| !file.is_empty()),
        limit: Duration::from_secs(u64::try_from(seconds).unwrap_or(120)),
        image,
    }))
}

impl Module for RegistryApi {
    fn plan<'a>(&'a self, _look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        Box::pin(async move {
            let mut endpoint = self.endpoint.clone();
            if let Some(file) = &self.ca_file {
                let pem = std::fs::read_to_string(file)
                    .map_err(|error| ModuleError::failed(format!("read `{file}`: {error}")))?;
                endpoint.ca_pem = Some(pem);
            }
            let call = match (self.action.as_str(), self.image.clone()) {
                ("wait", _) => ApiCall::WaitReady {
                    endpoint,
                    limit: self.limit,
                },
                ("push", Some(image)) => ApiCall::PushProof { endpoint, image },
                ("read", Some(image)) => ApiCall::ReadProof { endpoint, image },
                ("delete", Some(image)) => ApiCall::DeleteProof { endpoint, image },
                _ => ApiCall::CheckAuthentication { endpoint },
            };
            Ok(Plan::unknown(
                "the registry is asked",
                vec![Step::Control(call)],
            ))
        })
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let mut conclusion = Conclusion {
            changed: Some(matches!(self.action.as_str(), "push" | "delete")),
            ..Conclusion::default()
        };
        if let Some(StepOutput::Answered(Value::Object(answer))) = outputs.first() {
            conclusion.result.extend(answer.clone());
        }
        Ok(conclusion)
    }
}
