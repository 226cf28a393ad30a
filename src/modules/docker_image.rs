//! `docker_image`: an image of an offline package in the host's engine, known by its ID.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::docker::{docker_prelude, judge, package_path};
use super::package_file::{Package, SHA256, SIZE, SOURCE, is_sha256};
use super::{
    Argument, ArgumentKind, Arguments, LedgerEntry, Look, Module, ModuleError, ModuleSpec, Plan,
    Step,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "docker_image",
    aliases: &[],
    summary: "loads an image from an archive of `docker save`; nothing is sent when the engine has it",
    arguments: &[
        SOURCE,
        SHA256,
        SIZE,
        Argument::required(
            "image_id",
            ArgumentKind::Text,
            "the image's ID, `sha256:…` of its configuration",
        ),
        Argument::required(
            "references",
            ArgumentKind::Texts,
            "the names it must have, `name:tag`",
        ),
        Argument::optional(
            "layers",
            ArgumentKind::Texts,
            "digests of its layers, unpacked; with them it is also known in an engine that has other IDs",
        ),
    ],
    examples: r#"- name: the image is in the engine
  docker_image:
    package: registry.tar
    sha256: 4b1e8d5b2c0f4f8f4b5e6c3d0d8f6a1b9a7c5e3d1f0e2c4b6a8d9f7e5c3b1a00
    size: 12000000
    image_id: sha256:6fa3…
    references: ["registry:3.0.0"]
"#,
    returns: &[("image_id", "the image's number")],
    free_form: None,
    build,
    check: None,
};

/// `$1` the file that remembers another ID of the image (see [`LOAD`]), then what to look for.
const LOOK: &str = concat!(
    docker_prelude!(),
    r#"
if [ -f "$1" ]; then printf 'alias %s\n' "$(cat -- "$1")"; fi
shift
for query; do
  if said=$(docker image inspect --format '{{.Id}} {{json .RootFS.Layers}}' -- "$query" 2>&1); then
    printf 'image %s %s\n' "$query" "$said"
  else
    case $said in
      *"No such image"*|*"no such image"*) ;;
      *) printf '%s\n' "$said" >&2; exit 1 ;;
    esac
  fi
done
"#
);

/// `$1` archive, `$2` ID, `$3` the file that remembers another ID, then names. An engine with containerd's image store
/// numbers images by their manifest and not by their configuration; which number it gave is kept for the next look.
const LOAD: &str = concat!(
    docker_prelude!(),
    r#"
package=$1 id=$2 alias=$3
shift 3
said=$(docker load --input "$package") || exit 1
have=$id
if ! docker image inspect -- "$id" >/dev/null 2>&1; then
  name=$(printf '%s\n' "$said" | sed -n -e 's/^Loaded image ID: //p' -e 's/^Loaded image: //p' | head -n 1)
  have=$(docker image inspect --format '{{.Id}}' -- "$name") || exit 1
  case $(docker info --format '{{.DriverStatus}}' 2>/dev/null) in
    *io.containerd.snapshotter*) ;;
    *) echo "the archive brought the image $have, not $id" >&2; exit 1 ;;
  esac
  umask 077
  mkdir -p -- "${alias%/*}" && printf '%s\n' "$have" >"$alias" || exit 1
fi
for reference; do
  docker tag -- "$have" "$reference" || exit 1
done
rm -f -- "$package"
"#
);

struct DockerImage {
    package: Package,
    image_id: String,
    references: Vec<String>,
    layers: Vec<String>,
}

/// One image that the engine has.
struct Seen {
    query: String,
    id: String,
    layers: Vec<String>,
}

impl Module for DockerImage {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let alias_file = format!(
                "{}/images/{}",
                look.session.state_dir(),
                self.image_id.trim_start_matches("sha256:")
            );
            let command = Command::script(LOOK, [alias_file.clone(), self.image_id.clone()])
                .args(self.references.clone());
            let output = look.session.probe(command).await?;
            let name = self.references.first().unwrap_or(&self.image_id);
            if !output.success() {
                return judge(&format!("look for the image `{name}`"), &output, look);
            }
            let plan = self.compare(look, &output.stdout_text(), alias_file);
            Ok(plan.with("image_id", self.image_id.as_str()))
        }
        .boxed()
    }
}

impl DockerImage {
    fn compare(&self, look: &Look<'_>, answer: &str, alias_file: String) -> Plan {
        let alias = answer.lines().find_map(|line| line.strip_prefix("alias "));
        let seen: Vec<Seen> = answer.lines().filter_map(Seen::parse).collect();
        let is_ours = |image: &&Seen| {
            image.id == self.image_id
                || Some(image.id.as_str()) == alias
                || (!self.layers.is_empty() && image.layers == self.layers)
        };
        let here = seen.iter().find(is_ours);
        let missing: Vec<&String> = self
            .references
            .iter()
            .filter(|reference| {
                let mut named = seen.iter().filter(|image| image.query == **reference);
                !named.any(|image| is_ours(&image))
            })
            .collect();
        let names = |references: &[&String]| {
            let words: Vec<&str> = references.iter().map(|name| name.as_str()).collect();
            words.join(", ")
        };
        let entries = |references: &[&String]| -> Vec<LedgerEntry> {
            // A name that is there and means another image is taken over, but was not made by us.
            references
                .iter()
                .filter(|name| !seen.iter().any(|image| image.query == ***name))
                .map(|name| LedgerEntry::Image {
                    reference: (*name).clone(),
                    id: self.image_id.clone(),
                })
                .collect()
        };
        match here {
            Some(_) if missing.is_empty() => Plan::satisfied(),
            Some(image) => {
                let steps = missing.iter().map(|reference| {
                    Step::run(
                        format!("name the image `{reference}`"),
                        Command::script(TAG, [image.id.clone(), (*reference).clone()]),
                    )
                });
                let mut plan = Plan::change(format!("name {}", names(&missing)), steps.collect());
                plan.creates = entries(&missing);
                plan
            }
            None => {
                let there = package_path(look, &self.package.sha256);
                let steps = vec![
                    Step::Upload {
                        source: self.package.path.clone(),
                        sha256: self.package.sha256.clone(),
                        size: self.package.size,
                        dest: there.clone(),
                        mode: 0o600,
                        owner: None,
                        group: None,
                    },
                    Step::run(
                        format!("load the image `{}`", names(&missing)),
                        Command::script(LOAD, [there, self.image_id.clone(), alias_file])
                            .args(self.references.clone()),
                    ),
                ];
                let mut plan = Plan::change(format!("load {}", names(&missing)), steps);
                plan.creates = entries(&missing);
                plan
            }
        }
    }
}

const TAG: &str = concat!(docker_prelude!(), r#"exec docker tag -- "$1" "$2""#);

impl Seen {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("image ")?.splitn(3, ' ');
        let (query, id) = (words.next()?, words.next()?);
        let layers: Option<Vec<String>> = serde_json::from_str(words.next()?).ok()?;
        Some(Self {
            query: query.to_owned(),
            id: id.to_owned(),
            layers: layers.unwrap_or_default(),
        })
    }
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let image_id = arguments.required_text("image_id")?;
    let digits = image_id.strip_prefix("sha256:").unwrap_or(&image_id);
    if !is_sha256(digits) {
        return Err(ModuleError::failed(format!("`{image_id}` is no image ID"))
            .with_hint("it is `sha256:` and 64 hexadecimal digits"));
    }
    let references = arguments.texts("references");
    if references.is_empty() || references.iter().any(|name| !is_reference(name)) {
        return Err(ModuleError::failed(
            "`references` must name the image: `name:tag`",
        ));
    }
    Ok(Box::new(DockerImage {
        package: Package::from_arguments(&arguments)?,
        image_id: format!("sha256:{digits}"),
        references,
        layers: arguments.texts("layers"),
    }))
}

fn is_reference(name: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    name.bytes().all(fine) && name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
}
