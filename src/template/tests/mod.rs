//! Templates as users write them.

mod outside;
mod properties;
mod undefined;

use super::*;
use crate::diagnostic::{Colour, Source, Span, render};
use serde_json::json;

fn scope(value: Json) -> Scope {
    let Json::Object(map) = value else {
        unreachable!()
    };
    Scope::new(vec![Layer::templated(map)])
}

fn value(text: &str, variables: Json) -> Result<Json, String> {
    let template = Template::parse(text, None).map_err(|error| error.message)?;
    template
        .evaluate(&scope(variables))
        .map_err(|error| error.message)
}

#[test]
fn a_sole_expression_keeps_its_type() {
    assert_eq!(
        value("{{ a }}", json!({"a": [1, {"b": true}]})),
        Ok(json!([1, {"b": true}]))
    );
    assert_eq!(value("{{ a }}/x", json!({"a": 1})), Ok(json!("1/x")));
    assert_eq!(value("{{ a }}\n", json!({"a": "x"})), Ok(json!("x\n")));
    assert_eq!(value("{{ a }}\n", json!({"a": [1]})), Ok(json!([1])));
    assert_eq!(
        value("{{ a | bool }}", json!({"a": "yes"})),
        Ok(json!(true))
    );
}

#[test]
fn variables_are_resolved_lazily_and_in_depth() {
    let variables = json!({"a": "{{ b }}/c", "b": "{{ d.e }}", "d": {"e": "x"}});
    assert_eq!(value("{{ a }}", variables), Ok(json!("x/c")));
    assert_eq!(
        value("{{ d }}", json!({"d": {"e": "x", "f": "{{ b }}"}, "b": 1})),
        Ok(json!({"e": "x", "f": 1}))
    );
}

#[test]
fn a_loop_of_variables_is_an_error() {
    assert!(
        value("{{ a }}", json!({"a": "{{ b }}", "b": "{{ a }}"}))
            .unwrap_err()
            .contains("recursive")
    );
}

#[test]
fn a_value_that_would_fill_the_memory_is_an_error() {
    for text in [
        "{{ [1] * 24 ** 5 }}",
        "{{ range(100000) | list * 100 }}",
        "{{ ([1] * 24 ** 5) | to_json }}",
    ] {
        let error = value(text, json!({})).unwrap_err();
        assert!(
            error.contains("more than 2000000 elements"),
            "{text}: {error}"
        );
    }
}

#[test]
fn raw_layers_are_not_templates() {
    let raw = json!({"password": "{{ nope }}"})
        .as_object()
        .cloned()
        .unwrap_or_default();
    let scope = Scope::new(vec![Layer::raw(raw)]);
    let template = Template::parse("{{ password }}", None).unwrap();
    assert_eq!(template.evaluate(&scope), Ok(json!("{{ nope }}")));
}

#[test]
fn mistakes_are_found_without_rendering() {
    let source = Source::new("play.yaml", "when: a | defualt(1)\nb: \"{{ a b }}\"\n");
    let place = Place::new(&source, Span { start: 6, end: 20 });
    let error = Template::expression("a | defualt(1)", Some(&place)).unwrap_err();
    insta::assert_snapshot!(render(&error, Colour::Never), @r"
    error: unknown filter `defualt`
     --> play.yaml:1:11
      |
    1 | when: a | defualt(1)
      |           ^^^^^^^
      |
      = hint: did you mean `default`?
    ");
    assert!(Template::parse("{{ a b }}", None).is_err());
    assert!(
        Template::expression("a is defind", None)
            .unwrap_err()
            .message
            .contains("unknown test `defind`")
    );
}

#[test]
fn conditions_are_python_s_and_texts_with_braces_count_by_their_words() {
    for (text, expected) in [
        ("'no'", true),
        ("''", false),
        ("{{ 'no' }}", false),
        ("{{ 'yes' }}", true),
        ("0", false),
        ("[]", false),
        ("none", false),
    ] {
        let template = Template::expression(text, None).unwrap();
        assert_eq!(
            template.is_true(&scope(json!({}))).unwrap(),
            expected,
            "{text}"
        );
    }
}

#[test]
fn ansible_filters() {
    for (text, expected) in [
        ("{{ 'a/b/c.txt' | basename }}", json!("c.txt")),
        ("{{ 'a/b/c.txt' | dirname }}", json!("a/b")),
        ("{{ 'abc' | regex_replace('b', 'x') }}", json!("axc")),
        ("{{ 'abc' | regex_search('b.') }}", json!("bc")),
        (
            "{{ {'a': 1} | combine({'b': 2}) }}",
            json!({"a": 1, "b": 2}),
        ),
        ("{{ 'ab' | b64encode | b64decode }}", json!("ab")),
        ("{{ '1.10.2' is version('1.9', '>') }}", json!(true)),
        ("{{ [1, [2, 3]] | flatten }}", json!([1, 2, 3])),
        ("{{ [1, 2] | difference([2]) }}", json!([1])),
        ("{{ [1, 2] | union([2, 3]) }}", json!([1, 2, 3])),
        (
            "{{ {'a': 1} | dict2items }}",
            json!([{"key": "a", "value": 1}]),
        ),
        ("{{ true | ternary('a', 'b') }}", json!("a")),
        ("{{ \"it's\" | quote }}", json!("'it'\"'\"'s'")),
        ("{{ {'a': [1]} | to_json }}", json!("{\"a\": [1]}")),
        ("{{ '[1, 2]' | from_json }}", json!([1, 2])),
        (
            "{{ {'a': {'b': 1}} | combine({'a': {'c': 2}}, recursive=True) }}",
            json!({"a": {"b": 1, "c": 2}}),
        ),
        (
            "{{ {'a': {'b': 1}} | combine({'a': {'c': 2}}, {'d': 3}) }}",
            json!({"a": {"c": 2}, "d": 3}),
        ),
        (
            "{{ {'b': 1, 'a': 'ä'} | to_nice_json(indent=0) }}",
            json!("{\n\"a\": \"\\u00e4\",\n\"b\": 1\n}"),
        ),
        (
            "{{ 'x.tar.gz' | splitext | list }}",
            json!(["x.tar", ".gz"]),
        ),
        ("{{ 'fd00::1' | ipwrap }}", json!("[fd00::1]")),
        (
            "{{ [{'key': 'a', 'value': 1}] | items2dict }}",
            json!({"a": 1}),
        ),
        ("{{ [1, 2, 3] | intersect([3, 1]) }}", json!([1, 3])),
        (
            "{{ 'aXbX' | regex_replace('(.)X', '\\1$') }}",
            json!("a$b$"),
        ),
        ("{{ 'abc' is match('b') }}", json!(false)),
        ("{{ 'abc' is search('b') }}", json!(true)),
        ("{{ [1, 2] is contains(2) }}", json!(true)),
        ("{{ '2.20.3' is version('2.20', '>=') }}", json!(true)),
        ("{{ 'a,b'.split(',') }}", json!(["a", "b"])),
        ("{{ 'ABC'.lower() }}", json!("abc")),
    ] {
        assert_eq!(value(text, json!({})), Ok(expected), "{text}");
    }
}

#[test]
fn to_yaml_text_of_nested_data() {
    let text = value(
        "{{ a | to_nice_yaml }}",
        json!({"a": {"b": "yes", "c": [1, "x: y"], "d": {}, "e": null}}),
    );
    assert_eq!(
        text,
        Ok(json!("b: 'yes'\nc:\n- 1\n- 'x: y'\nd: {}\ne: null\n"))
    );
}

/// The engine counts columns in 16 bits.
#[test]
fn a_mistake_far_to_the_right_is_told() {
    let far = " ".repeat(70_000);
    let scope = Scope::new(Vec::new());
    let condition = Template::expression(&format!("a {{{{ '{far}' }}}} {{{{ \"'\" }}}}"), None);
    assert!(condition.unwrap().evaluate(&scope).is_err());
    assert!(Template::parse(&format!("{far}{{{{ 'open"), None).is_err());
}
