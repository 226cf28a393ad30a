//! `--list-hosts`, `--list-tasks` and `--list-tags`.

use std::fmt::Write as _;

use super::arguments::PartFlags;
use crate::engine::Outline;

/// The lists that were asked for.
pub fn text(outline: &Outline, flags: &PartFlags) -> String {
    let mut text = String::new();
    for (index, play) in outline.0.iter().enumerate() {
        let _ = writeln!(
            text,
            "play {}: {} (hosts: {}){}",
            index + 1,
            play.name,
            play.pattern,
            tags(&play.tags)
        );
        if flags.list_hosts {
            let _ = writeln!(text, "  {} hosts:", play.hosts.len());
            for host in &play.hosts {
                let _ = writeln!(text, "    {host}");
            }
        }
        if flags.list_tasks {
            let _ = writeln!(text, "  tasks:");
            for task in &play.tasks {
                let _ = writeln!(text, "    {}{}", task.name, tags(&task.tags));
            }
        }
        if flags.list_tags {
            let _ = writeln!(text, "  tags of tasks: {}", play.task_tags.join(", "));
        }
    }
    text
}

fn tags(tags: &[String]) -> String {
    if tags.is_empty() {
        String::new()
    } else {
        format!("  [{}]", tags.join(", "))
    }
}
