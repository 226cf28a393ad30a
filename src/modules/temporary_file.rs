//! `tempfile`: a new temporary file or folder on the host.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::attributes::{about_function, values_of};
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Look, Module, ModuleError, ModuleSpec, Plan,
    Step, StepOutput,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "tempfile",
    aliases: &[],
    summary: "makes a temporary file or folder that nobody else can read",
    arguments: &[
        Argument::optional(
            "state",
            ArgumentKind::Choice(&["file", "directory"]),
            "what is made; `file` by default",
        ),
        Argument::optional(
            "path",
            ArgumentKind::Path,
            "the folder it is made in; the host's own for temporary files by default",
        ),
        Argument::optional(
            "prefix",
            ArgumentKind::Text,
            "how its name begins; `ansible.` by default",
        ),
        Argument::optional("suffix", ArgumentKind::Text, "how its name ends"),
    ],
    examples: r"- name: a place for the package
  tempfile: {state: directory, suffix: .build}
  register: place
",
    returns: &[
        ("path", "the file or folder"),
        ("mode", "its permission bits"),
        ("owner", "its owner's name"),
        ("group", "its group's name"),
        ("uid", "its owner's number"),
        ("gid", "its group's number"),
        ("size", "its size in bytes"),
        ("state", "`file` or `directory`"),
    ],
    free_form: None,
    build,
    check: None,
};

/// `$1` `file` or `directory`, `$2` folder, `$3` and `$4` beginning and end of the name.
const MAKE: &str = concat!(
    about_function!(),
    r#"
folder=${2:-${TMPDIR:-/tmp}}
case $folder in "~/"*) folder=${HOME%/}/${folder#"~/"} ;; esac
umask 077
number=0
while [ "$number" -lt 20 ]; do
  middle=$(od -An -N6 -tx1 /dev/urandom | tr -d ' \n') || exit 1
  path=${folder%/}/$3$middle$4
  if [ "$1" = directory ]; then
    if said=$(mkdir -- "$path" 2>&1); then break; fi
  else
    if said=$(set -C; : >"$path" 2>&1); then break; fi
  fi
  [ -e "$path" ] || { printf '%s\n' "${said:-\`$folder\` takes no file}" >&2; exit 1; }
  number=$((number + 1))
done
if [ "$1" = file ]; then chmod 0600 -- "$path"; fi
printf 'path=%s\n' "$path"
about "$path"
"#
);

struct Tempfile {
    words: [String; 4],
}

impl Module for Tempfile {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            if look.check_mode {
                return Ok(Plan::skipped("a temporary file is made anew each time"));
            }
            let [kind, ..] = &self.words;
            let command = Command::script(MAKE, self.words.clone());
            let step = Step::run(format!("make a temporary {kind}"), command);
            Ok(Plan::change("create", vec![step]).with("state", kind.as_str()))
        }
        .boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let mut result = values_of(outputs);
        if let Some(StepOutput::Ran(output)) = outputs.first() {
            let text = output.stdout_text();
            let path = text.lines().find_map(|line| line.strip_prefix("path="));
            result.insert("path".to_owned(), path.into());
        }
        Ok(Conclusion {
            result,
            changed: None,
        })
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let text =
        |name: &str, default: &str| arguments.text(name).unwrap_or_else(|| default.to_owned());
    Ok(Box::new(Tempfile {
        words: [
            text("state", "file"),
            text("path", ""),
            text("prefix", "ansible."),
            text("suffix", ""),
        ],
    }))
}
