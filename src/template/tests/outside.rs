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
            "echo" => Ok(terms.to_vec()),
            "options" => Ok(vec![Json::Object(options.clone())]),
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
    assert_eq!(ask("lookup('echo', 'x', 'y')"), Ok(json!("x,y")));
    assert_eq!(
        ask("lookup('ansible.builtin.echo', 'x', wantlist=True)"),
        Ok(json!(["x"]))
    );
    assert_eq!(ask("query('echo', 'x', 'y')"), Ok(json!(["x", "y"])));
    assert_eq!(ask("lookup('echo', [1, 2])"), Ok(json!([1, 2])));
    assert_eq!(ask("lookup('vars', 'a')"), Ok(json!(5)));
    assert_eq!(ask("lookup('options', k=1)"), Ok(json!({"k": 1})));
    assert_eq!(ask("lookup('other', errors='ignore')"), Ok(Json::Null));
    assert_eq!(ask("q('other', errors='ignore')"), Ok(json!([])));
    assert!(
        ask("lookup('other')")
            .unwrap_err()
            .contains("lookup `other`: no such thing")
    );
}
