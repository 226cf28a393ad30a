//! What the modules around Docker have in common: finding the command, and telling "not there yet" from "broken".

use super::apply::command_failed;
use super::{Look, ModuleError, Plan};
use crate::connect::Output;

/// Exit status of a look: there is no `docker` command.
pub(super) const NO_DOCKER: u32 = 90;

/// Exit status of a look: something that an earlier task makes is not there.
pub(super) const NOT_YET: u32 = 91;

/// Begins every script that calls docker. `sudo` on some systems leaves out `/usr/local`.
macro_rules! docker_prelude {
    () => {
        r#"
PATH=$PATH:/usr/local/sbin:/usr/local/bin
export PATH
unset COMPOSE_FILE COMPOSE_PROJECT_NAME COMPOSE_PROFILES DOCKER_HOST DOCKER_CONTEXT
command -v docker >/dev/null 2>&1 || { echo "there is no \`docker\` command" >&2; exit 90; }
"#
    };
}
pub(super) use docker_prelude;

/// The plan or the error when a look did not end with status 0: in check mode what an earlier task would have brought
/// is no error.
pub(super) fn judge(purpose: &str, output: &Output, look: &Look<'_>) -> Result<Plan, ModuleError> {
    let stderr = output.stderr_text();
    let has = |word: &str| stderr.contains(word);
    let is_down = has("Cannot connect to the Docker daemon")
        || has("Is the docker daemon running")
        || has("failed to connect to the docker API");
    let has_no_compose =
        has("'compose' is not a docker command") || has("unknown command: docker compose");
    let status = output.status.code();
    let is_missing = status == NO_DOCKER || status == NOT_YET || is_down || has_no_compose;
    if is_missing && look.check_mode {
        return Ok(Plan::unknown(
            format!("not there yet: {}", crate::remote::last_line(&stderr)),
            Vec::new(),
        ));
    }
    let error = command_failed(purpose, output);
    Err(if status == NO_DOCKER {
        error.with_hint("install Docker on the host first")
    } else if is_down {
        error.with_hint("start Docker on the host: `systemctl start docker`, and look at `journalctl -u docker`")
    } else if has_no_compose {
        error.with_hint("install the Compose plugin on the host first")
    } else {
        error
    })
}

/// Where a package lies on the host while it is unpacked or loaded.
pub(super) fn package_path(look: &Look<'_>, sha256: &str) -> String {
    format!(
        "{}/packages/{}.tgz",
        look.session.state_dir(),
        sha256.get(..16).unwrap_or(sha256)
    )
}
