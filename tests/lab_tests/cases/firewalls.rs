//! Hosts with a real firewalld and a real ufw: the port is opened in them, stays open, and is closed again.

use std::time::Duration;

use crate::lab_tests::client::assert_registry_works;
use crate::lab_tests::hosts::Host;
use crate::lab_tests::lab::{Case, call};
use crate::lab_tests::site::Site;

/// The firewall's rules as it lists them itself.
fn rules(host: &Host, firewall: &str) -> String {
    host.sh(match firewall {
        "firewalld" => {
            "for zone in public internal; do for kept in '' --permanent; do echo \"$zone$kept: $(firewall-cmd $kept --zone=$zone --list-ports) $(firewall-cmd $kept --zone=$zone --list-protocols)\"; done; done
             firewall-cmd --permanent --get-zones; firewall-cmd --permanent --get-policies"
        }
        _ => "ufw status",
    })
}

#[test]
fn a_firewall_lets_the_registry_in_and_is_as_before_afterwards() {
    let case = Case::new("firewalld and ufw", &[1, 2]);
    let [one, two] = &case.hosts[..] else {
        unreachable!()
    };
    case.step("firewalls");
    call(&["install", "node1", "firewalld"]);
    call(&["install", "node2", "ufw"]);
    // One rule of the administrator's own in each; ufw would lock SSH out otherwise.
    // The interface is not in the default zone; Docker makes a zone of its own later.
    one.sh("firewall-cmd -q --permanent --zone=internal --add-port=9999/tcp && firewall-cmd -q --permanent --zone=internal --add-interface=eth0 && firewall-cmd -q --reload");
    two.sh("ufw allow 22/tcp >/dev/null && ufw allow 9999/tcp >/dev/null && ufw --force enable >/dev/null");
    let hosts = [(one, "firewalld"), (two, "ufw")];
    let before = hosts.map(|(host, firewall)| rules(host, firewall));

    case.step("precheck names them");
    let site = Site::of(&case.hosts, 2);
    let ran = site.kk("precheck image_registry -o json").run().expect(0);
    for (host, firewall) in hosts {
        ran.expect_finding("firewall", Some(&host.name), "pass", &[firewall]);
    }
    assert_eq!(
        hosts.map(|(host, firewall)| rules(host, firewall)),
        before,
        "a precheck changes nothing"
    );

    case.step("install: the port is open, from the other host too");
    site.init(0);
    for (host, other) in [(one, two), (two, one)] {
        assert_registry_works(&site, other, &host.address);
    }
    let ports = rules(one, "firewalld");
    assert!(
        ports.contains("internal: 443/tcp 9999/tcp \ninternal--permanent: 443/tcp 9999/tcp \n"),
        "{ports}"
    );
    assert!(ports.contains("public:  \n"), "{ports}");
    assert!(rules(two, "ufw").contains("443/tcp"));
    site.init(0)
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);

    case.step("after the firewalls have read their rules again, and after a reboot");
    one.sh("firewall-cmd -q --reload");
    two.sh("ufw reload >/dev/null");
    let reached = |from: &Host, to: &Host| {
        from.wait_until(
            "the registry answers through the firewall",
            Duration::from_secs(60),
            &format!(
                "[ \"$(curl -sk -o /dev/null -w '%{{http_code}}' https://{}/v2/)\" = 401 ]",
                to.address
            ),
        );
    };
    reached(two, one);
    reached(one, two);
    case.hosts.iter().for_each(|host| host.lab("reboot"));
    reached(two, one);
    reached(one, two);

    case.step("another port: the old one is closed");
    site.kk("init registry -o json")
        .set("image_registry.https_port", "8443")
        .run()
        .expect(0);
    let ports = rules(one, "firewalld");
    assert!(
        ports.contains("internal: 8443/tcp 9999/tcp \ninternal--permanent: 8443/tcp 9999/tcp \n"),
        "{ports}"
    );
    let ports = rules(two, "ufw");
    assert!(
        ports.contains("8443/tcp") && !ports.contains("\n443/tcp"),
        "{ports}"
    );

    case.step("delete: the administrator's rules are left");
    site.kk("delete registry -o json --with-data")
        .run()
        .expect(0);
    assert_eq!(hosts.map(|(host, firewall)| rules(host, firewall)), before);

    case.step("a virtual address: the hosts hear each other through the firewalls");
    let mut site = site;
    let vip = site.share(one);
    site.init(0);
    let ports = rules(one, "firewalld");
    assert!(
        ports.contains(
            "internal: 443/tcp 9999/tcp vrrp\ninternal--permanent: 443/tcp 9999/tcp vrrp\n"
        ),
        "{ports}"
    );
    let ports = rules(two, "ufw");
    assert!(ports.contains("Anywhere/vrrp"), "{ports}");
    site.init(0)
        .expect_recap(&[("changed", 0), ("bytes_sent", 0)]);

    case.step("one that does not hear the other takes the address too, and that is said");
    let held = format!("ip -o addr show to {vip} | grep -q .");
    let deaf = if one.is(&held) { two } else { one };
    deaf.sh("iptables -I INPUT -p vrrp -j DROP");
    deaf.wait_until("it takes it too", Duration::from_secs(20), &held);
    let ran = site.kk("init registry").arg("--tags").arg("verify").run();
    ran.expect(2)
        .says(&[&format!("{vip} is on node1 and node2"), "VRRP"]);

    case.step("delete again");
    site.kk("delete registry -o json --with-data")
        .run()
        .expect(0);
    for host in &case.hosts {
        assert!(!host.is(&held), "{}", host.name);
        host.assert_no_remains();
        let left = host.sh("ls -d /etc/kk-keepalived /etc/systemd/system/kk-* 2>/dev/null; command -v docker; systemctl is-active kk-keepalived; :");
        assert_eq!(left, "inactive");
    }
    deaf.sh("iptables -D INPUT -p vrrp -j DROP");
    assert_eq!(hosts.map(|(host, firewall)| rules(host, firewall)), before);
}
