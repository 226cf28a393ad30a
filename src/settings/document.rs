//! The settings as documentation: rows for whoever lists them, and the page `docs/settings.md`.

use super::schema::{SETTINGS, STORAGE};

/// One setting, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its path in the short spelling.
    pub path: String,
    /// Its path in the long spelling, where there is one.
    pub long: Option<String>,
    /// What it takes, in words.
    pub takes: String,
    /// The default as a user would write it; empty where nothing is set.
    pub default: String,
    /// Its value is never shown.
    pub secret: bool,
    /// What it means.
    pub summary: String,
}

/// Every setting, in the order of the documentation.
pub fn describe() -> Vec<Row> {
    SETTINGS
        .iter()
        .map(|setting| Row {
            path: setting.path.clone(),
            long: setting.long.clone(),
            takes: setting.kind.describe(),
            default: setting.default.clone(),
            secret: setting.secret,
            summary: setting.summary.clone(),
        })
        .collect()
}

/// The Config file that `kk create config` writes: commented, and it loads as it stands.
pub const fn skeleton_config() -> &'static str {
    include_str!("skeleton.yaml")
}

/// The page `docs/settings.md`, made from the table of settings.
pub fn page() -> String {
    let rows = describe();
    let storage = format!("{STORAGE}.");
    let is_object = |row: &Row| {
        row.path.starts_with(&storage) && !row.path.starts_with(&format!("{storage}filesystem."))
    };
    let mut page = String::from(INTRODUCTION);
    page.push_str(&table(rows.iter().filter(|row| !is_object(row)), ""));
    page.push_str(STORAGE_INTRODUCTION);
    for driver in super::drivers::DRIVERS.iter().skip(1) {
        let prefix = format!("{storage}{}.", driver.name);
        page.push_str(&format!("\n### `{}`\n\n", driver.name));
        if driver.parameters.is_empty() {
            page.push_str("Takes no parameters (`inmemory: {}`). Everything is lost at a restart: for trials only.\n");
            continue;
        }
        page.push_str(&table(
            rows.iter().filter(|row| row.path.starts_with(&prefix)),
            &prefix,
        ));
    }
    page
}

fn table<'a>(rows: impl Iterator<Item = &'a Row>, prefix: &str) -> String {
    let mut text =
        String::from("| setting | takes | default | meaning |\n| --- | --- | --- | --- |\n");
    for row in rows {
        let path = row.path.strip_prefix(prefix).unwrap_or(&row.path);
        let long = row
            .long
            .as_ref()
            .map_or_else(String::new, |long| format!("<br>also `{long}`"));
        let takes = if row.secret {
            format!("{} (secret)", row.takes)
        } else {
            row.takes.clone()
        };
        let default = if row.default.is_empty() {
            String::new()
        } else {
            format!("`{}`", row.default)
        };
        text.push_str(&format!(
            "| `{path}`{long} | {takes} | {default} | {} |\n",
            row.summary
        ));
    }
    text
}

const INTRODUCTION: &str = "\
# Settings

<!-- Made from the table in src/settings/schema.rs. Do not edit: run `make snapshots`. -->

Settings come from a Config file (`-c FILE`), from the inventory's `spec.vars`, and from `--set` on the command line;
each of these beats the one before it. A Config file looks like this:

```yaml
apiVersion: kubekey.kubesphere.io/v1
kind: Config
spec:
  image_registry:
    type: docker-registry
  docker_registry_version: 2.8.3
```

and the same on the command line like this:

```shell
kk init registry -i inventory.yaml --set image_registry.type=docker-registry,docker_registry_version=2.8.3
```

- Several settings stand in one `--set` with commas between. A comma inside quotes, brackets or braces does not split,
  and `\\,` is a comma of the value. `a[0].b=x` reaches into a list; `a={\"x\": 1}` and `a=[1, 2]` are JSON.
- A value is a number or a boolean only where the setting takes one: `24.0.7`, `1.30`, `no` and `0644` stay what was
  typed. `--set-string` always takes a text, and `--set-file key=PATH` the content of a file.
- A key that nothing reads is an error. Where a setting has two spellings, either is read; two that disagree are an
  error.
- In an inventory, variables with other names than these stay free for playbooks.

";

const STORAGE_INTRODUCTION: &str = "
## Storage of docker-registry

Exactly one driver stands under `image_registry.docker_registry.storage`; without one it is `filesystem`, whose
settings are in the table above. The parameters of the others, each under its driver's name:
";
