//! How a run is stopped: gently, then hard.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_soft_stop_lets_what_runs_end_and_starts_nothing() {
    let mut world = World::new(&["a", "b", "c"]);
    for host in ["a", "b", "c"] {
        world.on(host, "do-one", slow(10));
    }
    world.options.forks = 2;
    let stop = world.control.stop.clone();
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stop.cancel();
    };
    let playbook = "- hosts: all
  gather_facts: false
  handlers: [{name: h, command: do-h}]
  tasks:
    - block:
        - {name: one, command: do-one, notify: h}
      always:
        - {name: always, command: do-always}
    - {name: two, command: do-two}
- {hosts: all, gather_facts: false, tasks: [{name: three, command: do-three}]}
";
    let (story, ()) = tokio::join!(world.run(playbook), stopping);
    insta::assert_snapshot!(story.text());
    assert!(story.report.interrupted);
    // The third host had not had its turn yet.
    assert!(world.ran("c").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_soft_stop_ends_the_waiting_between_attempts() {
    let mut world = World::new(&["a"]);
    let stop = world.control.stop.clone();
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        stop.cancel();
    };
    let started = tokio::time::Instant::now();
    let (story, ()) = tokio::join!(
        world.run("- {hosts: all, gather_facts: false, tasks: [{name: wait, command: do-one, until: false, retries: 99, delay: 3600}]}\n"),
        stopping
    );
    assert_eq!(started.elapsed().as_secs(), 5);
    assert_eq!(story.outcomes(), ["wait a failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_hard_stop_ends_what_runs() {
    let mut world = World::new(&["a"]);
    // What still runs on the host is ended there on a second channel.
    world
        .on("a", "do-", slow(1000))
        .on("a", "kk-step-", Reply::ok(""));
    let control = world.control.clone();
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        control.stop.cancel();
        control.cancel.cancel();
    };
    let started = tokio::time::Instant::now();
    let (story, ()) = tokio::join!(
        world.run("- {hosts: all, gather_facts: false, tasks: [{name: many, command: 'do-{{ item }}', loop: [1, 2, 3, 4]}]}\n"),
        stopping
    );
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    assert_eq!(
        world.ran("a").iter().filter(|word| *word != "do-1").count(),
        0,
        "{:?}",
        world.ran("a")
    );
    assert_eq!(story.report.exit(), crate::exit::Exit::Interrupted);
    insta::assert_snapshot!(story.text());
}
