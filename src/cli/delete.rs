//! `kk delete registry`: takes away what the ledgers of the hosts say that kk brought.

use serde_json::{Map, json};

use super::arguments::{DeleteRegistryArguments, GlobalFlags};
use super::built_in::BuiltIn;
use crate::exit::Exit;

/// Takes the registry away.
pub async fn run(arguments: DeleteRegistryArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let command = if arguments.with_data {
        "delete registry --with-data"
    } else {
        "delete registry"
    };
    let delete = BuiltIn {
        command,
        asks: "`kk delete registry`",
        playbook: "delete_registry.yaml",
        flags: &arguments.built_in,
        variables: &|prepared| {
            let delete =
                json!({"with_data": arguments.with_data, "component": prepared.installation()});
            Map::from_iter([("delete".to_owned(), delete)])
        },
    };
    delete.run(global).await
}
