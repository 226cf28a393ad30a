//! The registry client against answers that no distribution registry gives: token services, redirections, other
//! programs on the port. A few lines of HTTP stand for the server.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use kk::registry::{
    ApiCall, ApiErrorKind, Authentication, Client, ProofImage, RegistryEndpoint, TinyImage, execute,
};
use kk::secret::Secret;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// One request: its first line, and its headers in lower case.
#[derive(Debug, Clone)]
struct Request {
    line: String,
    headers: String,
}

impl Request {
    fn has(&self, header: &str) -> bool {
        self.headers.contains(header)
    }
}

type Seen = Arc<Mutex<Vec<Request>>>;

/// Answers each request by `answer` (status line and headers, then the body) until the test ends.
async fn serve(
    answer: impl Fn(&Request, u16) -> (String, Vec<u8>) + Send + Sync + 'static,
) -> (u16, Seen) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen: Seen = Arc::default();
    let log = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
                let mut chunk = [0; 4096];
                match stream.read(&mut chunk).await {
                    Ok(length) if length > 0 => bytes.extend_from_slice(&chunk[..length]),
                    _ => break,
                }
            }
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let (line, headers) = text.split_once("\r\n").unwrap_or_default();
            let request = Request {
                line: line.to_owned(),
                headers: headers.to_owned(),
            };
            log.lock().unwrap().push(request.clone());
            let (head, body) = answer(&request, port);
            let head = format!(
                "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&body).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, seen)
}

fn endpoint(port: u16) -> RegistryEndpoint {
    RegistryEndpoint {
        name: "harbor.kk.test".to_owned(),
        port,
        plain_http: true,
        ca_pem: None,
        connect_to: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        through: None,
        username: "admin".to_owned(),
        password: Secret::new("secret".to_owned()),
    }
}

/// `admin:secret`.
const BASIC: &str = "authorization: Basic YWRtaW46c2VjcmV0";

#[tokio::test]
async fn a_token_service_is_asked_with_the_password_and_the_registry_with_the_token() {
    let (port, seen) = serve(|request, port| {
        let challenge = format!(
            "401 Unauthorized\r\nDocker-Distribution-Api-Version: registry/2.0\r\nWWW-Authenticate: Bearer realm=\"http://harbor.kk.test:{port}/service/token\",service=\"harbor-registry\""
        );
        if request.line.starts_with("GET /service/token?service=harbor-registry&account=") {
            if request.has(BASIC) {
                return ("200 OK".to_owned(), br#"{"token": "good"}"#.to_vec());
            }
            return ("401 Unauthorized".to_owned(), Vec::new());
        }
        if request.has("authorization: Bearer good") {
            return ("200 OK\r\nDocker-Distribution-Api-Version: registry/2.0".to_owned(), b"{}".to_vec());
        }
        (challenge, Vec::new())
    })
    .await;
    let health = Client::new(endpoint(port)).unwrap().ping().await.unwrap();
    assert_eq!(health.authentication, Authentication::Bearer);
    let call = ApiCall::CheckAuthentication {
        endpoint: endpoint(port),
    };
    assert_eq!(
        execute(&call, &CancellationToken::new()).await.unwrap(),
        json!({"anonymous": 401, "wrong_password": 401, "right_password": 200})
    );
    let seen = seen.lock().unwrap();
    // A wrong password is never tried with the real user: Harbor would lock it.
    let users: Vec<&str> = seen
        .iter()
        .filter_map(|request| request.line.split_once("account=")?.1.split(' ').next())
        .collect();
    assert_eq!(users.len(), 2);
    assert!(
        users[0].starts_with("kk-") && users[1] == "admin",
        "{users:?}"
    );
    assert!(
        seen.iter()
            .all(|request| request.has(&format!("host: harbor.kk.test:{port}")))
    );
    let to_registry = seen
        .iter()
        .filter(|request| request.line.starts_with("GET /v2/"));
    assert!(to_registry.into_iter().all(|request| !request.has("Basic")));
}

#[tokio::test]
async fn a_redirection_to_a_storage_takes_no_password_along() {
    let tiny = TinyImage::new("far", "amd64").unwrap();
    let (layer, config, manifest) = (
        tiny.layer.clone(),
        tiny.config.clone(),
        tiny.manifest.clone(),
    );
    let (storage, stored) = serve(move |_, _| ("200 OK".to_owned(), layer.bytes.to_vec())).await;
    let far = tiny.layer.digest.clone();
    let (port, _) = serve(move |request, _| {
        if !request.has(BASIC) {
            return (
                "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"".to_owned(),
                Vec::new(),
            );
        }
        if request.line.contains(&far) {
            let place = format!(
                "307 Temporary Redirect\r\nLocation: http://127.0.0.1:{storage}/bucket/x?sign=1"
            );
            return (place, Vec::new());
        }
        if request.line.contains(&config.digest) {
            return ("200 OK".to_owned(), config.bytes.to_vec());
        }
        (
            format!("200 OK\r\nDocker-Content-Digest: {}", manifest.digest),
            if request.line.starts_with("HEAD") {
                Vec::new()
            } else {
                manifest.bytes.to_vec()
            },
        )
    })
    .await;
    let image = ProofImage {
        repository: "p".to_owned(),
        tag: "t".to_owned(),
        seed: "far".to_owned(),
        architecture: "amd64".to_owned(),
    };
    let call = ApiCall::ReadProof {
        endpoint: endpoint(port),
        image,
    };
    let read = execute(&call, &CancellationToken::new()).await.unwrap();
    assert_eq!(read["layer_digest"], tiny.layer.digest);
    let stored = stored.lock().unwrap();
    assert_eq!(stored[0].line, "GET /bucket/x?sign=1 HTTP/1.1");
    assert!(!stored[0].has("authorization"), "{:?}", stored[0]);
}

#[tokio::test]
async fn other_programs_are_told_from_a_registry() {
    for (head, body, message) in [
        (
            "200 OK",
            "<html>welcome",
            "answers 200 to `/v2/`, which no registry does",
        ),
        (
            "404 Not Found",
            "",
            "answers 404 to `/v2/`, which no registry does",
        ),
        (
            "401 Unauthorized\r\nWWW-Authenticate: Negotiate",
            "",
            "asks for a password in a way that no registry does",
        ),
        (
            "502 Bad Gateway",
            "\n<html><title>502</title>",
            "answers 502 Bad Gateway: <html><title>502</title>",
        ),
        (
            "503 Service Unavailable",
            r#"{"errors":[{"code":"UNAVAILABLE","message":"service unavailable","detail":"health check failed"}]}"#,
            "answers 503 Service Unavailable: UNAVAILABLE service unavailable",
        ),
    ] {
        let answer = (head.to_owned(), body.as_bytes().to_vec());
        let (port, _) = serve(move |_, _| answer.clone()).await;
        let error = Client::new(endpoint(port))
            .unwrap()
            .ping()
            .await
            .unwrap_err();
        assert_eq!(
            error.message,
            format!("harbor.kk.test:{port} at 127.0.0.1 {message}")
        );
        let is_status = matches!(error.kind, ApiErrorKind::Status(502 | 503));
        assert!(is_status || error.kind == ApiErrorKind::NotARegistry);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_said() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream);
        }
    });
    let error = Client::new(endpoint(port))
        .unwrap()
        .ping()
        .await
        .unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Unreachable);
    assert!(
        error.message.ends_with("broke off the connection"),
        "{error}"
    );
}
