//! Docker, Compose, containerd: which, whose, running or not, and the containers on them.

use std::collections::{BTreeMap, BTreeSet};

use super::frame::Frames;
use super::model::{Container, Engine, Facts};

/// Reads the sections about container engines into `facts`.
pub(super) fn read(frames: &Frames<'_>, facts: &mut Facts) {
    let daemons = daemons(frames);
    let programs = programs(frames);
    let owners = Owners::new(frames);
    let versions = frames.values("engines");
    let version = |name: &str| versions.get(name).and_then(|text| version_in(text));

    facts.docker_stand_in = versions
        .get("docker_stand_in")
        .map(|name| (*name).to_owned());
    facts.containers = frames.lines("containers").filter_map(container).collect();

    let dockerd = path_of("dockerd", &daemons, &programs);
    facts.docker_client = programs
        .get("docker")
        .filter(|_| facts.docker_stand_in.is_none())
        .map(|(path, _)| path.clone());
    facts.docker = dockerd.map(|path| {
        let answered = version("docker_server");
        Engine {
            running: answered.is_some(),
            version: answered.or_else(|| version("dockerd")).unwrap_or_default(),
            process: daemons.contains_key("dockerd"),
            owner: owners.of(path, programs.values()),
            path: path.clone(),
            containers: running(&facts.containers),
        }
    });
    facts.docker_root = versions
        .get("docker_root")
        .filter(|path| path.starts_with('/'))
        .map(|path| (*path).to_owned());
    facts.compose = frames.values("compose").into_values().find_map(version_in);

    facts.containerd = path_of("containerd", &daemons, &programs).map(|path| Engine {
        version: version("containerd").unwrap_or_default(),
        running: daemons.contains_key("containerd"),
        process: daemons.contains_key("containerd"),
        owner: owners.of(path, programs.values()),
        path: path.clone(),
        containers: 0,
    });
}

fn running(containers: &[Container]) -> u32 {
    let count = containers
        .iter()
        .filter(|container| container.running)
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Running daemons by name: the path of the program.
fn daemons(frames: &Frames<'_>) -> BTreeMap<String, String> {
    frames
        .lines("daemons")
        .filter_map(|line| {
            let mut words = line.splitn(3, ' ');
            let name = words.next()?;
            words.next()?;
            let path = words.next().unwrap_or_default().trim();
            let path = path.trim_end_matches(" (deleted)");
            Some((name.to_owned(), path.to_owned()))
        })
        .collect()
}

/// Where a daemon's program lies: what its process says, or where the program is found by name when the process does
/// not let us see.
fn path_of<'a>(
    name: &str,
    daemons: &'a BTreeMap<String, String>,
    programs: &'a BTreeMap<String, (String, String)>,
) -> Option<&'a String> {
    daemons
        .get(name)
        .filter(|path| !path.is_empty())
        .or_else(|| programs.get(name).map(|(path, _)| path))
        .or_else(|| daemons.get(name))
}

/// Programs found by name: the path, and the path behind links.
fn programs(frames: &Frames<'_>) -> BTreeMap<String, (String, String)> {
    frames
        .lines("programs")
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, path) = (words.next()?, words.next()?);
            let real = words.next().unwrap_or(path);
            Some((name.to_owned(), (path.to_owned(), real.to_owned())))
        })
        .collect()
}

/// Who brought which path.
struct Owners<'a> {
    kk: BTreeSet<&'a str>,
    packages: BTreeMap<&'a str, &'a str>,
}

impl<'a> Owners<'a> {
    fn new(frames: &Frames<'a>) -> Self {
        let mut packages = BTreeMap::new();
        for line in frames.lines("owners-dpkg") {
            // `/var/lib/dpkg/info/docker.io:amd64.list:/usr/bin/dockerd`
            if let Some((list, path)) = line.split_once(".list:") {
                let name = list.rsplit('/').next().unwrap_or(list);
                packages.insert(path, name.split(':').next().unwrap_or(name));
            }
        }
        for (path, name) in frames.values("owners-rpm") {
            // A sentence means that no package owns it.
            if !name.contains(' ') {
                packages.insert(path, name);
            }
        }
        Self {
            kk: frames.lines("owners-kk").collect(),
            packages,
        }
    }

    /// The owner of a path, looked for behind links as well.
    fn of<'b>(
        &self,
        path: &str,
        programs: impl Iterator<Item = &'b (String, String)>,
    ) -> Option<String> {
        let real = programs
            .filter(|(found, _)| found == path)
            .map(|(_, real)| real.as_str())
            .next()
            .unwrap_or(path);
        for name in [path, real] {
            if self.kk.contains(name) {
                return Some("kk".to_owned());
            }
            if let Some(package) = self.packages.get(name) {
                return Some((*package).to_owned());
            }
            if name.starts_with("/snap/") || name.ends_with("/snap") {
                return Some("snap".to_owned());
            }
        }
        None
    }
}

/// The first word of a text that begins as a version does: `24.0.7` in `Docker version 24.0.7, build afdd53b`.
fn version_in(text: &str) -> Option<String> {
    text.split(|character: char| character.is_whitespace() || character == ',')
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()) && word.contains('.'))
        .map(str::to_owned)
}

/// One line of `docker ps`: name, image, status, ports, Compose project, mounts.
fn container(line: &str) -> Option<Container> {
    let words: Vec<&str> = line.split('|').collect();
    let word = |index: usize| words.get(index).copied().unwrap_or_default().trim();
    (words.len() >= 4).then_some(())?;
    Some(Container {
        name: word(0).to_owned(),
        image: word(1).to_owned(),
        running: word(2).starts_with("Up"),
        ports: published(word(3)),
        project: Some(word(4))
            .filter(|project| !project.is_empty())
            .map(str::to_owned),
        mounts: word(5)
            .split(',')
            .map(str::trim)
            .filter(|mount| !mount.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

/// Host ports in `0.0.0.0:443->5000/tcp, :::443->5000/tcp, 0.0.0.0:8000-8002->8000-8002/tcp`.
fn published(text: &str) -> Vec<u16> {
    let mut ports: Vec<u16> = text
        .split(',')
        .filter_map(|part| {
            let (host, inside) = part.trim().split_once("->")?;
            (!inside.ends_with("/udp")).then_some(())?;
            let range = host.rsplit(':').next()?;
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            Some(first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?)
        })
        .flatten()
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_in_what_programs_say() {
        for (text, version) in [
            ("Docker version 24.0.7, build afdd53b", Some("24.0.7")),
            (
                "containerd github.com/containerd/containerd v1.7.2 0cae528",
                Some("1.7.2"),
            ),
            ("containerd containerd.io 1.6.33 d2d58213f8", Some("1.6.33")),
            ("v2.20.3", Some("2.20.3")),
            ("20.10.24+dfsg1", Some("20.10.24+dfsg1")),
            ("", None),
            ("not found", None),
        ] {
            assert_eq!(version_in(text).as_deref(), version, "{text}");
        }
    }

    #[test]
    fn ports_that_are_published() {
        assert_eq!(
            published(
                "0.0.0.0:443->5000/tcp, :::443->5000/tcp, 5001/tcp, 0.0.0.0:8000-8002->8000-8002/tcp, 0.0.0.0:53->53/udp"
            ),
            [443, 8000, 8001, 8002]
        );
        assert!(published("").is_empty());
    }

    #[test]
    fn owners_from_all_three() {
        let text = "
=kk= programs
docker /usr/bin/docker /usr/bin/docker
dockerd /usr/local/bin/dockerd /usr/local/bin/dockerd
containerd /bin/containerd /usr/bin/containerd

=kk= owners-kk
/usr/local/bin/dockerd

=kk= owners-dpkg
/var/lib/dpkg/info/containerd.io:amd64.list:/usr/bin/containerd

=kk= owners-rpm
/usr/bin/docker=docker-ce-cli
/usr/bin/x=file /usr/bin/x is not owned by any package
";
        let frames = Frames::new(text);
        let owners = Owners::new(&frames);
        let programs = programs(&frames);
        let of = |path: &str| owners.of(path, programs.values());
        assert_eq!(of("/usr/local/bin/dockerd").as_deref(), Some("kk"));
        assert_eq!(of("/bin/containerd").as_deref(), Some("containerd.io"));
        assert_eq!(of("/usr/bin/docker").as_deref(), Some("docker-ce-cli"));
        assert_eq!(of("/usr/bin/x"), None);
        assert_eq!(of("/snap/docker/2893/bin/dockerd").as_deref(), Some("snap"));
    }

    #[test]
    fn a_client_alone_is_no_engine() {
        let mut facts = Facts::default();
        read(
            &Frames::new("=kk= programs\ndocker /usr/bin/docker /usr/bin/docker\n"),
            &mut facts,
        );
        assert_eq!(facts.docker, None);
        assert_eq!(facts.docker_client.as_deref(), Some("/usr/bin/docker"));
    }

    #[test]
    fn a_stand_in_is_no_docker() {
        let mut facts = Facts::default();
        read(
            &Frames::new(
                "=kk= programs\ndocker /usr/bin/docker /usr/bin/docker\npodman /usr/bin/podman /usr/bin/podman\n\n=kk= engines\ndocker_stand_in=podman\n",
            ),
            &mut facts,
        );
        assert_eq!(facts.docker, None);
        assert_eq!(facts.docker_stand_in.as_deref(), Some("podman"));
    }
}
