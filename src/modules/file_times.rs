//! Times that a user gives a file. Pure.

/// What becomes of a time of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Time {
    /// It stays.
    Preserve,
    /// It becomes the host's present.
    Now,
    /// It becomes this, in the digits that `touch -t` takes.
    At(String),
}

impl Time {
    /// For the script.
    pub(super) fn word(&self) -> String {
        match self {
            Self::Preserve => "preserve".to_owned(),
            Self::Now => "now".to_owned(),
            Self::At(digits) => digits.clone(),
        }
    }

    /// The digits, if it is a given time.
    pub(super) fn fixed(&self) -> String {
        match self {
            Self::At(digits) => digits.clone(),
            _ => String::new(),
        }
    }
}

/// A time in a format of `strftime`, as `YYYYMMDDhhmm.ss`; `None` when it is not in that format.
pub(super) fn as_touch_takes_it(text: &str, format: &str) -> Option<String> {
    let (mut year, mut month, mut day) = (None, 1, 1);
    let (mut hour, mut minute, mut second) = (0, 0, 0);
    let mut rest = text;
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            rest = rest.strip_prefix(letter)?;
            continue;
        }
        let directive = letters.next()?;
        let width = if directive == 'Y' { 4 } else { 2 };
        if directive == '%' {
            rest = rest.strip_prefix('%')?;
            continue;
        }
        // As in Python one digit is enough, but for a year of four.
        let count = rest
            .bytes()
            .take(width)
            .take_while(u8::is_ascii_digit)
            .count();
        if count == 0 || directive == 'Y' && count < width {
            return None;
        }
        let digits = rest.get(..count)?;
        rest = rest.get(count..)?;
        let number: u32 = digits.parse().ok()?;
        match directive {
            'Y' => year = Some(number),
            'y' => year = Some(number + if number < 69 { 2000 } else { 1900 }),
            'm' => month = number,
            'd' => day = number,
            'H' => hour = number,
            'M' => minute = number,
            'S' => second = number,
            _ => return None,
        }
    }
    let is_time = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60;
    if !rest.is_empty() || !is_time || second > 60 {
        return None;
    }
    Some(format!(
        "{:04}{month:02}{day:02}{hour:02}{minute:02}.{second:02}",
        year?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_format_they_are_said_to_have() {
        let plain = |text| as_touch_takes_it(text, "%Y%m%d%H%M.%S");
        assert_eq!(plain("202401021304.05").as_deref(), Some("202401021304.05"));
        assert_eq!(
            as_touch_takes_it("2024-01-02T13:04", "%Y-%m-%dT%H:%M").as_deref(),
            Some("202401021304.00")
        );
        assert_eq!(
            (plain("2024"), plain("202413021304.05"), plain("tomorrow")),
            (None, None, None)
        );
    }
}
