//! `stat`: what a path is. Changes nothing.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::apply::command_failed;
use super::file_state::host_path;
use super::{Argument, ArgumentKind, Arguments, Look, Module, ModuleError, ModuleSpec, Plan};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "stat",
    aliases: &[],
    summary: "says what a path is",
    arguments: &[
        Argument::required("path", ArgumentKind::Path, "the path on the host")
            .or(&["dest", "name"]),
        Argument::optional(
            "follow",
            ArgumentKind::Boolean,
            "look at what a link points at; false by default",
        ),
        Argument::optional(
            "get_checksum",
            ArgumentKind::Boolean,
            "hash a regular file; true by default",
        ),
        Argument::optional(
            "checksum_algorithm",
            ArgumentKind::Choice(&["md5", "sha1", "sha224", "sha256", "sha384", "sha512"]),
            "the hash; `sha1` by default",
        )
        .or(&["checksum", "checksum_algo"]),
        Argument::optional(
            "get_attributes",
            ArgumentKind::Boolean,
            "flags of the file system, by `lsattr` where the host has it; true by default",
        )
        .or(&["attr", "attributes"]),
        Argument::optional(
            "get_mime",
            ArgumentKind::Boolean,
            "what kind of content it has, by `file` where the host has it; true by default",
        )
        .or(&["mime", "mime_type", "mime-type"]),
    ],
    examples: r"- name: is it there?
  stat: {path: /etc/app.conf}
  register: settings

- name: only then
  command: /usr/sbin/app --reload
  when: settings.stat.exists and settings.stat.isreg
",
    returns: &[
        (
            "stat.exists",
            "whether anything is there; everything else only then",
        ),
        ("stat.path", "the path"),
        (
            "stat.isreg, isdir, islnk, isblk, ischr, isfifo, issock",
            "what it is",
        ),
        ("stat.mode", "permission bits, as in `0644`"),
        (
            "stat.rusr, wusr, xusr, rgrp, …, isuid, isgid",
            "the same one by one",
        ),
        ("stat.uid, gid, pw_name, gr_name", "owner and group"),
        (
            "stat.size, inode, dev, nlink, blocks, block_size, device_type",
            "as the host says it",
        ),
        ("stat.atime, mtime, ctime", "times in seconds since 1970"),
        (
            "stat.readable, writeable, executable",
            "what the session's user may do",
        ),
        (
            "stat.lnk_source, lnk_target",
            "of a link: the path behind it, and what it says",
        ),
        ("stat.checksum", "the hash of a regular file"),
        (
            "stat.mimetype, charset",
            "what `file` says of the content, `unknown` where it says nothing",
        ),
        (
            "stat.attr_flags, attributes, version",
            "what `lsattr` says, where the host has it",
        ),
    ],
    free_form: None,
    build,
    check: None,
};

const STAT: &str = r#"
path=$1 follow=$2 algorithm=$3 mime=$4 flags=$5
case $path in "~/"*) path=${HOME%/}/${path#"~/"} ;; esac
if [ "$follow" = 1 ]; then link=-L; else link=; fi
if ! said=$(stat $link -c 'kind=%F
mode=%a
uid=%u
gid=%g
pw_name=%U
gr_name=%G
size=%s
inode=%i
nlink=%h
atime=%X
mtime=%Y
ctime=%Z
atime=%.9X
mtime=%.9Y
ctime=%.9Z
blocks=%b
block_size=%o
rdev=%t:%T
dev=%d' -- "$path" 2>&1); then
  case $said in
    *"No such file or directory"*|*"Not a directory"*) echo kind=absent; exit 0 ;;
    *) printf '%s\n' "$said" >&2; exit 1 ;;
  esac
fi
printf 'path=%s\n%s\n' "$path" "$said"
for access in r:readable w:writeable x:executable; do
  if [ "-${access%%:*}" "$path" ] 2>/dev/null; then echo "${access#*:}=1"; else echo "${access#*:}=0"; fi
done
if [ "$mime" = 1 ]; then
  if [ "$follow" = 1 ]; then link=-L; else link=-h; fi
  kind=$(file "$link" --mime-type --mime-encoding -- "$path" 2>/dev/null) && kind=${kind#"$path"} || kind=
  printf 'mime=%s\n' "$kind"
fi
if [ "$flags" = 1 ] && kind=$(lsattr -vd -- "$path" 2>/dev/null); then printf 'flags=%s\n' "$kind"; fi
case $said in
  kind=symbolic*)
    printf 'lnk_target=%s\nlnk_source=%s\n' "$(readlink -- "$path")" "$(readlink -f -- "$path")"
    ;;
  kind=regular*)
    if [ -n "$algorithm" ]; then
      sum=$("${algorithm}sum" <"$path") || exit 1
      echo "checksum=${sum%% *}"
    fi
    ;;
esac
"#;

struct Stat {
    path: String,
    follow: bool,
    algorithm: Option<String>,
    mime: bool,
    flags: bool,
}

impl Module for Stat {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let command = Command::script(
                STAT,
                [
                    self.path.clone(),
                    u8::from(self.follow).to_string(),
                    self.algorithm.clone().unwrap_or_default(),
                    u8::from(self.mime).to_string(),
                    u8::from(self.flags).to_string(),
                ],
            );
            let output = look.session.probe(command).await?;
            if !output.success() {
                return Err(command_failed(&format!("look at `{}`", self.path), &output));
            }
            let stat = parse(&output.stdout_text()).ok_or_else(|| {
                ModuleError::failed(format!(
                    "look at `{}`: the host's answer was not understood",
                    self.path
                ))
            })?;
            Ok(Plan::satisfied().with("stat", stat))
        }
        .boxed()
    }
}

/// Permission bits one by one.
pub(super) fn values_of_mode(mode: u32) -> Map<String, Value> {
    [
        ("rusr", 0o400),
        ("wusr", 0o200),
        ("xusr", 0o100),
        ("rgrp", 0o40),
        ("wgrp", 0o20),
        ("xgrp", 0o10),
        ("roth", 4),
        ("woth", 2),
        ("xoth", 1),
        ("isuid", 0o4000),
        ("isgid", 0o2000),
    ]
    .into_iter()
    .map(|(name, bit)| (name.to_owned(), (mode & bit != 0).into()))
    .collect()
}

/// What `file` says after the name: `: text/plain; charset=us-ascii`.
fn mime(text: &str) -> Map<String, Value> {
    let text = text.trim_start_matches(':').trim();
    let (kind, charset) = text.split_once("; charset=").unwrap_or((text, ""));
    let or_unknown = |text: &str| {
        let word = if text.is_empty() || text.contains(' ') {
            "unknown"
        } else {
            text
        };
        Value::from(word)
    };
    Map::from_iter([
        ("mimetype".to_owned(), or_unknown(kind)),
        ("charset".to_owned(), or_unknown(charset)),
    ])
}

/// What `lsattr -vd` says: a version, the flags and the name.
fn flags(text: &str) -> Map<String, Value> {
    const NAMES: [(char, &str); 20] = [
        ('A', "noatime"),
        ('a', "append"),
        ('c', "compressed"),
        ('C', "nocow"),
        ('d', "nodump"),
        ('D', "dirsync"),
        ('e', "extents"),
        ('E', "encrypted"),
        ('h', "blocksize"),
        ('i', "immutable"),
        ('I', "indexed"),
        ('j', "journalled"),
        ('N', "inline"),
        ('s', "zero"),
        ('S', "synchronous"),
        ('t', "notail"),
        ('T', "blockroot"),
        ('u', "undelete"),
        ('X', "compressedraw"),
        ('Z', "compresseddirty"),
    ];
    let mut words = text.split_whitespace();
    let (Some(version), Some(flags)) = (words.next(), words.next()) else {
        return Map::new();
    };
    let flags = flags.replace('-', "");
    let names = flags
        .chars()
        .filter_map(|flag| NAMES.iter().find(|(letter, _)| *letter == flag));
    let names: Vec<Value> = names.map(|(_, name)| Value::from(*name)).collect();
    Map::from_iter([
        ("version".to_owned(), version.into()),
        ("attr_flags".to_owned(), flags.as_str().into()),
        ("attributes".to_owned(), names.into()),
    ])
}

/// The answer in Ansible's words.
fn parse(answer: &str) -> Option<Map<String, Value>> {
    let mut stat = Map::new();
    let mut kind = None;
    for line in answer.lines() {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let number = || value.parse::<u64>().map(Value::from).ok();
        let value: Value = match key {
            "rdev" => {
                let (major, minor) = value.split_once(':')?;
                let number = |text| u64::from_str_radix(text, 16).ok();
                let (major, minor) = (number(major)?, number(minor)?);
                let device = minor & 0xff | major << 8 | (minor & !0xff) << 12;
                stat.insert("device_type".to_owned(), device.into());
                continue;
            }
            "kind" => {
                kind = Some(value);
                continue;
            }
            "mime" => {
                stat.extend(mime(value));
                continue;
            }
            "flags" => {
                stat.extend(flags(value));
                continue;
            }
            "uid" | "gid" | "size" | "inode" | "nlink" | "blocks" | "block_size" | "dev" => {
                number()?
            }
            // Only GNU's knows parts of seconds.
            "atime" | "mtime" | "ctime" => match value.parse::<f64>() {
                Ok(time) => time.into(),
                Err(_) => continue,
            },
            "readable" | "writeable" | "executable" => (value == "1").into(),
            "mode" => format!("{value:0>4}").into(),
            "path" | "pw_name" | "gr_name" | "lnk_target" | "lnk_source" | "checksum" => {
                value.into()
            }
            _ => continue,
        };
        stat.insert(key.to_owned(), value);
    }
    let kind = kind?;
    stat.insert("exists".to_owned(), (kind != "absent").into());
    if kind != "absent" {
        let mode = stat.get("mode").and_then(Value::as_str).unwrap_or_default();
        let mode = u32::from_str_radix(mode, 8).unwrap_or(0);
        stat.extend(values_of_mode(mode));
        for (name, is) in [
            ("isreg", kind.starts_with("regular")),
            ("isdir", kind == "directory"),
            ("islnk", kind == "symbolic link"),
            ("isblk", kind == "block special file"),
            ("ischr", kind == "character special file"),
            ("isfifo", kind == "fifo"),
            ("issock", kind == "socket"),
        ] {
            stat.insert(name.to_owned(), is.into());
        }
    }
    Some(stat)
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let algorithm = arguments
        .text("checksum_algorithm")
        .unwrap_or_else(|| "sha1".to_owned());
    Ok(Box::new(Stat {
        path: host_path(&arguments, "path")?,
        follow: arguments.boolean("follow", false),
        algorithm: arguments.boolean("get_checksum", true).then_some(algorithm),
        mime: arguments.boolean("get_mime", true),
        flags: arguments.boolean("get_attributes", true),
    }))
}
