//! Words and numbers for people: times, sizes, wrapping, and taking the sting out of what a host said.

use std::time::Duration;

/// Time since the start of the run: `00:12.3`, `1:02:03.4`.
pub fn elapsed(at: Duration) -> String {
    let tenths = at.as_millis() / 100;
    let (seconds, tenth) = (tenths / 10, tenths % 10);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 {
        format!("{minutes:02}:{seconds:02}.{tenth}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}.{tenth}")
    }
}

/// How long something took or will take: `0.3 s`, `12 s`, `2 min 5 s`, `1 h 2 min`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 10 {
        return format!("{:.1} s", time.as_secs_f64());
    }
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// A number of bytes: `0 B`, `4.0 KiB`, `66.1 MiB`.
pub fn bytes(count: u64) -> String {
    let (number, unit) = scaled(count);
    if unit == "B" {
        format!("{count} B")
    } else {
        format!("{number:.1} {unit}")
    }
}

/// Two numbers of bytes in the unit of the second: `12.0/66.1 MiB`.
pub fn bytes_of(done: u64, total: u64) -> String {
    let (number, unit) = scaled(total);
    if unit == "B" {
        return format!("{done}/{total} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let part = if total == 0 {
        0.0
    } else {
        done as f64 / total as f64 * number
    };
    format!("{part:.1}/{number:.1} {unit}")
}

fn scaled(count: u64) -> (f64, &'static str) {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let mut number = count as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if number < 1024.0 {
            break;
        }
        number /= 1024.0;
        unit = next;
    }
    (number, unit)
}

/// Hundredths, rounded down, so that 100 % means all.
pub fn percent(done: u64, total: u64) -> u64 {
    if total == 0 {
        return 100;
    }
    let percent = u128::from(done.min(total)) * 100 / u128::from(total);
    u64::try_from(percent).unwrap_or(100)
}

/// `1 host`, `2 hosts`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}

/// Names with commas, the first few and how many more.
pub fn names<'a>(names: impl IntoIterator<Item = &'a str>, most: usize) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown: Vec<&str> = names.iter().copied().take(most).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// One line of text without anything that a terminal would act on: escape sequences, carriage returns, bells and
/// direction marks from a host's output become visible.
pub fn tame(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '\t' => text.push_str("    "),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                text.extend(character.escape_unicode());
            }
            other if other.is_control() => text.extend(other.escape_default()),
            other => text.push(other),
        }
    }
    text
}

/// The lines of a text that a host or a user wrote, each tamed; a carriage return before a line's end is dropped.
pub fn tame_lines(text: &str) -> impl Iterator<Item = String> + '_ {
    text.trim_end()
        .split('\n')
        .map(|line| tame(line.strip_suffix('\r').unwrap_or(line)))
}

/// A text on one line, shortened at the end to at most `width` characters.
pub fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    match width {
        0 => String::new(),
        1..=3 => ".".repeat(width),
        _ => {
            let kept: String = text.chars().take(width - 3).collect();
            format!("{}...", kept.trim_end())
        }
    }
}

/// A text in lines of at most `width` characters, broken between words, and inside a word only when it is longer than
/// a line. At least one line.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    wrap_at(text, width, width)
}

/// The same, but a word is never broken (it may be a command or a path that someone wants to copy): a line with a long
/// word is as long as that word.
pub fn wrap_words(text: &str, width: usize) -> Vec<String> {
    wrap_at(text, width, usize::MAX)
}

fn wrap_at(text: &str, width: usize, longest_word: usize) -> Vec<String> {
    let width = width.max(1);
    let longest_word = longest_word.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        let mut length = 0;
        for word in paragraph.split_whitespace() {
            let mut word = word.to_owned();
            let mut size = word.chars().count();
            if length > 0 && length + 1 + size > width {
                lines.push(std::mem::take(&mut line));
                length = 0;
            }
            while size > longest_word {
                let rest = word.split_off(
                    word.char_indices()
                        .nth(longest_word)
                        .map_or(word.len(), |(index, _)| index),
                );
                lines.push(std::mem::replace(&mut word, rest));
                size -= longest_word;
            }
            if length > 0 {
                line.push(' ');
                length += 1;
            }
            line.push_str(&word);
            length += size;
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        assert_eq!(elapsed(Duration::from_millis(12_345)), "00:12.3");
        assert_eq!(elapsed(Duration::from_secs(3723)), "1:02:03.0");
        assert_eq!(duration(Duration::from_millis(340)), "0.3 s");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!(duration(Duration::from_secs(3725)), "1 h 2 min");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes_of(12 << 20, 66 << 20), "12.0/66.0 MiB");
        assert_eq!(percent(999, 1000), 99);
        assert_eq!(percent(0, 0), 100);
    }

    #[test]
    fn what_a_host_says_cannot_drive_the_terminal() {
        assert_eq!(
            tame("a\x1b[2Jb\x07\u{202e}c\td"),
            "a\\u{1b}[2Jb\\u{7}\\u{202e}c    d"
        );
        let lines: Vec<String> = tame_lines("one\r\ntwo\rthree\n\n").collect();
        assert_eq!(lines, ["one", "two\\rthree"]);
    }

    #[test]
    fn wrapping_keeps_words_and_breaks_long_ones() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a abcdefgh b", 3), ["a", "abc", "def", "gh", "b"]);
        assert_eq!(wrap_words("a abcdefgh b", 3), ["a", "abcdefgh", "b"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(shorten("abcdefgh", 6), "abc...");
        assert_eq!(names(["a", "b", "c"], 2), "a, b and 1 more");
    }

    proptest::proptest! {
        #[test]
        fn wrapped_lines_fit_and_lose_nothing(text in "[a-z\u{e4} ]{0,60}", width in 1usize..20) {
            let lines = wrap(&text, width);
            proptest::prop_assert!(lines.iter().all(|line| line.chars().count() <= width));
            let squeeze = |text: &str| text.split_whitespace().collect::<String>();
            proptest::prop_assert_eq!(squeeze(&lines.concat()), squeeze(&text));
        }
    }
}
