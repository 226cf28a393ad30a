//! How Ansible's inventories name hosts: `node[1:3]`, `db-[a:c]`, `web[01:10:2].example.org:2222`.

use super::address::is_ipv6 as is_plain_ipv6;

/// The most hosts that one name may stand for.
const MOST: usize = 10_000;

/// The hosts that a name stands for, and the port behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub hosts: Vec<String>,
    pub port: Option<String>,
}

/// Takes a name apart.
///
/// # Errors
///
/// What is wrong with it.
pub fn expand(text: &str) -> Result<Named, String> {
    let (name, port) = split_port(text);
    if is_plain_ipv6(name) {
        return Ok(Named {
            hosts: vec![name.to_owned()],
            port: port.map(str::to_owned),
        });
    }
    let mut hosts = vec![String::new()];
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((range, after)) = after.split_once(']') else {
            return Err("the bracket of a range is not closed".to_owned());
        };
        let items = items(range)?;
        if hosts.len().saturating_mul(items.len()) > MOST {
            return Err(format!("it stands for more than {MOST} hosts"));
        }
        hosts = hosts
            .iter()
            .flat_map(|host| {
                items
                    .iter()
                    .map(move |item| format!("{host}{before}{item}"))
            })
            .collect();
        rest = after;
    }
    for host in &mut hosts {
        host.push_str(rest);
    }
    Ok(Named {
        hosts,
        port: port.map(str::to_owned),
    })
}

/// The name, an IPv6 address without its brackets, and the port.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if is_plain_ipv6(text) {
        return (text, None);
    }
    let is_port = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let bracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .filter(|(address, _)| is_plain_ipv6(address));
    if let Some((address, rest)) = bracketed {
        return (address, rest.strip_prefix(':').filter(is_port));
    }
    match text.rsplit_once(':') {
        Some((name, port))
            if is_port(&port) && !name.contains(':')
                || text.ends_with(port) && is_outside(name) && is_port(&port) =>
        {
            (name, Some(port))
        }
        _ => (text, None),
    }
}

/// Whether every bracket in it is closed, so that what follows stands outside of ranges.
fn is_outside(text: &str) -> bool {
    text.matches('[').count() == text.matches(']').count()
}

/// What a range stands for: `1:3`, `01:10`, `0:10:5`, `a:f`.
fn items(range: &str) -> Result<Vec<String>, String> {
    let parts: Vec<&str> = range.split(':').collect();
    let (first, last, step) = match parts.as_slice() {
        [first, last] => (*first, *last, "1"),
        [first, last, step] => (*first, *last, *step),
        _ => return Err(format!("`[{range}]` is not a range such as `[1:3]`")),
    };
    let step: usize = match step.parse() {
        Ok(step) if step > 0 => step,
        _ => return Err(format!("the step in `[{range}]` is not a number from 1")),
    };
    let first = if first.is_empty() { "0" } else { first };
    if let (Ok(start), Ok(end)) = (first.parse::<usize>(), last.parse::<usize>()) {
        let is_padded = first.len() > 1 && first.starts_with('0');
        if is_padded && first.len() != last.len() {
            return Err(format!(
                "both ends of `[{range}]` need the same number of digits, as in `[01:10]`"
            ));
        }
        if end < start {
            return Err(format!("`[{range}]` ends before it begins"));
        }
        if (end - start) / step >= MOST {
            return Err(format!("it stands for more than {MOST} hosts"));
        }
        let width = if is_padded { first.len() } else { 0 };
        return Ok((start..=end)
            .step_by(step)
            .map(|number| format!("{number:0width$}"))
            .collect());
    }
    let letter = |text: &str| {
        let mut letters = text.chars();
        let first = letters.next().filter(char::is_ascii_alphabetic)?;
        letters.next().is_none().then_some(first)
    };
    match (letter(first), letter(last)) {
        (Some(start), Some(end))
            if start <= end && start.is_ascii_lowercase() == end.is_ascii_lowercase() =>
        {
            Ok((start..=end).step_by(step).map(String::from).collect())
        }
        _ => Err(format!(
            "`[{range}]` is not a range such as `[1:3]` or `[a:c]`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Vec<String> {
        expand(text).unwrap().hosts
    }

    #[test]
    fn ranges_are_written_out() {
        assert_eq!(hosts("node1"), ["node1"]);
        assert_eq!(hosts("node[1:3]"), ["node1", "node2", "node3"]);
        assert_eq!(hosts("n[08:10].x"), ["n08.x", "n09.x", "n10.x"]);
        assert_eq!(hosts("n[0:10:5]"), ["n0", "n5", "n10"]);
        assert_eq!(hosts("n[:1]"), ["n0", "n1"]);
        assert_eq!(hosts("[a:b]-[1:2]"), ["a-1", "a-2", "b-1", "b-2"]);
        assert_eq!(hosts("2001:db8::1"), ["2001:db8::1"]);
    }

    #[test]
    fn ports_are_split_off() {
        let port = |text: &str| expand(text).unwrap().port;
        assert_eq!(port("node1:2222").as_deref(), Some("2222"));
        assert_eq!(port("node[1:3]:2222").as_deref(), Some("2222"));
        assert_eq!(port("node[1:3]"), None);
        assert_eq!(port("[2001:db8::1]:2222").as_deref(), Some("2222"));
        assert_eq!(hosts("[2001:db8::1]:2222"), ["2001:db8::1"]);
        assert_eq!(port("2001:db8::1:2222"), None);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        let faults: Vec<String> = [
            "n[1:3",
            "n[]",
            "n[1]",
            "n[3:1]",
            "n[01:100]",
            "n[a:Z]",
            "n[1:5:0]",
            "n[aa:bb]",
            "n[0:99999]",
            "n[0:999][0:999]",
        ]
        .iter()
        .map(|text| expand(text).unwrap_err())
        .collect();
        insta::assert_snapshot!(faults.join("\n"), @r"
        the bracket of a range is not closed
        `[]` is not a range such as `[1:3]`
        `[1]` is not a range such as `[1:3]`
        `[3:1]` ends before it begins
        both ends of `[01:100]` need the same number of digits, as in `[01:10]`
        `[a:Z]` is not a range such as `[1:3]` or `[a:c]`
        the step in `[1:5:0]` is not a number from 1
        `[aa:bb]` is not a range such as `[1:3]` or `[a:c]`
        it stands for more than 10000 hosts
        it stands for more than 10000 hosts
        ");
    }
}
