//! The host's clock against this machine's.

use super::frame::Frames;

/// Offset and uncertainty in seconds, from the host's clock at the script's start and, of a long script, its end, and this machine's when the
/// request went out and when the answer was there, in seconds since 1970.
pub(super) fn offset(frames: &Frames<'_>, sent: f64, received: f64) -> Option<(f64, f64)> {
    let (start, resolution) = reading(frames.text("clock-start"))?;
    let (end, _) = reading(frames.text("clock-end")).unwrap_or((start, resolution));
    let offset = f64::midpoint(start - sent, end - received);
    let on_the_way = ((received - sent) - (end - start)).max(0.0);
    Some((offset, on_the_way / 2.0 + resolution / 2.0))
}

/// One reading and its resolution. A `date` without nanoseconds says whole seconds, so the middle of that second is
/// taken.
fn reading(text: &str) -> Option<(f64, f64)> {
    // Words of the same moment follow.
    let text = text.split_whitespace().next().unwrap_or_default();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some((text.parse().ok()?, 0.0));
    }
    Some((whole.parse::<f64>().ok()? + 0.5, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(start: &str, end: &str) -> String {
        format!("\n=kk= clock-start\n{start}\n\n=kk= clock-end\n{end}\n")
    }

    #[test]
    fn a_slow_script_does_not_look_like_a_wrong_clock() {
        let text = answer("1000.100000000", "1003.100000000");
        let (offset, uncertainty) = offset(&Frames::new(&text), 1000.0, 1003.2).unwrap();
        assert!(offset.abs() < 0.001, "{offset}");
        assert!((uncertainty - 0.1).abs() < 0.001, "{uncertainty}");
    }

    #[test]
    fn whole_seconds_widen_the_uncertainty() {
        let text = answer("1060.%N", "1060.%N");
        let (offset, uncertainty) = offset(&Frames::new(&text), 1000.0, 1000.2).unwrap();
        assert!((offset - 60.4).abs() < 0.001, "{offset}");
        assert!((uncertainty - 0.6).abs() < 0.001, "{uncertainty}");
    }

    #[test]
    fn a_short_script_reads_it_once() {
        let text = "\n=kk= clock-start\n1060.250000000\n\n=kk= end\n";
        let (offset, uncertainty) = offset(&Frames::new(text), 1000.0, 1000.5).unwrap();
        assert!((offset - 60.0).abs() < 0.001, "{offset}");
        assert!((uncertainty - 0.25).abs() < 0.001, "{uncertainty}");
    }

    #[test]
    fn nonsense_is_no_reading() {
        assert_eq!(
            offset(&Frames::new(&answer("date: usage", "")), 0.0, 1.0),
            None
        );
    }
}
