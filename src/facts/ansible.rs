//! What Ansible's playbooks ask for by Ansible's names, beyond what kk itself wants to know.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::frame::{Frames, values};
use super::{ansible_devices, ansible_hardware, ansible_network, local_facts};

/// The variables; empty where they were not asked for.
pub(super) fn read(frames: &Frames<'_>) -> Map<String, Value> {
    let mut all = Map::new();
    if !frames.has("environment") {
        return all;
    }
    let machine = frames.values("machine");
    for part in [
        user(frames),
        date(frames),
        ansible_hardware::firmware(&machine),
        system(frames, &machine),
        release(frames, &machine),
        ansible_hardware::processors(frames),
        ansible_hardware::memory(frames),
        ansible_network::read(frames),
        ansible_hardware::virtualization(frames, &machine),
    ] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    all.extend(host_keys(frames));
    all.extend(ansible_devices::read(frames));
    all.extend(initiators(&machine));
    all.insert("ansible_local".to_owned(), local_facts::read(frames));
    all.insert(
        "ansible_mounts".to_owned(),
        ansible_hardware::mounts(frames),
    );
    all.retain(|_, value| !value.is_null());
    all
}

/// A text that may be a number.
pub(super) fn number(text: Option<&str>) -> Option<u64> {
    text?.trim().parse().ok()
}

/// What `export -p` says: assignments quoted for the shell, behind `export` or `declare -x`.
fn environment(text: &str) -> Value {
    let text: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    let is_name = |name: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        !name.is_empty() && name.bytes().all(is_letter)
    };
    let assignments = words(&text.join("\n"));
    let variables = assignments.iter().filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        is_name(name).then(|| (name.to_owned(), Value::from(value)))
    });
    Value::Object(variables.collect())
}

/// The words of a text that a shell has quoted.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut is_new = true;
    let mut quote = None;
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if quote.is_none() && byte.is_ascii_whitespace() {
            is_new = true;
            continue;
        }
        if std::mem::take(&mut is_new) {
            words.push(Vec::new());
        }
        let taken = match (quote, byte) {
            (None, b'$') if bytes.peek() == Some(&b'\'') => {
                bytes.next();
                quote = Some(b'$');
                None
            }
            (None, b'\'' | b'"') => {
                quote = Some(byte);
                None
            }
            (Some(b'$'), b'\'') => {
                quote = None;
                None
            }
            (Some(b'$'), b'\\') => escaped(&mut bytes),
            (Some(open), _) if open == byte && open != b'$' => {
                quote = None;
                None
            }
            (None, b'\\') => bytes.next(),
            (Some(b'"'), b'\\') => {
                let next = bytes.next_if(|next| matches!(next, b'$' | b'`' | b'"' | b'\\'));
                next.or(Some(b'\\'))
            }
            _ => Some(byte),
        };
        if let Some(word) = words.last_mut() {
            word.extend(taken);
        }
    }
    let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
    words.iter().map(text).collect()
}

/// The byte that stands behind a backslash in `$'…'`.
fn escaped(bytes: &mut std::iter::Peekable<std::str::Bytes<'_>>) -> Option<u8> {
    let number = |bytes: &mut std::iter::Peekable<_>, first: u32, radix: u32, most: usize| {
        let mut value = first;
        for _ in 0..most {
            let is_digit = |byte: &u8| char::from(*byte).is_digit(radix);
            let Some(byte) = bytes.next_if(is_digit) else {
                break;
            };
            value = value * radix + char::from(byte).to_digit(radix).unwrap_or_default();
        }
        u8::try_from(value & 0xff).ok()
    };
    let letter = bytes.next()?;
    match letter {
        b'n' => Some(b'\n'),
        b't' => Some(b'\t'),
        b'r' => Some(b'\r'),
        b'a' => Some(7),
        b'b' => Some(8),
        b'e' | b'E' => Some(27),
        b'f' => Some(12),
        b'v' => Some(11),
        b'x' => number(bytes, 0, 16, 2),
        b'0'..=b'7' => number(bytes, u32::from(letter - b'0'), 8, 2),
        other => Some(other),
    }
}

fn user(frames: &Frames<'_>) -> Value {
    let said = frames.values("user");
    let entry: Vec<&str> = said
        .get("passwd")
        .map(|line| line.split(':').collect())
        .unwrap_or_default();
    let field = |index: usize| entry.get(index).copied();
    json!({
        "ansible_env": environment(frames.text("environment")),
        "ansible_user_id": field(0),
        "ansible_user_uid": number(field(2)),
        "ansible_user_gid": number(field(3)),
        "ansible_user_gecos": field(4),
        "ansible_user_dir": field(5),
        "ansible_user_shell": field(6),
        "ansible_effective_user_id": number(said.get("effective_uid").copied()),
        "ansible_effective_group_id": number(said.get("effective_gid").copied()),
        "ansible_real_user_id": number(said.get("real_uid").copied()),
        "ansible_real_group_id": number(said.get("real_gid").copied()),
    })
}

/// As `iso8601` without its zone.
const UNIVERSAL: &[time::format_description::BorrowedFormatItem<'_>] =
    time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

fn date(frames: &Frames<'_>) -> Value {
    let words: Vec<&str> = frames.text("clock-start").split(' ').collect();
    let [
        moment,
        year,
        month,
        day,
        hour,
        minute,
        second,
        zone,
        offset,
        weekday,
        weekday_number,
        week,
    ] = words.as_slice()
    else {
        return Value::Null;
    };
    let (epoch, fraction) = moment.split_once('.').unwrap_or((moment, ""));
    let micro: String = fraction
        .chars()
        .filter(char::is_ascii_digit)
        .chain("000000".chars())
        .take(6)
        .collect();
    let universal = epoch
        .parse()
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|moment| moment.format(UNIVERSAL).ok())
        .unwrap_or_default();
    json!({ "ansible_date_time": {
        "year": year, "month": month, "day": day, "hour": hour, "minute": minute, "second": second,
        "weekday": weekday, "weekday_number": weekday_number, "weeknumber": week,
        "date": format!("{year}-{month}-{day}"), "time": format!("{hour}:{minute}:{second}"),
        "epoch": epoch, "epoch_int": epoch, "tz": zone, "tz_dst": zone, "tz_offset": offset,
        "iso8601": format!("{universal}Z"), "iso8601_micro": format!("{universal}.{micro}Z"),
        "iso8601_basic": format!("{year}{month}{day}T{hour}{minute}{second}{micro}"),
        "iso8601_basic_short": format!("{year}{month}{day}T{hour}{minute}{second}"),
    }})
}

fn system(frames: &Frames<'_>, machine: &BTreeMap<&str, &str>) -> Value {
    let name = frames.values("identity");
    let hostname = name.get("hostname").copied().unwrap_or_default();
    let fqdn = machine.get("fqdn").copied().unwrap_or(hostname);
    let load: Vec<f64> = machine
        .get("loadavg")
        .into_iter()
        .flat_map(|line| line.split(' '))
        .filter_map(|word| word.parse().ok())
        .collect();
    let uptime = machine
        .get("uptime")
        .and_then(|text| number(text.split('.').next()));
    let line = frames
        .lines("files")
        .find_map(|line| line.strip_prefix("/proc/cmdline:"))
        .unwrap_or_default();
    let options: Map<String, Value> = line
        .split_whitespace()
        .map(|word| match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.into()),
            None => (word.to_owned(), true.into()),
        })
        .collect();
    let security = frames.values("security");
    let selinux = match security.get("selinux_enforce").copied() {
        Some("1") => {
            json!({"status": "enabled", "mode": "enforcing", "config_mode": "unknown", "policyvers": "unknown", "type": "unknown"})
        }
        Some(_) => {
            json!({"status": "enabled", "mode": "permissive", "config_mode": "unknown", "policyvers": "unknown", "type": "unknown"})
        }
        None => json!({"status": "disabled"}),
    };
    let mut resolver = Map::new();
    for line in frames.lines("resolver") {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let words = || rest.split_whitespace().map(Value::from);
        match word {
            "nameserver" | "search" => {
                let name = if word == "search" {
                    word
                } else {
                    "nameservers"
                };
                if let Value::Array(all) = resolver.entry(name).or_insert_with(|| json!([])) {
                    all.extend(words());
                }
            }
            "domain" => {
                resolver.insert("domain".to_owned(), rest.trim().into());
            }
            _ => {}
        }
    }
    let machine_name = name
        .get("kernel")
        .and_then(|names| names.split(' ').next_back());
    json!({
        "ansible_fqdn": fqdn,
        "ansible_domain": fqdn.split_once('.').map_or("", |(_, domain)| domain),
        "ansible_kernel_version": machine.get("kernel_version"),
        "ansible_loadavg": { "1m": load.first(), "5m": load.get(1), "15m": load.get(2) },
        "ansible_uptime_seconds": uptime,
        "ansible_cmdline": options,
        "ansible_proc_cmdline": options,
        "ansible_is_chroot": machine.contains_key("chroot"),
        "ansible_fips": machine.get("fips_enabled").copied() == Some("1"),
        "ansible_selinux": selinux,
        "ansible_selinux_python_present": true,
        "ansible_apparmor": { "status": if security.get("apparmor").copied() == Some("Y") { "enabled" } else { "disabled" } },
        "ansible_dns": resolver,
        "ansible_userspace_architecture": machine_name,
        "ansible_userspace_bits": machine_name.map(|name| if name.ends_with("64") || name == "s390x" { "64" } else { "32" }),
        "ansible_python": python(machine),
        "ansible_python_version": machine.get("python_binary").and_then(|path| path.rsplit_once("/python").map(|(_, version)| version)),
        "module_setup": true,
    })
}

/// Roles ask for its major version. What its file is called says as much, without starting it.
fn python(machine: &BTreeMap<&str, &str>) -> Value {
    let Some(path) = machine.get("python").copied() else {
        return Value::Null;
    };
    let version = machine
        .get("python_binary")
        .and_then(|path| path.rsplit_once("/python"))
        .map_or("", |(_, version)| version);
    let mut parts = version
        .split('.')
        .filter_map(|part| part.parse::<u64>().ok());
    let major = parts.next().or_else(|| path.ends_with('3').then_some(3));
    json!({
        "executable": path,
        "type": "cpython",
        "has_sslcontext": true,
        "version": { "major": major, "minor": parts.next() },
    })
}

fn release(frames: &Frames<'_>, machine: &BTreeMap<&str, &str>) -> Value {
    let text = frames.text("os-release");
    let said = values(text);
    let get = |name: &str| {
        said.get(name)
            .map(|value| value.trim_matches(['"', '\'']).to_owned())
    };
    let id = get("ID").unwrap_or_default();
    let codename = get("VERSION_CODENAME").or_else(|| {
        let version = get("VERSION")?;
        let inner = version.split_once('(')?.1;
        Some(inner.trim_end_matches(')').to_owned())
    });
    // The number with the point release stands in files of their own.
    let exact = match id.as_str() {
        "debian" => machine.get("debian_version").copied(),
        "centos" | "rocky" | "almalinux" | "rhel" => machine
            .get("redhat-release")
            .and_then(|text| text.split(' ').find(|word| word.contains('.'))),
        _ => None,
    };
    let exact = exact.filter(|text| text.starts_with(|c: char| c.is_ascii_digit()));
    let version = exact.map(str::to_owned).or_else(|| get("VERSION_ID"));
    let parts: Vec<&str> = version.iter().flat_map(|text| text.split('.')).collect();
    let lsb = if machine.contains_key("lsb") {
        let release = get("VERSION_ID").unwrap_or_default();
        json!({
            "id": super::vars::distribution(&id), "codename": codename, "description": get("PRETTY_NAME"),
            "major_release": release.split('.').next(), "release": release,
        })
    } else {
        json!({})
    };
    json!({
        "ansible_distribution_release": codename.clone().unwrap_or_else(|| "NA".to_owned()),
        "ansible_distribution_version": version,
        "ansible_distribution_minor_version": parts.get(1),
        "ansible_distribution_file_parsed": true,
        "ansible_distribution_file_path": "/etc/os-release",
        "ansible_distribution_file_variety": super::vars::distribution(&id),
        "ansible_lsb": lsb,
    })
}

/// What the host is called as the client of storage.
fn initiators(machine: &BTreeMap<&str, &str>) -> Map<String, Value> {
    let text = |name: &str| machine.get(name).copied().unwrap_or_default();
    let ports = text("fc_ports").split_whitespace();
    let ports: Vec<&str> = ports.map(|port| port.trim_start_matches("0x")).collect();
    let iqn = text("iscsi").strip_prefix("InitiatorName=");
    Map::from_iter([
        ("ansible_fibre_channel_wwn".to_owned(), json!(ports)),
        ("ansible_hostnqn".to_owned(), text("hostnqn").into()),
        (
            "ansible_iscsi_iqn".to_owned(),
            iqn.unwrap_or_default().into(),
        ),
    ])
}

fn host_keys(frames: &Frames<'_>) -> Map<String, Value> {
    let mut keys = Map::new();
    for line in frames.lines("files") {
        let Some((_, key)) = line
            .strip_prefix("/etc/ssh/")
            .and_then(|line| line.split_once(':'))
        else {
            continue;
        };
        let mut words = key.split_whitespace();
        let (Some(kind), Some(key)) = (words.next(), words.next()) else {
            continue;
        };
        let short = match kind {
            "ssh-rsa" => "rsa",
            "ssh-dss" => "dsa",
            "ssh-ed25519" => "ed25519",
            _ if kind.starts_with("ecdsa-") => "ecdsa",
            _ => continue,
        };
        keys.insert(format!("ansible_ssh_host_key_{short}_public"), key.into());
        keys.insert(
            format!("ansible_ssh_host_key_{short}_public_keytype"),
            kind.into(),
        );
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = r#"
=kk= environment
 export HOME='/root'
 export TWO='a
 b c'
 declare -x QUOTED="a \"b\" \$c \d"
 export OLDPWD
 export THREE='it'"'"'s = \x'
 declare -x FOUR=$'M\303\274ller\'s\n\x41'
 declare -x FIVE="behind"

=kk= user
passwd=app:x:1001:1002:An App:/srv/app:/bin/sh
real_uid=1001
real_gid=1002
effective_uid=0
effective_gid=0

=kk= clock-start
1706929506.123456789 2024 02 03 04 05 06 CET +0100 Saturday 6 05

=kk= identity
kernel=Linux 6.1.0 x86_64
hostname=node1

=kk= machine
sys_vendor=QEMU
loadavg=0.10 0.20 0.30 1/2 3
uptime=77.5 1.0
debian_version=12.5
fqdn=node1.example.org
python=/usr/bin/python3
python_binary=/usr/bin/python3.11

=kk= os-release
ID=debian
VERSION_ID="12"
VERSION_CODENAME=bookworm

=kk= resolver
nameserver 10.0.0.1
search example.org example.net

=kk= files
/proc/cpuinfo:processor	: 0
/proc/cpuinfo:	hypervisor 
/proc/cpuinfo:physical id	: 0
/proc/cpuinfo:siblings	: 2
/proc/cpuinfo:cpu cores	: 1
/proc/cpuinfo:processor	: 1
/proc/cpuinfo:physical id	: 0
/proc/cpuinfo:siblings	: 2
/proc/cpuinfo:cpu cores	: 1
/proc/cmdline:quiet root=/dev/vda1
/etc/ssh/ssh_host_ed25519_key.pub:ssh-ed25519 AAAA root@x

=kk= link-details
eth0.5 0x1003 up 02:00:00:00:00:01 1400 1 1000 virtio0

=kk= addresses
2: eth0.5@eth0    inet 10.0.0.12/20 brd 10.0.15.255 scope global eth0.5
2: eth0.5@eth0    inet6 fd00::2/64 scope global

=kk= routes
default via 10.0.0.1 dev eth0.5

=kk= file-systems
/dev/vda1 / ext4 rw,relatime

=kk= file-system-sizes
/ 4096 100 40 1000 900
"#;

    #[test]
    fn ansibles_names() {
        let all = Value::Object(read(&Frames::new(SAID)));
        for (pointer, expected) in [
            ("/ansible_env/HOME", json!("/root")),
            ("/ansible_env/TWO", json!("a\nb c")),
            ("/ansible_env/QUOTED", json!("a \"b\" $c \\d")),
            ("/ansible_env/THREE", json!("it's = \\x")),
            ("/ansible_env/FOUR", json!("M\u{fc}ller's\nA")),
            ("/ansible_env/FIVE", json!("behind")),
            ("/ansible_date_time/epoch", json!("1706929506")),
            ("/ansible_user_id", json!("app")),
            ("/ansible_user_uid", json!(1001)),
            ("/ansible_user_shell", json!("/bin/sh")),
            ("/ansible_effective_user_id", json!(0)),
            (
                "/ansible_date_time/iso8601_micro",
                json!("2024-02-03T03:05:06.123456Z"),
            ),
            ("/ansible_date_time/weekday", json!("Saturday")),
            ("/ansible_fqdn", json!("node1.example.org")),
            ("/ansible_domain", json!("example.org")),
            ("/ansible_loadavg/5m", json!(0.2)),
            ("/ansible_uptime_seconds", json!(77)),
            ("/ansible_cmdline/quiet", json!(true)),
            ("/ansible_cmdline/root", json!("/dev/vda1")),
            ("/ansible_distribution_version", json!("12.5")),
            ("/ansible_distribution_release", json!("bookworm")),
            ("/ansible_processor_count", json!(1)),
            ("/ansible_processor_vcpus", json!(2)),
            ("/ansible_dns/search", json!(["example.org", "example.net"])),
            ("/ansible_ssh_host_key_ed25519_public", json!("AAAA")),
            ("/ansible_eth0_5/ipv4/netmask", json!("255.255.240.0")),
            ("/ansible_eth0_5/ipv4/network", json!("10.0.0.0")),
            ("/ansible_eth0_5/ipv6/0/scope", json!("global")),
            ("/ansible_default_ipv4/gateway", json!("10.0.0.1")),
            (
                "/ansible_default_ipv4/macaddress",
                json!("02:00:00:00:00:01"),
            ),
            ("/ansible_default_ipv6", json!({})),
            ("/ansible_mounts/0/size_available", json!(163_840)),
            ("/ansible_virtualization_type", json!("kvm")),
            ("/ansible_python/version/minor", json!(11)),
            ("/ansible_local", json!({})),
        ] {
            assert_eq!(all.pointer(pointer), Some(&expected), "{pointer}");
        }
    }

    #[test]
    fn nothing_where_it_was_not_asked_for() {
        assert!(read(&Frames::new("=kk= identity\n")).is_empty());
    }
}
