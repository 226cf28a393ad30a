//! What a host says about a user, and how that differs from what is wanted. Pure but for the script.

use serde_json::{Map, Value};

/// `$1` user, `$2` the wanted primary group, `$3` the file of a key: `passwd=`, `shadow=`, `groups=`, `primary=` (a name),
/// `wanted_gid=`, `home=yes|no`, and the key's values. No `passwd=`: there is no such user.
pub(super) const LOOK: &str = r#"
entry() {
  if command -v getent >/dev/null 2>&1; then
    getent "$1" "$2"
    status=$?
    [ "$status" -eq 0 ] || [ "$status" -eq 2 ] || exit 1
    return "$status"
  fi
  [ -r "/etc/$1" ] || { echo "\`/etc/$1\` cannot be read" >&2; exit 1; }
  while IFS= read -r line; do
    case $line in "$2":*) printf '%s\n' "$line"; return 0 ;; esac
    if [ "$1" = group ] && [ "$(printf '%s' "$line" | cut -d: -f3)" = "$2" ]; then printf '%s\n' "$line"; return 0; fi
  done <"/etc/$1"
  return 2
}
if [ -n "$2" ]; then
  line=$(entry group "$2") && printf 'wanted_gid=%s\n' "$(printf '%s' "$line" | cut -d: -f3)"
fi
passwd=$(entry passwd "$1") || { [ "$?" -eq 2 ] && exit 0; exit 1; }
passwd=$(printf '%s\n' "$passwd" | sed -n 1p)
printf 'passwd=%s\n' "$passwd"
if [ -r /etc/shadow ]; then printf 'shadow=%s\n' "$(entry shadow "$1" | sed -n 1p)"; fi
printf 'groups=%s\n' "$(id -Gn -- "$1")"
gid=$(printf '%s' "$passwd" | cut -d: -f4)
printf 'primary=%s\n' "$(entry group "$gid" | sed -n 1p | cut -d: -f1)"
home=$(printf '%s' "$passwd" | cut -d: -f6)
if [ -d "$home" ]; then echo home=yes; else echo home=no; fi
if [ -n "$3" ]; then
  case $3 in /*) file=$3 ;; *) file=$home/$3 ;; esac
  printf 'ssh_key_file=%s\n' "$file"
  if [ -f "$file.pub" ]; then
    printf 'ssh_public_key=%s\n' "$(sed -n 1p "$file.pub")"
    printf 'ssh_fingerprint=%s\n' "$(ssh-keygen -l -f "$file.pub" 2>/dev/null)"
  fi
fi
"#;

/// A user as it is, or as it should be; what is `None` may be anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) uid: Option<String>,
    /// Number of the primary group.
    pub(super) gid: Option<String>,
    /// Name of the primary group.
    pub(super) group: Option<String>,
    /// Groups; of a user that is there the primary one among them.
    pub(super) groups: Option<Vec<String>>,
    pub(super) shell: Option<String>,
    pub(super) home: Option<String>,
    pub(super) comment: Option<String>,
}

impl Account {
    /// From the answer of [`LOOK`]; `None` when there is no such user.
    pub(super) fn parse(answer: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let fields: Vec<&str> = text("passwd")?.split(':').collect();
        let field = |index: usize| fields.get(index).map(|field| (*field).to_owned());
        Some(Self {
            uid: field(2),
            gid: field(3),
            group: text("primary").map(str::to_owned),
            groups: text("groups")
                .map(|groups| groups.split_whitespace().map(str::to_owned).collect()),
            comment: field(4),
            home: field(5),
            shell: field(6),
        })
    }

    /// What `usermod` must be told so that `now` becomes this, in words and as its arguments. `wanted_gid` is the number
    /// of this one's primary group.
    pub(super) fn differences(
        &self,
        now: &Self,
        append: bool,
        wanted_gid: &str,
    ) -> (Vec<String>, Vec<String>) {
        let mut words = Vec::new();
        let mut arguments: Vec<String> = Vec::new();
        let pairs = [
            ("-u", "uid", &self.uid, &now.uid),
            ("-s", "shell", &self.shell, &now.shell),
            ("-d", "home", &self.home, &now.home),
            ("-c", "comment", &self.comment, &now.comment),
        ];
        for (flag, what, wanted, now) in pairs {
            if let Some(wanted) = wanted
                && Some(wanted) != now.as_ref()
            {
                let now = now.as_deref().unwrap_or_default();
                words.push(format!("{what} {now} -> {wanted}"));
                arguments.extend([flag.to_owned(), wanted.clone()]);
            }
        }
        if let Some(group) = &self.group
            && now.gid.as_deref() != Some(wanted_gid)
            && now.gid.as_ref() != Some(group)
        {
            words.push(format!("group -> {group}"));
            arguments.extend(["-g".to_owned(), group.clone()]);
        }
        if let Some(wanted) = &self.groups {
            let has = now.groups.clone().unwrap_or_default();
            let is_primary = |group: &String| Some(group) == now.group.as_ref();
            let lacks = wanted.iter().any(|group| !has.contains(group));
            let too_many = !append
                && has
                    .iter()
                    .any(|group| !wanted.contains(group) && !is_primary(group));
            if lacks || too_many {
                words.push(format!("groups {} -> {}", has.join(","), wanted.join(",")));
                if append {
                    arguments.push("-a".to_owned());
                }
                arguments.extend(["-G".to_owned(), wanted.join(",")]);
            }
        }
        (words, arguments)
    }
}

/// A day by its number since 1970, as `YYYY-MM-DD`.
pub(super) fn days_since_1970(days: i64) -> String {
    time::OffsetDateTime::UNIX_EPOCH
        .checked_add(time::Duration::days(days))
        .map_or_else(String::new, |time| {
            let date = time.date();
            format!(
                "{:04}-{:02}-{:02}",
                date.year(),
                u8::from(date.month()),
                date.day()
            )
        })
}
