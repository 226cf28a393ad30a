//! What a template file can say about itself: `ansible_managed` and the variables `template_…`.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Map, Value as Json};
use time::OffsetDateTime;

/// The variables of one template; `path` is nothing for a built-in one.
pub(super) fn about(src: &str, path: Option<&Path>, dest: &str) -> Map<String, Json> {
    let metadata = path.and_then(|path| std::fs::metadata(path).ok());
    let changed = metadata
        .as_ref()
        .and_then(|metadata| metadata.modified().ok());
    let full = path.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    let name = rustix::system::uname();
    let mut about = Map::new();
    let mut say = |name: &str, value: Json| about.insert(name.to_owned(), value);
    say("ansible_managed", "Ansible managed".into());
    say("template_host", name.nodename().to_string_lossy().into());
    say("template_path", src.into());
    say(
        "template_fullpath",
        full.map_or_else(|| src.to_owned(), |path| path.display().to_string())
            .into(),
    );
    say("template_destpath", dest.into());
    say(
        "template_uid",
        owner(metadata.map_or(0, |metadata| metadata.uid())),
    );
    say("template_run_date", written(OffsetDateTime::now_utc()));
    say(
        "template_mtime",
        changed.map_or(Json::Null, |changed| written(changed.into())),
    );
    about
}

/// The name of a user of this machine, or the number of one who has none.
fn owner(number: u32) -> Json {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(number)).then(|| name.to_owned())
    });
    named.map_or(Json::from(number), Json::from)
}

/// A time as Python writes it.
fn written(time: OffsetDateTime) -> Json {
    let format = time::macros::format_description!(
        "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]"
    );
    time.format(format).map_or(Json::Null, Json::from)
}
