//! The grammar of `kk vault`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::flags::VaultFlags;

/// What to do with encrypted files.
#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Encrypt files in place, or standard input.
    Encrypt(EncryptArguments),
    /// Decrypt files in place, or standard input.
    Decrypt(DecryptArguments),
    /// Print what encrypted files hold.
    View(VaultFilesArguments),
    /// Edit encrypted files with `$EDITOR`.
    Edit(VaultFilesArguments),
    /// Encrypt files that are encrypted with another password.
    Rekey(RekeyArguments),
    /// Write a new encrypted file with `$EDITOR`.
    Create(CreateVaultArguments),
    /// Encrypt texts for a YAML file (`!vault`).
    #[command(visible_alias = "encrypt_string")]
    EncryptString(EncryptStringArguments),
}

/// Which password encrypts.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Encrypted files")]
pub struct EncryptWith {
    /// The label of the password that encrypts, where several are given.
    #[arg(long, value_name = "LABEL")]
    pub encrypt_vault_id: Option<String>,
}

/// `kk vault encrypt`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  kk vault encrypt group_vars/all/secrets.yaml --vault-password-file ~/.vault
  generate | kk vault encrypt --vault-id prod@prompt --output prod.key")]
pub struct EncryptArguments {
    /// The files; standard input to standard output when absent or `-`.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write there instead, `-` for standard output; for one file.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Which password encrypts.
    #[command(flatten)]
    pub with: EncryptWith,
    /// Passwords.
    #[command(flatten)]
    pub vault: VaultFlags,
}

/// `kk vault decrypt`.
#[derive(Debug, Clone, Args)]
pub struct DecryptArguments {
    /// The files; standard input to standard output when absent or `-`.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write there instead, `-` for standard output; for one file.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Passwords.
    #[command(flatten)]
    pub vault: VaultFlags,
}

/// `kk vault view` and `kk vault edit`.
#[derive(Debug, Clone, Args)]
pub struct VaultFilesArguments {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Passwords.
    #[command(flatten)]
    pub vault: VaultFlags,
}

/// `kk vault rekey`.
#[derive(Debug, Clone, Args)]
pub struct RekeyArguments {
    /// The files.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// File with the new password, or a program that prints it; asked for when absent.
    #[arg(long, value_name = "FILE", conflicts_with = "new_vault_id")]
    pub new_vault_password_file: Option<PathBuf>,
    /// The new password with a label: `LABEL@FILE` or `LABEL@prompt`.
    #[arg(long, value_name = "LABEL@SOURCE")]
    pub new_vault_id: Option<String>,
    /// Passwords.
    #[command(flatten)]
    pub vault: VaultFlags,
}

/// `kk vault create`.
#[derive(Debug, Clone, Args)]
pub struct CreateVaultArguments {
    /// The file, which is not there yet.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Which password encrypts.
    #[command(flatten)]
    pub with: EncryptWith,
    /// Passwords.
    #[command(flatten)]
    pub vault: VaultFlags,
}

/// `kk vault encrypt-string`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Other users of this machine may see the words of a command line: standard input and `--prompt` show \
them nothing.

Examples:
  printf %s \"$TOKEN\" | kk vault encrypt-string --stdin-name api_token
  kk vault encrypt-string --prompt --name db_password --vault-id prod@~/.vault"
)]
pub struct EncryptStringArguments {
    /// The texts; standard input when there is none, or `-`.
    #[arg(value_name = "TEXT")]
    pub texts: Vec<String>,
    /// The variable for the text in the same position; repeatable.
    #[arg(short, long, value_name = "NAME")]
    pub name: Vec<String>,
    /// The variable for what comes from standard input.
    #[arg(long, value_name = "NAME")]
    pub stdin_name: Option<String>,
    /// Ask for the text.
    #[arg(short, long)]
    pub prompt: bool,
    /// Show what is typed when asked.
    #[arg(long, requires = "prompt")]
    pub show_input: bool,
    /// Write there instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Which password encrypts.
    #[command(flatten)]
    pub with: EncryptWith,
    /// Passwords.
    #[command(flatten)]
    pub vault: VaultFlags,
}
