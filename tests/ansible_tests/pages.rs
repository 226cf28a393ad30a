//! A tiny web server on loopback, for lookups that ask one. It ends with the tests.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The server, at a port of its own.
pub struct Pages {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pages {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                if let Ok(stream) = stream {
                    std::thread::spawn(move || answer(stream));
                }
            }
        });
        Self {
            address,
            is_over,
            thread: Some(thread),
        }
    }

    /// What addresses begin with.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes it from waiting for the next one.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One request, one answer.
fn answer(stream: TcpStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
    let mut head = Vec::new();
    let mut reader = BufReader::new(&stream);
    loop {
        let mut line = String::new();
        // Nobody sends more here.
        match reader.by_ref().take(8192).read_line(&mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.trim_end().is_empty() => break,
            Ok(_) => head.push(line.trim_end().to_owned()),
        }
    }
    let path = head
        .first()
        .and_then(|line| line.split(' ').nth(1))
        .unwrap_or_default();
    let (status, more, body) = page(path, &head);
    let text = format!(
        "HTTP/1.1 {status}\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = (&stream).write_all(text.as_bytes());
    let _ = (&stream).write_all(&body);
}

/// Status, further lines of the head, content.
fn page(path: &str, head: &[String]) -> (&'static str, &'static str, Vec<u8>) {
    let has = |wanted: &str| head.iter().any(|line| line.eq_ignore_ascii_case(wanted));
    match path {
        "/lines" => ("200 OK", "", b"one\ntwo\n\nlast".to_vec()),
        "/breaks" => ("200 OK", "", b"a\r\nb\rc\x0bd\n".to_vec()),
        "/empty" => ("200 OK", "", Vec::new()),
        "/letters" => ("200 OK", "", "Grüße\n".as_bytes().to_vec()),
        "/moved" => ("302 Found", "Location: /lines\r\n", b"moved".to_vec()),
        "/circle" => ("302 Found", "Location: /circle\r\n", b"round".to_vec()),
        "/broken" => ("500 Internal Server Error", "", b"broken".to_vec()),
        "/slow" => {
            std::thread::sleep(Duration::from_secs(4));
            ("200 OK", "", b"at last".to_vec())
        }
        // Of `somebody` with `something`, asked for first, or at once.
        "/private" | "/at-once" => match () {
            () if has("Authorization: Basic c29tZWJvZHk6c29tZXRoaW5n") => {
                ("200 OK", "", b"private".to_vec())
            }
            () if path == "/private" => (
                "401 Unauthorized",
                "WWW-Authenticate: Basic realm=\"here\"\r\n",
                b"no".to_vec(),
            ),
            () => ("403 Forbidden", "", b"no".to_vec()),
        },
        "/told" => {
            let told = head.iter().filter(|line| {
                let name = line.split(':').next().unwrap_or_default().to_lowercase();
                matches!(
                    name.as_str(),
                    "user-agent" | "cache-control" | "x-one" | "x-two" | "authorization"
                )
            });
            // The case of the names is anyone's.
            let mut told: Vec<String> = told
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| format!("{}:{value}\n", name.to_lowercase()))
                .collect();
            told.sort();
            ("200 OK", "", told.concat().into_bytes())
        }
        _ => ("404 Not Found", "", b"nothing here".to_vec()),
    }
}
