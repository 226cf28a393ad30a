//! What a template asks of the world outside.

use super::*;

struct Answers;

impl Outside for Answers {
    fn lookup(
        &self,
        name: &str,
        terms: &[Json],
        options: &serde_json::Map<String, Json>,
        scope: &Scope,
    ) -> Result<Vec<Json>, String> {
        match name {
            "list" => Ok(terms.to_vec()),
            "ini" => Ok(vec![Json::Object(options.clone())]),
            "vars" => Ok(terms
                .iter()
                .filter_map(|term| scope.variable(term.as_str()?).ok()?)
                .collect()),
            _ => Err("no such thing".to_owned()),
        }
    }

    fn template(&self, _: &str) -> Result<Option<(String, String)>, String> {
        Ok(None)
    }
}

#[test]
fn lookups_join_texts_and_queries_do_not() {
    let scope = scope(json!({"a": "{{ b }}", "b": 5})).with_outside(std::sync::Arc::new(Answers));
    let ask = |text: &str| {
        let template = Template::expression(text, None).unwrap();
        template.evaluate(&scope).map_err(|error| error.message)
    };
    assert_eq!(ask("lookup('list', 'x', 'y')"), Ok(json!("x,y")));
    assert_eq!(
        ask("lookup('ansible.builtin.list', 'x', wantlist=True)"),
        Ok(json!(["x"]))
    );
    assert_eq!(ask("query('list', 'x', 'y')"), Ok(json!(["x", "y"])));
    assert_eq!(ask("lookup('list', [1, 2])"), Ok(json!([1, 2])));
    assert_eq!(ask("lookup('vars', 'a')"), Ok(json!(5)));
    assert_eq!(ask("lookup('ini', k=1)"), Ok(json!({"k": 1})));
    assert_eq!(ask("lookup('file', errors='ignore')"), Ok(Json::Null));
    assert_eq!(ask("q('file', errors='ignore')"), Ok(json!([])));
    assert!(
        ask("lookup('file')")
            .unwrap_err()
            .contains("lookup `file`: no such thing")
    );
}

#[test]
fn a_lookup_that_is_not_there_is_found_before_anything_is_asked() {
    let said = |text: &str| {
        let found = Template::parse(text, None).unwrap_err();
        format!("{}; {}", found.message, found.hint.unwrap_or_default())
    };
    assert_eq!(
        said("{{ lookup('flie', 'a') }}"),
        "unknown lookup `flie` (in `lookup('flie', 'a')`); did you mean `file`?"
    );
    assert!(said("{{ q(\"ansible.builtin.config\") }}").contains("`ansible.cfg`"));
    for fine in [
        "{{ lookup('ansible.builtin.file', 'a') }}",
        "{{ lookup(name) }}",
        "{{ lookup('fi' ~ 'le') }}",
        "{{ query('community.general.flattened', a) }}",
    ] {
        assert!(Template::parse(fine, None).is_ok(), "{fine}");
    }
}

#[test]
fn data_in_the_markup_of_a_condition_never_ask() {
    for data in [
        "' == '' or lookup('list', 'x')",
        "' or query ('list', 'x') or '",
        "' or q\n('list', 'x') or '",
    ] {
        let scope = scope(json!({ "data": data })).with_outside(std::sync::Arc::new(Answers));
        let condition = Template::expression("lookup('list', 'x') == '{{ data }}'", None).unwrap();
        assert!(condition.is_true(&scope).is_err(), "{data}");
        let condition = Template::expression("'{{ data }}' == 'a'", None).unwrap();
        let error = condition.is_true(&scope).unwrap_err();
        assert!(
            error.message.contains("cannot be called") || error.message.contains("expected"),
            "{data}: {}",
            error.message
        );
    }
    let scope = scope(json!({"data": "a"})).with_outside(std::sync::Arc::new(Answers));
    let condition = Template::expression("'{{ data }}' == 'a'", None).unwrap();
    assert!(condition.is_true(&scope).unwrap());
}
