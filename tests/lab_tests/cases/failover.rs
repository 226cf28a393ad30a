//! Two registries behind one virtual address: whatever happens to the one that holds it, the other serves the same images
//! a moment later, and never do both hold it for long.

use std::time::Duration;

use crate::lab_tests::client::{DockerClient, Image, assert_registry_works};
use crate::lab_tests::hosts::{Endless, Host};
use crate::lab_tests::lab::Case;
use crate::lab_tests::site::{Entry, Site};

/// A client that asks for the registry every 50 ms.
fn poll(host: &Host, vip: &str) -> Endless {
    host.start_endless(&format!(
        "while :; do
  printf '%s ' \"$(date +%s%N)\"
  curl -s -o /dev/null --connect-timeout 0.3 -m 1 -w '%{{http_code}}' --cacert /etc/docker/certs.d/{vip}/ca.crt https://{vip}/v2/
  echo
  sleep 0.05
done"
    ))
}

/// The longest time without an answer, in seconds, from the last good one before to the first one after.
fn longest_gap(poller: Endless) -> f64 {
    let said = poller.end();
    let answers: Vec<f64> = (said.lines())
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, code)| *code == "401")
        .map(|(time, _)| time.parse::<f64>().unwrap() / 1e9)
        .collect();
    assert!(answers.len() > 10, "{said}");
    let gaps = answers.windows(2).map(|two| two[1] - two[0]);
    gaps.fold(0.0, f64::max)
}

/// Stands in for somebody's keepalived: advertises a virtual router by multicast (VRRP version 2, RFC 3768, section 5.1).
fn stranger(host: &Host, id: &str) -> Endless {
    let program = r#"
use Socket;
my ($source, $id) = @ARGV;
socket(my $socket, AF_INET, SOCK_RAW, 112) or die;
setsockopt($socket, 0, 32, inet_aton($source)) or die;
my $packet = pack("CCCCCCna4a8", 0x21, $id, 100, 1, 0, 1, 0, inet_aton("10.1.1.1"), "");
my $sum = unpack("%32n*", $packet);
$sum = ($sum & 0xffff) + ($sum >> 16);
substr($packet, 6, 2) = pack("n", ~$sum & 0xffff);
while (1) {
  send($socket, $packet, 0, pack_sockaddr_in(0, inet_aton("224.0.0.18"))) or die;
  select(undef, undef, undef, 1);
}
"#;
    host.start_endless(&format!("exec perl -e '{program}' {} {id}", host.address))
}

/// Whether the address is on a host now.
fn holds(host: &Host, vip: &str) -> bool {
    host.is(&format!("ip -o addr show to {vip} | grep -q ."))
}

/// The one of `hosts` that has the address.
#[track_caller]
pub fn holder<'a>(hosts: &[&'a Host], vip: &str) -> &'a Host {
    for _ in 0..100 {
        let holders: Vec<_> = hosts.iter().filter(|host| holds(host, vip)).collect();
        if let [one] = holders[..] {
            return one;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let states: Vec<String> = (hosts.iter())
        .map(|host| {
            let script = "ip -o addr show to \"$1\"; journalctl -n 30 --no-pager -u kk-keepalived";
            host.sh(&script.replace("$1", vip))
        })
        .collect();
    panic!("not one host has {vip}:\n{}", states.join("\n----\n"));
}

/// What is done to the host that has the address, and undone later. `@` calls the lab.
const FAULTS: [(&str, &str, &str); 8] = [
    (
        "keepalived stopped",
        "systemctl stop kk-keepalived",
        "systemctl start kk-keepalived",
    ),
    ("keepalived killed", "pkill -KILL -x keepalived", "true"),
    (
        "registry stopped",
        "docker stop kk-registry",
        "docker start kk-registry",
    ),
    (
        "registry hangs",
        "docker pause kk-registry",
        "docker unpause kk-registry",
    ),
    (
        "Docker stopped",
        "systemctl stop docker",
        "systemctl start docker",
    ),
    (
        "Docker killed",
        "systemctl kill --kill-whom=main -s KILL docker",
        "true",
    ),
    ("cable out", "@cut", "@heal"),
    ("power off", "@power-off", "@power-on"),
];

#[test]
fn the_address_moves_to_a_host_that_serves_and_no_image_is_lost() {
    let case = Case::new("failover between two hosts", &[1, 2, 3]);
    let [one, two, client] = &case.hosts[..] else {
        unreachable!()
    };
    let registries = [one, two];
    let mut site = Site::of(&case.hosts, 2);
    let vip = site.share(one);

    case.step("storage of each host's own is refused, and another keepalived with the same id");
    let id = vip.rsplit_once('.').unwrap().1;
    let stranger = stranger(client, id);
    let folder = "image_registry.docker_registry.storage.filesystem.rootdir";
    let precheck = site.kk("precheck image_registry -o json");
    let ran = precheck.set(folder, "/data/registry").run().expect(3);
    ran.expect_finding("storage", None, "fail", &["on the disks"]);
    ran.expect_finding("vip", None, "pass", &[vip, "nobody answers"]);
    let words = ["speaks VRRP with the router id", id, &client.address];
    ran.expect_finding("vrrp", Some("node1"), "fail", &words);
    stranger.end();
    one.sh("iptables -I INPUT -p vrrp -j DROP");
    let ran = site.kk("precheck image_registry -o json").run().expect(3);
    ran.expect_finding("vrrp", Some("node1"), "fail", &["does not hear `node2`"]);
    ran.expect_finding(
        "vrrp",
        Some("node2"),
        "pass",
        &["hears 1 of 1", "nobody else"],
    );
    one.sh("iptables -D INPUT -p vrrp -j DROP");

    case.step("install");
    let ran = site.init(0);
    ran.says(&[vip]);
    holder(&registries, vip);
    assert_registry_works(&site, client, vip);

    case.step("a second run finds nothing to do");
    site.init(0)
        .expect_recap(&[("changed", 0), ("failed", 0), ("bytes_sent", 0)]);

    case.step("images by way of the address");
    let password = site.password();
    let log_in = || {
        registries.map(|host| {
            let client = DockerClient::new(host);
            client.login(vip, &password).unwrap();
            client
        })
    };
    let clients = log_in();
    let mut images: Vec<Image> = vec![clients[0].push(vip, "before/image:1").unwrap()];

    for (name, fault, repair) in FAULTS {
        case.step(name);
        let held = holder(&registries, vip);
        let (other, other_client) = match held.name.as_str() {
            "node1" => (two, &clients[1]),
            _ => (one, &clients[0]),
        };
        let act = |what: &str| match what.strip_prefix('@') {
            Some(command) => held.lab(command),
            None => {
                held.sh(what);
            }
        };
        let poller = poll(client, vip);
        std::thread::sleep(Duration::from_millis(500));
        act(fault);
        // Docker that is killed takes nothing along: its containers go on, and it comes back by itself.
        let stays = name == "Docker killed";
        if !stays {
            other.wait_until(
                "the other host has the address",
                Duration::from_secs(20),
                &format!("ip -o addr show to {vip} | grep -q ."),
            );
        }
        std::thread::sleep(Duration::from_secs(1));
        let seconds = longest_gap(poller);
        println!("           {seconds:5.2} s  without an answer: {name}");
        assert!(seconds < 15.0, "{name}: {seconds} s without an answer");
        // Docker that comes back makes its ways to the containers anew, which cuts what goes on: a client tries once more.
        let pushed = format!("during/{}:1", name.to_lowercase().replace(' ', "-"));
        let push = || other_client.push(vip, &pushed);
        images.push(push().or_else(|_| push()).unwrap());
        let pull = || other_client.pull(&images[0]);
        pull().or_else(|_| pull()).unwrap();
        act(repair);
        held.wait_until(
            "the host is back",
            Duration::from_secs(60),
            "systemctl is-active -q kk-keepalived && curl -s -o /dev/null -k https://127.0.0.1/v2/",
        );
        // Long enough for a second one to take it, if it wanted to.
        std::thread::sleep(Duration::from_secs(2));
        let now = holder(&registries, vip);
        if name == "keepalived stopped" {
            assert_eq!(now.name, other.name, "{name}: it stays where it went");
        }
    }

    case.step("both rebooted at once");
    let poller = poll(client, vip);
    std::thread::sleep(Duration::from_millis(500));
    crate::lab_tests::lab::call(&["reboot", "node1", "node2"]);
    for host in registries {
        host.wait_until(
            "the registry is back by itself",
            Duration::from_secs(60),
            "systemctl is-active -q kk-keepalived && curl -s -o /dev/null -k https://127.0.0.1/v2/",
        );
    }
    client.wait_until(
        "the address answers",
        Site::PATIENCE,
        &format!("curl -s -o /dev/null -k -m 1 https://{vip}/v2/"),
    );
    std::thread::sleep(Duration::from_secs(3));
    let seconds = longest_gap(poller);
    println!("           {seconds:5.2} s  without an answer: both rebooted");
    holder(&registries, vip);
    // Their logins were in memory.
    let [client_one, _] = log_in();
    for image in &images {
        client_one.pull(image).unwrap();
    }
    drop(client_one);
    site.init(0)
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);

    case.step("another router id, and the first host shall have it: read again, not started again");
    let started = "systemctl show -p ActiveEnterTimestampMonotonic kk-keepalived";
    let before = registries.map(|host| host.sh(started));
    let ran = site
        .kk("init registry -o json")
        .set("image_registry.ha_virtual_router_id", "7")
        .set("image_registry.ha_nopreempt", "false")
        .run()
        .expect(0);
    assert!(ran.recap("node1", "changed") > 0);
    assert_eq!(registries.map(|host| host.sh(started)), before);
    one.sh("systemctl stop kk-keepalived");
    assert_eq!(holder(&registries, vip).name, "node2");
    one.sh("systemctl start kk-keepalived");
    one.wait_until(
        "the first host takes it back",
        Site::PATIENCE,
        &format!("ip -o addr show to {vip} | grep -q ."),
    );
    holder(&registries, vip);

    case.step("a third host");
    let entries: Vec<Entry> = case.hosts.iter().map(Entry::root).collect();
    site.write_inventory(&entries, 3);
    site.init(0);
    let registries = [one, two, client];
    let held = holder(&registries, vip);
    for host in registries {
        let peers = host.sh("sed -n '/unicast_peer/,/}/p' /etc/kk-keepalived/keepalived.conf");
        for other in registries {
            assert_eq!(
                peers.contains(&format!("{}\n", other.address)),
                other.name != host.name,
                "{peers}"
            );
        }
    }
    let ran = site.kk("status").run().expect(0);
    ran.says(&[&format!("holds {vip}"), "kk-keepalived"]);
    // The two that are left agree on one.
    held.lab("power-off");
    let left: Vec<&Host> = (registries.into_iter())
        .filter(|host| host.name != held.name)
        .collect();
    holder(&left, vip);
    held.lab("power-on");
    held.wait_until(
        "the host is back",
        Duration::from_secs(60),
        "systemctl is-active -q kk-registry && systemctl is-active -q kk-keepalived",
    );
    holder(&registries, vip);

    case.step("the data that all share are not deleted with one host");
    let ran = site
        .kk("delete registry --with-data --limit node2")
        .run()
        .expect(2);
    ran.says(&["/shared/registry", "not all of them take part"]);
    assert!(two.is("systemctl is-active -q kk-registry && [ -d /shared/registry/docker ]"));

    case.step("without an address");
    let ran = site
        .kk("init registry -o json")
        .set("image_registry.ha_vip", "")
        .run();
    ran.expect(0);
    for host in registries {
        assert!(!holds(host, vip));
        assert!(host.is("[ ! -e /etc/kk-keepalived ] && ! systemctl is-active -q kk-keepalived"));
    }

    case.step("away with everything");
    site.kk("delete registry -o json --with-data")
        .run()
        .expect(0);
    for host in registries {
        assert!(!holds(host, vip));
        host.assert_no_remains();
        let left = host.sh("ls -d /etc/kk-keepalived /etc/systemd/system/kk-* 2>/dev/null; command -v docker; systemctl is-active kk-keepalived; :");
        assert_eq!(left, "inactive");
    }
}
