//! The registry client against the real distribution registry: TLS by our own authority, our own htpasswd.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use kk::pki::{self, CertificateNames, Wanted, htpasswd};
use kk::registry::{
    ApiCall, ApiError, ApiErrorKind, Authentication, Client, ProofImage, RegistryEndpoint,
    TinyImage, execute,
};
use kk::secret::{Secret, SecretString};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

const NAME: &str = "registry.kk.test";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The registry's binary, fetched once.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/fetch-registry");
        let folder = concat!(env!("CARGO_TARGET_TMPDIR"), "/docker-registry");
        let output = Command::new(script).arg(folder).output().unwrap();
        assert!(
            output.status.success(),
            "Debian's docker-registry cannot be fetched: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

fn password() -> SecretString {
    Secret::new("right-Password 1".to_owned())
}

/// How a registry is started.
#[derive(Clone, Copy)]
struct Setup {
    tls: bool,
    auth: bool,
    delete: bool,
}

const USUAL: Setup = Setup {
    tls: true,
    auth: true,
    delete: true,
};

/// A running registry; it ends with the test.
struct Registry {
    process: Option<Child>,
    folder: tempfile::TempDir,
    port: u16,
    setup: Setup,
    ca_pem: String,
}

impl Registry {
    /// Everything in place, nothing started.
    fn prepare(setup: Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let names = CertificateNames::only([NAME, "10.99.0.100"]);
        let plan = pki::ensure(
            &path.join("pki"),
            &Wanted::new(names),
            OffsetDateTime::now_utc(),
        )
        .unwrap();
        plan.apply().unwrap();
        let line = htpasswd::line("admin", &password()).unwrap();
        fs::write(path.join("htpasswd"), format!("{}\n", line.expose())).unwrap();
        let port = TcpListener::bind((LOOPBACK, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let folder_text = path.display();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage:\n  filesystem: {{rootdirectory: {folder_text}/data}}\n  delete: {{enabled: {}}}\nhttp:\n  addr: 127.0.0.1:{port}\n  secret: test\n",
            setup.delete
        );
        if setup.tls {
            config.push_str(&format!(
                "  tls: {{certificate: {folder_text}/pki/server.crt, key: {folder_text}/pki/server.key}}\n"
            ));
        }
        if setup.auth {
            config.push_str(&format!(
                "auth:\n  htpasswd: {{realm: kk, path: {folder_text}/htpasswd}}\n"
            ));
        }
        fs::write(path.join("config.yml"), config).unwrap();
        Self {
            process: None,
            folder,
            port,
            setup,
            ca_pem: plan.material.authority,
        }
    }

    fn start(&mut self) {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let process = Command::new(binary())
            .args(["serve", "config.yml"])
            .current_dir(self.folder.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    async fn running(setup: Setup) -> Self {
        let mut registry = Self::prepare(setup);
        registry.start();
        let call = ApiCall::WaitReady {
            endpoint: registry.endpoint(),
            limit: Duration::from_secs(20),
        };
        if let Err(error) = run(&call).await {
            let log = fs::read_to_string(registry.folder.path().join("log")).unwrap_or_default();
            panic!("{error}\n{log}");
        }
        registry
    }

    fn endpoint(&self) -> RegistryEndpoint {
        RegistryEndpoint {
            name: NAME.to_owned(),
            port: self.port,
            plain_http: !self.setup.tls,
            ca_pem: Some(self.ca_pem.clone()),
            connect_to: Some(LOOPBACK),
            through: None,
            username: "admin".to_owned(),
            password: password(),
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

async fn run(call: &ApiCall) -> Result<Value, ApiError> {
    execute(call, &CancellationToken::new()).await
}

fn image(seed: &str) -> ProofImage {
    ProofImage {
        repository: "kk-proof/node1".to_owned(),
        tag: "proof".to_owned(),
        seed: seed.to_owned(),
        architecture: "amd64".to_owned(),
    }
}

fn push(endpoint: RegistryEndpoint, seed: &str) -> ApiCall {
    ApiCall::PushProof {
        endpoint,
        image: image(seed),
    }
}

#[tokio::test]
async fn an_image_goes_in_comes_back_and_goes_away() {
    let registry = Registry::running(USUAL).await;
    let endpoint = registry.endpoint();
    let tiny = TinyImage::new("one", "amd64").unwrap();
    let pushed = run(&push(endpoint.clone(), "one")).await.unwrap();
    assert_eq!(
        pushed,
        json!({
            "reference": format!("{NAME}:{}/kk-proof/node1@{}", registry.port, tiny.manifest.digest),
            "endpoint": format!("{NAME}:{}", registry.port),
            "repository": "kk-proof/node1",
            "tag": "proof",
            "digest": tiny.manifest.digest,
            "config_digest": tiny.config.digest,
            "layer_digest": tiny.layer.digest,
            "size": tiny.size(),
        })
    );
    // Once more is no mistake, and reading alone finds the same.
    assert_eq!(run(&push(endpoint.clone(), "one")).await.unwrap(), pushed);
    let read = ApiCall::ReadProof {
        endpoint: endpoint.clone(),
        image: image("one"),
    };
    assert_eq!(run(&read).await.unwrap(), pushed);
    // Another image under the same tag is told apart.
    let other = ApiCall::ReadProof {
        endpoint: endpoint.clone(),
        image: image("two"),
    };
    let error = run(&other).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Proof);
    assert!(
        error
            .message
            .contains("gives back another tag than was pushed"),
        "{error}"
    );
    let delete = ApiCall::DeleteProof {
        endpoint,
        image: image("one"),
    };
    assert_eq!(run(&delete).await.unwrap()["deleted"], true);
    let error = run(&read).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Status(404));
    assert!(
        error
            .message
            .ends_with("does not have `kk-proof/node1:proof`"),
        "{error}"
    );
    assert_eq!(run(&delete).await.unwrap()["deleted"], false);
    // And it can come again.
    assert_eq!(
        run(&read).await.unwrap_err().kind,
        ApiErrorKind::Status(404)
    );
    run(&push(registry.endpoint(), "one")).await.unwrap();
}

#[tokio::test]
async fn an_address_as_name_is_verified_where_another_is_connected_to() {
    let registry = Registry::running(USUAL).await;
    let endpoint = RegistryEndpoint {
        name: "10.99.0.100".to_owned(),
        ..registry.endpoint()
    };
    let pushed = run(&push(endpoint.clone(), "vip")).await.unwrap();
    assert!(
        pushed["reference"]
            .as_str()
            .unwrap()
            .starts_with("10.99.0.100:")
    );
    let other = RegistryEndpoint {
        name: "10.99.0.101".to_owned(),
        ..endpoint
    };
    let error = run(&push(other, "vip")).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Tls, "{error:?}");
    assert_eq!(
        error.message,
        format!(
            "the certificate of 10.99.0.101:{} at 127.0.0.1 is not valid for `10.99.0.101`, only for {NAME}, 10.99.0.100",
            registry.port
        )
    );
}

#[tokio::test]
async fn what_is_wrong_with_tls_is_said() {
    let registry = Registry::running(USUAL).await;
    let at = format!("other.kk.test:{} at 127.0.0.1", registry.port);
    let endpoint = RegistryEndpoint {
        name: "other.kk.test".to_owned(),
        ..registry.endpoint()
    };
    let error = Client::new(endpoint.clone())
        .unwrap()
        .ping()
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Tls, "{error:?}");
    assert_eq!(
        error.message,
        format!(
            "the certificate of {at} is not valid for `other.kk.test`, only for {NAME}, 10.99.0.100"
        )
    );
    // Another authority, and those of this machine.
    let other = Registry::prepare(USUAL);
    for ca_pem in [Some(other.ca_pem.clone()), None] {
        let endpoint = RegistryEndpoint {
            ca_pem,
            ..registry.endpoint()
        };
        let error = match Client::new(endpoint) {
            Ok(client) => client.ping().await.unwrap_err(),
            // A machine without any authorities.
            Err(error) if error.message == "there is no authority to trust" => continue,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(error.kind, ApiErrorKind::Tls, "{error:?}");
        assert_eq!(
            error.message,
            format!(
                "the certificate of {NAME}:{} at 127.0.0.1 was issued by an authority that is not trusted here",
                registry.port
            )
        );
        assert!(error.hint.is_some());
    }
}

#[tokio::test]
async fn plain_and_tls_are_not_mixed_up() {
    let tls = Registry::running(USUAL).await;
    let endpoint = RegistryEndpoint {
        plain_http: true,
        ..tls.endpoint()
    };
    let error = Client::new(endpoint).unwrap().ping().await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::NotARegistry);
    assert!(
        error
            .message
            .ends_with("does not answer plain HTTP; it may want TLS"),
        "{error}"
    );
    let plain = Registry::running(Setup {
        tls: false,
        ..USUAL
    })
    .await;
    run(&push(plain.endpoint(), "plain")).await.unwrap();
    let endpoint = RegistryEndpoint {
        plain_http: false,
        ..plain.endpoint()
    };
    let error = Client::new(endpoint).unwrap().ping().await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Tls, "{error:?}");
    assert!(
        error.message.ends_with("answers without TLS on that port"),
        "{error}"
    );
}

#[tokio::test]
async fn the_password_matters() {
    let registry = Registry::running(USUAL).await;
    let check = ApiCall::CheckAuthentication {
        endpoint: registry.endpoint(),
    };
    assert_eq!(
        run(&check).await.unwrap(),
        json!({"anonymous": 401, "wrong_password": 401, "right_password": 200})
    );
    let wrong = RegistryEndpoint {
        password: Secret::new("canary".to_owned()),
        ..registry.endpoint()
    };
    for call in [
        push(wrong.clone(), "x"),
        ApiCall::CheckAuthentication { endpoint: wrong },
    ] {
        let error = run(&call).await.unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::Authentication);
        assert!(
            error
                .message
                .ends_with("refuses the user `admin` with the password given"),
            "{error}"
        );
        assert!(!format!("{error:?} {call:?}").contains("canary"));
    }
    let open = Registry::running(Setup {
        auth: false,
        ..USUAL
    })
    .await;
    let health = Client::new(open.endpoint()).unwrap().ping().await.unwrap();
    assert_eq!(health.authentication, Authentication::None);
    let check = ApiCall::CheckAuthentication {
        endpoint: open.endpoint(),
    };
    let error = run(&check).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Proof);
    assert!(
        error
            .message
            .ends_with("lets anybody in without a password"),
        "{error}"
    );
}

#[tokio::test]
async fn deleting_that_is_switched_off_is_said() {
    let registry = Registry::running(Setup {
        delete: false,
        ..USUAL
    })
    .await;
    run(&push(registry.endpoint(), "kept")).await.unwrap();
    let delete = ApiCall::DeleteProof {
        endpoint: registry.endpoint(),
        image: image("kept"),
    };
    let error = run(&delete).await.unwrap_err();
    assert!(
        error.message.contains("deleting is switched off"),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("delete.enabled"));
}

#[tokio::test]
async fn waiting_ends_when_it_is_ready_late_or_broken_off() {
    let mut registry = Registry::prepare(USUAL);
    let wait = |limit| ApiCall::WaitReady {
        endpoint: registry.endpoint(),
        limit,
    };
    let error = run(&wait(Duration::from_millis(400))).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::TimedOut);
    assert!(
        error
            .message
            .contains("refused the connection: nothing listens on that port"),
        "{error}"
    );
    let cancel = CancellationToken::new();
    let call = wait(Duration::from_secs(60));
    let start = Instant::now();
    let (result, ()) = tokio::join!(execute(&call, &cancel), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel.cancel();
    });
    assert_eq!(result.unwrap_err().kind, ApiErrorKind::Cancelled);
    assert!(start.elapsed() < Duration::from_secs(5));
    let (result, ()) = tokio::join!(run(&call), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        registry.start();
    });
    let ready = result.unwrap();
    assert_eq!(ready["authentication"], "basic");
    assert!(ready["attempts"].as_u64().unwrap() > 1, "{ready}");
}

#[tokio::test]
async fn nobody_there_is_said() {
    let registry = Registry::prepare(USUAL);
    let endpoint = RegistryEndpoint {
        name: "no-such-name.invalid".to_owned(),
        connect_to: None,
        through: None,
        ..registry.endpoint()
    };
    let error = Client::new(endpoint).unwrap().ping().await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Unreachable);
    assert!(
        error
            .message
            .ends_with("cannot be resolved on this machine"),
        "{error}"
    );
    let endpoint = RegistryEndpoint {
        name: "not a name".to_owned(),
        ..registry.endpoint()
    };
    assert_eq!(
        Client::new(endpoint).err().unwrap().kind,
        ApiErrorKind::Invalid
    );
    let endpoint = RegistryEndpoint {
        ca_pem: Some("nonsense".to_owned()),
        ..registry.endpoint()
    };
    assert_eq!(
        Client::new(endpoint).err().unwrap().message,
        "there is no authority to trust"
    );
}
