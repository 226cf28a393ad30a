//! The storage by using it, from every registry host: write, read back from another host, delete.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Map, Value};

use super::live::Live;
use super::prepare::Prepared;
use super::shared_folder;
use crate::diagnostic::Diagnostic;
use crate::engine::Fleet;
use crate::precheck::StorageProof;
use crate::registry::{ApiError, ApiErrorKind, Store, StorePlace};
use crate::remote::Forward;
use crate::secret::SecretString;
use crate::settings::{RegistryKind, Settings, Storage};

/// How long a host may take for its way to the store.
const WAY_LIMIT: Duration = Duration::from_secs(10);

/// A host's way to the store.
struct Way {
    host: String,
    store: Result<Store, ApiError>,
    /// Lives as long as the store is asked.
    _forward: Option<Forward>,
    is_direct: bool,
}

/// Uses the storage of the settings from every registry host that is connected; empty where there is nothing to try:
/// another driver, or no keys to sign with.
pub async fn prove(prepared: &Prepared, live: &Live, fleet: &Fleet) -> Vec<StorageProof> {
    let Some((place, prefix)) = place(&prepared.settings) else {
        return shared_folder::prove(prepared, live, fleet).await;
    };
    let hosts = prepared.registry_hosts();
    let ways = hosts.iter().map(|host| way(host, &place, live, fleet));
    let ways: Vec<Way> = join_all(ways).await.into_iter().flatten().collect();
    let key = |way: &Way| format!("{prefix}kk-precheck-{}-{}", live.run_id, way.host);
    let body = |way: &Way| {
        format!(
            "written by the precheck of run {} on {}\n",
            live.run_id, way.host
        )
    };
    let written = join_all(ways.iter().map(|way| async {
        match &way.store {
            Ok(store) => store.put(&key(way), body(way).as_bytes()).await,
            Err(error) => Err(error.clone()),
        }
    }))
    .await;
    let read = join_all(
        ways.iter()
            .zip(&written)
            .enumerate()
            .map(|(index, (writer, written))| {
                let reader = ways.get((index + 1) % ways.len()).unwrap_or(writer);
                let (key, body) = (key(writer), body(writer));
                async move {
                    written.as_ref().map_err(Clone::clone)?;
                    let store = reader.store.as_ref().map_err(Clone::clone)?;
                    let read = store
                        .get(&key)
                        .await
                        .map_err(|error| by(&reader.host, error))?;
                    Ok::<_, ApiError>(read.body == body.as_bytes())
                }
            }),
    )
    .await;
    // Whatever came of it: what may be there is taken away, by another host where its own cannot.
    let deleted = join_all(ways.iter().zip(&written).map(|(way, written)| {
        let key = key(way);
        let others = ways.iter().filter(|other| other.host != way.host);
        let stores: Vec<&Store> = [way]
            .into_iter()
            .chain(others)
            .filter_map(|way| way.store.as_ref().ok())
            .collect();
        async move {
            if !may_be_there(written) {
                return true;
            }
            for store in stores {
                if store.delete(&key).await.is_ok() {
                    return true;
                }
            }
            false
        }
    }))
    .await;
    let several = ways.len() > 1;
    ways.iter()
        .enumerate()
        .zip(written.iter().zip(read).zip(deleted))
        .map(|((index, way), ((written, read), deleted))| {
            let reader = ways.get((index + 1) % ways.len()).filter(|_| several);
            let fault = match (written, read) {
                (Err(error), _) => Some(by(&way.host, error.clone())),
                (_, Err(error)) => Some(error),
                (_, Ok(false)) => Some(ApiError::wrong_content(&place.bucket)),
                (_, Ok(true)) => None,
            };
            StorageProof {
                host: way.host.clone(),
                place: format!("`{}` at {}", place.bucket, place.endpoint),
                reader: reader.map(|reader| reader.host.clone()),
                is_direct: way.is_direct,
                clock_offset: written
                    .as_ref()
                    .ok()
                    .and_then(|stored| stored.ahead)
                    .map(seconds),
                fault: fault.map(|error| {
                    let diagnostic = Diagnostic::error(error.message);
                    match error.hint {
                        Some(hint) => diagnostic.hint(hint),
                        None => diagnostic,
                    }
                }),
                left: (!deleted).then(|| key(way)),
            }
        })
        .collect()
}

/// Clocks are not further apart than what a float holds.
fn seconds(whole: i64) -> f64 {
    i32::try_from(whole).map_or(f64::MAX, f64::from)
}

/// An object that was refused is not there; of one whose request got no answer nobody knows.
fn may_be_there<T>(written: &Result<T, ApiError>) -> bool {
    match written {
        Ok(_) => true,
        Err(error) => matches!(
            error.kind,
            ApiErrorKind::Unreachable | ApiErrorKind::Status(500..)
        ),
    }
}

/// A request without an answer is the host's way to the store.
fn by(host: &str, error: ApiError) -> ApiError {
    match error.kind {
        ApiErrorKind::Unreachable => ApiError {
            message: format!("`{host}` does not reach it: {}", error.message),
            ..error
        },
        _ => error,
    }
}

/// The way of one host; `None` for a host that is not connected.
async fn way(host: &str, place: &StorePlace, live: &Live, fleet: &Fleet) -> Option<Way> {
    let member = fleet.member(host)?;
    let session = member.session(&live.control.cancel).ok()?;
    let made = |store, forward, is_direct| Way {
        host: host.to_owned(),
        store,
        _forward: forward,
        is_direct,
    };
    let (address, port) = match place.address() {
        Ok(address) => address,
        Err(error) => return Some(made(Err(error), None, false)),
    };
    match tokio::time::timeout(WAY_LIMIT, session.forward(&address, port)).await {
        Ok(Ok(forward)) => {
            let store = Store::new(place.clone(), Some(forward.entrance));
            Some(made(store, Some(forward), false))
        }
        Ok(Err(error)) if error.loses_host() => None,
        Ok(Err(_)) => Some(made(Store::new(place.clone(), None), None, true)),
        Err(_) => {
            let limit = WAY_LIMIT.as_secs();
            Some(made(
                Err(ApiError::unreached(&address, port, limit)),
                None,
                false,
            ))
        }
    }
}

/// The bucket as the registry will ask for it, and the prefix of its keys.
fn place(settings: &Settings) -> Option<(StorePlace, String)> {
    let registry = &settings.image_registry;
    let Storage::Object { driver, parameters } = &registry.storage else {
        return None;
    };
    if registry.kind != RegistryKind::DockerRegistry || driver != "s3" {
        return None;
    }
    let text = |name: &str| text(parameters, name);
    let is = |name: &str| parameters.get(name).and_then(Value::as_bool);
    // Without keys the hosts' own role is used, which this machine does not have; signatures of version 2 are not made here.
    let (access_key, secret_key) = (text("accesskey")?, text("secretkey")?);
    if is("v4auth") == Some(false) {
        return None;
    }
    let (region, bucket) = (text("region")?, text("bucket")?);
    let is_secure = is("secure") != Some(false);
    let scheme = if is_secure { "https" } else { "http" };
    let endpoint = match text("regionendpoint") {
        Some(endpoint) if endpoint.contains("://") => endpoint,
        Some(endpoint) => format!("{scheme}://{endpoint}"),
        None => {
            let domain = if region.starts_with("cn-") {
                "amazonaws.com.cn"
            } else {
                "amazonaws.com"
            };
            format!("{scheme}://s3.{region}.{domain}")
        }
    };
    let is_two = settings.versions.docker_registry.starts_with("2.");
    let path_style = is("forcepathstyle") == Some(true)
        || is_two && text("regionendpoint").is_some()
        // A certificate for `*.s3…` does not cover a bucket with a dot.
        || bucket.contains('.');
    let ca_pem = match &registry.storage_ca {
        Some(path) => Some(std::fs::read_to_string(path).ok()?),
        None => None,
    };
    let prefix = text("rootdirectory").unwrap_or_default();
    let prefix = match prefix.trim_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    let place = StorePlace {
        endpoint,
        path_style,
        region,
        bucket,
        access_key: SecretString::new(access_key),
        secret_key: SecretString::new(secret_key),
        ca_pem,
        verify: is("skipverify") != Some(true),
        headers: headers(parameters),
    };
    Some((place, prefix))
}

fn text(parameters: &Map<String, Value>, name: &str) -> Option<String> {
    let text = parameters.get(name)?.as_str()?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// What the registry's driver puts a new object with.
fn headers(parameters: &Map<String, Value>) -> Vec<(&'static str, String)> {
    let acl = text(parameters, "objectacl").unwrap_or_else(|| "private".to_owned());
    let mut headers = vec![("x-amz-acl", acl)];
    let class = text(parameters, "storageclass").unwrap_or_else(|| "STANDARD".to_owned());
    if class != "NONE" {
        headers.push(("x-amz-storage-class", class));
    }
    if parameters.get("encrypt").and_then(Value::as_bool) == Some(true) {
        let name = "x-amz-server-side-encryption";
        match text(parameters, "keyid") {
            Some(key) => {
                headers.push((name, "aws:kms".to_owned()));
                headers.push(("x-amz-server-side-encryption-aws-kms-key-id", key));
            }
            None => headers.push((name, "AES256".to_owned())),
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use crate::settings::{SetFlag, SettingsInput};

    use super::*;

    fn place_of(sets: &[&str]) -> Option<(StorePlace, String)> {
        let base = "image_registry.docker_registry.storage.s3";
        let flags: Vec<SetFlag> = ["region=eu-central-1", "bucket=images"]
            .iter()
            .chain(sets)
            .map(|set| SetFlag::set(format!("{base}.{set}")))
            .chain([SetFlag::set("image_registry.type=docker-registry")])
            .collect();
        let input = SettingsInput {
            sets: &flags,
            ..SettingsInput::default()
        };
        place(&Settings::load(&input).unwrap().settings)
    }

    const KEYS: [&str; 2] = ["accesskey=AKIA", "secretkey=hush"];

    #[test]
    fn the_bucket_is_asked_as_the_registry_asks() {
        let (amazon, prefix) = place_of(&[KEYS[0], KEYS[1]]).unwrap();
        assert_eq!(amazon.endpoint, "https://s3.eu-central-1.amazonaws.com");
        assert!(!amazon.path_style && amazon.verify);
        assert_eq!(
            amazon.address().unwrap(),
            ("images.s3.eu-central-1.amazonaws.com".to_owned(), 443)
        );
        assert_eq!(prefix, "");
        let (other, prefix) = place_of(&[
            KEYS[0],
            KEYS[1],
            "regionendpoint=minio:9000",
            "secure=false",
            "rootdirectory=/a/b/",
            "skipverify=true",
            "encrypt=true",
            "storageclass=NONE",
        ])
        .unwrap();
        assert_eq!(other.endpoint, "http://minio:9000");
        assert!(other.path_style && !other.verify);
        assert_eq!(other.address().unwrap(), ("minio".to_owned(), 9000));
        assert_eq!(prefix, "a/b/");
        assert_eq!(
            other.headers,
            [
                ("x-amz-acl", "private".to_owned()),
                ("x-amz-server-side-encryption", "AES256".to_owned())
            ]
        );
        assert!(place_of(&[]).is_none());
    }
}
