//! `kk init registry`: the precheck, then the playbook, then the proof.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::arguments::{GlobalFlags, InitRegistryArguments};
use super::assess::{Assessment, assess};
use super::live::{Asked, Live, LiveOptions, confirm_local};
use super::names::{Names, port};
use super::precheck::{exit_of, waivers};
use super::prepare::Prepared;
use crate::artifact::{Contents, Package};
use crate::diagnostic::Diagnostic;
use crate::engine::{self, EventKind, Fleet, NoticeLevel, RunOptions, RunReport};
use crate::exit::Exit;
use crate::pki;
use crate::playbook::{Library, Playbook, load};
use crate::precheck::Waivers;
use crate::report::FindingsView;
use crate::secret::{
    SecretString,
    store::{self, Store},
};
use crate::settings::{RegistryKind, Settings, Storage};
use crate::template::Layer;

/// Names of secrets in the working folder's store.
const PASSWORD: &str = "image_registry.auth.password";
const HTTP_SECRET: &str = "image_registry.http_secret";

/// Brings up a registry.
pub async fn run(arguments: InitRegistryArguments, global: &GlobalFlags) -> anyhow::Result<Exit> {
    let prepared = Prepared::load(&arguments.target)?;
    let waivers = waivers(&arguments.waivers)?;
    supported(&prepared.settings)?;
    let library = Library::built_in(arguments.execution.playbooks.as_deref());
    let install = load_checked(&library, "init_registry.yaml", &prepared)?;
    let prove = load_checked(&library, "prove_registry.yaml", &prepared)?;
    let check_mode = arguments.execution.check;
    if !check_mode {
        confirm_local(&prepared, arguments.execution.yes, "`kk init registry`")?;
    }
    let asked = Asked::ask(&arguments.connection, &prepared)?;
    let options = LiveOptions {
        command: "init registry",
        global,
        output: arguments.output.output,
        findings: FindingsView::Problems,
        check_mode,
        log: true,
    };
    let live = Live::start(&prepared, &options)?;
    let fleet = live.connect(&prepared, &arguments.connection, &asked).await;
    let recorded = waivers.clone();
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
        forks: usize::from(arguments.connection.forks),
        check_mode,
        diff: arguments.execution.diff,
        tags: arguments.execution.tags.clone(),
        skip_tags: arguments.execution.skip_tags.clone(),
        limit: arguments
            .target
            .limit
            .as_ref()
            .map(|_| prepared.names.clone()),
        ledger: Some(prepared.installation()),
        ..RunOptions::default()
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
            let pending = check_mode
                && arguments.execution.exit_code
                && report.exit() == Exit::Ok
                && report.changed();
            Ok(live
                .finish(&report, pending.then_some(Exit::ChangesPending))
                .await)
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
    if settings.image_registry.ha_vip.is_some() {
        return Err(Diagnostic::error(
            "`image_registry.ha_vip` cannot be installed by this version",
        )
        .hint("leave it out: every host of the group gets a registry of its own"));
    }
    Ok(())
}

/// Reads a built-in playbook (or the user's own version of it) and holds it against the inventory.
pub fn load_checked(
    library: &Library,
    path: &str,
    prepared: &Prepared,
) -> anyhow::Result<Playbook> {
    let playbook = load(library, path)?;
    engine::validate(&playbook, &prepared.inventory)?;
    Ok(playbook)
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

/// Certificates and secrets of the registry, on this machine.
struct Material {
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    password: SecretString,
    http_secret: SecretString,
    /// Where the secrets are kept.
    secrets_file: PathBuf,
    /// In check mode, what would be written lies here and goes with it.
    _scratch: Option<tempfile::TempDir>,
}

impl Material {
    fn prepare(
        prepared: &Prepared,
        live: &Live,
        names: &Names,
        check_mode: bool,
    ) -> anyhow::Result<Self> {
        let registry = &prepared.settings.image_registry;
        let password = registry.password.clone();
        let fill = |store: &mut Store| {
            if let Some(password) =
                password.filter(|password| store.get(PASSWORD) != Some(password))
            {
                store.set(PASSWORD, password);
            }
            let password = store.get_or_generate(PASSWORD, pki::password::generate);
            (
                password,
                store.get_or_generate(HTTP_SECRET, pki::password::generate),
            )
        };
        let (password, http_secret) = if check_mode {
            fill(&mut Store::open(&prepared.work_dir)?)
        } else {
            Store::edit(&prepared.work_dir, fill)?
        };
        for secret in [&password, &http_secret] {
            prepared.redactor.learn(secret.expose());
        }
        let secrets_file = prepared.work_dir.join(store::FILE_NAME);
        let mut material = Self {
            ca_file: None,
            cert_file: None,
            key_file: None,
            password,
            http_secret,
            secrets_file,
            _scratch: None,
        };
        if registry.plain_http {
            return Ok(material);
        }
        if let Some(own) = &registry.certificate {
            let absolute =
                |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
            material.cert_file = Some(absolute(&own.cert_file));
            material.key_file = Some(absolute(&own.key_file));
            material.ca_file = own.ca_file.as_ref().map(absolute);
            return Ok(material);
        }
        let mut folder = prepared.work_dir.join("pki").join("registry");
        let now = time::OffsetDateTime::now_utc();
        let wanted = pki::Wanted::new(names.certificate.clone());
        let failed =
            |error: pki::PkiError| Diagnostic::error(error.message.clone()).hint(error.hint);
        let plan = pki::ensure(&folder, &wanted, now).map_err(failed)?;
        if plan.is_changed() {
            for reason in &plan.reasons {
                live.events
                    .notice(NoticeLevel::Info, format!("certificates: {reason}"));
            }
            if check_mode {
                let scratch = tempfile::tempdir()
                    .context("make a folder for certificates that are not kept")?;
                folder = scratch.path().join("pki");
                pki::ensure(&folder, &wanted, now)
                    .map_err(failed)?
                    .apply()
                    .context("write certificates")?;
                material._scratch = Some(scratch);
            } else {
                plan.apply()
                    .with_context(|| format!("write certificates to `{}`", folder.display()))?;
            }
        }
        material.ca_file = Some(folder.join("ca.crt"));
        material.cert_file = Some(folder.join("server.crt"));
        material.key_file = Some(folder.join("server.key"));
        Ok(material)
    }
}

/// What the playbooks see under `kk`.
fn variables(
    prepared: &Prepared,
    live: &Live,
    assessment: &Assessment,
    names: &Names,
    waivers: &Waivers,
    material: &Material,
) -> Map<String, Value> {
    let (registry, endpoints) = names.variables();
    let mut packages: Map<String, Value> = Map::new();
    for package in &assessment.packages {
        let of_arch = packages
            .entry(package.arch.clone())
            .or_insert_with(|| json!({}));
        if let Value::Object(of_arch) = of_arch {
            of_arch.insert(package.name.clone(), package_variables(package));
        }
    }
    let folders: Vec<String> = ["/etc/docker", "/etc/containerd"]
        .into_iter()
        .flat_map(|root| {
            let certs = format!("{root}/certs.d");
            let own: Vec<String> = names
                .hosts
                .values()
                .map(|host| format!("{certs}/{}", host.endpoint))
                .collect();
            [root.to_owned(), certs].into_iter().chain(own)
        })
        .collect();
    let sources: Vec<Value> = names
        .hosts
        .iter()
        .map(|(host, endpoint)| json!({"host": host, "endpoint": endpoint.endpoint}))
        .collect();
    let repository = names.project.as_deref().map_or_else(
        || "kk-proof".to_owned(),
        |project| format!("{project}/kk-proof"),
    );
    let kk = json!({
        "run_id": live.run_id,
        "installation": prepared.installation(),
        "registry": registry,
        "endpoints": endpoints,
        "packages": packages,
        "pki": {"ca_file": material.ca_file, "cert_file": material.cert_file, "key_file": material.key_file},
        "secrets": {"password": material.password.expose(), "http_secret": material.http_secret.expose()},
        "trust": {"folders": folders, "hosts_lines": names.hosts_lines()},
        "proof": {"repository": repository, "tag": live.run_id, "sources": sources},
        "status": status(&prepared.settings, names, waivers),
    });
    Map::from_iter([("kk".to_owned(), kk)])
}

/// What is kept on each registry host about what is installed. The same for two runs that install the same.
fn status(settings: &Settings, names: &Names, waivers: &Waivers) -> Value {
    let waived: BTreeMap<&str, &str> = waivers.iter().collect();
    let storage = match &settings.image_registry.storage {
        Storage::Filesystem { rootdir, .. } => json!({"driver": "filesystem", "rootdir": rootdir}),
        Storage::Object { driver, .. } => json!({"driver": driver}),
    };
    json!({
        "component": "registry",
        "type": "docker-registry",
        "version": settings.versions.docker_registry,
        "docker_version": settings.versions.docker,
        "dockercompose_version": settings.versions.dockercompose,
        "endpoint": names.registry().map(|host| &host.endpoint),
        "port": port(settings),
        "storage": storage,
        "waived": waived,
        "kk_version": super::local::VERSION,
    })
}

fn package_variables(package: &Package) -> Value {
    let inspection = &package.inspection;
    let mut variables = json!({
        "path": package.path,
        "sha256": inspection.sha256,
        "size": inspection.size,
        "version": package.version,
    });
    let Value::Object(map) = &mut variables else {
        return variables;
    };
    match &inspection.contents {
        Contents::Engine { binaries, .. } => {
            let binaries: Vec<Value> =
                binaries.iter().map(|binary| json!({"name": binary.name, "sha256": binary.sha256, "size": binary.size})).collect();
            map.insert("binaries".to_owned(), binaries.into());
        }
        Contents::Image { images, .. } => {
            let reference = package.reference.clone().unwrap_or_default();
            if let Some(image) = images
                .iter()
                .find(|image| image.tags.contains(&reference))
                .or_else(|| images.first())
            {
                map.insert("image_id".to_owned(), image.id.clone().into());
                map.insert("manifest_digest".to_owned(), json!(image.manifest_digest));
            }
            map.insert("reference".to_owned(), reference.into());
        }
        _ => {}
    }
    variables
}

/// The last thing that the user reads.
fn summarize(
    prepared: &Prepared,
    live: &Live,
    names: &Names,
    material: &Material,
    proof: &RunReport,
) {
    let registry = &prepared.settings.image_registry;
    let mut lines: Vec<(String, String)> = Vec::new();
    let scheme = if registry.plain_http { "http" } else { "https" };
    for (host, endpoint) in &names.hosts {
        lines.push((
            "registry".to_owned(),
            format!("{scheme}://{} on {host}", endpoint.endpoint),
        ));
    }
    lines.push(("user".to_owned(), registry.username.clone()));
    let secrets = &material.secrets_file;
    let password = match &registry.password {
        Some(_) => format!("the one you set; also in {}", secrets.display()),
        None => format!(
            "generated, in {} (`image_registry.auth.password`)",
            secrets.display()
        ),
    };
    lines.push(("password".to_owned(), password));
    if let Some(ca_file) = &material.ca_file {
        lines.push(("authority".to_owned(), ca_file.display().to_string()));
    }
    for endpoint in names.hosts.values() {
        lines.push((
            "log in".to_owned(),
            login_line(material, &registry.username, &endpoint.endpoint),
        ));
    }
    let pulls = pulls(prepared, proof);
    for (host, can) in &pulls {
        lines.push(("can pull".to_owned(), format!("{host}: {can}")));
    }
    let data = BTreeMap::from([
        ("pulls".to_owned(), json!(pulls)),
        (
            "endpoints".to_owned(),
            json!(
                names
                    .hosts
                    .values()
                    .map(|host| &host.endpoint)
                    .collect::<Vec<_>>()
            ),
        ),
        ("scheme".to_owned(), scheme.into()),
        ("username".to_owned(), registry.username.clone().into()),
        (
            "secrets_file".to_owned(),
            secrets.display().to_string().into(),
        ),
        ("ca_file".to_owned(), json!(material.ca_file)),
    ]);
    live.events.send(EventKind::Summary { lines, data });
}

/// For each host, with what it pulled from how many registries.
fn pulls(prepared: &Prepared, proof: &RunReport) -> IndexMap<String, String> {
    let mut pulls = IndexMap::new();
    for host in &prepared.names {
        let results = proof
            .variables
            .get(host)
            .and_then(|variables| variables["pulled"]["results"].as_array());
        let Some(results) = results else { continue };
        let pulled: Vec<&Value> = results
            .iter()
            .filter(|result| result["runtime"].is_string())
            .collect();
        let how = pulled
            .first()
            .or(results.first().as_ref())
            .and_then(|result| result["msg"].as_str())
            .unwrap_or_default();
        let text = match (pulled.len(), results.len()) {
            (0, _) => how.to_owned(),
            (1, 1) => format!("yes, {how}"),
            (count, of) => format!("yes, from {count} of {of} registries, {how}"),
        };
        pulls.insert(host.clone(), text);
    }
    pulls
}

/// A line that logs in as it stands: the password goes from the file to Docker's standard input. A password that is
/// written with escapes in the file is left for Docker to ask for.
fn login_line(material: &Material, username: &str, endpoint: &str) -> String {
    let quote = |text: &str| crate::connect::Command::program(text).to_string();
    let (user, endpoint) = (quote(username), quote(endpoint));
    let bare = material
        .password
        .expose()
        .chars()
        .all(|c| c != '"' && c != '\\' && !c.is_control());
    if !bare {
        return format!("docker login --username {user} {endpoint}");
    }
    let file = quote(&material.secrets_file.display().to_string());
    format!(
        "sed -n 's/^{PASSWORD}: \"\\(.*\\)\"$/\\1/p' {file} | docker login --username {user} --password-stdin {endpoint}"
    )
}
