//! Ansible's tests: what stands behind `is`.

use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error};

use super::environment::invalid;
use super::filters::regex;
use super::missing::is_undefined;

/// Adds Ansible's tests.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_test("defined", |value: Value| !is_undefined(&value));
    environment.add_test("undefined", |value: Value| is_undefined(&value));
    for (name, key, expected) in [
        ("failed", "failed", true),
        ("changed", "changed", true),
        ("skipped", "skipped", true),
        ("succeeded", "failed", false),
        ("success", "failed", false),
    ] {
        environment.add_test(name, move |value: Value| {
            if value.kind() != ValueKind::Map {
                return Err(invalid(format!("`is {name}` needs the result of a task")));
            }
            Ok(value.get_attr(key)?.is_true() == expected)
        });
    }
    environment.add_test("match", |text: String, pattern: String| {
        Ok::<_, Error>(regex(&format!("^(?:{pattern})"))?.is_match(&text))
    });
    environment.add_test("search", |text: String, pattern: String| {
        Ok::<_, Error>(regex(&pattern)?.is_match(&text))
    });
    environment.add_test("contains", |value: Value, item: Value| {
        match value.as_str() {
            Some(text) => Ok(item.as_str().is_some_and(|part| text.contains(part))),
            None => Ok::<_, Error>(value.try_iter()?.any(|other| other == item)),
        }
    });
    environment.add_test(
        "version",
        |left: String, right: String, operator: Option<String>| {
            let order = compare_versions(&left, &right);
            Ok(match operator.as_deref().unwrap_or("eq") {
                "eq" | "==" | "=" => order.is_eq(),
                "ne" | "!=" | "<>" => order.is_ne(),
                "lt" | "<" => order.is_lt(),
                "le" | "<=" => order.is_le(),
                "gt" | ">" => order.is_gt(),
                "ge" | ">=" => order.is_ge(),
                other => {
                    return Err(invalid(format!(
                        "`{other}` is not a comparison of versions"
                    )));
                }
            })
        },
    );
}

/// Compares versions piece by piece: numbers as numbers, a leading `v` is ignored, a pre-release comes before.
fn compare_versions(left: &str, right: &str) -> std::cmp::Ordering {
    let split = |text: &str| -> (Vec<u64>, String) {
        let text = text.trim().trim_start_matches(['v', 'V']);
        let (numbers, rest) = text.split_once(['-', '+']).unwrap_or((text, ""));
        (
            numbers
                .split('.')
                .map(|part| part.parse().unwrap_or(0))
                .collect(),
            rest.to_owned(),
        )
    };
    let ((mut left, left_rest), (mut right, right_rest)) = (split(left), split(right));
    let length = left.len().max(right.len());
    left.resize(length, 0);
    right.resize(length, 0);
    left.cmp(&right)
        .then_with(|| match (left_rest.is_empty(), right_rest.is_empty()) {
            (true, false) => std::cmp::Ordering::Greater,
            (false, true) => std::cmp::Ordering::Less,
            _ => left_rest.cmp(&right_rest),
        })
}
