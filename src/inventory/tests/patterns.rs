//! Host patterns.

use super::*;

fn inventory() -> Inventory {
    let hosts: String = (1..=5)
        .map(|number| format!("    node{number}: {{connector: {{host: 10.0.0.{number}}}}}\n"))
        .collect();
    load(&kubekey(&format!(
        "  hosts:\n{hosts}    db-a: {{connector: {{host: 10.0.0.9}}}}\n  groups:\n    web: {{hosts: [node3, node1, node2]}}\n    web_canary: {{hosts: [node4]}}\n    databases: {{hosts: [db-a, node5]}}\n    prod: {{groups: [web, databases]}}\n    empty: \n"
    )))
}

fn select(pattern: &str) -> Vec<String> {
    inventory()
        .select(pattern)
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_a_pattern_selects() {
    for (pattern, hosts) in [
        ("all", "node1 node2 node3 node4 node5 db-a"),
        ("*", "node1 node2 node3 node4 node5 db-a"),
        ("node2", "node2"),
        ("web", "node3 node1 node2"),
        ("prod", "node3 node1 node2 db-a node5"),
        ("web:databases", "node3 node1 node2 db-a node5"),
        ("web,databases", "node3 node1 node2 db-a node5"),
        (" web , node3 ", "node3 node1 node2"),
        ("prod:&web", "node3 node1 node2"),
        ("prod:!web", "db-a node5"),
        ("!web:prod", "db-a node5"),
        ("!web", "node4 node5 db-a"),
        ("&web", "node1 node2 node3"),
        ("web:&node1:!node1", ""),
        ("web[0]", "node3"),
        ("web[-1]", "node2"),
        ("web[1:2]", "node1 node2"),
        ("web[1:]", "node1 node2"),
        ("web[:1]", "node3 node1"),
        ("web[1-2]", "node1 node2"),
        ("web[1:9]", "node1 node2"),
        ("node*", "node1 node2 node3 node4 node5"),
        ("node?", "node1 node2 node3 node4 node5"),
        ("node[24]", "node2 node4"),
        ("node[!1-3]", "node4 node5"),
        ("web*", "node3 node1 node2 node4"),
        ("~node[12]$", "node1 node2"),
        ("~web", "node3 node1 node2 node4"),
        ("~.*a$", "db-a"),
        ("web:!~node[12]", "node3"),
        ("zebra*", ""),
        ("empty", ""),
        ("ungrouped", ""),
        ("localhost", "localhost"),
        ("web,,databases", "node3 node1 node2 db-a node5"),
    ] {
        assert_eq!(select(pattern).join(" "), hosts, "{pattern}");
    }
}

#[test]
fn what_is_no_pattern() {
    let said: Vec<String> = [
        "",
        ",",
        "wbe",
        "web:datbases",
        "~(",
        "web[9]",
        "web[-4]",
        "web[7:9]",
        "empty[0]",
        "node[",
        "zebra[0]",
        "!nobody",
    ]
    .iter()
    .map(|pattern| {
        let error = inventory().select(pattern).unwrap_err();
        format!(
            "{error}{}",
            error
                .hint
                .as_ref()
                .map_or_else(String::new, |hint| format!(" ({hint})"))
        )
    })
    .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    host pattern ``: the host pattern is empty (write `all` for all hosts)
    host pattern `,`: the host pattern is empty (write `all` for all hosts)
    host pattern `wbe`: no host or group is called `wbe` (did you mean `web`?)
    host pattern `web:datbases`: no host or group is called `datbases` (did you mean `databases`?)
    host pattern `~(`: `(` is not a regular expression
    host pattern `web[9]`: `web` has 3 hosts, and none at [9]
    host pattern `web[-4]`: `web` has 3 hosts, and none at [-4]
    host pattern `web[7:9]`: `web` has 3 hosts, and none at [7:9]
    host pattern `empty[0]`: `empty` has 0 hosts, and none at [0]
    host pattern `node[`: `node[` is not a pattern of names
    host pattern `zebra[0]`: no host or group is called `zebra` (`kk inventory list` shows what there is)
    host pattern `!nobody`: no host or group is called `nobody` (`kk inventory list` shows what there is)
    ");
}

#[test]
fn a_mistake_points_at_its_part() {
    let error = inventory().select("web:&datbases").unwrap_err();
    let source = Source::new("play.yaml", "- hosts: \"web:&datbases\"\n");
    let place = Place::new(&source, crate::diagnostic::Span { start: 9, end: 24 });
    let shown = crate::diagnostic::render(&error.at(&place), Colour::Never);
    insta::assert_snapshot!(shown, @r#"
    error: no host or group is called `datbases`
     --> play.yaml:1:16
      |
    1 | - hosts: "web:&datbases"
      |                ^^^^^^^^
      |
      = hint: did you mean `databases`?
    "#);
}
