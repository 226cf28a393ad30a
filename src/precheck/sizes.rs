//! Amounts as people read them.

/// Bytes with a decimal unit: `82.1 MB`, `7.6 GB`.
pub(super) fn size(bytes: u64) -> String {
    for (unit, name) in [
        (1_000_000_000_000_u64, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
        (1_000, "kB"),
    ] {
        if bytes >= unit {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            return if tenths % 10 == 0 {
                format!("{} {name}", tenths / 10)
            } else {
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{bytes} bytes")
}

/// Gigabytes (10^9 bytes) as bytes; nothing below zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a negative or huge requirement saturates, which is what is meant"
)]
pub(super) fn gigabytes(count: f64) -> u64 {
    (count * 1e9) as u64
}

/// Names with commas, at most `most` of them.
pub(super) fn list<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    let mut text = shown.join(", ");
    if names.len() > most {
        text = format!("{text} and {} more", names.len() - most);
    }
    text
}

/// `1 host`, `2 hosts`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else if let Some(stem) = noun.strip_suffix('y') {
        format!("{number} {stem}ies")
    } else {
        format!("{number} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_with_units() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(82_140_000), "82.1 MB");
        assert_eq!(size(8_000_000_000), "8 GB");
        assert_eq!(size(7_999_999_999), "7.9 GB");
        assert_eq!(size(264_212_084_000), "264.2 GB");
        assert_eq!(size(1_500_000_000_000), "1.5 TB");
        assert_eq!(gigabytes(0.5), 500_000_000);
    }

    #[test]
    fn lists_and_counts() {
        assert_eq!(list(&["a", "b", "c"], 2), "a, b and 1 more");
        assert_eq!(list(&["a"], 2), "a");
        assert_eq!(count(1, "host"), "1 host");
        assert_eq!(count(3, "repository"), "3 repositories");
    }
}
