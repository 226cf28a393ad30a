//! Which tasks `--tags` and `--skip-tags` select, by Ansible's rules.

/// Whether a task with these tags runs, inherited tags included.
pub(super) fn selects(tags: &[&str], only: &[String], skip: &[String]) -> bool {
    let has = |word: &str| tags.contains(&word);
    let named = |words: &[String]| {
        words.iter().any(|word| match word.as_str() {
            "untagged" => tags.is_empty(),
            word => has(word),
        })
    };
    let asks = |words: &[String], word: &str| words.iter().any(|other| other == word);
    let all = only.is_empty() || asks(only, "all");
    let wanted = has("always")
        || named(only)
        || !has("never") && (all || asks(only, "tagged") && !tags.is_empty());
    let unwanted = named(skip)
        || asks(skip, "all") && !has("always")
        || asks(skip, "tagged") && !tags.is_empty();
    wanted && !unwanted
}

#[cfg(test)]
mod tests {
    use super::selects;

    #[test]
    fn tags_select_as_in_ansible() {
        // Tags of the task, `--tags`, `--skip-tags`, and whether it runs.
        for (tags, only, skip, expected) in [
            ("", "", "", true),
            ("a", "", "", true),
            ("a", "a", "", true),
            ("a b", "b", "", true),
            ("a", "b", "", false),
            ("", "a", "", false),
            ("always", "a", "", true),
            ("never", "", "", false),
            ("never", "all", "", false),
            ("never", "never", "", true),
            ("never a", "a", "", true),
            ("never a", "tagged", "", false),
            ("never always", "", "", true),
            ("", "untagged", "", true),
            ("a", "untagged", "", false),
            ("a", "tagged", "", true),
            ("", "tagged", "", false),
            ("a", "all", "", true),
            ("a", "", "a", false),
            ("a", "", "b", true),
            ("a b", "a", "b", false),
            ("always", "", "always", false),
            ("always", "", "all", true),
            ("a", "", "all", false),
            ("", "", "untagged", false),
            ("", "", "tagged", true),
            ("a", "", "tagged", false),
        ] {
            let split = |text: &'static str| text.split_whitespace().collect::<Vec<_>>();
            let owned = |text: &'static str| {
                text.split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            assert_eq!(
                selects(&split(tags), &owned(only), &owned(skip)),
                expected,
                "[{tags}] --tags [{only}] --skip-tags [{skip}]"
            );
        }
    }
}
