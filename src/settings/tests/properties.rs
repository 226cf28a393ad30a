//! Whatever is typed or written: no panic, and what was written comes back.

use proptest::prelude::*;

use super::*;
use crate::settings::set;

/// Characters that mean something to the parser, mixed with words that it knows.
fn flag_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("image_registry".to_owned()),
        Just("docker_version".to_owned()),
        Just("harbor".to_owned()),
        Just("storage.s3".to_owned()),
        Just("artifact.artifact_url.harbor.amd64".to_owned()),
        Just("24.0.7".to_owned()),
        "[=,.\\[\\]{}\"'\\\\ :/0-9a-z\u{e4}\n]{1,3}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Escapes a text so that `--set` gives it back.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

const SOUND_CONFIG: &str = "apiVersion: kubekey.kubesphere.io/v1
kind: Config
spec:
  image_registry:
    type: docker-registry
    auth: {registry: \"registry.example.org:5000/team\", password: 123456, plain_http: false}
    ha_vip: 10.0.0.100
    docker_registry: {storage: {s3: {region: cn-north-1, bucket: b, chunksize: 5242880}}}
    harbor: {data_dir: /data, extra: [1, {a: b}]}
  docker_version: 24.0.7
  cri: {docker_version: 24.0.7}
  artifact: {artifact_url: {harbor: {amd64: a.tgz}}}
";

proptest! {
    #[test]
    fn no_flag_makes_the_parser_panic(text in flag_text(), kind in 0..3) {
        let kind = [SetKind::Set, SetKind::String, SetKind::File][usize::try_from(kind).unwrap()];
        let flag = SetFlag { kind, text };
        if let Err(found) = set::parse(&flag) {
            prop_assert!(found.has_errors());
            for diagnostic in &found.0 {
                if let Some(place) = &diagnostic.place {
                    prop_assert!(place.span.start <= place.span.end);
                    prop_assert!(place.span.end <= place.source.text.len());
                }
            }
            render_all(&found, Colour::Never);
        }
    }

    #[test]
    fn no_flag_makes_the_settings_panic(text in flag_text()) {
        let flags = [SetFlag::set(text)];
        let input = SettingsInput { sets: &flags, ..SettingsInput::default() };
        if let Err(found) = Settings::load(&input) {
            prop_assert!(found.has_errors());
            render_all(&found, Colour::Never);
        }
    }

    #[test]
    fn any_bytes_make_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let _ = set::parse(&SetFlag::set(text.clone()));
        let config = Some(Source::new("config.yaml", text));
        if let Err(found) = Settings::load(&SettingsInput { config, ..SettingsInput::default() }) {
            render_all(&found, Colour::Never);
        }
    }

    #[test]
    fn a_quoted_value_comes_back(key in "[a-z_]{1,8}", value in any::<String>(), other in "[a-z]{1,4}") {
        let flag = SetFlag::set(format!("{key}={},b={other}", quoted(&value)));
        let assignments = set::parse(&flag).unwrap();
        prop_assert_eq!(assignments.len(), 2);
        prop_assert_eq!(&assignments[0].text, &value);
        prop_assert_eq!(assignments[0].value.to_json(), serde_json::Value::String(value));
        prop_assert_eq!(&assignments[1].text, &other);
    }

    #[test]
    fn a_json_value_comes_back(value in json()) {
        let flag = SetFlag::set(format!("a={value}"));
        let assignments = set::parse(&flag).unwrap();
        prop_assert_eq!(assignments.len(), 1);
        prop_assert_eq!(assignments[0].fault.clone(), None);
        prop_assert_eq!(assignments[0].value.to_json(), value);
    }

    #[test]
    fn a_password_stays_what_was_typed(password in "[^\\p{C}]{1,18}") {
        let flags = [SetFlag::set(format!("image_registry.auth.password={}", quoted(&password)))];
        let loaded = Settings::load(&SettingsInput { sets: &flags, ..SettingsInput::default() }).unwrap();
        let settings = loaded.settings;
        prop_assert_eq!(settings.image_registry.password.as_ref().unwrap().expose(), &password);
        prop_assert!(settings.secrets().iter().any(|secret| *secret.expose() == password));
    }

    #[test]
    fn a_sound_config_with_a_character_changed_makes_no_panic(
        at in 0..SOUND_CONFIG.len(),
        length in 0..20usize,
        with in "[-:\\[\\]{}#&*!|>'\"%@`\t\n a0\u{e4},]{0,4}",
    ) {
        let end = (at + length).min(SOUND_CONFIG.len());
        let text = format!("{}{with}{}", &SOUND_CONFIG[..at], &SOUND_CONFIG[end..]);
        let config = Some(Source::new("config.yaml", text));
        if let Err(found) = Settings::load(&SettingsInput { config, ..SettingsInput::default() }) {
            prop_assert!(found.has_errors());
            let shown = render_all(&found, Colour::Never);
            let is_masked = !shown.contains("password: 123456");
            prop_assert!(is_masked, "{}", shown);
        }
    }
}

#[test]
fn the_sound_config_is_sound() {
    load(&SettingsInput {
        config: Some(Source::new("config.yaml", SOUND_CONFIG)),
        ..SettingsInput::default()
    });
}

/// JSON lists and mappings of texts, whole numbers, booleans and nulls.
fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let tree = leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    });
    tree.prop_filter("only lists and mappings are JSON for a flag", |value| {
        value.is_array() || value.is_object()
    })
}
