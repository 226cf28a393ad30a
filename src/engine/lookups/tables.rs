//! Lookups in tables: INI files, Java's properties, CSV.

use serde_json::Value as Json;

use super::Asker;
use super::options::Options;
use crate::playbook::words;
use crate::template::{display, truthy};

/// What an argument is by name or, in the old way, in the term: `key section=a file=b`.
struct Told<'a> {
    options: &'a Options<'a>,
    inline: Vec<(String, String)>,
}

impl Told<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let inline = self.inline.iter().find(|(key, _)| key == name);
        inline
            .map(|(_, value)| value.clone())
            .or_else(|| self.options.text(name))
    }

    fn flag(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| truthy(&text.into()))
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, String> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        text.trim()
            .parse()
            .map_err(|_| format!("`{name}` is not a whole number: `{text}`"))
    }

    /// Whether the file is in Latin-1, and not in UTF-8.
    fn is_latin(&self) -> Result<bool, String> {
        let encoding = self.text("encoding").unwrap_or_default();
        let plain = encoding.to_lowercase().replace(['-', '_'], "");
        match plain.as_str() {
            "" | "utf8" => Ok(false),
            "latin1" | "l1" | "iso88591" => Ok(true),
            _ => Err(format!(
                "the encoding `{encoding}` is not supported: UTF-8 and Latin-1 are"
            )),
        }
    }
}

/// The term without what it says about arguments.
fn told<'a>(
    term: &Json,
    options: &'a Options<'a>,
    known: &[&str],
) -> Result<(String, Told<'a>), String> {
    let term = display(term);
    if !term.contains('=') {
        let inline = Vec::new();
        return Ok((term, Told { options, inline }));
    }
    let words = words::split(&term, false)?;
    if words.rest.is_empty() {
        return Err(format!(
            "Search key is required but was not found in `{term}`"
        ));
    }
    let inline = words.pairs;
    if let Some((name, _)) = inline
        .iter()
        .find(|(name, _)| !known.contains(&name.as_str()))
    {
        return Err(format!("{name} is not a valid option"));
    }
    Ok((words.rest, Told { options, inline }))
}

/// Values of an INI file.
pub(super) fn ini(
    terms: &[Json],
    options: &Options<'_>,
    asker: &Asker<'_>,
) -> Result<Vec<Json>, String> {
    let mut values = Vec::new();
    for term in terms {
        let (key, told) = told(term, options, super::options::known("ini"))?;
        let is_latin = told.is_latin()?;
        let file = told
            .text("file")
            .unwrap_or_else(|| "ansible.ini".to_owned());
        let (_, text) = asker.read_as("files", &file, is_latin)?;
        let is_java = told.text("type").as_deref() == Some("properties");
        let table = Ini::read(&text, is_java, told.flag("case_sensitive"))
            .map_err(|message| format!("`{file}`: {message}"))?;
        let section = told.text("section").unwrap_or_else(|| "global".to_owned());
        let section = if is_java { "" } else { section.as_str() };
        if !is_java && !table.has(section) {
            return Err(format!("`{file}` has no section `{section}`"));
        }
        if told.flag("re") {
            let pattern = regex::Regex::new(&format!("^(?:{key})"))
                .map_err(|error| format!("`{key}` is no pattern: {error}"))?;
            for (name, value) in table.items(section) {
                if pattern.is_match(name) {
                    let value = table.filled(section, value, 0)?;
                    values.push(value.map_or(Json::Null, Json::from));
                }
            }
            continue;
        }
        values.extend(match table.get(section, &key) {
            Some((_, value)) => table.filled(section, value, 0)?.map(Json::from),
            None => Some(told.text("default").unwrap_or_default().into()),
        });
    }
    Ok(values)
}

/// One `key = value`, with the section that it stands in.
struct Entry {
    section: String,
    key: String,
    value: Option<String>,
}

/// An INI file as Python reads it.
struct Ini {
    sections: Vec<String>,
    entries: Vec<Entry>,
    is_exact: bool,
}

/// The section whose values every other one has.
const DEFAULTS: &str = "DEFAULT";

/// How often a value may refer to another one.
const MAX_DEPTH: usize = 10;

impl Ini {
    fn read(text: &str, is_java: bool, is_exact: bool) -> Result<Self, String> {
        let mut ini = Self {
            sections: Vec::new(),
            entries: Vec::new(),
            is_exact,
        };
        let mut section = is_java.then(String::new);
        let mut indentation = 0;
        let mut may_go_on = false;
        for (number, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.starts_with(['#', ';']) {
                continue;
            }
            let depth = line.len() - line.trim_start().len();
            if trimmed.is_empty() {
                continue;
            }
            if may_go_on && depth > indentation {
                if let Some(Entry {
                    value: Some(value), ..
                }) = ini.entries.last_mut()
                {
                    value.push('\n');
                    value.push_str(trimmed);
                }
                continue;
            }
            indentation = depth;
            if let Some(name) = trimmed
                .strip_prefix('[')
                .and_then(|rest| rest.split_once(']'))
            {
                ini.sections.push(name.0.to_owned());
                section = Some(name.0.to_owned());
                may_go_on = false;
                continue;
            }
            let Some(section) = &section else {
                return Err(format!("line {} stands in no section", number + 1));
            };
            let (key, value) = match trimmed.split_once(['=', ':']) {
                Some((key, value)) => (key.trim_end(), Some(value.trim().to_owned())),
                None => (trimmed, None),
            };
            let key = if is_exact {
                key.to_owned()
            } else {
                key.to_lowercase()
            };
            let is_there = |entry: &Entry| entry.section == *section && entry.key == key;
            if ini.entries.iter().any(is_there) {
                return Err(format!("`{key}` is there twice"));
            }
            may_go_on = value.is_some();
            ini.entries.push(Entry {
                section: section.clone(),
                key,
                value,
            });
        }
        Ok(ini)
    }

    fn has(&self, section: &str) -> bool {
        self.sections.iter().any(|known| known == section)
    }

    /// Keys and values of a section, then those of the defaults that it does not have.
    fn items<'a>(
        &'a self,
        section: &'a str,
    ) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + 'a {
        let of = move |name: &'a str| {
            self.entries
                .iter()
                .filter(move |entry| entry.section == name)
        };
        let more = of(DEFAULTS).filter(move |entry| {
            section != DEFAULTS && !of(section).any(|own| own.key == entry.key)
        });
        of(section)
            .chain(more)
            .map(|entry| (entry.key.as_str(), entry.value.as_deref()))
    }

    /// The name and value of a key, which may have none.
    fn get<'a>(&'a self, section: &'a str, key: &str) -> Option<(&'a str, Option<&'a str>)> {
        let key = if self.is_exact {
            key.to_owned()
        } else {
            key.to_lowercase()
        };
        self.items(section).find(|(name, _)| *name == key)
    }

    /// A value with `%(name)s` replaced by the value of `name`.
    fn filled(
        &self,
        section: &str,
        value: Option<&str>,
        depth: usize,
    ) -> Result<Option<String>, String> {
        let Some(value) = value else {
            return Ok(None);
        };
        if depth > MAX_DEPTH {
            return Err(format!("`{value}` refers to itself"));
        }
        let mut filled = String::new();
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('%') {
            filled.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                filled.push('%');
                rest = after;
                continue;
            }
            let named = after
                .strip_prefix('(')
                .and_then(|after| after.split_once(")s"));
            let Some((name, after)) = named else {
                return Err(format!("a `%` in `{value}` is neither `%%` nor `%(name)s`"));
            };
            let Some((_, other)) = self.get(section, name) else {
                return Err(format!("`{value}` refers to `{name}`, which is not there"));
            };
            let other = self.filled(section, other, depth + 1)?;
            filled.push_str(&other.unwrap_or_default());
            rest = after;
        }
        filled.push_str(rest);
        Ok(Some(filled))
    }
}

/// Values of a table whose columns are parted by a character.
pub(super) fn csv(
    terms: &[Json],
    options: &Options<'_>,
    asker: &Asker<'_>,
) -> Result<Vec<Json>, String> {
    if terms.is_empty() {
        return Err("Search key is required but was not found".to_owned());
    }
    let mut values = Vec::new();
    for term in terms {
        let (key, told) = told(term, options, super::options::known("csvfile"))?;
        let is_latin = told.is_latin()?;
        let file = told
            .text("file")
            .unwrap_or_else(|| "ansible.csv".to_owned());
        let delimiter = match told.text("delimiter").as_deref() {
            None | Some("TAB" | "\\t") => '\t',
            Some(text) => {
                let mut characters = text.chars();
                match (characters.next(), characters.next()) {
                    (Some(delimiter), None) => delimiter,
                    _ => return Err(format!("`delimiter` is not one character: `{text}`")),
                }
            }
        };
        let missing = |message: String| {
            if message.starts_with("there is no file") {
                format!("{message}: No such file or directory")
            } else {
                message
            }
        };
        let (column, key_column) = (told.number("col", 1)?, told.number("keycol", 0)?);
        let (_, text) = asker.read_as("files", &file, is_latin).map_err(missing)?;
        let row = rows(&text, delimiter)
            .into_iter()
            .find(|row| row.get(key_column) == Some(&key));
        match row {
            Some(row) => match row.get(column) {
                Some(value) => values.push(value.as_str().into()),
                None => return Err(format!("`{key}` of `{file}` has no column {column}")),
            },
            None => values.extend(told.text("default").map(Json::from)),
        }
    }
    Ok(values)
}

/// The rows of a table; a cell in quotes may hold the delimiter and line breaks, and quotes twice.
fn rows(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row: Vec<String> = Vec::new();
    let mut cell = String::new();
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                cell.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if cell.is_empty() => is_quoted = true,
            '\n' | '\r' if !is_quoted => {
                if character == '\r' && characters.peek() == Some(&'\n') {
                    characters.next();
                }
                if !row.is_empty() || !cell.is_empty() {
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
            }
            other if other == delimiter && !is_quoted => row.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    if !row.is_empty() || !cell.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_in_quotes_are_whole() {
        let text = "a,\"b, \"\"c\"\"\nd\",e\r\n\nf,,\n";
        assert_eq!(
            rows(text, ','),
            [vec!["a", "b, \"c\"\nd", "e"], vec!["f", "", ""]]
        );
    }

    #[test]
    fn ini_files_are_read_as_python_reads_them() {
        let text = "# no\n[DEFAULT]\nbase = /srv\n[Part]\nKey: one\n  two\npath = %(base)s/100%%\n";
        let ini = Ini::read(text, false, false).unwrap();
        let filled = |key: &str| {
            ini.filled("Part", ini.get("Part", key).unwrap().1, 0)
                .unwrap()
        };
        assert_eq!(filled("KEY").as_deref(), Some("one\ntwo"));
        assert_eq!(filled("path").as_deref(), Some("/srv/100%"));
        assert!(ini.get("Part", "none").is_none());
        assert!(ini.has("Part") && !ini.has("part"));
        let names: Vec<&str> = ini.items("Part").map(|(name, _)| name).collect();
        assert_eq!(names, ["key", "path", "base"]);
        assert!(Ini::read("a = 1\n", false, false).is_err());
        assert!(Ini::read("a = 1\n", true, false).is_ok());
    }
}
