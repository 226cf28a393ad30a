//! Where settings come from: `--workdir`, a Config file, the inventory's variables, `--set`. Each layer is flattened
//! into single values with their places; a key that nothing reads is reported here.

use std::sync::Arc;

use serde_json::Value;

use super::schema::{self, Lookup, STORAGE, Setting};
use super::set::{self, Segment, SetFlag};
use super::value::{self, Kind, Written};
use crate::diagnostic::{Diagnostic, Diagnostics, Place, Source, nearest};
use crate::yaml::{self, Fields, Node};

/// The API version of a Config file.
pub const API_VERSION: &str = "kubekey.kubesphere.io/v1";

/// Where a value comes from; later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// A flag that names a default, such as `--workdir`.
    Flag,
    /// The Config file.
    Config,
    /// The inventory's variables.
    Inventory,
    /// `--set` and its kin.
    Set,
}

/// One value that a user gave.
#[derive(Debug, Clone)]
pub struct Given {
    /// The row of the table.
    pub setting: &'static Setting,
    /// The path in the short spelling.
    pub path: String,
    /// The path as the user spelled it.
    pub spelled: String,
    /// Steps below the path, for settings that take anything.
    pub below: Vec<Segment>,
    /// The value in the setting's shape.
    pub value: Value,
    /// Where its key stands.
    pub key_place: Place,
    /// Where the value stands.
    pub place: Place,
    /// Where it comes from.
    pub layer: Layer,
}

/// Everything that all layers say.
#[derive(Debug, Default)]
pub struct Collected {
    /// In the order of the layers, and within one in the order written.
    pub given: Vec<Given>,
    /// Storage drivers that are named, each with the first place.
    pub drivers: Vec<(String, Place)>,
    /// What is wrong or odd.
    pub found: Diagnostics,
}

impl Collected {
    /// Reads a Config file.
    pub fn config(&mut self, source: &Arc<Source>) {
        let document = match yaml::parse(source) {
            Ok(document) => document,
            Err(diagnostic) => return self.found.push(diagnostic),
        };
        let fields = match Fields::new(&document, "the Config file") {
            Ok(fields) => fields,
            Err(diagnostic) => return self.found.push(diagnostic),
        };
        let start = Place::new(source, crate::diagnostic::Span::default());
        let found = &mut self.found;
        match fields.text("kind", found) {
            Some("Config") => match fields.text("apiVersion", found) {
                Some(API_VERSION) => {}
                Some(other) => {
                    let place = fields.node("apiVersion").map_or(&start, |node| &node.place);
                    let message = format!("unknown API version `{other}`");
                    found.push(
                        Diagnostic::at(place, message)
                            .hint(format!("write `apiVersion: {API_VERSION}`")),
                    );
                }
                None => found.push(
                    Diagnostic::at(&start, "the Config file has no `apiVersion`")
                        .hint(format!("write `apiVersion: {API_VERSION}`")),
                ),
            },
            Some(other) => {
                fields.node("apiVersion");
                let place = fields.node("kind").map_or(&start, |node| &node.place);
                let message = format!("expected the kind `Config`, found `{other}`");
                found.push(Diagnostic::at(place, message).hint(match other {
                    "Inventory" => "give an inventory with `-i`, the Config file with `-c`",
                    _ => "write `kind: Config`",
                }));
            }
            None => {
                fields.node("apiVersion");
                found.push(
                    Diagnostic::at(&start, "the Config file has no `kind`").hint(format!(
                        "begin with `apiVersion: {API_VERSION}` and `kind: Config`, and put the settings under `spec:`"
                    )),
                );
            }
        }
        for key in ["metadata", "status"] {
            fields.node(key);
        }
        let spec = fields.value("spec");
        fields.finish(found);
        match spec {
            Some(spec) if spec.as_mapping().is_none() => {
                self.found.push(spec.unexpected("a mapping of settings"));
            }
            Some(spec) => {
                for (key, value) in spec.as_mapping().unwrap_or_default() {
                    let word = key.as_str().unwrap_or_default();
                    match value.decrypted() {
                        Ok(value) => self.walk(&[word], &key.place, &value, Layer::Config),
                        Err(diagnostic) => self.found.push(diagnostic),
                    }
                }
            }
            None => {}
        }
    }

    /// Reads the variables of an inventory: those whose name is the root of settings. Others are free.
    pub fn inventory(&mut self, vars: &[(Node, Node)]) {
        for (key, value) in vars {
            let word = key.as_str().unwrap_or_default();
            if schema::is_root(word) {
                match value.decrypted() {
                    Ok(value) => self.walk(&[word], &key.place, &value, Layer::Inventory),
                    Err(diagnostic) => self.found.push(diagnostic),
                }
                continue;
            }
            let roots = schema::words_below(&[]);
            let meant = nearest(word, roots.iter().map(String::as_str));
            if let Some(meant) = meant.filter(|_| word.len() >= 8) {
                self.found.push(Diagnostic {
                    place: Some(key.place.clone()),
                    ..Diagnostic::warning(format!("`{word}` is a free variable and no setting"))
                        .hint(format!("did you mean the setting `{meant}`?"))
                });
            }
        }
    }

    /// Looks for settings where they have no effect. Each is named once, however many hosts have it.
    pub fn nearer(&mut self, variables: &[(String, Node)]) {
        let mut seen: Vec<&str> = Vec::new();
        for (owner, key) in variables {
            let word = key.as_str().unwrap_or_default();
            if !schema::is_root(word) || seen.contains(&word) {
                continue;
            }
            seen.push(word);
            self.found.push(Diagnostic {
                place: Some(key.place.clone()),
                ..Diagnostic::warning(format!(
                    "`{word}` of {owner} has no effect: settings are the same for all hosts"
                ))
                .hint("put it among the variables of all hosts (`spec.vars`), or give it with `--set`")
            });
        }
    }

    /// Reads the flags of the command line.
    pub fn sets(&mut self, flags: &[SetFlag]) {
        for flag in flags {
            match set::parse(flag) {
                Ok(assignments) => {
                    for assignment in &assignments {
                        self.assignment(assignment);
                    }
                }
                Err(found) => self.found.extend(found),
            }
        }
    }

    /// A default that a flag of its own gives.
    pub fn flag(&mut self, flag: &str, word: &str, text: &str) {
        let node = Node::text(&Source::new(flag, text), text);
        let place = node.place.clone();
        self.walk(&[word], &place, &node, Layer::Flag);
        if let Some(last) = self.given.last_mut().filter(|given| given.path == word) {
            flag.clone_into(&mut last.spelled);
        }
    }

    fn assignment(&mut self, assignment: &set::Assignment) {
        let mut words: Vec<&str> = Vec::new();
        let mut below: Vec<Segment> = Vec::new();
        for segment in &assignment.path {
            match segment {
                Segment::Key(word) if below.is_empty() => words.push(word),
                other => below.push(other.clone()),
            }
        }
        let place = &assignment.key_place;
        let written = Written {
            node: &assignment.value,
            typed: Some(&assignment.text),
            fault: assignment.fault.as_ref(),
        };
        self.mention(&words, place);
        match schema::look_up(&words) {
            Lookup::Setting {
                setting,
                path,
                depth,
            } => {
                let is_mapping = assignment.value.as_mapping().is_some();
                if setting.kind == Kind::Free && is_mapping && below.is_empty() {
                    self.walk(&words, place, &assignment.value, Layer::Set);
                    return;
                }
                if setting.kind != Kind::Free && !below.is_empty() {
                    self.found.push(
                        Diagnostic::at(place, format!("`{}` is not a list", words.join(".")))
                            .hint("leave out the index"),
                    );
                    return;
                }
                let keys = words.iter().skip(depth);
                let steps = keys.map(|word| Segment::Key((*word).to_owned()));
                let below = steps.chain(below).collect();
                self.give(setting, path, &words, below, place, written, Layer::Set);
            }
            Lookup::Above if !below.is_empty() => self.found.push(
                Diagnostic::at(place, format!("`{}` is not a list", words.join(".")))
                    .hint("leave out the index"),
            ),
            Lookup::Above => match assignment.value.as_mapping() {
                Some(pairs) => {
                    for (key, value) in pairs {
                        let word = key.as_str().unwrap_or_default();
                        let words: Vec<&str> = words.iter().copied().chain([word]).collect();
                        self.walk(&words, &key.place, value, Layer::Set);
                    }
                }
                None => match &assignment.fault {
                    Some(fault) => self.found.push(fault.clone()),
                    None => self.found.push(above(&words, place)),
                },
            },
            Lookup::Unknown => self.found.push(unknown(&words, place)),
        }
    }

    /// A value of a file, or of a JSON value: settings lie in it or below it.
    fn walk(&mut self, words: &[&str], key_place: &Place, node: &Node, layer: Layer) {
        self.mention(words, key_place);
        let children = |collected: &mut Self, pairs: &[(Node, Node)]| {
            for (key, value) in pairs {
                let word = key.as_str().unwrap_or_default();
                let words: Vec<&str> = words.iter().copied().chain([word]).collect();
                collected.walk(&words, &key.place, value, layer);
            }
        };
        match schema::look_up(words) {
            Lookup::Setting {
                setting,
                path,
                depth,
            } => {
                if setting.kind == Kind::Free
                    && let Some(pairs) = node.as_mapping()
                    && !pairs.is_empty()
                {
                    return children(self, pairs);
                }
                if node.is_null() {
                    return;
                }
                let written = Written {
                    node,
                    typed: None,
                    fault: None,
                };
                let below = words
                    .iter()
                    .skip(depth)
                    .map(|word| Segment::Key((*word).to_owned()))
                    .collect();
                self.give(setting, path, words, below, key_place, written, layer);
            }
            Lookup::Above if node.is_null() => {}
            Lookup::Above => match node.as_mapping() {
                Some(pairs) => children(self, pairs),
                None => self.found.push(
                    node.unexpected(&format!("a mapping for `{}`", words.join(".")))
                        .hint(below_hint(words)),
                ),
            },
            Lookup::Unknown => self.found.push(unknown(words, key_place)),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one value, named at every call"
    )]
    fn give(
        &mut self,
        setting: &'static Setting,
        path: String,
        words: &[&str],
        below: Vec<Segment>,
        key_place: &Place,
        written: Written<'_>,
        layer: Layer,
    ) {
        let spelled = words.join(".");
        let secret = setting.secret || crate::secret::is_secret_name(&spelled);
        match value::convert(setting, &spelled, secret, written) {
            Ok(value) => self.given.push(Given {
                setting,
                path,
                spelled,
                below,
                value,
                key_place: key_place.clone(),
                place: written.node.place.clone(),
                layer,
            }),
            Err(diagnostic) => self.found.push(diagnostic),
        }
    }

    /// Notes a storage driver that is named.
    fn mention(&mut self, words: &[&str], place: &Place) {
        let storage: Vec<&str> = STORAGE.split('.').collect();
        let Some(name) = words
            .strip_prefix(storage.as_slice())
            .and_then(<[&str]>::first)
        else {
            return;
        };
        let is_known = super::drivers::driver(name).is_some();
        if is_known && !self.drivers.iter().any(|(other, _)| other == name) {
            self.drivers.push(((*name).to_owned(), place.clone()));
        }
    }
}

/// A value where only a mapping can stand.
fn above(words: &[&str], place: &Place) -> Diagnostic {
    Diagnostic::at(
        place,
        format!("`{}` takes no value of its own", words.join(".")),
    )
    .hint(below_hint(words))
}

fn below_hint(words: &[&str]) -> String {
    let below = schema::words_below(words);
    if below.is_empty() {
        return "it has nothing to be told: leave the value out".to_owned();
    }
    format!("below it are known: {}", below.join(", "))
}

/// A key that nothing reads, and the one that was probably meant.
fn unknown(words: &[&str], place: &Place) -> Diagnostic {
    let path = words.join(".");
    // The first word that leads nowhere, and the way to it.
    let wrong = (0..words.len())
        .find(|index| {
            let part = words.get(..=*index).unwrap_or_default();
            matches!(schema::look_up(part), Lookup::Unknown)
        })
        .unwrap_or_default();
    let before = words.get(..wrong).unwrap_or_default();
    let word = words.get(wrong).copied().unwrap_or_default();
    let diagnostic = Diagnostic::at(place, format!("unknown setting `{path}`"));
    if let Lookup::Setting { setting, .. } = schema::look_up(before) {
        return diagnostic.hint(format!(
            "`{}` takes a value ({}), and nothing is below it",
            before.join("."),
            setting.kind.describe()
        ));
    }
    let below = schema::words_below(before);
    if let Some(meant) = nearest(word, below.iter().map(String::as_str)) {
        let rest = words.get(wrong + 1..).unwrap_or_default();
        let whole: Vec<&str> = before
            .iter()
            .copied()
            .chain([meant])
            .chain(rest.iter().copied())
            .collect();
        return diagnostic.hint(format!("did you mean `{}`?", whole.join(".")));
    }
    let spellings: Vec<&str> = schema::SETTINGS
        .iter()
        .flat_map(|setting| [Some(&setting.path), setting.long.as_ref()])
        .flatten()
        .map(String::as_str)
        .collect();
    let last = words.last().copied().unwrap_or_default();
    let same_end = spellings
        .iter()
        .filter(|spelled| spelled.rsplit('.').next() == Some(last))
        .min_by_key(|spelled| spelled.matches('.').count());
    if let Some(meant) = same_end {
        return diagnostic.hint(format!("did you mean `{meant}`?"));
    }
    // Whole paths have long common parts, so that only a real slip of the keys counts.
    let near = spellings
        .iter()
        .map(|spelled| (strsim::osa_distance(spelled, &path), spelled))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    if let Some((_, meant)) = near {
        return diagnostic.hint(format!("did you mean `{meant}`?"));
    }
    if before.is_empty() {
        diagnostic.hint(format!("settings begin with: {}", below.join(", ")))
    } else {
        diagnostic.hint(format!(
            "known under `{}`: {}",
            before.join("."),
            below.join(", ")
        ))
    }
}
