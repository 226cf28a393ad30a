//! Environment variables of a task on a real host: they reach the command, and nobody else sees them.

use bytes::Bytes;
use kk::connect::Command;
use kk::connect::ssh::connect;

use super::server::{self, Server, session_over};

#[tokio::test(flavor = "multi_thread")]
async fn no_value_is_in_the_arguments_of_any_process() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = session_over(connect(server.options()).await.unwrap());
    let value = format!("kk-canary-{:032x}", rand::random::<u128>());
    let with = session.with_environment(&[("TOKEN".to_owned(), value.clone())]);
    // What every account of the host can read, while the command runs; and the environment of the command's parents.
    let look =
        "printf '%s\\n' \"$TOKEN\"; cat; cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'";
    let visible = format!("kk-visible-{:032x}", rand::random::<u128>());
    for is_step in [true, false] {
        let command = Command::script(look, [visible.as_str()]);
        let input = Bytes::from_static(b"its own input\n");
        let output = if is_step {
            with.run(command, input).await.unwrap()
        } else {
            with.probe_with(command, input).await.unwrap()
        };
        let text = output.stdout_text();
        let rest = text
            .strip_prefix(&format!("{value}\nits own input\n"))
            .unwrap_or_else(|| panic!("{text:.200}"));
        assert!(rest.contains(&visible), "the arguments were not read");
        assert!(!rest.contains(&value), "step: {is_step}");
    }
    // It does not stay behind in the session.
    let output = session
        .probe(Command::script("echo \"${TOKEN-none}\"", [""; 0]))
        .await
        .unwrap();
    assert_eq!(output.stdout_text(), "none\n");
}
