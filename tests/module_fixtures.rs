//! Modules from fixtures: `tests/modules/<module>/<case>.yaml` holds a task's arguments, what the host answers, and what
//! must come of it. A new case needs no Rust.
//!
//! Keys of a case:
//! - `args`: the task's arguments.
//! - `files`: files and templates that the task finds, by name; `{file: content}`.
//! - `check`, `diff`: modes, both false by default (`diff` true).
//! - `host`: what the host answers, one mapping per command in their order: `stdout`, `stderr`, `status`, and
//!   `asked`, words that must be among the command's arguments.
//! - `plan`: `verdict`, `summary` (or the reason), `diff`, `steps`, `creates`, and `result` (only the keys given count).
//! - `outputs`: what the executed steps answered, and `conclusion` or `error`, what the module makes of it.
//! - `error`: words that the failure's message, hint and details must hold.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use kk::connect::{Command, Connector, ExecRequest, ExitStatus, Output, TransportError};
use kk::diagnostic::Source;
use kk::modules::{
    Arguments, FileSource, Files, Look, Module, ModuleError, Plan, Step, StepOutput, Verdict, spec,
};
use kk::remote::{Become, Session};
use kk::template::Syntax;
use serde_json::{Map, Value, json};

/// Answers in the order of the fixture, and remembers what was wrong with the questions.
struct Host {
    answers: Mutex<VecDeque<Value>>,
    faults: Mutex<Vec<String>>,
}

impl Connector for Host {
    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<Output, TransportError>> {
        let words = words_of(&request.command);
        let answer = self.answers.lock().unwrap().pop_front();
        let fault = |text: String| self.faults.lock().unwrap().push(text);
        let Some(answer) = answer else {
            fault(format!("the host was asked once more: {words:?}"));
            return async { Err(TransportError::Cancelled) }.boxed();
        };
        for word in texts(&answer["asked"]) {
            if !words.contains(&word) {
                fault(format!("`{word}` is not among {words:?}"));
            }
        }
        let output = output_of(&answer);
        async move { Ok(output) }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async {}.boxed()
    }

    fn user(&self) -> &'static str {
        "root"
    }

    fn describe(&self) -> String {
        "root@fixture".into()
    }
}

fn output_of(answer: &Value) -> Output {
    let text = |key: &str| answer[key].as_str().unwrap_or_default().as_bytes().to_vec();
    Output {
        status: ExitStatus::Code(u32::try_from(answer["status"].as_u64().unwrap_or(0)).unwrap()),
        stdout: text("stdout"),
        stderr: text("stderr"),
    }
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().cloned().unwrap_or_default();
    items
        .iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

/// The words of a command as the host's shell sees them. Of a script of ours only its data counts.
fn words_of(command: &Command) -> Vec<String> {
    let script = format!("for word in {command}; do printf '%s\\0' \"$word\"; done");
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(script)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut words: Vec<String> = text.split_terminator('\0').map(str::to_owned).collect();
    if words.starts_with(&["env".into(), "LC_ALL=C".into()]) {
        words.drain(..2);
    }
    if words.len() >= 4 && words[0] == "sh" && words[1] == "-c" && words[3] == "sh" {
        words.drain(..4);
        words.insert(0, "<script>".into());
    }
    words
}

#[derive(Default)]
struct Found(Map<String, Value>);

impl Files for Found {
    fn file(&self, src: &str) -> Result<FileSource, ModuleError> {
        self.template(src, &Syntax::default(), "")
            .map(|text| FileSource::Bytes(text.into()))
    }

    fn template(&self, src: &str, _: &Syntax, _: &str) -> Result<String, ModuleError> {
        match self.0.get(src).and_then(Value::as_str) {
            Some(text) => Ok(text.to_owned()),
            None => Err(ModuleError::failed(format!("find `{src}`"))),
        }
    }
}

/// The module, with its arguments coerced as the engine does it.
fn build(name: &str, args: &Value) -> Result<Box<dyn Module>, ModuleError> {
    let spec = spec(name).unwrap_or_else(|| panic!("no module `{name}`"));
    let mut checked = Map::new();
    for (key, value) in args.as_object().cloned().unwrap_or_default() {
        let argument = spec
            .arguments
            .iter()
            .find(|argument| argument.name == key || argument.aliases.contains(&key.as_str()))
            .unwrap_or_else(|| panic!("`{name}` has no argument `{key}`"));
        let value = argument
            .kind
            .coerce(&value)
            .map_err(|error| ModuleError::failed(format!("`{key}`: {error}")))?;
        checked.insert(argument.name.to_owned(), value);
    }
    (spec.build)(Arguments(checked))
}

/// A step as a fixture writes it.
fn shown(step: &Step) -> Value {
    let content = |content: &kk::modules::Content| {
        if content.secret {
            "********".to_owned()
        } else {
            String::from_utf8_lossy(&content.bytes).into_owned()
        }
    };
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            map.insert(key.to_owned(), value);
        }
    };
    match step {
        Step::Run {
            command,
            stdin,
            timeout,
            any_status,
            purpose,
        } => {
            put("run", json!(purpose));
            put("words", json!(words_of(command)));
            put("stdin", json!(stdin.as_ref().map(content)));
            put("seconds", json!(timeout.map(|limit| limit.as_secs())));
            put(
                "any_status",
                if *any_status {
                    json!(true)
                } else {
                    Value::Null
                },
            );
        }
        Step::Write {
            path,
            content: bytes,
            mode,
            owner,
            group,
        } => {
            put("write", json!(path));
            put("content", json!(content(bytes)));
            put("mode", json!(format!("{mode:04o}")));
            put("owner", json!(owner));
            put("group", json!(group));
        }
        Step::Upload {
            source,
            sha256,
            size,
            dest,
            mode,
            owner,
            group,
        } => {
            put("upload", json!(source));
            put("sha256", json!(sha256));
            put("size", json!(size));
            put("dest", json!(dest));
            put("mode", json!(format!("{mode:04o}")));
            put("owner", json!(owner));
            put("group", json!(group));
        }
        Step::Tree(tree) => {
            put("tree", json!(tree.name));
            put("near", json!(tree.near));
            let branches = tree.branches.iter().map(|branch| format!("{branch:?}"));
            put("branches", branches.collect());
        }
        Step::Download(download) => {
            put("download", json!(download.source));
            put("sha256", json!(download.sha256));
            put("size", json!(download.size));
            put("dest", json!(download.dest));
        }
        Step::Remove { path } => put("remove", json!(path)),
        Step::Reconnect(how) => {
            put("reconnect", json!(how.timeout.as_secs()));
            put("delay", json!(how.delay.as_secs()));
            put("words", json!(words_of(&how.test)));
            put("unlike", json!(how.unlike));
        }
        Step::Control(call) => put("control", json!(call.purpose())),
    }
    Value::Object(map)
}

fn shown_plan(plan: &Plan) -> Map<String, Value> {
    let mut map = Map::new();
    let (verdict, summary, diff) = match &plan.verdict {
        Verdict::Satisfied => ("satisfied", Value::Null, Value::Null),
        Verdict::Change(change) => ("change", json!(change.summary), json!(change.diff)),
        Verdict::Unknown { reason } => ("unknown", json!(reason), Value::Null),
        Verdict::Skipped { reason } => ("skipped", json!(reason), Value::Null),
    };
    map.insert("verdict".into(), json!(verdict));
    for (key, value) in [
        ("summary", summary),
        ("diff", diff),
        ("steps", plan.steps.iter().map(shown).collect()),
        ("creates", json!(plan.creates)),
    ] {
        if !value.is_null() && value != json!([]) {
            map.insert(key.into(), value);
        }
    }
    map.insert("result".into(), Value::Object(plan.result.clone()));
    map
}

/// What differs between what a fixture wants and what came, in words.
fn differences(wanted: &Value, found: &Map<String, Value>) -> Vec<String> {
    let mut faults = Vec::new();
    let wanted = wanted.as_object().cloned().unwrap_or_default();
    for key in ["verdict", "summary", "diff", "steps", "creates"] {
        let (want, have) = (wanted.get(key), found.get(key));
        if want != have {
            let text = |value: Option<&Value>| {
                value.map_or("nothing".into(), |value| {
                    serde_json::to_string_pretty(value).unwrap()
                })
            };
            faults.push(format!(
                "{key}: wanted {}\nfound {}",
                text(want),
                text(have)
            ));
        }
    }
    let result = found.get("result").cloned().unwrap_or_default();
    for (key, want) in wanted
        .get("result")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        if result.get(key) != Some(want) {
            faults.push(format!(
                "result.{key}: wanted {want}, found {:?}",
                result.get(key)
            ));
        }
    }
    for key in wanted.keys() {
        if !["verdict", "summary", "diff", "steps", "creates", "result"].contains(&key.as_str()) {
            faults.push(format!("`{key}` means nothing under `plan`"));
        }
    }
    faults
}

fn check_error(wanted: &Value, error: &ModuleError) -> Vec<String> {
    let text = match error {
        ModuleError::Failed {
            message,
            hint,
            details,
            ..
        } => {
            format!(
                "{message}\n{}\n{}",
                hint.clone().unwrap_or_default(),
                details.clone().unwrap_or_default()
            )
        }
        ModuleError::Transport(error) => error.to_string(),
    };
    let words = match wanted {
        Value::String(word) => vec![word.clone()],
        other => texts(other),
    };
    let missing = words
        .into_iter()
        .filter(|word| !text.contains(word.as_str()));
    missing
        .map(|word| format!("`{word}` is not in the error: {text}"))
        .collect()
}

fn check_conclusion(case: &Value, module: &dyn Module) -> Vec<String> {
    let outputs: Vec<StepOutput> = case["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| match output.get("bytes_sent") {
            Some(bytes) => StepOutput::Done {
                bytes_sent: bytes.as_u64().unwrap(),
            },
            None => StepOutput::Ran(output_of(output)),
        })
        .collect();
    match (
        module.conclude(&outputs),
        &case["conclusion"],
        &case["error"],
    ) {
        (Err(error), _, wanted) if !wanted.is_null() => check_error(wanted, &error),
        (Err(error), _, _) => vec![format!("it failed: {error}")],
        (Ok(_), Value::Null, _) => vec!["it did not fail".into()],
        (Ok(conclusion), wanted, _) => {
            let found = json!({"changed": conclusion.changed, "result": conclusion.result});
            let mut faults = Vec::new();
            if found["changed"] != wanted["changed"] {
                faults.push(format!("changed: {}", found["changed"]));
            }
            for (key, want) in wanted["result"].as_object().into_iter().flatten() {
                if found["result"].get(key) != Some(want) {
                    faults.push(format!(
                        "result.{key}: wanted {want}, found {}",
                        found["result"]
                    ));
                }
            }
            faults
        }
    }
}

async fn check(module: &str, case: &Value) -> Vec<String> {
    let known = [
        "args",
        "files",
        "check",
        "diff",
        "host",
        "plan",
        "outputs",
        "conclusion",
        "error",
    ];
    for key in case.as_object().unwrap().keys() {
        if !known.contains(&key.as_str()) {
            return vec![format!("`{key}` means nothing in a fixture")];
        }
    }
    let host = host_of(case);
    let built = build(module, &case["args"]);
    let result = match &built {
        Ok(module) => planned(module.as_ref(), case, &host).await,
        Err(error) => Err(ModuleError::failed(error.to_string())),
    };
    let result = match (result, &built) {
        // The text of a failed build with its hint.
        (Err(_), Err(error)) => Err(error),
        (Err(error), Ok(_)) => return finish(&host, check_failed(case, &error)),
        (Ok(plan), _) => Ok(plan),
    };
    let faults = match result {
        Err(error) => check_failed(case, error),
        Ok(plan) => {
            let found = shown_plan(&plan);
            match (&case["plan"], &case["outputs"]) {
                (Value::Null, Value::Null) => vec![format!("it did not fail: {found:?}")],
                (wanted, outputs) => {
                    let mut faults = if wanted.is_null() {
                        Vec::new()
                    } else {
                        differences(wanted, &found)
                    };
                    if !outputs.is_null() {
                        faults.extend(check_conclusion(case, built.as_ref().unwrap().as_ref()));
                    }
                    faults
                }
            }
        }
    };
    finish(&host, faults)
}

/// The host of a fixture.
fn host_of(case: &Value) -> Arc<Host> {
    Arc::new(Host {
        answers: Mutex::new(case["host"].as_array().cloned().unwrap_or_default().into()),
        faults: Mutex::default(),
    })
}

/// What a module would do there.
async fn planned(module: &dyn Module, case: &Value, host: &Arc<Host>) -> Result<Plan, ModuleError> {
    let session = Session::new(
        host.clone(),
        Become::default(),
        tokio_util::sync::CancellationToken::new(),
    );
    let files = Found(case["files"].as_object().cloned().unwrap_or_default());
    let look = Look {
        session: &session,
        host: "node1",
        facts: None,
        files: &files,
        check_mode: case["check"].as_bool().unwrap_or(false),
        diff: case["diff"].as_bool().unwrap_or(true),
    };
    module.plan(&look).await
}

/// The end of a fixture that has none yet, from what comes of it, for people to read: `KK_FIXTURE_WRITE=1`.
async fn what_came(module: &str, case: &Value) -> String {
    let host = host_of(case);
    let planned = match build(module, &case["args"]) {
        Ok(module) => planned(module.as_ref(), case, &host).await,
        Err(error) => Err(error),
    };
    match planned {
        Err(error) => format!("error: [{}]\n", json!(error.to_string())),
        Ok(plan) => {
            let mut text = "plan:\n".to_owned();
            for (key, value) in shown_plan(&plan) {
                match value.as_array() {
                    Some(items) => {
                        text.push_str(&format!("  {key}:\n"));
                        for item in items {
                            text.push_str(&format!("    - {item}\n"));
                        }
                    }
                    None => text.push_str(&format!("  {key}: {value}\n")),
                }
            }
            text
        }
    }
}

fn check_failed(case: &Value, error: &ModuleError) -> Vec<String> {
    if case["error"].is_null() || !case["outputs"].is_null() {
        vec![format!("it failed: {error:?}")]
    } else {
        check_error(&case["error"], error)
    }
}

fn finish(host: &Host, mut faults: Vec<String>) -> Vec<String> {
    faults.extend(host.faults.lock().unwrap().drain(..));
    let left = host.answers.lock().unwrap().len();
    if left > 0 {
        faults.push(format!("{left} answers of the host were not asked for"));
    }
    faults
}

fn cases() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules");
    let mut cases = Vec::new();
    for folder in std::fs::read_dir(root).unwrap() {
        let folder = folder.unwrap();
        let module = folder.file_name().into_string().unwrap();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let path = file.unwrap().path();
            assert_eq!(
                path.extension().and_then(|name| name.to_str()),
                Some("yaml"),
                "{}",
                path.display()
            );
            cases.push((module.clone(), path));
        }
    }
    cases.sort();
    cases
}

#[tokio::test]
async fn every_module_does_what_its_fixtures_say() {
    let only = std::env::var("KK_FIXTURE").ok();
    let mut report = String::new();
    for (module, path) in cases() {
        let name = format!("{module}/{}", path.file_stem().unwrap().to_str().unwrap());
        if only
            .as_ref()
            .is_some_and(|only| !name.contains(only.as_str()))
        {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let node = kk::yaml::parse(&Source::new(name.as_str(), text.as_str()))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let case = node.to_json();
        let has_end = ["plan", "error", "outputs"]
            .iter()
            .any(|key| !case[key].is_null());
        if !has_end && std::env::var_os("KK_FIXTURE_WRITE").is_some() {
            let end = what_came(&module, &case).await;
            std::fs::write(&path, format!("{}\n{end}", text.trim_end())).unwrap();
            continue;
        }
        for fault in check(&module, &case).await {
            report.push_str(&format!("{name}: {fault}\n"));
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn every_module_has_fixtures() {
    let cases = cases();
    for spec in kk::modules::specs() {
        let count = cases
            .iter()
            .filter(|(module, _)| module == spec.name)
            .count();
        assert!(
            count >= 2,
            "`{}` has {count} fixtures under tests/modules",
            spec.name
        );
    }
}
