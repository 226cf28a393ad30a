//! Templates and expressions: compiled, and evaluated where that works, with a few variables.
#![no_main]

use kk::diagnostic::{Colour, render};
use kk::template::{Layer, Scope, Template};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    let serde_json::Value::Object(variables) = json!({
        "a": {"b": "{{ c }}"}, "c": "x", "d": [1, 2.5, null, true], "groups": {"all": ["node1", "node2"]},
    }) else {
        return;
    };
    let scope = Scope::new(vec![Layer::templated(variables)]);
    for read in [Template::parse, Template::expression] {
        match read(text, None) {
            Ok(template) => {
                if let Err(diagnostic) = template.evaluate(&scope) {
                    render(&diagnostic, Colour::Never);
                }
            }
            Err(diagnostic) => {
                render(&diagnostic, Colour::Never);
            }
        }
    }
});
