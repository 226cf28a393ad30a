//! Inventories of every form: read, said what is wrong, asked everything.
#![no_main]

use kk::diagnostic::{Colour, Source, render_all};
use kk::inventory::{Inventory, LocalMachine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let machine = LocalMachine::new("control.example.org", &[]);
    // The ending decides the form.
    for name in ["hosts.yaml", "hosts.ini", "hosts"] {
        match Inventory::parse(&Source::new(name, text), &machine) {
            Ok(loaded) => {
                render_all(&loaded.warnings, Colour::Never);
                let inventory = loaded.inventory;
                for host in inventory.hosts.keys() {
                    inventory.host_vars(host);
                    inventory.groups_of(host);
                }
                for group in inventory.groups.keys() {
                    inventory.hosts_of(group);
                }
                let _ = inventory.select(text);
                inventory.to_json();
            }
            Err(found) => {
                assert!(found.has_errors());
                render_all(&found, Colour::Never);
            }
        }
    }
});
