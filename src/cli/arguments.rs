//! The grammar of the command line, as `clap` sees it.
//!
//! Low-level only: what was typed, with the types that typing can have. What it means (an inventory, settings, a run)
//! is worked out by the file of each subcommand. The doc comments are the help texts.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub use super::flags::{
    BecomeFlags, ColourChoice, ConnectionFlags, DataFormat, ExecutionFlags, GlobalFlags,
    HostKeyChecking, OutputFlags, OutputFormat, PartFlags, PlaybookFlags, TargetFlags, VaultFlags,
    Waiver, WaiverFlags,
};
pub use super::vault_arguments::{
    CreateVaultArguments, DecryptArguments, EncryptArguments, EncryptStringArguments,
    RekeyArguments, VaultCommand, VaultFilesArguments,
};

/// Provisions hosts over SSH: private image registries on bare, offline hosts.
///
/// Nothing is needed on the hosts but sshd and a POSIX shell.
#[derive(Debug, Parser)]
#[command(
    name = "kk",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = AFTER_HELP
)]
pub struct Arguments {
    /// Flags that every subcommand takes.
    #[command(flatten)]
    pub global: GlobalFlags,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Start with:
  kk create inventory -o inventory.yaml
  kk precheck image_registry -i inventory.yaml
  kk init registry -i inventory.yaml

Exit codes:
  0 ok   1 error before any host was touched   2 a host failed   3 a precheck failed
  4 a host was unreachable   5 wrong use   6 both 2 and 4   10 changes pending (--exit-code)
  130 interrupted   143 terminated";

const VAULT_HELP: &str = "\
Exit codes:
  0 done   1 nothing was changed, and why is said   5 wrong use   143 terminated, nothing was changed";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at the hosts and say what would go wrong; changes nothing.
    #[command(subcommand, arg_required_else_help = true)]
    Precheck(PrecheckCommand),
    /// Bring something up on the hosts.
    #[command(subcommand, arg_required_else_help = true)]
    Init(InitCommand),
    /// Take away what `init` brought, and nothing else.
    #[command(subcommand, arg_required_else_help = true)]
    Delete(DeleteCommand),
    /// Look after a registry that is there.
    #[command(subcommand, arg_required_else_help = true)]
    Registry(RegistryCommand),
    /// Say what is installed on each host: versions, health, waived checks.
    Status(StatusArguments),
    /// Write an example file to begin with.
    #[command(subcommand, arg_required_else_help = true)]
    Create(CreateCommand),
    /// Show how the inventory was understood.
    #[command(subcommand, arg_required_else_help = true)]
    Inventory(InventoryCommand),
    /// Show what is known about each host, as JSON.
    Facts(FactsArguments),
    /// Run a playbook.
    Run(RunArguments),
    /// Run one command or one module on hosts, without a playbook.
    Exec(ExecArguments),
    /// List earlier runs, or show one of them.
    History(HistoryArguments),
    /// Say everything that is wrong in playbooks and inventory; touches no host.
    Validate(ValidateArguments),
    /// The built-in playbooks and roles.
    #[command(subcommand, arg_required_else_help = true)]
    Playbooks(PlaybooksCommand),
    /// Encrypt and decrypt files and values as `ansible-vault` does.
    #[command(subcommand, arg_required_else_help = true, after_help = VAULT_HELP)]
    Vault(VaultCommand),
    /// Describe the modules that a task can use.
    Doc(DocArguments),
    /// Print a completion script for a shell.
    Completion(CompletionArguments),
    /// Print the manual page, or write one page for each subcommand.
    Man(ManArguments),
    /// Print the version.
    Version(VersionArguments),
}

/// What to check.
#[derive(Debug, Subcommand)]
pub enum PrecheckCommand {
    /// Check the hosts for a private image registry.
    #[command(name = "image_registry")]
    ImageRegistry(PrecheckArguments),
}

/// What to bring up.
#[derive(Debug, Subcommand)]
pub enum InitCommand {
    /// Bring up a private image registry on the hosts of the group `image_registry`.
    Registry(InitRegistryArguments),
}

/// What to take away.
#[derive(Debug, Subcommand)]
pub enum DeleteCommand {
    /// Take the registry away from the hosts; its data stays unless `--with-data` is given.
    Registry(DeleteRegistryArguments),
}

/// What to do with a registry.
#[derive(Debug, Subcommand)]
pub enum RegistryCommand {
    /// Free the space of layers that no image has any more. Reads go on, writes are refused meanwhile.
    Gc(CollectArguments),
}

/// What to write.
#[derive(Debug, Subcommand)]
pub enum CreateCommand {
    /// Write an example inventory.
    Inventory(CreateArguments),
    /// Write an example of all settings with their defaults.
    Config(CreateArguments),
}

/// What to show.
#[derive(Debug, Subcommand)]
pub enum InventoryCommand {
    /// Print hosts, groups and variables as JSON, as `ansible-inventory --list` does; secrets masked.
    List(InventoryListArguments),
    /// Print groups and their hosts as a tree, as `ansible-inventory --graph` does.
    Graph(InventoryGraphArguments),
    /// Print the variables of a host as JSON, as `ansible-inventory --host` does; secrets masked.
    Host(InventoryHostArguments),
}

/// What to do with the built-in playbooks.
#[derive(Debug, Subcommand)]
pub enum PlaybooksCommand {
    /// Write them to a folder, to read or to change (`--playbooks DIR` runs the changed ones).
    Export(ExportArguments),
}

/// `kk precheck image_registry`.
#[derive(Debug, Clone, Args)]
pub struct PrecheckArguments {
    /// Hosts and settings.
    #[command(flatten)]
    pub target: TargetFlags,
    /// How to reach the hosts.
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// Waived checks.
    #[command(flatten)]
    pub waivers: WaiverFlags,
    /// What to print.
    #[command(flatten)]
    pub output: OutputFlags,
}

/// `kk init registry`.
#[derive(Debug, Clone, Args)]
pub struct InitRegistryArguments {
    /// Hosts and settings.
    #[command(flatten)]
    pub target: TargetFlags,
    /// How to reach the hosts.
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// Waived checks.
    #[command(flatten)]
    pub waivers: WaiverFlags,
    /// How to run.
    #[command(flatten)]
    pub execution: ExecutionFlags,
    /// What to print.
    #[command(flatten)]
    pub output: OutputFlags,
}

/// `kk delete registry`.
#[derive(Debug, Clone, Args)]
pub struct DeleteRegistryArguments {
    /// Remove the images and everything else that users stored in the registry, too. There is no way back.
    #[arg(long)]
    pub with_data: bool,
    /// Where and how.
    #[command(flatten)]
    pub built_in: BuiltInFlags,
}

/// `kk registry gc`.
#[derive(Debug, Clone, Args)]
pub struct CollectArguments {
    /// Say what would be freed, and leave everything as it is; the same as `--check`.
    #[arg(long)]
    pub dry_run: bool,
    /// How long a collection may take. It is ended then, and writes are taken again, also when this program or a host died in the
    /// middle.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = super::flags::parse_duration)]
    pub gc_timeout: Duration,
    /// Where and how.
    #[command(flatten)]
    pub built_in: BuiltInFlags,
}

/// The flags of a command that runs a built-in playbook.
#[derive(Debug, Clone, Args)]
pub struct BuiltInFlags {
    /// Hosts and settings.
    #[command(flatten)]
    pub target: TargetFlags,
    /// How to reach the hosts.
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// How to run.
    #[command(flatten)]
    pub execution: ExecutionFlags,
    /// What to print.
    #[command(flatten)]
    pub output: OutputFlags,
}

/// `kk status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArguments {
    /// Hosts and settings.
    #[command(flatten)]
    pub target: TargetFlags,
    /// How to reach the hosts.
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// What to print.
    #[command(flatten)]
    pub output: OutputFlags,
}

/// `kk facts`.
#[derive(Debug, Clone, Args)]
pub struct FactsArguments {
    /// Hosts and settings.
    #[command(flatten)]
    pub target: TargetFlags,
    /// How to reach the hosts.
    #[command(flatten)]
    pub connection: ConnectionFlags,
}

/// `kk run`.
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    /// The playbooks, run one after the other.
    #[arg(required_unless_present = "resume", value_name = "PLAYBOOK")]
    pub files: Vec<PathBuf>,
    /// Go on where an earlier run stopped on each host; the last one of the same playbooks when RUN is absent.
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "", help_heading = "Playbook")]
    pub resume: Option<String>,
    /// Variables and roles.
    #[command(flatten)]
    pub playbook: PlaybookFlags,
    /// What of it runs.
    #[command(flatten)]
    pub part: PartFlags,
    /// Hosts and settings.
    #[command(flatten)]
    pub target: TargetFlags,
    /// How to reach the hosts.
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// As whom.
    #[command(flatten)]
    pub privilege: BecomeFlags,
    /// How to run.
    #[command(flatten)]
    pub execution: ExecutionFlags,
    /// What to print.
    #[command(flatten)]
    pub output: OutputFlags,
    /// Write a page that shows where the time went, in the working folder when FILE is absent.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "", value_parser = super::flags::parse_page, help_heading = "Output")]
    pub timings: Option<PathBuf>,
}

/// `kk exec`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  kk exec all -i inventory.yaml -- uptime
  kk exec 'web:!web3' -b -m service -a 'name=nginx state=restarted'
  kk exec node1 -m shell -a 'df -h | sort'")]
pub struct ExecArguments {
    /// The hosts: names, groups and patterns.
    #[arg(value_name = "PATTERN")]
    pub pattern: String,
    /// The command and its words, as they are; no shell reads them.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// The module; `command` when absent.
    #[arg(short, long, value_name = "NAME")]
    pub module: Option<String>,
    /// The module's arguments: `name=value …`, a free form, or a JSON object.
    #[arg(short, long = "args", value_name = "ARGS")]
    pub arguments: Option<String>,
    /// Change nothing; say what would change.
    #[arg(short = 'C', long)]
    pub check: bool,
    /// Show changes of files as diffs.
    #[arg(short = 'D', long)]
    pub diff: bool,
    /// Answer yes to every question.
    #[arg(short, long)]
    pub yes: bool,
    /// Variables that are stronger than all others: `name=value`, JSON, or `@FILE` with YAML or JSON; repeatable.
    #[arg(short, long, value_name = "VARS")]
    pub extra_vars: Vec<String>,
    /// Hosts and settings.
    #[command(flatten)]
    pub target: TargetFlags,
    /// How to reach the hosts.
    #[command(flatten)]
    pub connection: ConnectionFlags,
    /// As whom.
    #[command(flatten)]
    pub privilege: BecomeFlags,
    /// What to print on standard output.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = DataFormat::Text)]
    pub output: DataFormat,
}

/// `kk validate`.
#[derive(Debug, Clone, Args)]
pub struct ValidateArguments {
    /// The playbooks.
    #[arg(required = true, value_name = "PLAYBOOK")]
    pub files: Vec<PathBuf>,
    /// Variables and roles.
    #[command(flatten)]
    pub playbook: PlaybookFlags,
    /// Hosts and settings.
    #[command(flatten)]
    pub target: TargetFlags,
    /// What to print on standard output: nothing, or all that was found.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = DataFormat::Text)]
    pub output: DataFormat,
}

/// `kk history`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct HistoryArguments {
    /// What to show.
    #[command(subcommand)]
    pub command: Option<HistoryCommand>,
    /// Working folder of the runs.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "./kubekey",
        env = crate::env::WORKDIR,
        hide_env_values = true,
        global = true
    )]
    pub workdir: PathBuf,
    /// What to print on standard output.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = DataFormat::Text)]
    pub output: DataFormat,
}

/// What to show of earlier runs.
#[derive(Debug, Clone, Subcommand)]
pub enum HistoryCommand {
    /// Show one run: its recap, and what failed where.
    Show(HistoryShowArguments),
}

/// `kk history show`.
#[derive(Debug, Clone, Args)]
pub struct HistoryShowArguments {
    /// The run; the last one when absent.
    pub run: Option<String>,
    /// Write a page that shows where the time went, in the working folder when FILE is absent.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "", value_parser = super::flags::parse_page)]
    pub timings: Option<PathBuf>,
    /// What to print on standard output.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = DataFormat::Text)]
    pub output: DataFormat,
}

/// `kk create inventory` and `kk create config`.
#[derive(Debug, Clone, Args)]
pub struct CreateArguments {
    /// The file to write; standard output when absent.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write over a file that is there.
    #[arg(long, requires = "output")]
    pub force: bool,
}

/// `kk inventory list`.
#[derive(Debug, Clone, Args)]
pub struct InventoryListArguments {
    /// Hosts and settings.
    #[command(flatten)]
    pub target: TargetFlags,
}

/// `kk inventory graph`.
#[derive(Debug, Clone, Args)]
pub struct InventoryGraphArguments {
    /// The group to begin with; `all` when absent.
    #[arg(value_name = "GROUP")]
    pub group: Option<String>,
    /// With variables.
    #[arg(long)]
    pub vars: bool,
    /// Hosts and settings.
    #[command(flatten)]
    pub target: TargetFlags,
}

/// `kk inventory host`.
#[derive(Debug, Clone, Args)]
pub struct InventoryHostArguments {
    /// The host.
    #[arg(value_name = "HOST")]
    pub host: String,
    /// How it is reached and which groups it is in, instead of its variables.
    #[arg(long)]
    pub connection: bool,
    /// Hosts and settings.
    #[command(flatten)]
    pub target: TargetFlags,
}

/// `kk playbooks export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArguments {
    /// The folder; made when it is not there.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Write over files that are there.
    #[arg(long)]
    pub force: bool,
}

/// `kk doc`.
#[derive(Debug, Clone, Args)]
pub struct DocArguments {
    /// The module; a list of all modules when absent.
    pub module: Option<String>,
    /// What to print.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = DataFormat::Text)]
    pub output: DataFormat,
}

/// `kk completion`.
#[derive(Debug, Clone, Args)]
pub struct CompletionArguments {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `kk man`.
#[derive(Debug, Clone, Args)]
pub struct ManArguments {
    /// Write `kk.1` and a page for each subcommand to this folder (made when it is not there).
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// `kk version`.
#[derive(Debug, Clone, Args)]
pub struct VersionArguments {
    /// What to print.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = DataFormat::Text)]
    pub output: DataFormat,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_grammar_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn kubekeys_documented_lines_parse() {
        for line in [
            "kk precheck image_registry -i inventory.yaml --set harbor_version=v2.10.2,docker_version=24.0.7,dockercompose_version=v2.20.3",
            "kk init registry -i inventory.yaml --set image_registry.type=docker-registry --set docker_registry_version=2.8.3 --set artifact.artifact_url.docker_registry.amd64=docker-registry-2.8.3-linux.amd64.tgz",
            "kk delete registry -i inventory.yaml --with-data",
            "kk create inventory -o inventory.yaml",
            "kk run site.yaml -i a.yaml -i b.yaml --check --exit-code --tags a,b",
        ] {
            Arguments::try_parse_from(line.split(' '))
                .unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }
}
