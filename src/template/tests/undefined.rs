//! What is not there: an error, unless the template asks.

use super::*;

fn error(text: &str, variables: Json) -> String {
    value(text, variables).unwrap_err()
}

#[test]
fn undefined_is_an_error_unless_it_is_asked_for() {
    assert_eq!(error("{{ a }}", json!({})), "'a' is undefined");
    assert_eq!(
        error("x{{ a.b }}", json!({"a": {}})),
        "'dict object' has no attribute 'b'"
    );
    for (text, expected) in [
        ("{{ a | default('x') }}", json!("x")),
        ("{{ a.b | default('x') }}", json!("x")),
        ("{{ a.b.c.d | d('x') }}", json!("x")),
        ("{{ (a.b.c) | default('x') }}", json!("x")),
        ("{{ a['b'].c | default('x') }}", json!("x")),
        ("{{ a.b[a.c | default('d')].e | default('x') }}", json!("x")),
        ("{{ a.b.c is defined }}", json!(false)),
        ("{{ a.b.c is not defined }}", json!(true)),
        ("{{ a.b.c is undefined }}", json!(true)),
        ("{{ a is defined and a == 1 }}", json!(false)),
        ("{{ '' | default('x', true) }}", json!("x")),
        ("{{ '' | default('x', boolean=true) }}", json!("x")),
        ("{{ a | default }}", json!("")),
        (
            "{{ [{'a': 1}, {}] | selectattr('a', 'defined') | list }}",
            json!([{"a": 1}]),
        ),
        (
            "{{ [{'a': 1}, {}] | map(attribute='a', default=0) | list }}",
            json!([1, 0]),
        ),
    ] {
        assert_eq!(value(text, json!({})), Ok(expected), "{text}");
    }
}

#[test]
fn a_question_about_one_thing_does_not_excuse_another() {
    let variables = || json!({"x": {"y": {}}});
    for (text, expected) in [
        ("{{ gone ~ (x.a | default('')) }}", "'gone' is undefined"),
        ("{{ gone == 1 and x.a is defined }}", "'gone' is undefined"),
        (
            "{% if gone %}a{% endif %}{{ x.a | default('') }}",
            "'gone' is undefined",
        ),
        ("{{ (a.b | default('')) ~ a.c.d }}", "'a' is undefined"),
        (
            "{{ x.z.q | default(1) }}{% if x.z %}{% endif %}",
            "'dict object' has no attribute 'z'",
        ),
    ] {
        assert_eq!(error(text, variables()), expected, "{text}");
    }
}

#[test]
fn what_is_missing_in_something_that_is_there_is_an_error_too() {
    let variables = || json!({"result": {"rc": 0}, "list": [1]});
    for text in [
        "{{ result.stderr == '' }}",
        "{{ result.stderr }}",
        "{{ not result.stderr }}",
        "{{ 'yes' if result.stderr else 'no' }}",
        "{{ result['stderr'] == '' }}",
        "{{ 'a' in result.stderr }}",
        "{{ result.stderr | upper }}",
        "{{ result.stderr.lines }}",
        "{{ [result.stderr] }}",
        "{{ list[3] + 1 }}",
        "{% for line in result.stderr %}{{ line }}{% endfor %}",
    ] {
        let message = error(text, variables());
        assert!(message.contains("has no "), "{text}: {message}");
    }
    // An `if` without `else` gives nothing.
    assert_eq!(value("{{ 'x' if result.rc }}", variables()), Ok(json!("")));
    // What is not used may be undefined.
    assert_eq!(
        value("{{ result.rc | default(gone) }}", variables()),
        Ok(json!("0"))
    );
    assert_eq!(
        value("{{ true | ternary(1, gone) }}", variables()),
        Ok(json!("1"))
    );
    assert_eq!(value("{{ 'rc' in result }}", variables()), Ok(json!(true)));
    assert_eq!(value("{{ 'rx' in result }}", variables()), Ok(json!(false)));
    assert_eq!(
        value(
            "{{ 'rx' in result or result['a'].b is defined }}",
            variables()
        ),
        Ok(json!(false))
    );
    assert_eq!(
        value("{{ result.get('rx', 7) }}", variables()),
        Ok(json!("7"))
    );
    assert_eq!(
        value("{{ result == {'rc': 0} }}", variables()),
        Ok(json!(true))
    );
}

#[test]
fn a_variable_that_is_undefined_in_itself_says_why_and_can_be_replaced() {
    let variables = || json!({"a": "{{ b }}/x", "b": "{{ gone.deeper }}"});
    assert_eq!(
        error("{{ a }}", variables()),
        "in the variable `b`: 'gone' is undefined"
    );
    assert_eq!(value("{{ a | default('x') }}", variables()), Ok(json!("x")));
    let broken = json!({"a": "{{ 1 / 0 }}"});
    let message = error("{{ a | default('x') }}", broken);
    assert!(message.starts_with("in the variable `a`: "), "{message}");
}

struct OneHost(Scope);

impl Hosts for OneHost {
    fn scope(&self, name: &str) -> Option<Scope> {
        (name == "node1").then(|| self.0.clone())
    }

    fn names(&self) -> Vec<String> {
        vec!["node1".to_owned()]
    }
}

#[test]
fn other_hosts_are_asked_in_the_same_way() {
    let host = scope(json!({"a": {"b": "{{ c }}"}, "c": 3}));
    let scope = Scope::with_hosts(
        vec![Layer::raw(serde_json::Map::new())],
        std::sync::Arc::new(OneHost(host)),
    );
    let value = |text: &str| {
        let template = Template::parse(text, None).unwrap();
        template.evaluate(&scope).map_err(|error| error.message)
    };
    assert_eq!(value("{{ hostvars['node1'].a.b }}"), Ok(json!("3")));
    assert_eq!(value("{{ hostvars.node1.c }}"), Ok(json!("3")));
    assert_eq!(value("{{ hostvars | list }}"), Ok(json!(["node1"])));
    assert_eq!(
        value("{{ hostvars['node1'].x.y | default('-') }}"),
        Ok(json!("-"))
    );
    assert_eq!(
        value("{{ hostvars.node2.x | default('-') }}"),
        Ok(json!("-"))
    );
    assert_eq!(
        value("{{ hostvars['node2'].x | default('-') }}"),
        Ok(json!("-"))
    );
    assert_eq!(value("{{ 'node2' in hostvars }}"), Ok(json!(false)));
    assert!(value("{{ hostvars['node2'].x }}").is_err());
}

#[test]
fn an_error_in_a_file_names_its_line() {
    let text = "one: {{ a }}\n{% if b.c %}\ntwo\n{% endif %}\n";
    let scope = scope(json!({"a": 1, "b": {}}));
    let error = render_file("f.j2", text, &Syntax::default(), &scope).unwrap_err();
    insta::assert_snapshot!(render(&error, Colour::Never), @r"
    error: 'dict object' has no attribute 'c'
     --> f.j2:2:7
      |
    2 | {% if b.c %}
      |       ^^^
    ");
}
