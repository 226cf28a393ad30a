//! `~` and `~user` at the start of paths of a host: only the host knows where these are. `~/` needs no look: modules
//! give it its meaning with what else they do.

use serde_json::{Map, Value as Json};

use crate::connect::{Command, TransportError};
use crate::modules::{ArgumentKind, ModuleSpec};
use crate::remote::Session;

/// Whether an argument is a path of the host whatever else is given.
fn is_of_host(module: &str, argument: &str) -> bool {
    match module {
        "fetch" => argument == "src",
        "slurp" => true,
        _ => ["path", "dest", "chdir", "creates", "removes"].contains(&argument),
    }
}

/// For each user among the arguments its home, in a line; an empty name is the user that this runs as.
const HOMES: &str = r#"
for user; do
  case $user in
    "") printf '%s\n' "$HOME" ;;
    *[!A-Za-z0-9._-]* | -*) echo ;;
    *) eval "printf '%s\n' ~$user" ;;
  esac
done
"#;

/// Puts the homes of users into the paths that begin with them, as whoever the task runs as. A user that is not there
/// stays as it was written.
pub(super) async fn fill_in(
    session: &Session,
    spec: &ModuleSpec,
    arguments: &mut Map<String, Json>,
) -> Result<(), TransportError> {
    let paths: Vec<(&str, String, String)> = spec
        .arguments
        .iter()
        .filter(|argument| argument.kind == ArgumentKind::Path)
        .filter(|argument| is_of_host(spec.name, argument.name))
        .filter_map(|argument| {
            let rest = arguments.get(argument.name)?.as_str()?.strip_prefix('~')?;
            let (user, below) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            let is_plain = user.is_empty() && !below.is_empty();
            (!is_plain).then(|| (argument.name, user.to_owned(), below.to_owned()))
        })
        .collect();
    if paths.is_empty() {
        return Ok(());
    }
    let users = paths.iter().map(|(_, user, _)| user.clone());
    let output = session.probe(Command::script(HOMES, users)).await?;
    let said = output.stdout_text();
    for ((name, _, below), home) in paths.iter().zip(said.lines()) {
        if home.starts_with('/') {
            let path = format!("{}{below}", home.trim_end_matches('/'));
            arguments.insert((*name).to_owned(), path.into());
        }
    }
    Ok(())
}
