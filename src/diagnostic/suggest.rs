//! "Did you mean": the nearest of the words that would have been right.

/// The candidate nearest to `word`, if it is near enough that a typing slip explains the difference.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| {
            (
                strsim::osa_distance(&lower, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, candidate)| {
            *distance <= 1 + candidate.chars().count().min(word.chars().count()) / 4
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A hint that names the nearest candidate.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_and_nothing_else() {
        assert_eq!(
            nearest("connetor", ["connector", "internal_ipv4"]),
            Some("connector")
        );
        assert_eq!(nearest("hsots", ["hosts", "groups"]), Some("hosts"));
        assert_eq!(nearest("zebra", ["hosts", "groups"]), None);
        assert_eq!(nearest("Hosts", ["hosts"]), Some("hosts"));
    }
}
