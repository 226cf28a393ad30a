//! The page of `--timings` in a real browser: Debian's chromium, headless, light and dark.
//!
//! The screenshots stay in `target/tmp/timings`, to be looked at.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kk::engine::event::{Event, EventKind, Outcome, Recap, Wait};
use kk::report::timings::Timings;

/// What is asked of the page by a script that the test adds to it. The answer is JSON in an element of its own.
const PROBE: &str = r"<script>
(function () {
  function channels(colour) {
    return colour.match(/[\d.]+/g).map(Number);
  }
  function luminance(colour) {
    var parts = channels(colour).slice(0, 3).map(function (value) {
      value /= 255;
      return value <= 0.03928 ? value / 12.92 : Math.pow((value + 0.055) / 1.055, 2.4);
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  }
  function contrast(one, other) {
    var a = luminance(one), b = luminance(other);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }
  function background(element) {
    for (; element; element = element.parentElement) {
      var colour = getComputedStyle(element).backgroundColor;
      var parts = channels(colour);
      if (parts.length < 4 || parts[3] > 0) { return colour; }
    }
    return 'rgb(255, 255, 255)';
  }
  var answer = { worst: 100, where: '', overflow: [], lanes: 0, empty: [], faint: [] };
  var width = document.documentElement.clientWidth;
  answer.page = document.documentElement.scrollWidth - width;
  answer.lanes = document.querySelectorAll('.lane.host').length;
  answer.bars = document.querySelectorAll('.lane.host rect').length;
  document.querySelectorAll('.lane.host').forEach(function (lane) {
    if (!lane.querySelector('rect')) { answer.empty.push(lane.textContent); }
  });
  document.querySelectorAll('body *').forEach(function (element) {
    var own = Array.prototype.some.call(element.childNodes, function (node) {
      return node.nodeType === 3 && node.textContent.trim();
    });
    if (own && !element.closest('svg,script')) {
      var style = getComputedStyle(element);
      var value = contrast(style.color, background(element));
      if (value < answer.worst) {
        answer.worst = value;
        answer.where = element.tagName + '.' + element.className + ': ' + element.textContent.slice(0, 40);
      }
    }
    // Only what has a scroll bar of its own may be wider than the page.
    if (!element.closest('.chart,.scroll') && element.getBoundingClientRect().right > width + 1) {
      answer.overflow.push(element.tagName + '.' + element.className);
    }
  });
  // Bars have to be told from the page behind them.
  var ground = getComputedStyle(document.querySelector('.chart')).backgroundColor;
  document.querySelectorAll('.legend rect').forEach(function (rect) {
    var value = contrast(getComputedStyle(rect).fill, ground);
    if (value < 1.15) { answer.faint.push(rect.getAttribute('class') + ' ' + value); }
  });
  // What lies out of sight is not laid out.
  document.querySelectorAll('.lane').forEach(function (lane) { lane.style.contentVisibility = 'visible'; });
  var first = document.querySelector('.lane.host rect');
  var box = first.getBoundingClientRect();
  answer.seen = box.width > 0 && box.height > 0;
  answer.ground = getComputedStyle(document.body).backgroundColor;
  var pre = document.createElement('pre');
  pre.id = 'probe';
  pre.textContent = JSON.stringify(answer);
  document.body.appendChild(pre);
})();
</script>
</body>";

/// Chromium, installed when it is missing and may be.
fn chromium() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = || {
        ["/usr/bin/chromium", "/usr/bin/chromium-browser"]
            .iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
    };
    if found().is_none() {
        let _ = Command::new(root.join("tests/support/install-chromium"))
            .stdin(Stdio::null())
            .output();
    }
    let path = found();
    if path.is_none() {
        eprintln!(
            "SKIPPED the timings page in a browser: chromium is not there and cannot be installed"
        );
    }
    path
}

/// Chromium's own flags; a user folder for this call alone.
fn headless(chromium: &Path, profile: &Path, dark: bool, width: u32, page: &Path) -> Command {
    let mut command = Command::new(chromium);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--virtual-time-budget=5000",
        ])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!(
            "--blink-settings=preferredColorScheme={}",
            u8::from(!dark)
        ))
        .arg(format!("--window-size={width},1400"))
        .stdin(Stdio::null());
    command.env("HOME", profile);
    let _ = page;
    command
}

/// What the probe answers.
fn probe(chromium: &Path, page: &Path, dark: bool, width: u32) -> serde_json::Value {
    let profile = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(page).unwrap();
    let probed = profile.path().join("probed.html");
    std::fs::write(&probed, text.replace("</body>", PROBE)).unwrap();
    let output = headless(chromium, profile.path(), dark, width, page)
        .arg("--dump-dom")
        .arg(format!("file://{}", probed.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let answer = dom
        .split("<pre id=\"probe\">")
        .nth(1)
        .and_then(|rest| rest.split("</pre>").next())
        .unwrap_or_else(|| {
            panic!(
                "no answer: {}\n{}",
                dom.chars().take(2000).collect::<String>(),
                String::from_utf8_lossy(&output.stderr)
            )
        });
    let answer = answer
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    serde_json::from_str(&answer).unwrap()
}

fn screenshot(chromium: &Path, page: &Path, dark: bool, width: u32) -> PathBuf {
    let profile = tempfile::tempdir().unwrap();
    let name = page.file_stem().unwrap().to_string_lossy();
    let scheme = if dark { "dark" } else { "light" };
    let picture = page.with_file_name(format!("{name}-{scheme}-{width}.png"));
    let output = headless(chromium, profile.path(), dark, width, page)
        .arg(format!("--screenshot={}", picture.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    assert!(
        picture.exists(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    picture
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("timings");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A run with something of everything on this many hosts.
fn made_up(hosts: usize, tasks: u64) -> Vec<Event> {
    let names: Vec<String> = (1..=hosts)
        .map(|number| format!("node{number}.rack{}.example.org", number % 7))
        .collect();
    let mut events = Vec::new();
    let mut say = |milliseconds: u64, kind: EventKind| {
        events.push(Event {
            at: Duration::from_millis(milliseconds),
            kind,
        });
    };
    say(
        0,
        EventKind::RunStarted {
            command: "run site.yaml".into(),
            run_id: "20260102-030405-abcdef".into(),
            time: "2026-01-02T03:04:05Z".into(),
            version: "0.1.0".into(),
            hosts: names.clone(),
            check_mode: false,
            log_file: None,
        },
    );
    for (index, host) in names.iter().enumerate() {
        say(
            200 + index as u64 % 90,
            EventKind::HostConnected {
                host: host.clone(),
                target: format!("root@{host}"),
                duration: Duration::from_millis(150 + index as u64 % 60),
                error: None,
            },
        );
    }
    let mut now: u64 = 400;
    for task in 1..=tasks {
        if task % 6 == 1 {
            say(
                now,
                EventKind::PlayStarted {
                    name: format!("play {} <with> a long name & marks", task / 6 + 1),
                    hosts: names.clone(),
                },
            );
        }
        say(
            now,
            EventKind::TaskStarted {
                task,
                name: format!("task number {task} does something that has a name of some length"),
                role: (task % 2 == 0).then(|| "web".to_owned()),
                module: if task % 3 == 0 { "copy" } else { "command" }.into(),
                place: format!("roles/web/tasks/main.yaml:{task}:3"),
                handler: task % 5 == 0,
                hosts: names.clone(),
            },
        );
        let length = 120 + (task * 77) % 400;
        let mut end = now;
        for (index, host) in names.iter().enumerate() {
            let index = index as u64;
            // Ten at a time.
            let from = now + index / 10 * 40 + index % 10;
            let mut to = from + length + (index * 13 + task * 7) % 90;
            say(
                from,
                EventKind::HostTaskStarted {
                    task,
                    host: host.clone(),
                },
            );
            if task == 3 && index % 4 == 0 {
                say(
                    from + 50,
                    EventKind::HostWaits {
                        task,
                        host: host.clone(),
                        duration: Duration::from_millis(600),
                        why: Wait::Retry,
                    },
                );
                to += 700;
            }
            if task % 3 == 0 {
                for (at, done, finished) in [(from + 20, 1, false), (to - 20, 100, true)] {
                    say(
                        at,
                        EventKind::Transfer {
                            host: host.clone(),
                            name: "image.tar".into(),
                            done,
                            total: 100,
                            finished,
                        },
                    );
                }
            }
            let outcome = match (task + index) % 9 {
                0 | 1 | 2 => Outcome::Changed,
                3 => Outcome::Skipped,
                4 if task == tasks => Outcome::Failed,
                5 if task == 4 => Outcome::Ignored,
                _ => Outcome::Ok,
            };
            say(
                to,
                EventKind::HostTaskFinished {
                    task,
                    host: host.clone(),
                    outcome,
                    item: None,
                    message: None,
                    hint: None,
                    diff: None,
                    details: None,
                    duration: Duration::from_millis(to - from),
                    delegated_to: None,
                    result: None,
                },
            );
            end = end.max(to);
        }
        now = end + 10;
    }
    let recap = names
        .iter()
        .map(|host| {
            (
                host.clone(),
                Recap {
                    ok: 9,
                    changed: 3,
                    failed: 1,
                    ..Recap::default()
                },
            )
        })
        .collect();
    say(
        now,
        EventKind::RunFinished {
            recap,
            duration: Duration::from_millis(now),
            exit_code: 2,
        },
    );
    events.sort_by_key(|event| event.at);
    events
}

#[test]
fn the_page_is_readable_in_light_and_in_dark() {
    let Some(chromium) = chromium() else {
        return;
    };
    for (name, hosts, tasks) in [("few", 8, 14), ("many", 500, 30)] {
        let page = folder().join(format!("{name}.html"));
        Timings::of(&made_up(hosts, tasks)).write(&page).unwrap();
        let mut grounds = Vec::new();
        for (dark, width) in [(false, 1280), (true, 1280), (false, 500)] {
            let answer = probe(&chromium, &page, dark, width);
            let what = format!("{name} dark={dark} {width}: {answer}");
            assert_eq!(answer["lanes"], hosts, "{what}");
            assert!(answer["bars"].as_u64().unwrap() >= hosts as u64, "{what}");
            assert_eq!(answer["empty"], serde_json::json!([]), "{what}");
            assert_eq!(answer["overflow"], serde_json::json!([]), "{what}");
            assert_eq!(answer["faint"], serde_json::json!([]), "{what}");
            assert!(answer["page"].as_i64().unwrap() <= 0, "{what}");
            assert!(answer["worst"].as_f64().unwrap() >= 4.5, "{what}");
            assert_eq!(answer["seen"], true, "{what}");
            grounds.push(answer["ground"].clone());
            let picture = screenshot(&chromium, &page, dark, width);
            assert!(std::fs::metadata(picture).unwrap().len() > 10_000, "{what}");
        }
        assert_ne!(grounds[0], grounds[1], "the schemes differ");
    }
}

#[test]
fn a_run_writes_its_page_and_the_history_writes_the_same() {
    let site = tempfile::tempdir().unwrap();
    std::fs::write(
        site.path().join("site.yaml"),
        "- hosts: all\n  gather_facts: false\n  vars: {db_password: canary-in-the-page}\n  tasks:\n    - {name: one, command: 'true'}\n    - {name: 'two {{ db_password }}', command: 'echo {{ db_password }}'}\n    - {name: again, command: 'false', retries: 1, delay: 1, ignore_errors: true}\n",
    )
    .unwrap();
    let kk = |words: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_kk"))
            .args(words.split(' '))
            .env_clear()
            .env("HOME", site.path())
            .env("PATH", "/usr/bin:/bin")
            .current_dir(site.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, said) = kk("run site.yaml -y --timings");
    assert_eq!(code, 0, "{said}");
    let folder = site.path().join("kubekey/timings");
    let written: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(written.len(), 1);
    assert!(
        said.contains(
            &written[0]
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        ),
        "{said}"
    );
    let (code, said) = kk("history show --timings again.html");
    assert_eq!(code, 0, "{said}");
    let first = std::fs::read_to_string(&written[0]).unwrap();
    let second = std::fs::read_to_string(site.path().join("again.html")).unwrap();
    for page in [&first, &second] {
        assert!(page.contains("class=\"lane host\"") && page.contains("class=\"retry\""));
        assert!(!page.contains("canary-in-the-page"));
    }
    let lanes = |page: &str| page.matches("<rect").count();
    assert_eq!(lanes(&first), lanes(&second));
    // A playbook is not written over by mistake.
    let (code, said) = kk("run site.yaml -y --timings site.yaml");
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("ends with `.html`"), "{said}");
}
