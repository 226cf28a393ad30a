//! `kk precheck image_registry`.

use super::arguments::{GlobalFlags, PrecheckArguments, WaiverFlags};
use super::assess::assess;
use super::live::{Asked, Live, LiveOptions};
use super::prepare::Prepared;
use crate::diagnostic::Diagnostics;
use crate::engine::RunReport;
use crate::exit::Exit;
use crate::precheck::{Finding, Verdict, Waivers, verdict};
use crate::report::FindingsView;

/// Looks at every host and says everything that would go wrong.
pub async fn run(arguments: PrecheckArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    prepared.check_registry_group()?;
    let waivers = waivers(&arguments.waivers)?;
    let asked = Asked::ask(&arguments.connection, &prepared)?;
    let options = LiveOptions {
        command: "precheck image_registry",
        global,
        output: arguments.output.output,
        findings: FindingsView::Data,
        check_mode: true,
        log: true,
        timings: None,
    };
    let live = Live::start(&prepared, &options)?;
    let fleet = live.connect(&prepared, &arguments.connection, &asked).await;
    let assessment = assess(&prepared, &live, &fleet, waivers).await?;
    let exit = exit_of(&assessment.findings);
    Live::close(&fleet).await;
    Ok(live.finish(&RunReport::default(), Some(exit)).await)
}

/// The waivers of the command line.
pub fn waivers(flags: &WaiverFlags) -> Result<Waivers, Diagnostics> {
    let values: Vec<String> = flags
        .waive
        .iter()
        .map(|waiver| match &waiver.reason {
            Some(reason) => format!("{}={reason}", waiver.check),
            None => waiver.check.clone(),
        })
        .collect();
    Waivers::parse(&values)
}

/// The exit code that findings come to.
pub fn exit_of(findings: &[Finding]) -> Exit {
    match verdict(findings) {
        Verdict::Pass => Exit::Ok,
        Verdict::Fail => Exit::PrecheckFailed,
    }
}
