//! Commands over a session: output, input, status, limits.

use kk::connect::ssh::connect;
use kk::connect::{Command, ExecRequest, ExitStatus, Stdin};

use super::server::{self, Server};

#[tokio::test(flavor = "multi_thread")]
async fn output_status_and_input() {
    if !server::is_available() {
        return;
    }
    let server = Server::start();
    let session = connect(server.options()).await.unwrap();
    let output = session
        .exec(
            ExecRequest::new(Command::script(
                "cat; echo \"error: $1\" >&2; exit 3",
                ["it's ü!"],
            ))
            .stdin(Stdin::Bytes("the input".into())),
        )
        .await
        .unwrap();
    assert_eq!(output.status, ExitStatus::Code(3));
    assert_eq!(output.stdout_text(), "the input");
    assert_eq!(output.stderr_text(), "error: it's ü!\n");
    session.close().await;
    let error = session
        .exec(ExecRequest::new(Command::new("true")))
        .await
        .unwrap_err();
    assert!(error.did_not_run(), "{error}");
}
