//! Check mode and diffs: nothing is executed but probes.

use super::*;

#[tokio::test]
async fn check_mode_runs_nothing_that_changes() {
    let mut world = World::new(&["a"]);
    world.options.check_mode = true;
    // Whether `creates` is there is asked by a probe, which is no step.
    world.host("a").when(
        "the probe of `creates`",
        |command| command.contains("creates="),
        Reply::ok("creates=yes\n"),
    );
    let story = world
        .run(
            "- hosts: all
  gather_facts: false
  tasks:
    - {name: command, command: do-one, register: one}
    - {name: shell, shell: do-two, until: false, retries: 9, register: two}
    - {name: there already, command: {cmd: do-three, creates: /x}}
    - {name: all the same, command: do-real, check_mode: false, register: real}
    - {name: known, debug: {msg: '{{ ansible_check_mode }} {{ one is skipped }} {{ real.rc }}'}}
    - {name: facts, set_fact: {x: 1}}
    - {name: seen, assert: {that: x == 1}}
    - {name: notifies, command: do-four, notify: h, changed_when: true}
  handlers:
    - {name: h, command: do-h}
",
        )
        .await;
    insta::assert_snapshot!(story.text());
    assert_eq!(world.ran("a"), ["do-real"]);
}

#[tokio::test]
async fn one_task_can_be_kept_from_changing() {
    let mut world = World::new(&["a"]);
    let story = world
        .run("- {hosts: all, gather_facts: false, tasks: [{name: one, command: do-one, check_mode: true}, {name: two, command: do-two}]}\n")
        .await;
    assert_eq!(story.outcomes(), ["one a skipped", "two a changed"]);
    assert_eq!(world.ran("a"), ["do-two"]);
}

/// Runs a playbook that writes a file on this machine, really.
async fn write(check: bool, diff: bool, no_log: bool) -> (Story, String) {
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("file");
    std::fs::write(&dest, "old\n").unwrap();
    std::fs::write(
        folder.path().join("site.yaml"),
        format!(
            "- hosts: localhost\n  gather_facts: false\n  tasks:\n    - name: write\n      copy: {{content: \"new\\n\", dest: {}}}\n      no_log: {no_log}\n",
            dest.display()
        ),
    )
    .unwrap();
    let library = Library::folder(folder.path());
    let playbook = crate::playbook::load(&library, "site.yaml").unwrap();
    let inventory = Inventory::implicit();
    let local = RealDial;
    let fleet = Fleet::connect(&inventory, &[LOCALHOST.to_owned()], &local, 1, None).await;
    let (events, mut receiver) = Events::channel(Redactor::new());
    let options = RunOptions {
        check_mode: check,
        diff,
        ..RunOptions::default()
    };
    let report = run(
        &playbook,
        &library,
        &inventory,
        &fleet,
        &options,
        &events,
        &Control::default(),
    )
    .await;
    let mut all = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        all.push(event.kind);
    }
    let after = std::fs::read_to_string(&dest).unwrap();
    (
        Story {
            report,
            events: all,
        },
        after,
    )
}

/// Dials this machine.
pub(super) struct RealDial;

impl Dial for RealDial {
    fn dial<'a>(
        &'a self,
        _: &'a Host,
    ) -> BoxFuture<'a, Result<Arc<dyn Connector>, TransportError>> {
        let local: Arc<dyn Connector> = Arc::new(crate::connect::local::LocalConnector::new());
        Box::pin(std::future::ready(Ok(local)))
    }
}

#[tokio::test]
async fn diffs_are_shown_where_asked_for_and_not_secret() {
    for (check, diff, no_log, shown, after) in [
        (true, true, false, true, "old\n"),
        (true, false, false, false, "old\n"),
        (false, true, false, true, "new\n"),
        (false, true, true, false, "new\n"),
    ] {
        let (story, content) = write(check, diff, no_log).await;
        assert_eq!(content, after);
        let diffs: Vec<String> = story
            .events
            .iter()
            .filter_map(|event| match event {
                EventKind::HostTaskFinished { diff, outcome, .. } => {
                    assert_eq!(*outcome, Outcome::Changed);
                    diff.clone()
                }
                _ => None,
            })
            .collect();
        assert_eq!(!diffs.is_empty(), shown, "{check} {diff} {no_log}");
        assert!(
            diffs.iter().all(|diff| diff.contains("-old\n+new\n")),
            "{diffs:?}"
        );
    }
}
