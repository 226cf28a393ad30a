//! What the tests of modules share.

use super::{
    Arguments, Conclusion, FileSource, Files, Look, Module, ModuleError, Plan, StepOutput,
    apply_plan, spec,
};
use crate::remote::Session;
use crate::template::Syntax;
use serde_json::Value;

/// Files and templates that a test made up.
#[derive(Default)]
pub(crate) struct TestFiles {
    pub(crate) files: std::collections::BTreeMap<String, String>,
}

impl Files for TestFiles {
    fn file(&self, src: &str) -> Result<FileSource, ModuleError> {
        if src.starts_with('/') {
            return Ok(FileSource::Path(src.into()));
        }
        self.template(src, &Syntax::default(), "")
            .map(|text| FileSource::Bytes(text.into()))
    }

    fn template(&self, src: &str, _: &Syntax, _: &str) -> Result<String, ModuleError> {
        self.files
            .get(src)
            .cloned()
            .ok_or_else(|| ModuleError::failed(format!("find `{src}`: no such file")))
    }
}

/// A module with its arguments coerced as the engine does it.
pub(crate) fn module(name: &str, arguments: &Value) -> Result<Box<dyn Module>, ModuleError> {
    let spec = spec(name).unwrap_or_else(|| panic!("no module {name}"));
    let mut checked = serde_json::Map::new();
    for (key, value) in arguments.as_object().unwrap() {
        let argument = spec
            .arguments
            .iter()
            .find(|argument| argument.name == key || argument.aliases.contains(&key.as_str()))
            .unwrap_or_else(|| panic!("{name} has no argument {key}"));
        let value = argument
            .kind
            .coerce(value)
            .map_err(|error| ModuleError::failed(format!("`{key}`: {error}")))?;
        checked.insert(argument.name.to_owned(), value);
    }
    for argument in spec.arguments.iter().filter(|argument| argument.required) {
        if !checked.contains_key(argument.name) {
            return Err(ModuleError::failed(format!(
                "`{}` is missing",
                argument.name
            )));
        }
    }
    (spec.build)(Arguments(checked))
}

/// Plans on a host.
pub(crate) async fn plan(
    session: &Session,
    name: &str,
    arguments: &Value,
) -> Result<Plan, ModuleError> {
    let files = TestFiles::default();
    let look = Look {
        session,
        host: "node1",
        facts: None,
        files: &files,
        check_mode: false,
        diff: true,
    };
    module(name, arguments)?.plan(&look).await
}

/// Plans and does it, with a ledger.
pub(crate) async fn run(
    session: &Session,
    name: &str,
    arguments: &Value,
) -> Result<(Plan, Vec<StepOutput>, Conclusion), ModuleError> {
    let plan = plan(session, name, arguments).await?;
    let outputs = apply_plan(session, Some("test"), &plan, &|_, _| {}).await?;
    let conclusion = if plan.steps.is_empty() {
        Conclusion::default()
    } else {
        module(name, arguments)?.conclude(&outputs)?
    };
    Ok((plan, outputs, conclusion))
}
