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

/// Set to anything: no colours (<https://no-color.org>).
pub const NO_COLOR: &str = "NO_COLOR";

/// Set to anything: a continuous-integration system, where lines are better than live progress.
pub const CI: &str = "CI";

/// Kind of the terminal; `dumb` can neither draw live progress nor show colours.
pub const TERM: &str = "TERM";
