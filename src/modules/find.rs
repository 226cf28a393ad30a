//! `find`: paths of the host by name, kind, age, size and content.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::apply::command_failed;
use super::line_edit::expression;
use super::stat::values_of_mode;
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan};
use crate::connect::Command;
use crate::modules::mode::Mode;
use crate::python_regex::PythonRegex as Regex;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "find",
    aliases: &[],
    summary: "lists files and folders of the host by name, kind, age, size and content",
    arguments: &[
        Argument::required("paths", ArgumentKind::Texts, "the folders to look in")
            .or(&["path", "name"]),
        Argument::optional(
            "patterns",
            ArgumentKind::Texts,
            "patterns of names, such as `*.log`; all by default",
        )
        .or(&["pattern"]),
        Argument::optional(
            "excludes",
            ArgumentKind::Texts,
            "patterns of names that are left out",
        )
        .or(&["exclude"]),
        Argument::optional(
            "use_regex",
            ArgumentKind::Boolean,
            "patterns are regular expressions, which begin where the name does; false by default",
        ),
        Argument::optional(
            "file_type",
            ArgumentKind::Choice(&["file", "directory", "link", "any"]),
            "the kind; `file` by default",
        ),
        Argument::optional(
            "recurse",
            ArgumentKind::Boolean,
            "look in folders of folders too; false by default",
        ),
        Argument::optional(
            "depth",
            ArgumentKind::Integer,
            "how deep, with `recurse`; any depth by default",
        ),
        Argument::optional(
            "hidden",
            ArgumentKind::Boolean,
            "names that begin with a dot count too; false by default",
        ),
        Argument::optional(
            "follow",
            ArgumentKind::Boolean,
            "links to folders are followed; false by default",
        ),
        Argument::optional(
            "contains",
            ArgumentKind::Text,
            "a regular expression that a line of the file matches from its beginning",
        ),
        Argument::optional(
            "read_whole_file",
            ArgumentKind::Boolean,
            "`contains` may match anywhere; false by default",
        ),
        Argument::optional(
            "encoding",
            ArgumentKind::Text,
            "how the files that `contains` looks into are encoded, for instance `gbk`; what is not encoded so ends the look into its folder; bytes are compared by default",
        ),
        Argument::optional(
            "age",
            ArgumentKind::Text,
            "at least this old, as in `2d` or `4w` (s, m, h, d, w); with `-` at most",
        ),
        Argument::optional(
            "age_stamp",
            ArgumentKind::Choice(&["atime", "ctime", "mtime"]),
            "which time that is; `mtime` by default",
        ),
        Argument::optional(
            "size",
            ArgumentKind::Text,
            "at least this big, as in `10m` (b, k, m, g, t); with `-` at most",
        ),
        Argument::optional("mode", ArgumentKind::Mode, "its permission bits"),
        Argument::optional(
            "exact_mode",
            ArgumentKind::Boolean,
            "exactly these bits, not at least these; true by default",
        ),
        Argument::optional(
            "get_checksum",
            ArgumentKind::Boolean,
            "hash the files that were found; false by default",
        ),
        Argument::optional(
            "checksum_algorithm",
            ArgumentKind::Choice(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]),
            "the hash; `sha1` by default",
        )
        .or(&["checksum", "checksum_algo"]),
        Argument::optional(
            "limit",
            ArgumentKind::Integer,
            "how many at most; all by default",
        ),
    ],
    examples: r#"- name: old logs
  find:
    paths: /var/log
    patterns: "*.log,*.gz"
    recurse: true
    age: 4w
    size: 1m
  register: old

- name: gone
  file: {path: "{{ item.path }}", state: absent}
  loop: "{{ old.files }}"
"#,
    returns: &[
        ("files", "what was found: `path` and the values of `stat`"),
        ("matched", "how many that are"),
        ("examined", "how many paths were looked at"),
        (
            "skipped_paths",
            "folders that could not be looked in, and why",
        ),
    ],
    free_form: None,
    build,
    check: None,
};

/// `$1` how deep, 0 for any depth, `$2` 1 to follow links, then folders: the time, then of everything in them what stat
/// says. Names with a line break are not found.
const LIST: &str = r#"
depth=$1 follow=$2
shift 2
date +now=%s
for folder; do
  case $folder in "~/"*) folder=${HOME%/}/${folder#"~/"} ;; esac
  if [ ! -d "$folder" ]; then printf 'skipped=%s\n' "$folder"; continue; fi
  printf 'folder=%s\n' "$folder"
  case $folder in /) ;; *) folder=${folder%/} ;; esac
  if [ "$depth" -gt 0 ]; then limit="-maxdepth $depth"; else limit=; fi
  if [ "$follow" = 1 ]; then link=-L; else link=; fi
  find $link "$folder" -mindepth 1 $limit -exec stat $link -c '%a|%u|%g|%U|%G|%s|%i|%h|%X|%Y|%Z|%d|%F|%n' -- {} + 2>/dev/null
done
exit 0
"#;

/// `$1` an expression, `$2` 1 for the whole file, `$3` an encoding: paths on standard input, those that match on standard
/// output, and behind `!` those that are not encoded so. Ends with 44 for an encoding that is not known, with 45 when the
/// host cannot tell.
const CONTAINS: &str = r#"
if [ -n "$3" ]; then
  command -v iconv >/dev/null 2>&1 || exit 45
  iconv -f "$3" -t UTF-8 </dev/null >/dev/null 2>&1 || exit 44
fi
if echo | grep -qP '' 2>/dev/null; then kind=-P; else kind=-E; fi
if [ "$2" = 1 ]; then pattern=$1; else pattern="^(?:$1)"; [ "$kind" = -P ] || pattern="^($1)"; fi
zero=
[ "$kind" = -P ] && printf 'a\nb' | grep -qzP 'a\nb$' 2>/dev/null && zero=yes
# All of standard input at once; the line break at its end is no part of it.
whole() {
  if [ -n "$zero" ]; then
    said=$(cat; echo x)
    said=${said%x}
    said=${said%"
"}
    printf '%s' "$said" | grep -qzP -e "$pattern" 2>/dev/null
  else
    grep -q "$kind" -e "$pattern" 2>/dev/null
  fi
}
while IFS= read -r path; do
  if [ -z "$3" ] && [ "$2" = 1 ]; then
    if whole 2>/dev/null <"$path"; then printf '%s\n' "$path"; fi
  elif [ -z "$3" ]; then
    if grep -q "$kind" -e "$pattern" -- "$path" 2>/dev/null; then printf '%s\n' "$path"; fi
  elif [ "$2" != 1 ] && iconv -f "$3" -t UTF-8 <"$path" 2>/dev/null | LC_ALL=C.UTF-8 grep -q "$kind" -e "$pattern"; then
    printf '%s\n' "$path"
  elif ! iconv -f "$3" -t UTF-8 <"$path" >/dev/null 2>&1; then
    printf '!%s\n' "$path"
  elif [ "$2" = 1 ] && iconv -f "$3" -t UTF-8 <"$path" | (LC_ALL=C.UTF-8 && export LC_ALL && whole); then
    printf '%s\n' "$path"
  fi
done
"#;

/// How [`CONTAINS`] ends when nobody knows the encoding, and when the host cannot tell.
const UNKNOWN_ENCODING: u32 = 44;
const NO_ICONV: u32 = 45;

/// `$1` a hash: paths on standard input, hashes on standard output, an empty line for what cannot be read.
const HASH: &str = r#"
while IFS= read -r path; do
  sum=$("${1}sum" <"$path" 2>/dev/null)
  printf '%s\n' "${sum%% *}"
done
"#;

struct Find {
    paths: Vec<String>,
    patterns: Vec<Regex>,
    excludes: Vec<Regex>,
    kind: String,
    depth: i64,
    hidden: bool,
    follow: bool,
    contains: Option<(String, bool)>,
    encoding: Option<String>,
    age: Option<i64>,
    stamp: usize,
    size: Option<i64>,
    mode: Option<(Mode, bool)>,
    checksum: Option<String>,
    limit: Option<usize>,
}

/// One line of [`LIST`].
struct Entry<'a> {
    fields: Vec<&'a str>,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let fields: Vec<&str> = line.splitn(14, '|').collect();
        (fields.len() == 14).then_some(Self { fields })
    }

    fn text(&self, index: usize) -> &'a str {
        self.fields.get(index).copied().unwrap_or_default()
    }

    fn number(&self, index: usize) -> i64 {
        self.text(index).parse().unwrap_or(0)
    }

    fn path(&self) -> &'a str {
        self.text(13)
    }

    fn name(&self) -> &'a str {
        super::copy::base_name(self.path())
    }

    fn mode(&self) -> u32 {
        u32::from_str_radix(self.text(0), 8).unwrap_or(0)
    }

    fn kind(&self) -> &'static str {
        match self.text(12) {
            "directory" => "directory",
            "symbolic link" => "link",
            kind if kind.starts_with("regular") => "file",
            _ => "other",
        }
    }

    fn values(&self) -> Map<String, Value> {
        let mut values = Map::new();
        let mut put = |key: &str, value: Value| {
            values.insert(key.to_owned(), value);
        };
        put("path", self.path().into());
        put("mode", format!("{:04o}", self.mode()).into());
        for (key, index) in [
            ("uid", 1),
            ("gid", 2),
            ("size", 5),
            ("inode", 6),
            ("nlink", 7),
            ("dev", 11),
        ] {
            put(key, self.number(index).into());
        }
        put("pw_name", self.text(3).into());
        put("gr_name", self.text(4).into());
        for (key, index) in [("atime", 8), ("mtime", 9), ("ctime", 10)] {
            put(key, self.text(index).parse::<f64>().unwrap_or(0.0).into());
        }
        for (key, kind) in [
            ("isreg", "regular"),
            ("isdir", "directory"),
            ("islnk", "symbolic link"),
            ("isblk", "block special file"),
            ("ischr", "character special file"),
            ("isfifo", "fifo"),
            ("issock", "socket"),
        ] {
            put(key, self.text(12).starts_with(kind).into());
        }
        values.extend(values_of_mode(self.mode()));
        values
    }
}

impl Module for Find {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let command = Command::script(
                LIST,
                [self.depth.to_string(), u8::from(self.follow).to_string()],
            )
            .args(&self.paths);
            let output = look.session.probe(command).await?;
            if !output.success() {
                return Err(command_failed("list the folders", &output));
            }
            let text = output.stdout_text();
            let mut lines = text.lines();
            let now = lines.next().and_then(|line| line.strip_prefix("now="));
            let now: i64 = now.and_then(|now| now.parse().ok()).unwrap_or(0);
            let (mut examined, mut skipped, mut found) = (0, Map::new(), Vec::new());
            for line in lines {
                if let Some(folder) = line.strip_prefix("skipped=") {
                    let reason = format!("'{folder}' is not a directory");
                    skipped.insert(folder.to_owned(), reason.into());
                } else if let Some(entry) = Entry::parse(line) {
                    examined += 1;
                    found.push(entry);
                }
            }
            let mut found = as_walked(found);
            found.retain(|entry| self.takes(entry, now));
            if let Some((pattern, whole)) = &self.contains {
                let encoding = self.encoding.as_deref().map(name_of_encoding);
                let words = [
                    pattern.clone(),
                    u8::from(*whole).to_string(),
                    encoding.unwrap_or_default(),
                ];
                found.retain(|entry| entry.kind() == "file");
                let command = Command::script(CONTAINS, words);
                match self.asked(look, command, &found).await? {
                    Ok(paths) => self.keep(&mut found, &paths, &mut skipped),
                    Err(UNKNOWN_ENCODING) => {
                        let name = self.encoding.as_deref().unwrap_or_default();
                        for entry in found.drain(..) {
                            let why = format!("unknown encoding: {name}");
                            skipped.insert(self.root_of(entry.path()), why.into());
                        }
                    }
                    Err(_) => {
                        return Err(ModuleError::failed(
                            "look into files of an encoding: the host has no `iconv`",
                        ));
                    }
                }
            }
            found.truncate(self.limit.unwrap_or(usize::MAX));
            let mut files: Vec<Map<String, Value>> = found.iter().map(Entry::values).collect();
            if let Some(algorithm) = &self.checksum {
                let command = Command::script(HASH, [algorithm.clone()]);
                let sums = self.asked(look, command, &found).await?;
                let sums = sums.unwrap_or_default();
                for ((file, sum), entry) in files.iter_mut().zip(sums.lines()).zip(&found) {
                    if entry.kind() == "file" {
                        file.insert("checksum".to_owned(), sum.into());
                    }
                }
            }
            let said = if skipped.is_empty() {
                "All paths examined"
            } else {
                "Not all paths examined, check warnings for details"
            };
            Ok(Plan::satisfied()
                .with("matched", files.len())
                .with("examined", examined)
                .with("skipped_paths", skipped)
                .with("msg", said)
                .with(
                    "files",
                    files.into_iter().map(Value::Object).collect::<Value>(),
                ))
        }
        .boxed()
    }
}

impl Find {
    fn takes(&self, entry: &Entry<'_>, now: i64) -> bool {
        let name = entry.name();
        let is_kind = self.kind == "any" || self.kind == entry.kind();
        let is_shown = self.hidden || !name.starts_with('.');
        let is_named =
            self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.is_match(name));
        let is_left_out = self.excludes.iter().any(|pattern| pattern.is_match(name));
        let reaches = |limit: Option<i64>, value: i64| match limit {
            None => true,
            Some(limit) if limit >= 0 => value >= limit,
            Some(limit) => value <= limit.abs(),
        };
        let has_mode = self.mode.as_ref().is_none_or(|(mode, exact)| {
            let bits = mode.bits(0, false);
            if *exact {
                entry.mode() == bits
            } else {
                entry.mode() & bits != 0
            }
        });
        let size_counts = entry.kind() != "directory" || self.kind == "any";
        is_kind
            && is_shown
            && is_named
            && !is_left_out
            && has_mode
            && reaches(self.age, now - entry.number(self.stamp))
            && (!size_counts || reaches(self.size, entry.number(5)))
    }

    /// Of what was found what [`CONTAINS`] names. What is not encoded as it should be ends the look into its folder.
    fn keep(&self, found: &mut Vec<Entry<'_>>, paths: &str, skipped: &mut Map<String, Value>) {
        let paths: std::collections::HashSet<&str> = paths.lines().collect();
        let mut broken: Vec<String> = Vec::new();
        found.retain(|entry| {
            let path = entry.path();
            if self.encoding.is_some() {
                let root = self.root_of(path);
                if broken.contains(&root) {
                    return false;
                }
                if paths.contains(format!("!{path}").as_str()) {
                    let encoding = self.encoding.as_deref().unwrap_or_default();
                    let why = format!(
                        "Failed to read the file {path} due to an encoding error. current encoding: {encoding}"
                    );
                    skipped.insert(root.clone(), why.into());
                    broken.push(root);
                    return false;
                }
            }
            paths.contains(path)
        });
    }

    /// The folder of `paths` that a path was found in.
    fn root_of(&self, path: &str) -> String {
        let is_in = |root: &&String| {
            let root = root.trim_end_matches('/');
            path.strip_prefix(root)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let root = self
            .paths
            .iter()
            .filter(is_in)
            .max_by_key(|root| root.len());
        root.or(self.paths.first()).cloned().unwrap_or_default()
    }

    /// What a script says of paths; its status where that says that it could not.
    async fn asked(
        &self,
        look: &Look<'_>,
        command: Command,
        entries: &[Entry<'_>],
    ) -> Result<Result<String, u32>, ModuleError> {
        if entries.is_empty() {
            return Ok(Ok(String::new()));
        }
        let paths: String = entries
            .iter()
            .map(|entry| format!("{}\n", entry.path()))
            .collect();
        let output = look.session.probe_with(command, paths.into()).await?;
        match output.status.code() {
            0 => Ok(Ok(output.stdout_text())),
            status @ (UNKNOWN_ENCODING | NO_ICONV) => Ok(Err(status)),
            _ => Err(command_failed("look into the files", &output)),
        }
    }
}

/// Python's name of an encoding as iconv knows it.
fn name_of_encoding(name: &str) -> String {
    let plain = name.to_lowercase().replace('_', "-");
    match plain.as_str() {
        "latin-1" | "latin1" | "l1" | "iso8859-1" => "ISO-8859-1".to_owned(),
        "utf8" | "u8" => "UTF-8".to_owned(),
        "shift-jis" => "SHIFT_JIS".to_owned(),
        _ => plain.to_uppercase(),
    }
}

/// Entries in the order in which Ansible walks: what is in a folder, folders last, then what is in these.
fn as_walked(entries: Vec<Entry<'_>>) -> Vec<Entry<'_>> {
    fn depth(entry: &Entry<'_>) -> usize {
        entry.path().matches('/').count()
    }
    let mut by_parent: indexmap::IndexMap<&str, Vec<Entry<'_>>> = indexmap::IndexMap::new();
    let mut folders: std::collections::HashSet<&str> = std::collections::HashSet::new();
    let Some(top) = entries.iter().map(depth).min() else {
        return Vec::new();
    };
    let mut roots: Vec<&str> = Vec::new();
    for entry in entries {
        let parent = entry
            .path()
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent);
        if entry.kind() == "directory" {
            folders.insert(entry.path());
        }
        if !folders.contains(parent) && !roots.contains(&parent) && depth(&entry) >= top {
            roots.push(parent);
        }
        by_parent.entry(parent).or_default().push(entry);
    }
    let mut walked = Vec::new();
    let mut todo: Vec<&str> = roots.into_iter().rev().collect();
    while let Some(folder) = todo.pop() {
        let Some(inside) = by_parent.shift_remove(folder) else {
            continue;
        };
        let (below, plain): (Vec<_>, Vec<_>) = inside
            .into_iter()
            .partition(|entry| entry.kind() == "directory");
        todo.extend(below.iter().rev().map(Entry::path));
        walked.extend(plain);
        walked.extend(below);
    }
    walked
}

/// A number with a unit, as in `-2d`.
fn measured(text: &str, units: &[(char, i64)]) -> Option<i64> {
    let text = text.trim().to_lowercase();
    let (digits, unit) = match text.chars().next_back() {
        Some(letter) if letter.is_ascii_alphabetic() => {
            let factor = units.iter().find(|(unit, _)| *unit == letter)?.1;
            (text.trim_end_matches(letter), factor)
        }
        _ => (text.as_str(), 1),
    };
    digits.trim().parse::<i64>().ok()?.checked_mul(unit)
}

/// A shell's pattern of a name as an expression.
pub(super) fn name_pattern(pattern: &str) -> String {
    let mut text = "^".to_owned();
    let mut rest = pattern.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '*' => text.push_str("(?s:.*)"),
            '?' => text.push_str("(?s:.)"),
            '[' => {
                let all: String = rest.clone().collect();
                let skip = usize::from(all.starts_with('!')) + 1;
                match all
                    .char_indices()
                    .skip(skip)
                    .find(|(_, inner)| *inner == ']')
                {
                    Some((end, _)) => {
                        let inside = all.get(..end).unwrap_or_default();
                        let inside = match inside.strip_prefix('!') {
                            Some(inside) => format!("^{inside}"),
                            None => inside.to_owned(),
                        };
                        text.push_str(&format!("[{}]", inside.replace('\\', "\\\\")));
                        for _ in 0..=inside.chars().count() {
                            rest.next();
                        }
                    }
                    None => text.push_str("\\["),
                }
            }
            other => text.push_str(&regex::escape(&other.to_string())),
        }
    }
    text.push('$');
    text
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let is_expression = arguments.boolean("use_regex", false);
    let patterns = |name: &str| {
        arguments
            .texts(name)
            .iter()
            .filter(|pattern| !pattern.is_empty())
            .map(|pattern| {
                let text = if is_expression {
                    format!("^(?:{pattern})")
                } else {
                    name_pattern(pattern)
                };
                expression(&text).map_err(ModuleError::failed)
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let measure = |name: &str, units: &[(char, i64)]| match arguments.filled(name) {
        None => Ok(None),
        Some(text) => measured(&text, units).map(Some).ok_or_else(|| {
            ModuleError::failed(format!(
                "`{name}` is `{text}`, which is no number with a unit"
            ))
        }),
    };
    let recurse = arguments.boolean("recurse", false);
    let stamp = match arguments.text("age_stamp").as_deref() {
        Some("atime") => 8,
        Some("ctime") => 10,
        _ => 9,
    };
    let exact = arguments.boolean("exact_mode", true);
    Ok(Box::new(Find {
        paths: arguments.texts("paths"),
        patterns: patterns("patterns")?,
        excludes: patterns("excludes")?,
        kind: arguments
            .filled("file_type")
            .unwrap_or_else(|| "file".to_owned()),
        depth: match arguments.integer("depth") {
            _ if !recurse => 1,
            Some(depth) => depth.max(0),
            None => 0,
        },
        hidden: arguments.boolean("hidden", false),
        follow: arguments.boolean("follow", false),
        encoding: arguments.filled("encoding"),
        contains: arguments
            .filled("contains")
            .map(|pattern| (pattern, arguments.boolean("read_whole_file", false))),
        age: measure(
            "age",
            &[
                ('s', 1),
                ('m', 60),
                ('h', 3600),
                ('d', 86_400),
                ('w', 604_800),
            ],
        )?,
        stamp,
        size: measure(
            "size",
            &[
                ('b', 1),
                ('k', 1 << 10),
                ('m', 1 << 20),
                ('g', 1 << 30),
                ('t', 1 << 40),
            ],
        )?,
        mode: arguments.mode("mode").map(|mode| (mode, exact)),
        checksum: arguments.boolean("get_checksum", false).then(|| {
            arguments
                .filled("checksum_algorithm")
                .unwrap_or_else(|| "sha1".to_owned())
        }),
        limit: arguments
            .integer("limit")
            .and_then(|limit| usize::try_from(limit).ok()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_a_shell_does() {
        for (pattern, name, is) in [
            ("*.log", "a.log", true),
            ("*.log", "a.logs", false),
            ("a?c", "abc", true),
            ("[!a]x", "bx", true),
            ("[!a]x", "ax", false),
            ("[a-c]*[", "b[", true),
            ("a.b", "axb", false),
        ] {
            let found = expression(&name_pattern(pattern)).unwrap().is_match(name);
            assert_eq!(found, is, "{pattern} {name}");
        }
        assert_eq!(measured("-2d", &[('d', 86_400)]), Some(-172_800));
        assert_eq!(
            (measured("x", &[]), measured("2y", &[('d', 1)])),
            (None, None)
        );
    }
}
