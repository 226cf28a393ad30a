//! OpenSSH's configuration of the client: what `~/.ssh/config` and `/etc/ssh/ssh_config` say about a host.
//!
//! Where OpenSSH's client is installed it decides itself (`ssh -G`), so that everything means here what it means to
//! `ssh`; elsewhere this program reads the files, strictly. Asking costs a process, so the files are looked through
//! first: a host about which they say nothing is not asked for, and hosts that the same lines are about are asked for
//! once. This room knows neither the inventory nor the command line; what they say is part of the question.

mod ask;
mod resolve;
mod settings;
mod tokens;
mod tree;
mod words;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

pub use settings::{AddressFamily, Checking, Hop, HostSettings, Route};

use super::TransportError;
use settings::{HONOURED, Written};
use tree::{Item, Owner, Test, Tree};

/// Processes of `ssh -G` at the same time.
const AT_ONCE: usize = 4;

/// Which files are read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ConfigFiles {
    /// The user's and the system's.
    #[default]
    Default,
    /// None.
    None,
    /// This one alone, as with `ssh -F`.
    File(PathBuf),
}

/// Who reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reader {
    /// OpenSSH's client at this path.
    Ssh(PathBuf),
    /// This program.
    Own,
}

/// What is asked: the name that would stand on the command line of `ssh`, and what stands there beside it.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The name or address as it was given.
    pub host: &'a str,
    /// The user, where one was named.
    pub user: Option<&'a str>,
    /// The port, where one was named.
    pub port: Option<u16>,
    /// The user where nobody names one.
    pub default_user: &'a str,
}

/// Something wrong in the configuration, with its file and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake(String);

impl Mistake {
    fn into_error(self) -> TransportError {
        TransportError::Local {
            reason: self.0,
            hint: "correct the file, or leave it out with `--ssh-config none`".to_owned(),
        }
    }
}

/// What the configuration depends on beside its files.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    home: PathBuf,
    /// The user that runs this program.
    user: String,
    user_id: u32,
    /// This machine's name.
    node: String,
    /// The home folder that the system has for the user, which is OpenSSH's.
    system_home: Option<PathBuf>,
}

impl Surroundings {
    fn read() -> Self {
        let user_id = rustix::process::getuid().as_raw();
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let entry = users
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.get(2).and_then(|id| id.parse().ok()) == Some(user_id));
        let field = |number: usize| {
            entry
                .as_ref()
                .and_then(|fields| fields.get(number))
                .map(|field| (*field).to_owned())
                .filter(|field| !field.is_empty())
        };
        let of_environment = || {
            ["LOGNAME", "USER"]
                .iter()
                .find_map(|name| std::env::var(name).ok())
        };
        Self {
            home: std::env::home_dir().unwrap_or_default(),
            user: field(0).or_else(of_environment).unwrap_or_default(),
            user_id,
            node: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            system_home: field(5).map(PathBuf::from),
        }
    }
}

/// The configuration of a run. Shared by all connections.
#[derive(Debug)]
pub struct ClientConfig {
    files: ConfigFiles,
    tree: Result<Tree, Mistake>,
    reader: Reader,
    surroundings: Surroundings,
    answers: Mutex<HashMap<Asked, Arc<Answer>>>,
    turns: Semaphore,
}

/// An answer of `ssh -G`, or one that is waited for.
type Answer = OnceCell<Result<Written, Mistake>>;

/// What an answer of `ssh -G` is for.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    who: Who,
    user: Option<String>,
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
enum Who {
    /// This name.
    Host(String),
    /// All names that these conditions hold for, and no others.
    Alike(Vec<bool>),
}

impl ClientConfig {
    /// Reads the files. Mistakes in them are told to whoever asks.
    pub fn read(files: ConfigFiles) -> Self {
        let reader = find_program("ssh").map_or(Reader::Own, Reader::Ssh);
        Self::read_by(files, reader)
    }

    /// The same with a reader of choice.
    pub fn read_by(files: ConfigFiles, reader: Reader) -> Self {
        let surroundings = Surroundings::read();
        let tree = read_tree(&files, &surroundings);
        // OpenSSH does not look at `HOME`: where that is another folder, its answers would be about other files.
        let is_elsewhere = surroundings
            .system_home
            .as_ref()
            .is_some_and(|home| *home != surroundings.home);
        // A pipe has nothing more for anybody else.
        let is_read_once = match &files {
            ConfigFiles::File(path) => std::fs::metadata(path).is_ok_and(|metadata| {
                std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type())
            }),
            ConfigFiles::Default | ConfigFiles::None => false,
        };
        Self {
            files,
            tree,
            reader: if is_elsewhere || is_read_once {
                Reader::Own
            } else {
                reader
            },
            surroundings,
            answers: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }

    /// A configuration that says nothing.
    pub fn none() -> Self {
        Self::read_by(ConfigFiles::None, Reader::Own)
    }

    /// Who reads the files.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// How often `ssh` was asked.
    pub fn questions(&self) -> usize {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.len()
    }

    /// The user that runs this program: who `ssh` logs in as where nobody says otherwise.
    pub fn local_user(&self) -> &str {
        &self.surroundings.user
    }

    /// What the configuration says about a host.
    pub async fn look_up(&self, question: Question<'_>) -> Result<HostSettings, TransportError> {
        let silent = || HostSettings {
            address: lowered(question.host),
            ..HostSettings::default()
        };
        if self.files == ConfigFiles::None {
            return Ok(silent());
        }
        let program = match &self.reader {
            Reader::Own => {
                return self
                    .tree
                    .as_ref()
                    .map_err(Clone::clone)
                    .and_then(|tree| resolve::resolve(tree, &question, &self.surroundings))
                    .map_err(Mistake::into_error);
            }
            Reader::Ssh(program) => program,
        };
        let decided = self
            .tree
            .as_ref()
            .ok()
            .map(|tree| (tree, tree.decided_by_name(question.host)));
        if let Some((tree, decided)) = &decided
            && !says_anything(tree, decided)
        {
            return Ok(silent());
        }
        let alike = decided
            .as_ref()
            .and_then(|(tree, decided)| is_alike(tree, decided));
        let is_alike = alike.is_some();
        let asked = Asked {
            who: alike.map_or_else(|| Who::Host(question.host.to_owned()), Who::Alike),
            user: question.user.map(str::to_owned),
            port: question.port,
        };
        let cell = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(asked).or_default())
        };
        let answer = cell
            .get_or_init(|| async {
                let _turn = self.turns.acquire().await;
                ask::ask(program, &self.files, &question, &self.surroundings).await
            })
            .await;
        let mut written = answer.clone().map_err(Mistake::into_error)?;
        if is_alike {
            // The answer may be about another host that the same lines are about.
            let names_host = decided.as_ref().is_some_and(|(tree, decided)| {
                active(tree, decided).any(|setting| setting.keyword == "hostname")
            });
            if !names_host {
                written.host_name = None;
            }
        }
        if written.user.as_deref() == Some(self.local_user())
            && let Some((tree, decided)) = &decided
            && !active(tree, decided).any(|setting| {
                setting.keyword == "user"
                    && setting.words.first().map(String::as_str) == Some(self.local_user())
            })
        {
            // Nobody named it: it is what `ssh` takes without a word.
            written.user = None;
        }
        written
            .settle(&question, &self.surroundings)
            .map_err(|reason| {
                Mistake(format!(
                    "the configuration of ssh for `{}`: {reason}",
                    question.host
                ))
                .into_error()
            })
    }
}

/// As `ssh` writes names; the zone of an address stays as it is.
fn lowered(host: &str) -> String {
    if host.contains('%') {
        host.to_owned()
    } else {
        host.to_lowercase()
    }
}

fn read_tree(files: &ConfigFiles, surroundings: &Surroundings) -> Result<Tree, Mistake> {
    let mut tree = Tree::default();
    match files {
        ConfigFiles::None => {}
        ConfigFiles::File(path) => {
            if !path.exists() {
                return Err(Mistake(format!(
                    "there is no file `{}` with a configuration of ssh",
                    path.display()
                )));
            }
            tree.add(path, Owner::User, false, surroundings)?;
        }
        ConfigFiles::Default => {
            let own = surroundings.home.join(".ssh/config");
            tree.add(&own, Owner::User, true, surroundings)?;
            let of_system = Path::new("/etc/ssh/ssh_config");
            tree.add(of_system, Owner::System, false, surroundings)?;
        }
    }
    Ok(tree)
}

/// The settings that count for a host, or may count.
fn active<'a>(
    tree: &'a Tree,
    decided: &'a [Option<bool>],
) -> impl Iterator<Item = &'a tree::Setting> {
    tree.items.iter().filter_map(|item| match item {
        Item::Setting(setting)
            if decided.get(setting.condition).copied().flatten() != Some(false) =>
        {
            Some(setting)
        }
        _ => None,
    })
}

fn says_anything(tree: &Tree, decided: &[Option<bool>]) -> bool {
    active(tree, decided).any(|setting| HONOURED.contains(&setting.keyword.as_str()))
}

/// Which conditions hold for a host, when everything that counts follows from that: no more is asked anywhere, and no
/// value depends on the host.
fn is_alike(tree: &Tree, decided: &[Option<bool>]) -> Option<Vec<bool>> {
    let asks_more = tree
        .conditions
        .iter()
        .any(|condition| matches!(condition.test, Test::Match(_)));
    let depends = active(tree, decided).any(|setting| {
        setting.rest.contains(['%', '$']) || setting.keyword.starts_with("canonical")
    });
    if asks_more || depends {
        return None;
    }
    decided.iter().copied().collect()
}

/// A program of the search path.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|file| rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok())
}
