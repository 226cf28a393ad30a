//! What grows with the number of hosts and tasks, and no faster: the work on four times as much is compared, in time of
//! the processor, with wide margins. Linear work gives 4, quadratic 16.

use std::fmt::Write as _;
use std::path::PathBuf;

use kk::inventory::{Inventory, LocalMachine};
use kk::playbook::{Library, load};

/// The most that four times as much may cost.
const MOST: u64 = 9;

/// Nanoseconds that this thread has had a processor; none where the kernel does not count them.
fn processor_time() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// The least time of the processor that some runs of this took.
fn least(work: &dyn Fn()) -> u64 {
    (0..3)
        .map(|_| {
            let before = processor_time().unwrap();
            work();
            processor_time().unwrap() - before
        })
        .min()
        .unwrap()
        .max(1)
}

/// Compares the work on `size` and on four times as much.
fn grows_as_its_input(what: &str, size: usize, work: &dyn Fn(usize)) {
    if processor_time().is_none() {
        eprintln!("SKIPPED: the kernel does not count the time of threads");
        return;
    }
    let (small, large) = (least(&|| work(size)), least(&|| work(4 * size)));
    assert!(
        large < MOST * small,
        "{what}: {size} took {small} ns and {} took {large} ns",
        4 * size
    );
}

/// Hosts in racks of fifty, racks in rows, variables everywhere.
fn inventory_text(hosts: usize) -> String {
    let mut text = String::new();
    for rack in 0..hosts / 50 {
        let _ = writeln!(text, "[rack{rack}]");
        for number in rack * 50..rack * 50 + 50 {
            let _ = writeln!(
                text,
                "node{number} ansible_host=10.{}.{}.{} number={number}",
                number / 62500,
                number / 250 % 250,
                number % 250 + 1
            );
        }
        let _ = writeln!(
            text,
            "[rack{rack}:vars]\nrack={rack}\n[row:children]\nrack{rack}"
        );
    }
    text
}

fn read_inventory(path: &PathBuf) -> Inventory {
    let machine = LocalMachine::new("control.example.org", &[]);
    Inventory::load(std::slice::from_ref(path), &machine)
        .unwrap_or_else(|found| panic!("{found}"))
        .inventory
}

#[test]
fn reading_an_inventory() {
    let folder = tempfile::tempdir().unwrap();
    grows_as_its_input("reading", 1000, &|hosts| {
        let path = folder.path().join(format!("{hosts}.ini"));
        std::fs::write(&path, inventory_text(hosts)).unwrap();
        assert_eq!(read_inventory(&path).hosts.len(), hosts);
    });
}

#[test]
fn asking_an_inventory() {
    let folder = tempfile::tempdir().unwrap();
    let read = |hosts: usize| {
        let path = folder.path().join(format!("{hosts}.ini"));
        std::fs::write(&path, inventory_text(hosts)).unwrap();
        read_inventory(&path)
    };
    let (small, large) = (read(1000), read(4000));
    grows_as_its_input("asking", 1000, &|hosts| {
        let inventory = if hosts == 1000 { &small } else { &large };
        assert_eq!(inventory.hosts_of("all").len(), hosts);
        assert_eq!(inventory.host_vars_of_all().len(), hosts);
        assert_eq!(
            inventory.select("row:&all:!rack0").unwrap().len(),
            hosts - 50
        );
        let listed: Vec<&str> = inventory.hosts.keys().map(String::as_str).collect();
        assert_eq!(inventory.select(&listed.join(",")).unwrap().len(), hosts);
    });
}

#[test]
fn reading_a_playbook() {
    let folder = tempfile::tempdir().unwrap();
    grows_as_its_input("reading", 250, &|tasks| {
        let mut text = String::from("- hosts: all\n  tasks:\n");
        for number in 0..tasks {
            let _ = writeln!(
                text,
                "    - name: task {number}\n      command: echo {{{{ item }}}} {number}\n      loop: [a, b]\n      \
                 when: number > {number}\n      register: said{number}\n      notify: again"
            );
        }
        text.push_str("  handlers:\n    - name: again\n      command: 'true'\n");
        let name = format!("{tasks}.yaml");
        std::fs::write(folder.path().join(&name), text).unwrap();
        let playbook = load(&Library::folder(folder.path()), &name);
        assert_eq!(
            playbook
                .unwrap_or_else(|found| panic!("{found}"))
                .plays
                .len(),
            1
        );
    });
}
