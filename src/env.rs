//! Every environment variable that the program reads, one documented constant each.
//!
//! A variable that is not listed here is not read, except by libraries for their own purposes (`SSH_AUTH_SOCK`,
//! `HOME`).

/// Inventory file for commands that get no `-i`.
pub const INVENTORY: &str = "KK_INVENTORY";

/// Working folder for commands that get no `--workdir`.
pub const WORKDIR: &str = "KK_WORKDIR";

/// Folders in which roles are looked for, with `:` between them.
pub const ROLES_PATH: &str = "KK_ROLES_PATH";

/// File with the password of encrypted files, or a program that prints it, for commands that get no
/// `--vault-password-file`.
pub const VAULT_PASSWORD_FILE: &str = "KK_VAULT_PASSWORD_FILE";

/// The editor of `kk vault edit` and `kk vault create`; `vi` when not set.
pub const EDITOR: &str = "EDITOR";

/// Set to anything: no colours (<https://no-color.org>).
pub const NO_COLOR: &str = "NO_COLOR";

/// Set to anything: a continuous-integration system, where lines are better than live progress.
pub const CI: &str = "CI";

/// Kind of the terminal; `dumb` can neither draw live progress nor show colours.
pub const TERM: &str = "TERM";
