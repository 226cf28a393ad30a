//! `system_trust`: a certificate authority that the whole host trusts.

use base64::Engine as _;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::apply::command_failed;
use super::attributes::Attributes;
use super::file_state::{Source, WantedFile};
use super::mode::Mode;
use super::{
    Argument, ArgumentKind, Arguments, Content, FileSource, Look, Module, ModuleError, ModuleSpec,
    Plan, Step,
};
use crate::connect::Command;

/// The module's declaration.
pub(super) static SPEC: ModuleSpec = ModuleSpec {
    name: "system_trust",
    aliases: &[],
    summary: "puts a certificate authority into the host's trust store",
    arguments: &[
        Argument::required(
            "src",
            ArgumentKind::Text,
            "the certificate (PEM) on this machine",
        ),
        Argument::required(
            "name",
            ArgumentKind::Text,
            "the name of its file, without suffix",
        ),
    ],
    examples: r"- name: the host trusts our authority
  system_trust:
    src: ca.crt
    name: our-ca
",
    returns: &[("path", "where the certificate lies")],
    free_form: None,
    build,
    check: None,
};

/// `$1` name, `$2` the certificate's body. Says the file it belongs into and whether the store has it.
const LOOK: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
if command -v update-ca-trust >/dev/null 2>&1; then
  echo "file /etc/pki/ca-trust/source/anchors/$1.crt"
  bundles=/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
elif [ -d /etc/pki/trust/anchors ] && command -v update-ca-certificates >/dev/null 2>&1; then
  echo "file /etc/pki/trust/anchors/$1.crt"
  bundles=/var/lib/ca-certificates/ca-bundle.pem
elif command -v update-ca-certificates >/dev/null 2>&1; then
  echo "file /usr/local/share/ca-certificates/$1.crt"
  bundles=/etc/ssl/certs/ca-certificates.crt
else
  exit 3
fi
if [ -r "$bundles" ] && tr -d '\r\n' <"$bundles" | grep -qF -e "$2"; then echo trusted; fi
exit 0
"#;

/// Rebuilds the trust store.
pub(super) const UPDATE: &str = r"
PATH=$PATH:/usr/sbin:/sbin
if command -v update-ca-trust >/dev/null 2>&1; then exec update-ca-trust extract; fi
exec update-ca-certificates
";

struct SystemTrust {
    src: String,
    name: String,
}

impl Module for SystemTrust {
    fn plan<'a>(&'a self, look: &'a Look<'a>) -> BoxFuture<'a, Result<Plan, ModuleError>> {
        async move {
            let bytes = match look.files.file(&self.src)? {
                FileSource::Bytes(bytes) => bytes,
                FileSource::Path(path) => {
                    let shown = path.display().to_string();
                    tokio::fs::read(path)
                        .await
                        .map(Bytes::from)
                        .map_err(|error| ModuleError::failed(format!("read `{shown}`: {error}")))?
                }
            };
            let body = body(&bytes).ok_or_else(|| {
                ModuleError::failed(format!("`{}` holds no certificate in PEM", self.src))
            })?;
            let output = look
                .session
                .probe(Command::script(LOOK, [self.name.clone(), body]))
                .await?;
            if output.status.code() == 3 {
                return Err(
                    ModuleError::failed("the host has no trust store that kk knows").with_hint(
                        "install the package `ca-certificates` on the host, or set `image_registry.trust.system_store=false`",
                    ),
                );
            }
            if !output.success() {
                return Err(command_failed("look at the trust store", &output));
            }
            let answer = output.stdout_text();
            let path = answer
                .lines()
                .find_map(|line| line.strip_prefix("file "))
                .ok_or_else(|| {
                    ModuleError::failed("look at the trust store: the host's answer was not understood")
                })?;
            let attributes = Attributes {
                mode: Some(Mode::Bits(0o644)),
                ..Attributes::default()
            };
            let source = Source::Bytes(Content::public(bytes));
            let wanted = WantedFile::new(path, source, attributes);
            let mut plan = wanted.plan(look).await?;
            if !plan.is_satisfied() || !answer.lines().any(|line| line == "trusted") {
                let rebuild = Step::run("rebuild the trust store", Command::script(UPDATE, [""; 0]));
                if plan.is_satisfied() {
                    plan = Plan {
                        creates: plan.creates,
                        result: plan.result,
                        ..Plan::change("rebuild the trust store", Vec::new())
                    };
                }
                plan.steps.push(rebuild);
            }
            Ok(plan)
        }
        .boxed()
    }
}

/// The base64 of the first certificate, in one line.
fn body(pem: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(pem).ok()?;
    let after = text.split_once("-----BEGIN CERTIFICATE-----")?.1;
    let inner = after.split_once("-----END CERTIFICATE-----")?.0;
    let body: String = inner.split_whitespace().collect();
    let is_fine = base64::engine::general_purpose::STANDARD
        .decode(&body)
        .is_ok();
    (is_fine && !body.is_empty()).then_some(body)
}

fn build(arguments: Arguments) -> Result<Box<dyn Module>, ModuleError> {
    let name = arguments.required_text("name")?;
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(fine) {
        return Err(
            ModuleError::failed(format!("`{name}` cannot name a certificate"))
                .with_hint("use letters, digits, `-`, `_` and `.`"),
        );
    }
    Ok(Box::new(SystemTrust {
        src: arguments.required_text("src")?,
        name,
    }))
}
