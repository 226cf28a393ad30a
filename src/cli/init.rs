//! `kk init registry`: the precheck, then the playbook, then the proof.

use super::arguments::{GlobalFlags, InitRegistryArguments};
use super::assess::{Assessment, assess};
use super::execution::{load_checked, options, pending};
use super::live::{Asked, Live, LiveOptions, confirm_local};
use super::material::Material;
use super::names::Names;
use super::precheck::{exit_of, waivers};
use super::prepare::Prepared;
use super::summary::summarize;
use super::variables::variables;
use crate::diagnostic::Diagnostic;
use crate::engine::{self, Fleet, NoticeLevel, RunOptions, RunReport};
use crate::exit::Exit;
use crate::playbook::{Library, Playbook};
use crate::precheck::Waivers;
use crate::report::FindingsView;
use crate::settings::{RegistryKind, Settings};
use crate::template::Layer;

/// Brings up a registry.
pub async fn run(arguments: InitRegistryArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    let waivers = waivers(&arguments.waivers)?;
    prepared.check_registry_group()?;
    supported(&prepared.settings)?;
    let library = Library::built_in(arguments.execution.playbooks.as_deref());
    let install = load_checked(&library, "init_registry.yaml", &prepared)?;
    let prove = load_checked(&library, "prove_registry.yaml", &prepared)?;
    let check_mode = arguments.execution.check;
    if !check_mode {
        confirm_local(&prepared, arguments.execution.yes, "`kk init registry`")?;
    }
    let asked = Asked::ask(&arguments.connection, &prepared)?;
    let live_options = LiveOptions {
        command: "init registry",
        global,
        output: arguments.output.output,
        findings: FindingsView::Problems,
        check_mode,
        log: true,
        timings: None,
    };
    let live = Live::start(&prepared, &live_options)?;
    let fleet = live.connect(&prepared, &arguments.connection, &asked).await;
    let recorded = waivers.clone();
    live.settle(&prepared, &fleet).await;
    let assessment = assess(&prepared, &live, &fleet, waivers).await?;
    let failed = exit_of(&assessment.findings);
    if failed != Exit::Ok || live.control.stop.is_cancelled() {
        if failed != Exit::Ok {
            live.events.notice(
                NoticeLevel::Error,
                "the precheck failed; nothing was changed",
            );
        }
        Live::close(&fleet).await;
        return Ok(live.finish(&RunReport::default(), Some(failed)).await);
    }
    let run_options = RunOptions {
        ledger: Some(prepared.installation()),
        ..options(&prepared, &arguments.connection, &arguments.execution)
    };
    let outcome = bring_up(
        &prepared,
        &live,
        &fleet,
        &library,
        &install,
        &prove,
        &assessment,
        &recorded,
        run_options,
    )
    .await;
    Live::close(&fleet).await;
    match outcome {
        Ok(report) => {
            let exit = pending(&arguments.execution, &report);
            Ok(live.finish(&report, exit).await)
        }
        Err(error) => {
            live.finish(&RunReport::default(), Some(Exit::Error)).await;
            Err(error)
        }
    }
}

/// What this version installs.
fn supported(settings: &Settings) -> Result<(), Diagnostic> {
    if settings.image_registry.kind == RegistryKind::Harbor {
        return Err(Diagnostic::error(
            "`image_registry.type: harbor` cannot be installed by this version",
        )
        .hint("`--set image_registry.type=docker-registry` installs the distribution registry"));
    }
    Ok(())
}

#[expect(
    clippy::too_many_arguments,
    reason = "these are the parts of one command, made by its caller"
)]
async fn bring_up(
    prepared: &Prepared,
    live: &Live,
    fleet: &Fleet,
    library: &Library,
    install: &Playbook,
    prove: &Playbook,
    assessment: &Assessment,
    waivers: &Waivers,
    mut options: RunOptions,
) -> anyhow::Result<RunReport> {
    let check_mode = options.check_mode;
    let material = Material::prepare(prepared, live, &assessment.names, check_mode)?;
    let layers = |names: &Names| {
        let variables = variables(prepared, live, assessment, names, waivers, &material);
        vec![
            Layer::raw(prepared.settings.tree.clone()),
            Layer::raw(variables),
        ]
    };
    options.variables = layers(&assessment.names);
    let locks = live.lock(prepared, fleet, &options).await;
    let mut report = engine::run(
        install,
        library,
        &prepared.inventory,
        fleet,
        &options,
        &live.events,
        &live.control,
    )
    .await;
    // What came through is proven, whatever happened to the others.
    let healthy: Vec<String> = prepared
        .names
        .iter()
        .filter(|name| report.came_through(name))
        .cloned()
        .collect();
    let mut names = assessment.names.clone();
    names.hosts.retain(|host, _| healthy.contains(host));
    let whole = healthy.len() == prepared.names.len() && !report.failed();
    if !check_mode && options.tags.is_empty() && !report.interrupted && !names.hosts.is_empty() {
        let prove_options = RunOptions {
            ledger: None,
            limit: Some(healthy),
            variables: layers(&names),
            ..options
        };
        let proof = engine::run(
            prove,
            library,
            &prepared.inventory,
            fleet,
            &prove_options,
            &live.events,
            &live.control,
        )
        .await;
        report.merge(&proof);
        if proof.exit() == Exit::Ok || !whole && !proof.failed() && !proof.interrupted {
            summarize(prepared, live, &names, &material, &proof);
        }
    }
    if !check_mode && !whole {
        live.events.notice(
            NoticeLevel::Error,
            "not all hosts came through; run the same command again once that is put right",
        );
    }
    locks.release().await;
    Ok(report)
}
