//! A host of the lab, past SSH: commands as root by the lab's own door, so that a host that kk cannot reach can be looked at.

use std::io::{Read as _, Write as _};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use super::lab;

/// A script at work on a host.
pub struct Endless {
    child: Child,
    said: std::thread::JoinHandle<Vec<u8>>,
}

impl Endless {
    /// Ends it. What it said.
    pub fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        String::from_utf8_lossy(&self.said.join().unwrap()).into_owned()
    }
}

/// One host.
#[derive(Debug, Clone)]
pub struct Host {
    /// Its name in the inventory and on itself.
    pub name: String,
    /// Its address.
    pub address: String,
}

impl Host {
    /// Runs a script as root; it has to succeed. Standard output, without the last line break.
    pub fn sh(&self, script: &str) -> String {
        let output = self.try_sh(script);
        assert!(
            output.status.success(),
            "{}: {}\n$ {script}\n{}{}",
            self.name,
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end_matches('\n')
            .to_owned()
    }

    /// Runs a script as root.
    pub fn try_sh(&self, script: &str) -> Output {
        self.feed(script, b"")
    }

    /// Runs a script as root with something on standard input.
    pub fn feed(&self, script: &str, input: &[u8]) -> Output {
        self.feed_within(120, script, input)
    }

    fn feed_within(&self, seconds: u32, script: &str, input: &[u8]) -> Output {
        let mut child = lab::script(seconds, &["exec", &self.name, "--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let feeder = std::thread::spawn(move || {
            // A script that does not read to the end is no error.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        output
    }

    /// Whether a script ends with 0.
    pub fn is(&self, script: &str) -> bool {
        self.try_sh(script).status.success()
    }

    /// Starts a script that goes on until it is told to end by the end of its input.
    pub fn start(&self, script: &str) -> Child {
        lab::script(600, &["exec", &self.name, "--", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Starts a script that never ends by itself; it is ended, and what it said read, by [`Endless::end`].
    pub fn start_endless(&self, script: &str) -> Endless {
        let ends = "exec 3<&0\n( while read -r _; do :; done; kill $$ ) <&3 &\n";
        let mut child = self.start(&format!("{ends}{script}"));
        let mut stdout = child.stdout.take().unwrap();
        let said = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stdout.read_to_end(&mut bytes);
            bytes
        });
        Endless { child, said }
    }

    /// Waits until a script ends with 0.
    pub fn wait_until(&self, what: &str, limit: Duration, script: &str) {
        let began = Instant::now();
        loop {
            let output = self.feed_within(15, script, b"");
            if output.status.success() {
                return;
            }
            assert!(
                began.elapsed() < limit,
                "{}: not within {limit:?}: {what}\n{}{}",
                self.name,
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Calls the lab's script for this host: `reboot`, `power-off`, `power-on`, `cut`, `heal`.
    pub fn lab(&self, command: &str) {
        lab::call(&[command, &self.name]);
    }

    /// Nothing of a run that ended is at work any more: no step, no lock.
    #[track_caller]
    pub fn assert_ended(&self) {
        let said = self.sh(
            r#"for file in /proc/[0-9]*/cmdline; do
  line=$(tr '\0' ' ' 2>/dev/null <"$file") || continue
  case $line in *kk-"step-"*) echo "process: $line" ;; esac
done
if [ -e /var/lib/kk/lock ]; then
  flock -n /var/lib/kk/lock true || echo "the run lock is held: $(cat /var/lib/kk/lock)"
fi
if [ -e /var/lib/kk/step.lock ]; then flock -n /var/lib/kk/step.lock true || echo "the step lock is held"; fi"#,
        );
        assert_eq!(said, "", "{}: a run that is over", self.name);
    }

    /// Nothing is at work any more, and no temporary or partial file is left.
    #[track_caller]
    pub fn assert_no_remains(&self) {
        self.assert_ended();
        let said = self.sh(
            r"find / /var/lib/docker /data /tmp /run -xdev \( -path /proc -o -path /sys -o -path /var/lib/docker/overlay2 \) -prune -o \
  \( -name '*.kk-*' -o -name '.kk-*' -o -name '*.part' -o -path '/var/lib/kk/*.new' -o -path '/var/lib/kk/*.gone' \) -print
find /tmp -mindepth 1 ! -path '/tmp/systemd-private-*' ! -name '.*-unix'
[ ! -d /var/lib/kk ] || find /var/lib/kk -type f -size +1M",
        );
        assert_eq!(said, "", "{}: remains of a run", self.name);
    }
}
