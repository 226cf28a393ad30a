//! `kk facts`.

use futures::StreamExt as _;
use serde_json::{Map, Value, json};

use super::arguments::{FactsArguments, GlobalFlags};
use super::live::{Asked, Live, LiveOptions};
use super::local::print_json;
use super::prepare::Prepared;
use crate::engine::{Member, Recap, RunReport};
use crate::exit::Exit;
use crate::facts::{self, FactsError, Wanted};

/// What is known about each host, as JSON.
pub async fn run(arguments: FactsArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    let asked = Asked::ask(&arguments.connection, &prepared)?;
    let live = Live::start(&prepared, &LiveOptions::quiet("facts", global))?;
    let fleet = live.connect(&prepared, &arguments.connection, &asked).await;
    let wanted = crate::precheck::wanted(&prepared.settings);
    let looks: Vec<_> = fleet
        .named(&prepared.names)
        .map(|member| look(member, &live, &wanted))
        .collect();
    let all: Vec<(String, Value, Recap)> = futures::stream::iter(looks)
        .buffered(usize::from(arguments.connection.forks))
        .collect()
        .await;
    Live::close(&fleet).await;
    let mut report = RunReport::default();
    let mut values = Map::new();
    for (name, value, recap) in all {
        values.insert(name.clone(), value);
        report.recap.push((name, recap));
    }
    print_json(&prepared.redactor.mask_json(&Value::Object(values)))?;
    Ok(live.end_quietly(report.exit()).await)
}

/// The facts of one host, or why there are none.
async fn look(member: &Member, live: &Live, wanted: &Wanted) -> (String, Value, Recap) {
    let mut recap = Recap::default();
    let gathered = match member.session_as_root(&live.control.cancel) {
        Ok(session) => facts::gather(&session, wanted).await,
        Err(error) => Err(FactsError::from(error)),
    };
    let value = match gathered.map(|facts| serde_json::to_value(&facts)) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            recap.failed = 1;
            json!({ "error": error.to_string() })
        }
        Err(error) => {
            match &error {
                FactsError::Transport(error) if error.loses_host() || member.link.is_err() => {
                    recap.unreachable = 1;
                }
                _ => recap.failed = 1,
            }
            json!({ "error": error.to_string() })
        }
    };
    (member.name.clone(), value, recap)
}
