//! What is sent to a login shell so that a POSIX script arrives whole, whatever that shell is.
//!
//! The login shell only has to know `exec`, words and single quotes. Everything in those quotes that csh or fish would
//! read differently (`!`, a newline, a backslash) goes as `\0ooo` or `\n` and is decoded by the `sh` that is started. That `sh`
//! first says a marker and its process number on both outputs: what came before was said by the login shell's start
//! files, and where there is no marker the command did not start.

use bytes::Bytes;

/// The longest single argument that Linux takes, with its terminating zero.
const LONGEST_ARGUMENT: usize = 128 * 1024;

/// The longest word that is given to a login shell in one piece, in bytes: csh takes no very long ones.
const LONGEST_WORD: usize = 1024;

/// The most bytes of start-file noise that are kept to be shown.
const NOISE_KEPT: usize = 4 * 1024;

/// A marker that nobody can guess, so that nothing a start file prints is mistaken for it.
pub(super) fn new_marker() -> String {
    format!("kk{:032x}", rand::random::<u128>())
}

/// The text for the login shell that runs `script` by `sh` in the C locale, after the marker. `name` becomes `$0`: one
/// plain word.
pub(super) fn login_shell_text(name: &str, script: &str, marker: &str) -> Result<String, String> {
    if script.contains('\0') {
        return Err("the command holds a zero byte".to_owned());
    }
    // Without its marker the command must not run: then it is certain that it did not.
    let prologue = format!(
        "printf {marker}:%s: $$&&printf {marker}:%s: $$ >&2||exit 127;LC_ALL=C;export LC_ALL;"
    );
    let text = any_shell_text(name, &prologue, script);
    if text.len() >= LONGEST_ARGUMENT {
        return Err(format!(
            "the command is {} bytes long and a host takes at most {LONGEST_ARGUMENT}: send data over standard input",
            text.len()
        ));
    }
    Ok(text)
}

/// The text for any login shell that runs `script` by `sh`, after a plain `prologue`. `name` becomes `$0`.
pub(super) fn any_shell_text(name: &str, prologue: &str, script: &str) -> String {
    if script.len() <= LONGEST_WORD && script.bytes().all(is_plain) {
        format!(
            "exec sh -c '{prologue}{}' {name}",
            script.replace('\'', r"'\''")
        )
    } else {
        // `printf` uses its format for each of its arguments.
        format!(
            "exec sh -c '{prologue}eval \"set --;$(printf %b \"$@\")\"' {name} {}",
            encode(script)
        )
    }
}

/// A text as one line for `printf %b`.
pub(crate) fn one_line(text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    let mut line = String::with_capacity(text.len() + text.len() / 4);
    for &byte in text {
        if byte == b' ' || byte.is_ascii_graphic() && byte != b'\\' {
            line.push(char::from(byte));
        } else {
            push_escaped(&mut line, byte);
        }
    }
    line
}

/// Adds a byte as `printf %b` reads it. No shell takes `\n` or `\0` for something else between single quotes.
fn push_escaped(text: &mut String, byte: u8) {
    if byte == b'\n' {
        text.push_str(r"\n");
    } else {
        let digit = |shift: u8| char::from(b'0' + (byte >> shift & 7));
        text.extend(['\\', '0', digit(6), digit(3), digit(0)]);
    }
}

/// Whether a byte means the same between single quotes in every shell. The quote itself does, as `'\''`.
fn is_plain(byte: u8) -> bool {
    (byte == b' ' || byte.is_ascii_graphic()) && byte != b'!' && byte != b'\\'
}

/// For `printf %b`: every byte that some shell reads differently as `\0ooo`, in quoted words that are not too long.
fn encode(script: &str) -> String {
    let mut encoded = String::with_capacity(script.len() + script.len() / 4);
    let mut word_start = 0;
    encoded.push('\'');
    let mut rest = script;
    while let Some(next) = rest.chars().next() {
        if encoded.len() - word_start > LONGEST_WORD {
            encoded.push_str("' '");
            word_start = encoded.len();
        }
        let room = (LONGEST_WORD + 1).saturating_sub(encoded.len() - word_start);
        let goes_as_it_is = |byte: u8| is_plain(byte) && byte != b'\'';
        let run = rest
            .bytes()
            .take(room)
            .take_while(|&byte| goes_as_it_is(byte));
        // What goes as it is takes a byte each.
        let (plain, other) = rest.split_at(run.count());
        encoded.push_str(plain);
        rest = other;
        if plain.is_empty() {
            for &byte in next.encode_utf8(&mut [0; 4]).as_bytes() {
                push_escaped(&mut encoded, byte);
            }
            rest = other.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    encoded.push('\'');
    encoded
}

/// Cuts off everything up to and including the marker from one output stream.
#[derive(Debug)]
pub(super) struct AfterMarker {
    marker: Bytes,
    /// What came so far that may still belong to the marker; `None` once it is found.
    before: Option<Vec<u8>>,
    noise: Vec<u8>,
    process: Option<u32>,
}

impl AfterMarker {
    /// Waits for this marker.
    pub(super) fn new(marker: &str) -> Self {
        Self {
            marker: format!("{marker}:").into(),
            before: Some(Vec::new()),
            noise: Vec::new(),
            process: None,
        }
    }

    /// Whether the marker was seen.
    pub(super) fn seen(&self) -> bool {
        self.before.is_none()
    }

    /// The number of the process that runs the command, which leads the process group of the command.
    pub(super) fn process(&self) -> Option<u32> {
        self.process
    }

    /// Takes what arrived and appends what the command said of it to `output`.
    pub(super) fn take(&mut self, data: &[u8], output: &mut Vec<u8>) {
        let Some(mut before) = self.before.take() else {
            output.extend_from_slice(data);
            return;
        };
        before.extend_from_slice(data);
        let length = self.marker.len();
        let found = memchr::memmem::find(&before, &self.marker);
        // Without the marker only its possible beginning must be kept.
        let settled = found.unwrap_or_else(|| before.len().saturating_sub(length));
        let room = NOISE_KEPT.saturating_sub(self.noise.len()).min(settled);
        self.noise
            .extend_from_slice(before.get(..room).unwrap_or_default());
        before.drain(..settled);
        // Now the marker is at the start, if it was found, and the number follows.
        let number_end = found.and_then(|_| {
            let rest = before.get(length..)?;
            rest.iter().position(|&byte| byte == b':')
        });
        if let Some(end) = number_end {
            let digits = before.get(length..length + end).unwrap_or_default();
            self.process = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| digits.parse().ok());
            output.extend_from_slice(before.get(length + end + 1..).unwrap_or_default());
        } else {
            self.before = Some(before);
        }
    }

    /// What was said before the marker, or everything if it never came (at most a few KiB).
    pub(super) fn noise(&self) -> String {
        let mut noise = self.noise.clone();
        noise.extend_from_slice(self.before.as_deref().unwrap_or_default());
        String::from_utf8_lossy(&noise).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(shell: &[&str], text: &str) -> std::process::Output {
        let (program, arguments) = shell.split_first().unwrap();
        std::process::Command::new(program)
            .args(arguments)
            .arg("-c")
            .arg(text)
            .output()
            .unwrap()
    }

    /// The shells of this machine that may be login shells; POSIX ones are always there.
    fn shells() -> Vec<Vec<&'static str>> {
        let all: [&[&str]; 9] = [
            &["sh"],
            &["bash"],
            &["csh"],
            &["tcsh"],
            &["fish"],
            &["zsh"],
            &["ksh"],
            &["mksh"],
            &["busybox", "sh"],
        ];
        let found: Vec<Vec<&str>> = all
            .iter()
            .filter(|shell| {
                std::env::split_paths(&std::env::var_os("PATH").unwrap())
                    .any(|folder| folder.join(shell[0]).exists())
            })
            .map(|shell| shell.to_vec())
            .collect();
        assert!(found.len() >= 2);
        found
    }

    #[test]
    fn every_login_shell_runs_the_same_script() {
        let marker = new_marker();
        let long = format!(
            "{}exit 3 # $1",
            "printf 'a\\n'\necho \"b!$1\"\n".repeat(1000)
        );
        let scripts = [
            long.as_str(),
            "printf 'one\\ntwo\\n'; echo \"hi!\" >&2; exit 3",
            "printf '%s' 'it'\\''s \\\\ $HOME `x` !! !1 \\!'; exit 3",
            "cat <<'EOF'\na b!\n\\\\\nEOF\nexit 3",
            "printf '\u{e4}\t%s' \"$LC_ALL\"\nexit 3\n\n",
            "true; exit 3",
        ];
        for script in scripts {
            let expected = std::process::Command::new("sh")
                .args(["-c", script])
                .env("LC_ALL", "C")
                .output()
                .unwrap();
            let text = login_shell_text("sh", script, &marker).unwrap();
            for shell in shells() {
                let output = run(&shell, &text);
                let mut stdout = Vec::new();
                let mut cut = AfterMarker::new(&marker);
                cut.take(&output.stdout, &mut stdout);
                assert!(cut.seen(), "{shell:?}: {script:.80}: {output:?}");
                assert_eq!(
                    String::from_utf8_lossy(&stdout),
                    String::from_utf8_lossy(&expected.stdout),
                    "{shell:?}: {script:.80}"
                );
                assert_eq!(output.status.code(), Some(3), "{shell:?}: {script:.80}");
            }
        }
    }

    #[test]
    fn any_script_arrives_whole() {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 24,
            ..ProptestConfig::default()
        });
        runner
            .run(&"[^\0]{0,30}", |word| {
                let script = format!("printf %s '{}'", word.replace('\'', r"'\''"));
                let text = login_shell_text("sh", &script, "m").unwrap();
                for shell in shells() {
                    let output = run(&shell, &text);
                    let mut said = Vec::new();
                    AfterMarker::new("m").take(&output.stdout, &mut said);
                    prop_assert_eq!(
                        String::from_utf8_lossy(&said).into_owned(),
                        word.clone(),
                        "{:?}",
                        shell
                    );
                }
                Ok(())
            })
            .unwrap();
    }

    #[test]
    fn the_marker_is_found_however_it_is_cut() {
        let stream = b"noise\nmore kk1kk12:4711:output kk12:1: again";
        for cut in 1..=stream.len() {
            let mut after = AfterMarker::new("kk12");
            let mut output = Vec::new();
            for piece in stream.chunks(cut) {
                after.take(piece, &mut output);
            }
            assert_eq!(output, b"output kk12:1: again", "cut {cut}");
            assert_eq!(after.process(), Some(4711), "cut {cut}");
            assert_eq!(after.noise(), "noise\nmore kk1");
        }
    }

    #[test]
    fn without_the_marker_everything_is_noise() {
        let mut after = AfterMarker::new("kk12");
        let mut output = Vec::new();
        after.take(b"This account is ", &mut output);
        after.take(b"currently not available.\n", &mut output);
        assert!(!after.seen());
        assert!(output.is_empty());
        assert_eq!(after.noise(), "This account is currently not available.");
    }

    #[test]
    fn what_no_host_would_take_is_refused_here() {
        assert!(login_shell_text("sh", &"a".repeat(200_000), "m").is_err());
        assert!(login_shell_text("sh", "a\0b", "m").is_err());
    }
}
