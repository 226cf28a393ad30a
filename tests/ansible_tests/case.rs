//! A case: a folder of `tests/ansible/cases`.

use std::fs;
use std::path::{Path, PathBuf};

use kk::diagnostic::Source;
use kk::yaml::{self, Node};

/// A playbook and what belongs to it.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    pub folder: PathBuf,
    /// Runs, one after the other in the same folder.
    pub steps: Vec<Step>,
    /// Inventories, relative to the folder; the common one if empty.
    pub inventories: Vec<String>,
    /// The hosts of the common inventory are reached over SSH.
    pub ssh: bool,
    /// It needs users of this machine that the suite makes, in a place that they can reach.
    pub users: bool,
    /// There are pages at `$KK_TEST_PAGES`.
    pub pages: bool,
    /// What ansible-core answers depends on how the machine is at the moment: it is asked each time.
    pub fresh: bool,
}

/// One run.
#[derive(Debug, Clone)]
pub struct Step {
    pub playbook: String,
    /// For both programs.
    pub arguments: Vec<String>,
    /// What ansible-core must end with: a case that breaks early under both programs proves nothing.
    pub exit: i32,
}

/// `tests/ansible`.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ansible")
}

/// All cases, by name.
pub fn all() -> Vec<Case> {
    let mut folders: Vec<PathBuf> = fs::read_dir(folder().join("cases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    folders.sort();
    folders.into_iter().map(Case::read).collect()
}

/// Reads a YAML file of the tests.
pub fn read_yaml(path: &Path) -> Node {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    yaml::parse(&Source::new(path.display().to_string(), text))
        .unwrap_or_else(|error| panic!("{}: {error:?}", path.display()))
}

impl Case {
    fn read(folder: PathBuf) -> Self {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let file = folder.join("case.yaml");
        let settings = file.exists().then(|| read_yaml(&file));
        let settings = settings.as_ref();
        let is_set = |name: &str| {
            let node = settings.and_then(|node| node.get(name));
            node.and_then(Node::as_bool).unwrap_or(false)
        };
        let mut case = Self {
            steps: Vec::new(),
            inventories: texts(settings.and_then(|node| node.get("inventory"))),
            ssh: is_set("ssh"),
            users: is_set("users"),
            pages: is_set("pages"),
            fresh: is_set("fresh"),
            name,
            folder,
        };
        for name in ["inventory.ini", "inventory.yaml"] {
            if case.inventories.is_empty() && case.folder.join(name).exists() {
                case.inventories = vec![name.to_owned()];
            }
        }
        let steps = settings.and_then(|node| node.get("steps"));
        case.steps = match steps.and_then(Node::as_sequence) {
            Some(steps) => steps.iter().map(|step| Step::read(Some(step))).collect(),
            None => vec![Step::read(settings)],
        };
        case
    }
}

impl Step {
    fn read(node: Option<&Node>) -> Self {
        let text = |key| node.and_then(|node| node.get(key)).and_then(Node::as_str);
        Self {
            playbook: text("playbook").unwrap_or("playbook.yaml").to_owned(),
            arguments: texts(node.and_then(|node| node.get("args"))),
            exit: text("exit").map_or(0, |text| text.parse().unwrap()),
        }
    }
}

/// A list of words.
fn texts(node: Option<&Node>) -> Vec<String> {
    node.and_then(Node::as_sequence)
        .unwrap_or_default()
        .iter()
        .map(|node| node.as_str().unwrap().to_owned())
        .collect()
}
