//! How often the program asks a host for something, counted in the log of a real server.

use super::runs::Play;
use super::server::{self, Server};

/// What one run of the program cost the host.
struct Cost {
    /// Sessions that it asked for.
    sessions: usize,
    /// Pieces of standard error that it sent back: one for each command that runs in the kept shell, whose end is marked
    /// there as well (unless two of them happen to be read at once).
    answers: usize,
}

/// Runs a playbook of `tasks` on a server whose log has every packet.
fn run(server: &Server, tasks: &str) -> Cost {
    let play = Play::new([(server, server.port)], tasks);
    let count = || {
        let log = server.log();
        let sessions = log.matches("Starting session: ").count();
        let answers = log.matches(": sent ext data ").count();
        (sessions, answers)
    };
    let before = count();
    let output = play.start(&["--yes"]).wait_with_output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    let after = count();
    Cost {
        sessions: after.0 - before.0,
        answers: after.1 - before.1,
    }
}

#[test]
fn an_unchanged_file_costs_one_round_trip_and_a_command_one() {
    if !server::is_available() {
        return;
    }
    let server = Server::with("LogLevel DEBUG3");
    let folder = server.path("out");
    std::fs::create_dir(&folder).unwrap();
    let source = server.path("t.j2");
    std::fs::write(&source, "for {{ inventory_hostname }}\n".repeat(30)).unwrap();
    let tasks = |count: usize, task: &dyn Fn(usize) -> String| -> String {
        (0..count)
            .map(|number| format!("    - {}\n", task(number)))
            .collect()
    };
    let dest = |kind: &str, number: usize| format!("{}/{kind}{number}", folder.display());
    let template = |number: usize| {
        format!(
            "template: {{src: {}, dest: '{}', mode: '0644'}}",
            source.display(),
            dest("t", number)
        )
    };
    let copy = |number: usize| {
        format!(
            "copy: {{content: 'text {number}', dest: '{}', mode: '0600'}}",
            dest("c", number)
        )
    };
    let command = |number: usize| format!("command: echo {number}");
    let look = |number: usize| format!("stat: {{path: /tmp/{number}}}");
    for (name, task) in [
        ("template", &template as &dyn Fn(usize) -> String),
        ("copy", &copy),
        ("command", &command),
        ("stat", &look),
    ] {
        // The first run puts the files there.
        run(&server, &tasks(12, task));
        let (few, many) = (
            run(&server, &tasks(2, task)),
            run(&server, &tasks(12, task)),
        );
        // On a machine that starts many processes a shell is now and then taken for used up, and one more is started.
        let more = many.answers - few.answers;
        assert!(
            (8..=13).contains(&more),
            "{name}: {more} answers for ten more"
        );
        assert!(many.sessions <= 5, "{name}: {} sessions", many.sessions);
    }
}
