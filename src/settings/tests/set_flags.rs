//! How flags are split and typed.

use serde_json::{Value, json};

use super::*;
use crate::settings::set::{self, Segment};

/// Keys and values of a `--set`, values as they would be without a setting that says what it takes.
fn parsed(text: &str) -> Vec<(String, Value)> {
    flags(&SetFlag::set(text))
}

fn flags(flag: &SetFlag) -> Vec<(String, Value)> {
    let assignments =
        set::parse(flag).unwrap_or_else(|found| panic!("{}", render_all(&found, Colour::Never)));
    assignments
        .into_iter()
        .map(|assignment| {
            assert_eq!(assignment.fault, None);
            let steps: Vec<String> = assignment
                .path
                .iter()
                .map(|segment| match segment {
                    Segment::Key(word) => word.clone(),
                    Segment::Index(index) => format!("[{index}]"),
                })
                .collect();
            (steps.join("/"), assignment.value.to_json())
        })
        .collect()
}

fn one(text: &str) -> Value {
    let mut all = parsed(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).1
}

#[test]
fn commas_split_outside_quotes_brackets_and_braces() {
    assert_eq!(
        parsed(r#"a.b=1,c="x,y",d=[1,2],e={"f":[3,"},"]},g=h"#),
        [
            ("a/b".to_owned(), json!(1)),
            ("c".to_owned(), json!("x,y")),
            ("d".to_owned(), json!([1, 2])),
            ("e".to_owned(), json!({"f": [3, "},"]})),
            ("g".to_owned(), json!("h")),
        ]
    );
    assert_eq!(one("a='x,y'"), "x,y");
    assert_eq!(one("a=node{1,2}[3,4]"), "node{1,2}[3,4]");
    assert_eq!(
        parsed("a=pa[ss,b=c"),
        [
            ("a".to_owned(), json!("pa[ss")),
            ("b".to_owned(), json!("c"))
        ]
    );
    assert_eq!(
        parsed("a=it's,b=that's"),
        [
            ("a".to_owned(), json!("it's")),
            ("b".to_owned(), json!("that's"))
        ]
    );
}

#[test]
fn backslashes() {
    assert_eq!(one(r"a=x\,y"), "x,y");
    assert_eq!(
        parsed(r"a=x\\,b=y"),
        [("a".to_owned(), json!(r"x\")), ("b".to_owned(), json!("y"))]
    );
    assert_eq!(one(r"a=DOMAIN\user"), r"DOMAIN\user");
    assert_eq!(one(r"a=\\server\share"), r"\\server\share");
    assert_eq!(one(r#"a=\"quoted\""#), r#""quoted\""#);
    assert_eq!(one(r"a=\[x"), "[x");
    assert_eq!(one(r#"a="x\"y\\z\n""#), r#"x"y\z\n"#);
    assert_eq!(parsed(r"a\.b.c=1")[0].0, "a.b/c");
    assert_eq!(one("a=b=c"), "b=c");
}

#[test]
fn indexes() {
    assert_eq!(parsed("a[0].b=x")[0].0, "a/[0]/b");
    assert_eq!(parsed("a[0][12]=x")[0].0, "a/[0]/[12]");
}

#[test]
fn json_values_keep_their_digits() {
    assert_eq!(
        one(r#"k={"x":1,"y":1.10,"z":[true,null,"24.0.7","no"],"w":{}}"#),
        json!({"x": 1, "y": "1.10", "z": [true, null, "24.0.7", "no"], "w": {}})
    );
    assert_eq!(
        one(r#"k={"emoji":"\ud83d\ude00","a":"\/"}"#),
        json!({"emoji": "\u{1f600}", "a": "/"})
    );
}

#[test]
fn values_are_typed_only_where_that_loses_nothing() {
    assert_eq!(one("a=24.0.7"), "24.0.7");
    assert_eq!(one("a=1.30"), "1.30");
    assert_eq!(one("a=v2.20.3"), "v2.20.3");
    assert_eq!(one("a=0644"), "0644");
    assert_eq!(one("a=1e3"), "1e3");
    assert_eq!(one("a=8"), 8);
    assert_eq!(one("a=true"), true);
    assert_eq!(one("a="), Value::Null);
    assert_eq!(one("a=\"8\""), "8");
}

#[test]
fn where_a_text_is_expected_it_stays_what_was_typed() {
    let password = |text: &str| {
        let settings = sets(&[&format!("image_registry.auth.password={text}")]);
        settings.image_registry.password.unwrap().expose().clone()
    };
    for typed in [
        "123456",
        "0123456",
        "1.30",
        "no",
        "null",
        "~",
        "1e5",
        "0644",
        "{a}",
        "[1,2]",
        r#"{"a":1}"#,
        "a b",
        " padded ",
        "p@ss:w/rd#",
        "{x,y}",
    ] {
        assert_eq!(password(typed), typed, "{typed}");
    }
    assert_eq!(
        sets(&["image_registry.auth.username=123"])
            .image_registry
            .username,
        "123"
    );
    assert_eq!(
        sets(&["image_registry.auth.password="])
            .image_registry
            .password,
        None
    );
    assert_eq!(
        sets(&["image_registry.ha_vip="]).image_registry.ha_vip,
        None
    );
}

#[test]
fn set_string_is_always_a_text() {
    assert_eq!(
        flags(&SetFlag::string("a=8,b=true,c=[1,2]")),
        [
            ("a".to_owned(), json!("8")),
            ("b".to_owned(), json!("true")),
            ("c".to_owned(), json!("[1,2]")),
        ]
    );
    let flags = [SetFlag::string("image_registry.harbor.x=8")];
    let settings = load(&SettingsInput {
        sets: &flags,
        ..SettingsInput::default()
    });
    assert_eq!(settings.tree["image_registry"]["harbor"]["x"], "8");
}

#[test]
fn set_file_reads_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "with, comma\n").unwrap();
    let flags = [SetFlag::file(format!(
        "image_registry.auth.password={}",
        path.display()
    ))];
    let settings = load(&SettingsInput {
        sets: &flags,
        ..SettingsInput::default()
    });
    assert_eq!(
        settings.image_registry.password.unwrap().expose(),
        "with, comma"
    );
}

#[test]
fn a_json_value_may_hold_several_settings() {
    let settings = sets(&[
        r#"image_registry={"type":"docker-registry","auth":{"password":123456},"https_port":5000}"#,
    ]);
    assert_eq!(settings.image_registry.kind, RegistryKind::DockerRegistry);
    assert_eq!(settings.image_registry.password.unwrap().expose(), "123456");
    assert_eq!(settings.image_registry.https_port, 5000);
}

#[test]
fn the_last_of_the_same_key_wins() {
    let settings = sets(&["docker_version=24.0.7", "docker_version=26.1.5"]);
    assert_eq!(settings.versions.docker, "26.1.5");
}
