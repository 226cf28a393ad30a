//! Flags that several subcommands share, in groups, and the types of their values.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::env;
use crate::remote::Method;

/// Flags that every subcommand takes.
#[derive(Debug, Clone, Args)]
pub struct GlobalFlags {
    /// Say more; twice for every host that was fine.
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = "Output")]
    pub verbose: u8,
    /// When to use colours.
    #[arg(
        long,
        visible_alias = "color",
        value_enum,
        value_name = "WHEN",
        default_value_t = ColourChoice::Auto,
        global = true,
        help_heading = "Output"
    )]
    pub colour: ColourChoice,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless NO_COLOR, CI or TERM=dumb says otherwise.
    #[default]
    Auto,
    /// Never.
    Never,
}

/// Hosts and settings.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Hosts and settings")]
pub struct TargetFlags {
    /// Inventory file (KubeKey kind, Ansible YAML or INI); repeatable. This machine alone when absent.
    #[arg(short, long, value_name = "FILE", env = env::INVENTORY, hide_env_values = true)]
    pub inventory: Vec<PathBuf>,
    /// Only these hosts: names, groups and patterns, as in `web*,!web3`, or `@FILE` with one a line.
    #[arg(short, long, value_name = "PATTERN")]
    pub limit: Option<String>,
    /// Config file with settings.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Settings, over those of the config file: `a.b=1,c=d`; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Settings whose values stay the text that was typed, over those of `--set`; repeatable.
    #[arg(long, value_name = "KEY=TEXT")]
    pub set_string: Vec<String>,
    /// Settings whose values are read from files, over both; repeatable.
    #[arg(long, value_name = "KEY=FILE")]
    pub set_file: Vec<String>,
    /// Working folder: offline packages, secrets, certificates, logs.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./kubekey",
        env = env::WORKDIR,
        hide_env_values = true
    )]
    pub workdir: PathBuf,
    /// Passwords of what is encrypted.
    #[command(flatten)]
    pub vault: VaultFlags,
}

/// Passwords of what is encrypted.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Encrypted files")]
pub struct VaultFlags {
    /// File with the password of encrypted files and values, or a program that prints it; repeatable.
    #[arg(
        long,
        visible_alias = "vault-pass-file",
        value_name = "FILE",
        env = env::VAULT_PASSWORD_FILE,
        hide_env_values = true
    )]
    pub vault_password_file: Vec<PathBuf>,
    /// A password with a label: `LABEL@FILE`, or `LABEL@prompt` to be asked for it; repeatable.
    #[arg(long, value_name = "LABEL@SOURCE")]
    pub vault_id: Vec<String>,
    /// Ask for the password of encrypted files and values.
    #[arg(short = 'J', long, visible_alias = "ask-vault-pass")]
    pub ask_vault_password: bool,
}

/// How to reach the hosts.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionFlags {
    /// Hosts worked on at the same time.
    #[arg(short, long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..))]
    pub forks: u16,
    /// Time limit for a connection to come up, for instance `30`, `30s` or `2m`; 30 s when neither it nor the
    /// configuration of ssh says one.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// The most that files on their way take of the line, all together: KiB in a second, or with a unit, for instance `500`, `1.5M` or
    /// `1G`, as in rsync.
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub bwlimit: Option<NonZeroU64>,
    /// A file of 16 MiB or more is sent to one host, which serves it to its neighbours, and they to theirs: for many hosts
    /// beside each other and a slow line to them.
    #[arg(long)]
    pub relay: bool,
    /// Configuration of ssh instead of `~/.ssh/config` and `/etc/ssh/ssh_config`; `none` for no configuration.
    #[arg(short = 'F', long, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
    /// What to do about a host whose key is not known; `ask` on a terminal and `strict` elsewhere when neither it nor
    /// the configuration of ssh says anything.
    #[arg(long, value_enum, value_name = "MODE")]
    pub host_key_checking: Option<HostKeyChecking>,
    /// File of known host keys, instead of `~/.ssh/known_hosts`.
    #[arg(long, value_name = "FILE")]
    pub known_hosts: Option<PathBuf>,
    /// Private key for hosts whose inventory entry names none.
    #[arg(long, visible_alias = "key-file", value_name = "FILE")]
    pub private_key: Option<PathBuf>,
    /// User for hosts whose inventory entry names none.
    #[arg(short, long, value_name = "NAME")]
    pub user: Option<String>,
    /// Ask for the login password.
    #[arg(short = 'k', long, conflicts_with = "connection_password_file")]
    pub ask_pass: bool,
    /// File with the login password, or a program that prints it.
    #[arg(long, visible_alias = "conn-pass-file", value_name = "FILE")]
    pub connection_password_file: Option<PathBuf>,
    /// Ask for the password of sudo, or of su.
    #[arg(short = 'K', long, conflicts_with = "become_password_file")]
    pub ask_become_pass: bool,
    /// File with the password of sudo, or of su, or a program that prints it.
    #[arg(long, visible_alias = "become-pass-file", value_name = "FILE")]
    pub become_password_file: Option<PathBuf>,
}

/// As whom tasks run that do not say.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub struct BecomeFlags {
    /// Run tasks as another user where the playbook does not say; root unless `--become-user` names one.
    #[arg(short = 'b', long = "become")]
    pub elevate: bool,
    /// The user to become where the playbook names none.
    #[arg(long, value_name = "NAME")]
    pub become_user: Option<String>,
    /// How, where the playbook does not say; sudo when absent.
    #[arg(long, value_name = "METHOD", value_parser = parse_method)]
    pub become_method: Option<Method>,
}

/// What to do about a host whose key is not known. A changed key is refused in every mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HostKeyChecking {
    /// Refuse.
    Strict,
    /// Remember the key and go on.
    AcceptNew,
    /// Show the fingerprint and ask.
    Ask,
}

/// How to run.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Execution")]
pub struct ExecutionFlags {
    /// Change nothing; say what would change.
    #[arg(short = 'C', long)]
    pub check: bool,
    /// Show changes of files as diffs.
    #[arg(short = 'D', long)]
    pub diff: bool,
    /// With `--check`: end with code 10 when something would change.
    #[arg(long, requires = "check")]
    pub exit_code: bool,
    /// Only tasks with one of these tags.
    #[arg(short, long, value_name = "TAG", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// No task with one of these tags.
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub skip_tags: Vec<String>,
    /// Folder with playbooks and roles that go before the built-in ones.
    #[arg(long, value_name = "DIR")]
    pub playbooks: Option<PathBuf>,
    /// Answer yes to every question.
    #[arg(short, long)]
    pub yes: bool,
}

/// How to run a user's own playbook.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Playbook")]
pub struct PlaybookFlags {
    /// Variables that are stronger than all others: `name=value`, JSON, or `@FILE` with YAML or JSON; repeatable.
    #[arg(short, long, value_name = "VARS")]
    pub extra_vars: Vec<String>,
    /// Folder in which roles are looked for, after `roles/` beside the playbook; repeatable.
    #[arg(
        long,
        value_name = "DIR",
        value_delimiter = ':',
        env = env::ROLES_PATH,
        hide_env_values = true
    )]
    pub roles_path: Vec<PathBuf>,
}

/// What of a playbook runs, and what is only listed.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Playbook")]
pub struct PartFlags {
    /// Begin with the task of this name.
    #[arg(long, value_name = "NAME")]
    pub start_at_task: Option<String>,
    /// Ask before each task.
    #[arg(long)]
    pub step: bool,
    /// Run handlers that are owed even on hosts that failed.
    #[arg(long)]
    pub force_handlers: bool,
    /// List the hosts of each play and run nothing.
    #[arg(long)]
    pub list_hosts: bool,
    /// List the tasks of each play and run nothing.
    #[arg(long)]
    pub list_tasks: bool,
    /// List the tags of each play and run nothing.
    #[arg(long)]
    pub list_tags: bool,
}

/// Waived checks.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Checks")]
pub struct WaiverFlags {
    /// Go on although this check fails, and record why; repeatable.
    #[arg(long, value_name = "CHECK[=REASON]")]
    pub waive: Vec<Waiver>,
}

/// What to print.
#[derive(Debug, Clone, Copy, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputFlags {
    /// What to print on standard output.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// What a run prints on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// Tables for people.
    #[default]
    Text,
    /// One JSON document at the end.
    Json,
    /// One JSON object per event, as they happen.
    Jsonl,
}

/// What a command that only prints data prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DataFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// A check that may fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    /// Name of the check, as the table of `kk precheck` has it.
    pub check: String,
    /// Why, in the user's words.
    pub reason: Option<String>,
}

impl FromStr for Waiver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (check, reason) = match text.split_once('=') {
            Some((check, reason)) => (check.trim(), Some(reason.trim())),
            None => (text.trim(), None),
        };
        if check.is_empty() {
            return Err("expected the name of a check, as in `memory=small test host`".to_owned());
        }
        if matches!(check, "*" | "all") {
            return Err("checks are waived one by one, by name".to_owned());
        }
        Ok(Self {
            check: check.to_owned(),
            reason: reason
                .filter(|reason| !reason.is_empty())
                .map(str::to_owned),
        })
    }
}

/// A file for a page, or nothing. The word after the flag may be a playbook by mistake: that is not written over.
pub(super) fn parse_page(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let is_page = path
        .extension()
        .is_some_and(|ending| ending == "html" || ending == "htm");
    if text.is_empty() || is_page {
        Ok(path)
    } else {
        Err("name a file that ends with `.html`, or write the flag last and alone".to_owned())
    }
}

/// The name of a way to become another user.
fn parse_method(text: &str) -> Result<Method, String> {
    Method::named(text).ok_or_else(|| format!("there is {}", Method::NAMES.join(", ")))
}

/// `30`, `30s`, `2m` or `1h`; at least a second.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let refusal = || "expected a time such as `30`, `30s`, `2m` or `1h`".to_owned();
    let text = text.trim();
    let (digits, seconds_per_unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(digits) if text.ends_with('h') => (digits, 3600),
        Some(digits) if text.ends_with('m') => (digits, 60),
        Some(digits) => (digits, 1),
        None => (text, 1),
    };
    let count: u64 = digits.parse().map_err(|_| refusal())?;
    let seconds = count.checked_mul(seconds_per_unit).ok_or_else(refusal)?;
    if seconds == 0 {
        return Err("expected a time of at least a second".to_owned());
    }
    Ok(Duration::from_secs(seconds))
}

/// Bytes in a second: KiB, or K, M, G with powers of 1024.
fn parse_rate(text: &str) -> Result<NonZeroU64, String> {
    let refusal =
        || "expected a rate such as `500`, `1.5M` or `1G`: KiB, MiB or GiB in a second".to_owned();
    let text = text.trim();
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (text.get(..at), 1024.0),
        Some((at, 'm' | 'M')) => (text.get(..at), 1024.0 * 1024.0),
        Some((at, 'g' | 'G')) => (text.get(..at), 1024.0 * 1024.0 * 1024.0),
        _ => (Some(text), 1024.0),
    };
    let number = number.filter(|number| {
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
    });
    let number: f64 = number
        .and_then(|number| number.parse().ok())
        .ok_or_else(refusal)?;
    let bytes = number * unit;
    if !(1.0..=1e15).contains(&bytes) {
        return Err(refusal());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is within these bounds"
    )]
    NonZeroU64::new(bytes as u64).ok_or_else(refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_as_in_rsync() {
        for (text, bytes) in [
            ("500", 500 * 1024),
            ("1.5M", 1536 * 1024),
            ("1G", 1 << 30),
            ("8k", 8192),
        ] {
            assert_eq!(parse_rate(text).map(NonZeroU64::get), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "0",
            "-1",
            "K",
            "1e9",
            "fast",
            "1MB",
            "1.2.3",
            "inf",
            "nan",
            "99999999G",
        ] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_take_a_unit() {
        for (text, seconds) in [("30", 30), ("30s", 30), ("2m", 120), ("1h", 3600)] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs(seconds)),
                "{text}"
            );
        }
        for text in ["", "s", "0", "-1", "3d", "1.5s", "99999999999999999999h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_waiver_has_a_name_and_perhaps_a_reason() {
        let waiver: Waiver = "memory = a test, 4 GB = enough".parse().unwrap();
        assert_eq!(waiver.check, "memory");
        assert_eq!(waiver.reason.as_deref(), Some("a test, 4 GB = enough"));
        assert_eq!("disk=".parse::<Waiver>().unwrap().reason, None);
        for text in ["", "=why", "all", "*"] {
            assert!(text.parse::<Waiver>().is_err(), "{text}");
        }
    }
}
