//! `ledger_remove`: takes away what a ledger says that kk made, and nothing else.
//!
//! The ledger is the last thing that changes, so a removal that was cut off goes on where it stopped. What stays on
//! purpose (data, a Docker that other containers need) stays in the ledger for another time.

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::accounts::check_name;
use super::apply::command_failed;
use super::attributes::Attributes;
use super::blockinfile::marker_lines;
use super::docker_compose::remembered;
use super::edited_file::EditedFile;
use super::file_state::Care;
use super::firewall_port::close_port;
use super::group::remove_group;
use super::line_edit::WantedBlock;
use super::undo::{
    CLEAN, FORGET_ENGINE, FORGET_TRUST, Fate, PROBE, Presence, Probed, REMOVE_FILES,
    REMOVE_FOLDERS, REMOVE_IMAGES, REMOVE_PROJECT, STOP_UNITS, depth, describe, fates,
    is_engine_unit,
};
use super::user::remove_user;
use super::{
    Argument, ArgumentKind, Arguments, Conclusion, Content, LedgerEntry, Look, Module, ModuleError,
    ModuleSpec, Plan, Step, StepOutput,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "ledger_remove",
    aliases: &[],
    summary: "takes away what kk made on the host, by the ledger it kept",
    arguments: &[
        Argument::required("component", ArgumentKind::Text, "the ledger: `registry`"),
        Argument::optional(
            "with_data",
            ArgumentKind::Boolean,
            "folders with the user's data too; false by default",
        ),
    ],
    examples: r"- name: everything of the registry goes, but for its data
  ledger_remove:
    component: registry
",
    returns: &[("removed", "what went"), ("kept", "what stayed, and why")],
    free_form: None,
    build,
    check: None,
};

struct LedgerRemove {
    component: String,
    with_data: bool,
}

impl Module for LedgerRemove {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        self.plan_inner(look).boxed()
    }

    fn conclude(&self, outputs: &[StepOutput]) -> Result<Conclusion, ModuleError> {
        let mut stayed: Vec<Value> = Vec::new();
        for output in outputs {
            if let StepOutput::Ran(output) = output {
                let text = output.stdout_text();
                let lines = text.lines().filter_map(|line| line.strip_prefix("kept "));
                stayed.extend(lines.map(Value::from));
            }
        }
        let mut result = Map::new();
        result.insert("stayed".to_owned(), stayed.into());
        Ok(Conclusion {
            result,
            changed: None,
        })
    }
}

impl LedgerRemove {
    async fn plan_inner(&self, look: &Look<'_>) -> Result<Plan, ModuleError> {
        let lines = look.session.ledger(&self.component).await?;
        let mut entries = Vec::new();
        let mut entry_lines = Vec::new();
        let mut kept: Vec<Value> = Vec::new();
        let mut forgotten: Vec<String> = Vec::new();
        for line in lines {
            match serde_json::from_str::<LedgerEntry>(&line) {
                Ok(entry) if is_sound(&entry) => {
                    entries.push(entry);
                    entry_lines.push(line);
                }
                _ => kept.push(format!("{line}: this kk does not know it").into()),
            }
        }
        if entries.is_empty() && forgotten.is_empty() {
            return Ok(Plan::satisfied()
                .with("removed", Vec::<Value>::new())
                .with("kept", kept));
        }
        let probed = self.probe(look, &entries).await?;
        let fates = fates(&entries, &probed, self.with_data);
        let mut removed: Vec<Value> = Vec::new();
        let mut going: Vec<(&LedgerEntry, Presence)> = Vec::new();
        for (index, ((entry, line), fate)) in
            entries.iter().zip(&entry_lines).zip(&fates).enumerate()
        {
            match fate {
                Fate::Keep(reason) => kept.push(format!("{}: {reason}", describe(entry)).into()),
                Fate::Release(reason) => {
                    kept.push(format!("{}: {reason}", describe(entry)).into());
                    forgotten.push(line.clone());
                }
                Fate::Remove => {
                    removed.push(describe(entry).into());
                    forgotten.push(line.clone());
                    let presence = probed.entries.get(index).copied();
                    going.push((entry, presence.unwrap_or(Presence::Unknown)));
                }
                Fate::Gone => forgotten.push(line.clone()),
            }
        }
        if forgotten.is_empty() {
            return Ok(Plan::satisfied()
                .with("removed", removed)
                .with("kept", kept));
        }
        let mut steps = self.steps(look, &going, &entries, &probed).await?;
        let (command, input) = look.session.forgetting(&self.component, &forgotten)?;
        steps.push(Step::run_with(
            "write the ledger",
            command,
            Content::public(input),
        ));
        steps.push(Step::run(
            "clean up",
            Command::script(CLEAN, [look.session.state_dir()]),
        ));
        let summary = match removed.len() {
            0 => "forget what is gone".to_owned(),
            1 => "remove 1 thing".to_owned(),
            count => format!("remove {count} things"),
        };
        let mut plan = Plan::change(summary, steps);
        if look.diff {
            let text = |value: &Value| format!("- {}\n", value.as_str().unwrap_or_default());
            plan = plan.with_diff(Some(removed.iter().map(text).collect()));
        }
        Ok(plan.with("removed", removed).with("kept", kept))
    }

    async fn probe(&self, look: &Look<'_>, entries: &[LedgerEntry]) -> Result<Probed, ModuleError> {
        let purpose = format!("look at what `{}` made", self.component);
        let mut command = Command::script(PROBE, [""; 0]);
        for entry in entries {
            let (kind, one, two) = question(look, entry);
            command = command.arg(kind).arg(one).arg(two);
        }
        let output = look.session.probe(command).await?;
        if !output.success() {
            return Err(command_failed(&purpose, &output));
        }
        Probed::parse(&output.stdout_text(), entries.len())
            .ok_or_else(|| ModuleError::failed(format!("{purpose}: the answer was not understood")))
    }

    /// The steps, in an order in which nothing that is still needed goes first.
    async fn steps(
        &self,
        look: &Look<'_>,
        going: &[(&LedgerEntry, Presence)],
        entries: &[LedgerEntry],
        probed: &Probed,
    ) -> Result<Vec<Step>, ModuleError> {
        let mut steps = Vec::new();
        let all = || going.iter().map(|(entry, _)| *entry);
        let mut many = |purpose: &str, script: &'static str, words: Vec<String>| {
            if !words.is_empty() {
                steps.push(Step::run(purpose, Command::script(script, words)));
            }
        };
        let units = |of_engine: bool| -> Vec<String> {
            all()
                .filter_map(|entry| match entry {
                    LedgerEntry::Unit { name } if is_engine_unit(name) == of_engine => {
                        Some(name.clone())
                    }
                    _ => None,
                })
                .collect()
        };
        many("stop units", STOP_UNITS, units(false));
        let engine_goes = entries
            .iter()
            .any(|entry| matches!(entry, LedgerEntry::Unit { name } if is_engine_unit(name)));
        if probed.engine_is_down
            && !engine_goes
            && going
                .iter()
                .any(|(_, presence)| *presence == Presence::Unknown)
        {
            return Err(ModuleError::failed(
                "Docker does not answer, so its images and containers cannot be removed",
            )
            .with_hint("start Docker on the host: `systemctl start docker`"));
        }
        // With the engine that kk brought stopped already, by an earlier removal, there is nobody to ask.
        if !probed.engine_is_down {
            for entry in all() {
                if let LedgerEntry::ComposeProject { name, .. } = entry {
                    let words = vec![name.clone(), remembered(look, name)];
                    many(
                        &format!("remove the compose project `{name}`"),
                        REMOVE_PROJECT,
                        words,
                    );
                }
            }
            let images = all().filter_map(|entry| match entry {
                LedgerEntry::Image { reference, .. } => Some(reference.clone()),
                _ => None,
            });
            many("remove images", REMOVE_IMAGES, images.collect());
        }
        many("stop Docker", STOP_UNITS, units(true));
        let engine = units(true);
        if engine.iter().any(|unit| unit == "docker.service") {
            many("remove what Docker left", FORGET_ENGINE, engine);
        }
        let files = all().filter_map(|entry| match entry {
            LedgerEntry::File { path } | LedgerEntry::TrustAnchor { path } => Some(path.clone()),
            _ => None,
        });
        many("remove files", REMOVE_FILES, files.collect());
        if all().any(|entry| matches!(entry, LedgerEntry::Unit { .. })) {
            steps.push(Step::run(
                "read unit files again",
                Command::new("systemctl daemon-reload"),
            ));
        }
        let anchors: Vec<String> = all()
            .filter_map(|entry| match entry {
                LedgerEntry::TrustAnchor { path } => Some(path.clone()),
                _ => None,
            })
            .collect();
        if !anchors.is_empty() {
            steps.push(Step::run(
                "remove links of the trust store",
                Command::script(FORGET_TRUST, anchors),
            ));
            steps.push(Step::run(
                "rebuild the trust store",
                Command::script(super::system_trust::UPDATE, [""; 0]),
            ));
        }
        for entry in all() {
            match entry {
                LedgerEntry::Block { path, marker } => {
                    let file = EditedFile {
                        path: path.clone(),
                        attributes: Attributes::default(),
                        create: false,
                        word: "Path",
                        care: Care::default(),
                    };
                    let (begin, end) = marker_lines(marker, "BEGIN", "END");
                    let gone = WantedBlock::gone(begin, end);
                    let without = |old: &str| gone.put_into(old);
                    steps.extend(file.plan(look, without).await?.0.steps);
                }
                LedgerEntry::FirewallPort {
                    firewall,
                    port,
                    zone,
                } => {
                    steps.push(close_port(firewall, port, zone));
                }
                LedgerEntry::User { name } => steps.push(remove_user(name)),
                LedgerEntry::Group { name } => steps.push(remove_group(name)),
                _ => {}
            }
        }
        for entry in all() {
            if let LedgerEntry::Data { path }
            | LedgerEntry::Directory {
                path,
                recursive: true,
            } = entry
            {
                steps.push(Step::Remove { path: path.clone() });
            }
        }
        let mut folders: Vec<&LedgerEntry> = all()
            .filter(|entry| {
                matches!(
                    entry,
                    LedgerEntry::Directory {
                        recursive: false,
                        ..
                    }
                )
            })
            .collect();
        folders.sort_by_key(|entry| std::cmp::Reverse(depth(entry)));
        let words: Vec<String> = folders
            .into_iter()
            .filter_map(super::undo::path_of)
            .map(str::to_owned)
            .collect();
        if !words.is_empty() {
            steps.push(Step::run(
                "remove folders",
                Command::script(REMOVE_FOLDERS, words),
            ));
        }
        Ok(steps)
    }
}

/// Whether an entry says something that a script may be given: a ledger is a file, and files can be edited.
fn is_sound(entry: &LedgerEntry) -> bool {
    let plain =
        |text: &str| !text.is_empty() && !text.starts_with('-') && !text.contains(['\n', '\0']);
    match entry {
        LedgerEntry::File { path }
        | LedgerEntry::Directory { path, .. }
        | LedgerEntry::Data { path }
        | LedgerEntry::TrustAnchor { path } => path.starts_with('/') && plain(path),
        LedgerEntry::Block { path, marker } => {
            path.starts_with('/') && plain(path) && marker.contains("{mark}") && plain(marker)
        }
        LedgerEntry::PendingHandler { .. } => true,
        LedgerEntry::Unit { name } | LedgerEntry::ComposeProject { name, .. } => {
            plain(name) && !name.contains('/')
        }
        LedgerEntry::Image { reference, id } => {
            plain(reference) && id.starts_with("sha256:") && !id.contains('/')
        }
        LedgerEntry::User { name } | LedgerEntry::Group { name } => {
            check_name(name.clone()).is_ok()
        }
        LedgerEntry::FirewallPort {
            firewall,
            port,
            zone,
        } => {
            matches!(firewall.as_str(), "firewalld" | "ufw")
                && plain(port)
                && (zone.is_empty() || plain(zone))
        }
    }
}

/// The three words by which the probe is asked about an entry.
fn question(look: &Look<'_>, entry: &LedgerEntry) -> (&'static str, String, String) {
    let none = String::new;
    match entry {
        LedgerEntry::File { path } | LedgerEntry::TrustAnchor { path } => {
            ("path", path.clone(), none())
        }
        LedgerEntry::Directory { path, .. } | LedgerEntry::Data { path } => {
            ("folder", path.clone(), none())
        }
        LedgerEntry::Unit { name } => ("unit", name.clone(), none()),
        LedgerEntry::ComposeProject { name, .. } => ("project", name.clone(), none()),
        LedgerEntry::Image { reference, id } => {
            let digits = id.trim_start_matches("sha256:");
            let alias = format!("{}/images/{digits}", look.session.state_dir());
            ("image", reference.clone(), alias)
        }
        LedgerEntry::Block { path, marker } => (
            "block",
            path.clone(),
            marker_lines(marker, "BEGIN", "END").0,
        ),
        LedgerEntry::User { name } => ("passwd", name.clone(), none()),
        LedgerEntry::Group { name } => ("group", name.clone(), none()),
        // The probe knows no such kind and calls it absent: it is forgotten without a step.
        LedgerEntry::PendingHandler { name } => ("handler", name.clone(), none()),
        LedgerEntry::FirewallPort {
            firewall,
            port,
            zone,
        } => {
            let kind = if firewall == "ufw" {
                "ufw"
            } else {
                "firewalld"
            };
            (kind, port.clone(), zone.clone())
        }
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    Ok(Box::new(LedgerRemove {
        component: arguments.required_text("component")?,
        with_data: arguments.boolean("with_data", false),
    }))
}
