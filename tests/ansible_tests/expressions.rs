//! Expressions under ansible-core's templar and under the template room: the files of `tests/ansible/expressions`. Both
//! must give the same value with the same types, or both an error.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use kk::template::{Layer, Scope, Template};
use kk::yaml::Node;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::case;
use super::oracle::Oracle;

/// Before the name of a file, it makes the name that words of the command line are compared with.
const PREFIX: &str = "expressions-";

/// One file: expressions, and the variables that they use.
struct Table {
    name: String,
    path: PathBuf,
    scope: Scope,
    expressions: Vec<Expression>,
}

struct Expression {
    text: String,
    line: usize,
    /// Why both are known to differ.
    differs: Option<String>,
}

/// What came of an expression.
enum Outcome {
    Value(Json),
    Error(String),
    /// There is no such filter, test or function: no other error stands for it.
    Unknown(String),
}

impl Outcome {
    fn agrees_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Value(one), Self::Value(other)) => is_same(one, other),
            (Self::Error(_), Self::Error(_)) | (Self::Unknown(_), Self::Unknown(_)) => true,
            _ => false,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Value(value) => value.to_string(),
            Self::Error(message) | Self::Unknown(message) => format!("error: {message}"),
        }
    }
}

/// Equal, mappings in the same order, numbers of the same kind.
fn is_same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a, b))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((key, a), (other, b))| key == other && is_same(a, b))
        }
        (Json::Number(a), Json::Number(b)) if a.is_f64() && b.is_f64() => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= f64::EPSILON * 2.0 * a.abs()
        }
        _ => one == other,
    }
}

/// What became of all expressions.
#[derive(Default)]
pub struct Count {
    pub all: usize,
    pub differing: usize,
    pub failed: usize,
}

/// Evaluates the files that the words name, under both, and prints a line for each expression.
pub fn run(words: &[String], oracle: &Oracle) -> Count {
    let tables: Vec<Table> = read_all()
        .into_iter()
        .filter(|table| words.is_empty() || words.iter().any(|word| table.name.contains(word)))
        .collect();
    let mut count = Count::default();
    if tables.is_empty() {
        return count;
    }
    let answers = match answers(&tables, oracle) {
        Ok(answers) => answers,
        Err(reason) => {
            println!("FAILED  {PREFIX}all\n        {reason}");
            count.failed += 1;
            return count;
        }
    };
    for table in &tables {
        let theirs = &answers[&table.name];
        assert_eq!(theirs.len(), table.expressions.len(), "{}", table.name);
        for (expression, theirs) in table.expressions.iter().zip(theirs) {
            count.all += 1;
            let place = format!("{}:{} {}", table.name, expression.line, expression.text);
            let ours = evaluate(expression, &table.scope);
            match (ours.agrees_with(theirs), &expression.differs) {
                (true, None) => println!("ok      {place}"),
                (false, Some(reason)) => {
                    count.differing += 1;
                    println!("ok      {place} (differs: {reason})");
                }
                (false, None) => {
                    count.failed += 1;
                    println!(
                        "FAILED  {place}\n        ansible {}\n        kk      {}",
                        theirs.describe(),
                        ours.describe()
                    );
                }
                (true, Some(_)) => {
                    count.failed += 1;
                    println!("FAILED  {place}\n        the listed difference is gone");
                }
            }
        }
    }
    count
}

fn read_all() -> Vec<Table> {
    let mut paths: Vec<PathBuf> = fs::read_dir(case::folder().join("expressions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.into_iter().map(Table::read).collect()
}

impl Table {
    fn read(path: PathBuf) -> Self {
        let node = case::read_yaml(&path);
        let variables = match node.get("variables").map(Node::to_json) {
            Some(Json::Object(variables)) => variables,
            _ => serde_json::Map::new(),
        };
        let expressions = node.get("expressions").and_then(Node::as_sequence).unwrap();
        Self {
            name: format!("{PREFIX}{}", path.file_stem().unwrap().to_string_lossy()),
            scope: Scope::new(vec![Layer::templated(variables)]),
            expressions: expressions.iter().map(Expression::read).collect(),
            path,
        }
    }
}

impl Expression {
    fn read(node: &Node) -> Self {
        let text = |key| node.get(key).and_then(Node::as_str).map(str::to_owned);
        let line = node.place.source.line_column(node.place.span.start).0;
        match node.as_str() {
            Some(text) => Self {
                text: text.to_owned(),
                line,
                differs: None,
            },
            None => Self {
                text: text("expression").unwrap(),
                line,
                differs: Some(text("differs").unwrap()),
            },
        }
    }
}

fn evaluate(expression: &Expression, scope: &Scope) -> Outcome {
    // A function that is not there is a variable that is undefined for ansible-core.
    let is_unknown = |message: &str| {
        let starts = ["unknown filter", "unknown test"];
        starts.iter().any(|start| message.starts_with(start))
    };
    let template = match Template::inner(&expression.text, None) {
        Ok(template) => template,
        Err(diagnostic) if is_unknown(&diagnostic.message) => {
            return Outcome::Unknown(diagnostic.message);
        }
        Err(diagnostic) => return Outcome::Error(diagnostic.message),
    };
    match template.evaluate(scope) {
        Ok(value) => Outcome::Value(value),
        // A part of an address is none of the dialect's.
        Err(diagnostic)
            if diagnostic.message.contains(": unknown ")
                && !diagnostic.message.contains("unknown URL component") =>
        {
            Outcome::Unknown(diagnostic.message)
        }
        Err(diagnostic) => Outcome::Error(diagnostic.message),
    }
}

/// ansible-core's answers to all expressions of the files, in one process.
fn answers(tables: &[Table], oracle: &Oracle) -> Result<BTreeMap<String, Vec<Outcome>>, String> {
    let script = case::folder().join("evaluate.py");
    let mut hash = Sha256::new();
    for path in std::iter::once(&script).chain(tables.iter().map(|table| &table.path)) {
        hash.update(fs::read(path).unwrap());
    }
    let key = hash.finalize();
    let key: String = key
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let text = oracle.remembered(&format!("expressions-{key}.json"), || {
        ask(&script, tables, oracle)
    })?;
    let all: BTreeMap<String, Vec<Json>> =
        serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))?;
    let named = |table: &Table| {
        let file = table.path.file_name().unwrap().to_str().unwrap();
        let outcomes = all[file].iter().map(outcome).collect();
        (table.name.clone(), outcomes)
    };
    Ok(tables.iter().map(named).collect())
}

fn outcome(answer: &Json) -> Outcome {
    match (answer.get("value"), answer["error"].as_str()) {
        (Some(value), _) => Outcome::Value(value.clone()),
        (None, Some(message)) if message.contains("Could not load ") => {
            Outcome::Unknown(message.to_owned())
        }
        (None, message) => Outcome::Error(message.unwrap_or_default().to_owned()),
    }
}

fn ask(script: &Path, tables: &[Table], oracle: &Oracle) -> Result<String, String> {
    let scratch = super::scratch().join("expressions");
    fs::create_dir_all(&scratch).unwrap();
    let output = Command::new(oracle.environment.join("bin/python"))
        .arg(script)
        .args(tables.iter().map(|table| &table.path))
        .stdin(Stdio::null())
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", std::env::var_os("HOME").unwrap_or_default())
        .env("ANSIBLE_HOME", &scratch)
        .env("ANSIBLE_CONFIG", scratch.join("ansible.cfg"))
        .env(
            "ANSIBLE_COLLECTIONS_PATH",
            oracle.environment.join("collections"),
        )
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
