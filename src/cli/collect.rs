//! `kk registry gc`: frees the space of layers that no image of an installed docker-registry has any more.

use serde_json::{Map, json};

use super::arguments::{CollectArguments, GlobalFlags};
use super::built_in::BuiltIn;
use crate::exit::Exit;

/// Collects garbage.
pub async fn run(mut arguments: CollectArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    arguments.built_in.execution.check |= arguments.dry_run;
    let seconds = arguments.gc_timeout.as_secs();
    let collect = BuiltIn {
        command: "registry gc",
        asks: "`kk registry gc`",
        playbook: "collect_garbage.yaml",
        flags: &arguments.built_in,
        variables: &|_| Map::from_iter([("gc".to_owned(), json!({"seconds": seconds}))]),
    };
    collect.run(global).await
}
