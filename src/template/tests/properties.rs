//! No text makes a template panic, and variables are only resolved when they are used.

use proptest::prelude::*;

use super::*;

/// Pieces that templates are made of, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "{{",
            "}}",
            "{%",
            "%}",
            "{#",
            "#}",
            "{{-",
            "-%}",
            " a ",
            ".b",
            "['c']",
            "[0]",
            "|",
            " default ",
            "(",
            ")",
            " is ",
            " defined ",
            " not ",
            " in ",
            "if ",
            "endif",
            "for x ",
            "endfor",
            "else",
            "set y = ",
            "'",
            "\"",
            "~",
            "+",
            "/ 0",
            "==",
            ",",
            "{'k': 1}",
            "1.5",
            "macro m(p)",
            "endmacro",
            "raw",
            "endraw",
            "loop.index",
            "\n",
            "\\",
            "é",
            "\u{1f600}",
            "range(9)",
            "combine",
            "regex_replace('(', '')",
            "to_nice_yaml",
            "from_json",
            "*",
            "[1:]",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

fn variables() -> Json {
    json!({"a": {"b": {"c": "x"}, "t": "{{ n }}"}, "n": "{{ m }}", "m": [1, "é"], "self": "{{ self }}"})
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_a_template_panic(text in pieces()) {
        let scope = scope(variables());
        if let Ok(template) = Template::parse(&text, None) {
            let _ = template.evaluate(&scope);
            let _ = template.is_true(&scope);
        }
        if let Ok(expression) = Template::expression(&text, None) {
            let _ = expression.evaluate(&scope);
        }
        let _ = check_file("file", &text, &Syntax::default());
        let _ = render_file("file", &text, &Syntax::default(), &scope);
    }

    #[test]
    fn a_text_as_data_comes_through_unharmed(text in any::<String>()) {
        let Json::Object(map) = json!({"v": text}) else { unreachable!() };
        let scope = Scope::new(vec![Layer::raw(map)]);
        let template = Template::parse("{{ v }}", None).unwrap();
        prop_assert_eq!(template.evaluate(&scope).unwrap(), json!(text.clone()));
        let template = Template::parse("<{{ v }}>", None).unwrap();
        prop_assert_eq!(template.render(&scope).unwrap(), format!("<{text}>"));
        for filter in ["to_json | from_json", "b64encode | b64decode"] {
            let template = Template::parse(&format!("{{{{ v | {filter} }}}}"), None).unwrap();
            prop_assert_eq!(template.evaluate(&scope).unwrap(), json!(text.clone()), "{}", filter);
        }
    }

    #[test]
    fn what_is_written_as_yaml_is_read_as_the_same(text in any::<String>(), key in "[^\u{0}-\u{1f}\u{2028}\u{2029}]{1,8}") {
        // Ends of lines in Ansible's YAML 1.1, which folds them; plain characters for a reader of 1.2.
        let text = text.replace(['\u{2028}', '\u{2029}'], "");
        let data = json!({key: [text.clone(), {"deeper": text}, []]});
        let Json::Object(map) = json!({"v": data.clone()}) else { unreachable!() };
        let scope = Scope::new(vec![Layer::raw(map)]);
        let template = Template::parse("{{ v | to_nice_json }}", None).unwrap();
        let read: Json = serde_json::from_str(&template.render(&scope).unwrap()).unwrap();
        prop_assert_eq!(&read, &data);
        for filter in ["to_yaml", "to_nice_yaml"] {
            let template = Template::parse(&format!("{{{{ v | {filter} }}}}"), None).unwrap();
            let written = template.render(&scope).unwrap();
            let source = Source::new("written", written.clone());
            let read = crate::yaml::parse(&source).map_err(|error| TestCaseError::fail(format!("{error}\n{written}")))?;
            prop_assert_eq!(read.to_json(), data.clone(), "{}", written);
        }
    }

    #[test]
    fn the_strongest_layer_wins(values in prop::collection::vec(prop::option::of(0..100_i64), 1..6)) {
        let layers = values.iter().map(|value| {
            Layer::raw(value.map(|value| ("v".to_owned(), value.into())).into_iter().collect::<serde_json::Map<_, _>>())
        });
        let scope = Scope::new(layers.collect());
        let expected = values.iter().rev().find_map(|value| *value);
        prop_assert_eq!(scope.variable("v").unwrap(), expected.map(Json::from));
    }
}

#[test]
fn a_broken_variable_hurts_only_those_who_use_it() {
    let scope = scope(json!({"good": 1, "bad": "{{ 1 / 0 }}", "open": "{{ x"}));
    assert_eq!(scope.variable("good"), Ok(Some(json!(1))));
    let template = Template::parse("{{ good }}{% if false %}{{ bad }}{% endif %}", None).unwrap();
    assert_eq!(template.render(&scope), Ok("1".to_owned()));
    assert!(scope.variable("bad").is_err());
    assert!(scope.variable("open").is_err());
    assert_eq!(scope.variable("gone"), Ok(None));
}

#[test]
fn a_variable_is_resolved_against_the_scope_that_uses_it() {
    let below = scope(json!({"path": "{{ dir }}/x", "dir": "/a"}));
    let Json::Object(over) = json!({"dir": "/b"}) else {
        unreachable!()
    };
    let above = below.with(Layer::raw(over));
    assert_eq!(below.variable("path"), Ok(Some(json!("/a/x"))));
    assert_eq!(above.variable("path"), Ok(Some(json!("/b/x"))));
}
