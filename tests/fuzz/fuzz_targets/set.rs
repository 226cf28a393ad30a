//! `--set` and `--set-string`: read, and laid over the settings.
#![no_main]

use kk::diagnostic::{Colour, render_all};
use kk::settings::set::{self, SetFlag};
use kk::settings::{Settings, SettingsInput};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for flag in [SetFlag::set(text), SetFlag::string(text)] {
        if let Err(found) = set::parse(&flag) {
            assert!(found.has_errors());
            for diagnostic in &found.0 {
                if let Some(place) = &diagnostic.place {
                    assert!(place.span.start <= place.span.end);
                    assert!(place.span.end <= place.source.text.len());
                }
            }
            render_all(&found, Colour::Never);
        }
        let flags = [flag];
        let input = SettingsInput {
            sets: &flags,
            ..SettingsInput::default()
        };
        if let Err(found) = Settings::load(&input) {
            assert!(found.has_errors());
            render_all(&found, Colour::Never);
        }
    }
});
