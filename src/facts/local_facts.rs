//! `ansible_local`: what the files below `/etc/ansible/facts.d` say, JSON or INI.

use serde_json::{Map, Value};

use super::frame::Frames;

/// Each file under its name without `.fact`.
pub(super) fn read(frames: &Frames<'_>) -> Value {
    let mut all = Map::new();
    for text in frames.all("local-fact") {
        let (mut path, mut failed, mut is_gone) = ("", None, false);
        let mut content = String::new();
        for line in text.lines() {
            if let Some(line) = line.strip_prefix(' ') {
                content.push_str(line);
                content.push('\n');
            } else if let Some(value) = line.strip_prefix("path=") {
                path = value;
            } else if line == "gone=yes" {
                is_gone = true;
            } else if let Some(status) = line.strip_prefix("ran=") {
                failed = Some(status).filter(|status| *status != "0");
            }
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        let name = name.strip_suffix(".fact").unwrap_or(name);
        let value = match failed {
            _ if is_gone => format!("Could not stat fact ({path}): no such file").into(),
            Some(status) => {
                format!("Failure executing fact script ({path}), rc: {status}, err: ").into()
            }
            None => parse(path, &content),
        };
        all.insert(name.to_owned(), value);
    }
    Value::Object(all)
}

fn parse(path: &str, content: &str) -> Value {
    if let Ok(value) = serde_json::from_str(content) {
        return value;
    }
    match sections(content) {
        Some(sections) => Value::Object(sections),
        None => format!("error loading facts as JSON or ini - please check content: {path}").into(),
    }
}

/// INI: sections of `name = value` or `name: value`, names in small letters.
fn sections(content: &str) -> Option<Map<String, Value>> {
    let mut all = Map::new();
    let mut current: Option<String> = None;
    for line in content.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            all.insert(name.to_owned(), Value::Object(Map::new()));
            current = Some(name.to_owned());
            continue;
        }
        let at = line.find(['=', ':'])?;
        let (name, value) = line.split_at(at);
        let Some(Value::Object(section)) = all.get_mut(current.as_ref()?) else {
            return None;
        };
        let value = value.get(1..).unwrap_or_default().trim();
        section.insert(name.trim().to_lowercase(), value.into());
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_json_or_ini_or_says_what_is_wrong() {
        let text = "
=kk= local-fact
path=/etc/ansible/facts.d/a.fact
 {\"x\": [1]}

=kk= local-fact
path=/etc/ansible/facts.d/b.fact
 [general]
 Name = value=1
 other: 2

=kk= local-fact
path=/etc/ansible/facts.d/c.fact
ran=3

=kk= local-fact
path=/etc/ansible/facts.d/d.fact
 words
";
        let all = read(&Frames::new(text));
        assert_eq!(all["a"], serde_json::json!({"x": [1]}));
        assert_eq!(
            all["b"],
            serde_json::json!({"general": {"name": "value=1", "other": "2"}})
        );
        assert!(all["c"].as_str().unwrap().contains("rc: 3"));
        assert!(
            all["d"]
                .as_str()
                .unwrap()
                .starts_with("error loading facts")
        );
    }
}
