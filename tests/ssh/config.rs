//! The same configuration of ssh read by this program and by OpenSSH's own client must mean the same.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kk::connect::config::{
    Checking, ClientConfig, ConfigFiles, HostSettings, Question, Reader, Route,
};

use super::server::{self, run};

/// OpenSSH's client.
fn ssh() -> Reader {
    Reader::Ssh(PathBuf::from(run("sh", &["-c", "command -v ssh"]).trim()))
}

fn question(host: &str) -> Question<'_> {
    Question {
        host,
        user: None,
        port: None,
        default_user: "root",
    }
}

/// What both say, without what only one of them says because it is the default.
fn normal(mut settings: HostSettings) -> HostSettings {
    settings.port = Some(settings.port.unwrap_or(22));
    settings.host_key_checking = Some(settings.host_key_checking.unwrap_or(Checking::Ask));
    settings.alive_count = Some(settings.alive_count.unwrap_or(3));
    settings
}

/// A row: its name, the file, hosts to ask about. `DIR` in the file is a folder with files that can be included.
const ROWS: &[(&str, &str, &[&str])] = &[
    ("nothing", "", &["a"]),
    ("only comments", "# Host a\n\n   # User b\n", &["a"]),
    ("a host", "Host a\n User u\n Port 2222\n", &["a", "b", "A"]),
    ("before any host", "User u\nHost a\n Port 3\n", &["a", "b"]),
    (
        "the first value counts",
        "Host a\n Port 1\nHost *\n Port 2\n User u\n",
        &["a", "b"],
    ),
    (
        "several names",
        "Host a b c*\n Port 9\n",
        &["a", "b", "cc", "d"],
    ),
    (
        "patterns",
        "Host web? *.example.org 10.0.*\n Port 9\n",
        &["web1", "web10", "x.example.org", "10.0.1.2", "10.1.0.0"],
    ),
    (
        "negated",
        "Host * !bad !worse*\n Port 9\n",
        &["good", "bad", "worse1"],
    ),
    ("negated first", "Host !bad *\n Port 9\n", &["good", "bad"]),
    ("only negated", "Host !bad\n Port 9\n", &["good", "bad"]),
    (
        "capitals in the pattern",
        "Host WEB1\n Port 9\n",
        &["web1", "WEB1"],
    ),
    ("host name", "Host a\n HostName a.example.org\n", &["a"]),
    (
        "host name with a token",
        "Host *\n HostName %h.example.org\n",
        &["a", "b"],
    ),
    (
        "host name with percent signs",
        "Host a\n HostName x%%y\n",
        &["a"],
    ),
    (
        "an address as host name",
        "Host a\n HostName 2001:db8::1\n Port 7\n",
        &["a"],
    ),
    (
        "capitals in the host name",
        "Host a\n HostName A.Example.ORG\n",
        &["a"],
    ),
    (
        "a host name does not lead to another host",
        "Host a\n HostName b\nHost b\n User u\n",
        &["a", "b"],
    ),
    ("keywords in any case", "HOST a\n pORT 5\n UsEr x\n", &["a"]),
    ("equals signs", "Host=a\nPort = 77\n User=me\n", &["a"]),
    (
        "quotes",
        "Host \"a\" 'b'\n User \"x\"\n IdentityFile \"/k y\"\n",
        &["a", "b"],
    ),
    (
        "a comment behind",
        "Host a # b\n Port 12 # the port\n",
        &["a", "b"],
    ),
    (
        "tabs and line ends of another system",
        "Host\ta\r\n\tPort\t55\r\n",
        &["a"],
    ),
    ("no line end", "Host a\n Port 55", &["a"]),
    ("user as whoever runs it", "Host a\n User ME\n", &["a", "b"]),
    (
        "identity files add up",
        "IdentityFile /one\nHost a\n IdentityFile /two\n IdentityFile /one\n",
        &["a", "b"],
    ),
    (
        "identity file at home",
        "IdentityFile ~/.ssh/my_key\n",
        &["a"],
    ),
    (
        "identity file with tokens",
        "IdentityFile %d/%h/%n/%p/%r/%u/%i/%%\nHost a\n HostName A.x\n Port 4\n User u\n",
        &["a"],
    ),
    (
        "identity file with a variable",
        "IdentityFile ${HOME}/k\n",
        &["a"],
    ),
    ("no identity file", "IdentityFile none\n", &["a"]),
    (
        "identities only",
        "IdentitiesOnly yes\nHost a\n IdentitiesOnly no\n",
        &["a"],
    ),
    ("identities only, true", "IdentitiesOnly true\n", &["a"]),
    ("no agent", "IdentityAgent none\n", &["a"]),
    ("an agent", "IdentityAgent ~/agent.sock\n", &["a"]),
    (
        "the agent of the environment",
        "IdentityAgent SSH_AUTH_SOCK\n",
        &["a"],
    ),
    (
        "the agent of a variable",
        "IdentityAgent $NO_SUCH_VARIABLE\n",
        &["a"],
    ),
    (
        "certificates",
        "CertificateFile ~/c-cert.pub\nCertificateFile /d-cert.pub\n",
        &["a"],
    ),
    ("one jump host", "Host a\n ProxyJump j\n", &["a", "j"]),
    (
        "several jump hosts",
        "Host a\n ProxyJump u@j:2222,k,ssh://v@l:44\n",
        &["a"],
    ),
    (
        "a jump host with an address",
        "Host a\n ProxyJump [2001:db8::2]:99\n",
        &["a"],
    ),
    (
        "no jump host here",
        "Host a\n ProxyJump none\nHost *\n ProxyJump j\n",
        &["a", "b"],
    ),
    (
        "jump before command",
        "ProxyJump j\nProxyCommand nc %h %p\n",
        &["a"],
    ),
    (
        "command before jump",
        "ProxyCommand nc %h %p\nProxyJump j\n",
        &["a"],
    ),
    (
        "a command",
        "Host a\n HostName x\n Port 8\n ProxyCommand nc -X 5 %h %p # %n %r %%\n",
        &["a"],
    ),
    (
        "a command with quotes",
        "ProxyCommand sh -c 'exec nc \"%h\" %p'\n",
        &["a"],
    ),
    (
        "a command behind an equals sign",
        "ProxyCommand=nc %h %p\n",
        &["a"],
    ),
    ("no command", "ProxyCommand none\n", &["a"]),
    (
        "known hosts",
        "UserKnownHostsFile /a ~/b\nGlobalKnownHostsFile /c\n",
        &["a"],
    ),
    (
        "known hosts nowhere",
        "UserKnownHostsFile /dev/null\n",
        &["a"],
    ),
    ("known hosts, none", "UserKnownHostsFile none\n", &["a"]),
    (
        "known hosts with tokens",
        "UserKnownHostsFile ~/kh-%h-%k\nHostKeyAlias Al\n",
        &["a"],
    ),
    ("an alias", "Host a\n HostKeyAlias Other.Name\n", &["a"]),
    ("checking, yes", "StrictHostKeyChecking yes\n", &["a"]),
    ("checking, no", "StrictHostKeyChecking no\n", &["a"]),
    ("checking, off", "StrictHostKeyChecking off\n", &["a"]),
    (
        "checking, new",
        "StrictHostKeyChecking accept-new\n",
        &["a"],
    ),
    (
        "checking, ask",
        "StrictHostKeyChecking ask\nHost a\n StrictHostKeyChecking no\n",
        &["a"],
    ),
    ("revoked keys", "RevokedHostKeys ~/revoked\n", &["a"]),
    (
        "times",
        "ConnectTimeout 90\nServerAliveInterval 1m30s\nServerAliveCountMax 5\n",
        &["a"],
    ),
    (
        "no times",
        "ConnectTimeout none\nServerAliveInterval 0\nServerAliveCountMax 3\n",
        &["a"],
    ),
    (
        "address family",
        "Host a\n AddressFamily inet6\nHost *\n AddressFamily inet\n",
        &["a", "b"],
    ),
    ("nobody is asked", "BatchMode yes\n", &["a"]),
    (
        "what does not matter here",
        "SendEnv LANG\nCompression yes\nForwardAgent yes\nLocalForward 1 h:2\nControlPath ~/%C\n",
        &["a"],
    ),
    (
        "unknown and ignored",
        "IgnoreUnknown Odd*,Strange\nOddThing 1\nStrange 2\nPort 6\n",
        &["a"],
    ),
    ("unknown", "Port 6\nOddThing 1\n", &["a"]),
    ("unknown for another host", "Host b\n OddThing 1\n", &["a"]),
    ("a port that is none", "Port x\n", &["a"]),
    (
        "a port that is none, for another host",
        "Host b\n Port 0\n",
        &["a"],
    ),
    ("neither yes nor no", "IdentitiesOnly perhaps\n", &["a"]),
    ("no value", "Host a\n Port\n", &["a"]),
    ("a quote that is open", "Host \"a\n", &["a"]),
    (
        "checking with a strange value",
        "StrictHostKeyChecking sometimes\n",
        &["a"],
    ),
    ("a time that is none", "ConnectTimeout soon\n", &["a"]),
    ("a family that is none", "AddressFamily ipx\n", &["a"]),
    ("include", "Include DIR/one\nPort 1\n", &["a", "b", "c"]),
    (
        "include in a host",
        "Host a\n Include DIR/one\n Port 1\nHost b\n Port 2\n",
        &["a", "b", "c"],
    ),
    (
        "include of many",
        "Include DIR/many/*.conf\n",
        &["a", "b", "hidden"],
    ),
    (
        "include of nothing",
        "Include DIR/absent DIR/no*thing\nPort 4\n",
        &["a"],
    ),
    (
        "a host within an include ends with it",
        "Host a\n Include DIR/other-host\n User after\n",
        &["a", "b"],
    ),
    ("include in an include", "Include DIR/outer\n", &["a"]),
    ("include of itself", "Include DIR/endless\n", &["a"]),
    (
        "include that others can write",
        "Include DIR/open\n",
        &["a"],
    ),
    ("match all", "Match all\n User u\n", &["a"]),
    (
        "match host",
        "Match host a,b*\n User u\n",
        &["a", "bb", "c"],
    ),
    (
        "match host after a host name",
        "Host a\n HostName real\nMatch host real\n User u\nMatch originalhost a\n Port 8\n",
        &["a", "real"],
    ),
    (
        "match host in capitals",
        "Match host A*\n User u\n",
        &["ab", "AB"],
    ),
    ("match not", "Match !host a\n User u\n", &["a", "b"]),
    (
        "match with several",
        "Match host a user u\n Port 5\nHost a\n User u\nMatch host a user u\n Port 6\n",
        &["a", "b"],
    ),
    (
        "match local user",
        "Match localuser ME\n Port 5\nMatch localuser nobody-else\n User x\n",
        &["a"],
    ),
    (
        "match with exceptions",
        "Match host *,!b\n Port 5\n",
        &["a", "b"],
    ),
    (
        "match canonical",
        "Match canonical host *\n Port 5\nMatch !canonical all\n",
        &["a"],
    ),
    ("match without a value", "Match host\n", &["a"]),
    ("match without a criterion", "Match \"\"\n", &["a"]),
    (
        "match with an unknown criterion",
        "Match weather sunny\n",
        &["a"],
    ),
    ("host in a host", "Host a\nHost b\n Port 4\n", &["a", "b"]),
    (
        "the same host twice",
        "Host a\n Port 4\nHost a\n Port 5\n User u\n",
        &["a"],
    ),
    (
        "a port for the jump host only",
        "Host j\n Port 4\nHost a\n ProxyJump j\n",
        &["a", "j"],
    ),
];

/// A folder with what the rows include.
fn included() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    };
    let here = folder.path().display().to_string();
    write("one", "User one\nHost b\n HostName bb\n");
    write("many/1.conf", "Host a\n Port 11\n");
    write("many/2.conf", "Host *\n Port 22\n User two\n");
    write("many/.hidden.conf", "Host hidden\n Port 33\n");
    write("many/other", "Host *\n User other\n");
    write("other-host", "Host b\n Port 44\n");
    write("outer", &format!("Port 55\nInclude {here}/one\n"));
    write("endless", &format!("Include {here}/endless\n"));
    let open = write("open", "User open\n");
    fs::set_permissions(open, fs::Permissions::from_mode(0o666)).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_means_what_it_means_to_ssh() {
    if !server::is_available() {
        return;
    }
    let folder = included();
    let file = folder.path().join("config");
    let (mut compared, mut refused, mut plain) = (0, 0, 0);
    for (name, text, hosts) in ROWS {
        let text = text
            .replace("DIR", folder.path().to_str().unwrap())
            .replace("ME", &server::me());
        fs::write(&file, &text).unwrap();
        let files = ConfigFiles::File(file.clone());
        let theirs = ClientConfig::read_by(files.clone(), ssh());
        assert_eq!(
            *theirs.reader(),
            ssh(),
            "HOME is not the home folder of the tests' user"
        );
        let ours = ClientConfig::read_by(files, Reader::Own);
        for host in *hosts {
            let theirs = theirs.look_up(question(host)).await;
            let ours = ours.look_up(question(host)).await;
            match (&ours, &theirs) {
                (Ok(ours), Ok(theirs)) => {
                    plain += usize::from(
                        *ours
                            == HostSettings {
                                address: host.to_lowercase(),
                                ..HostSettings::default()
                            },
                    );
                    assert_eq!(
                        normal(ours.clone()),
                        normal(theirs.clone()),
                        "{name}, {host}: {text}"
                    );
                }
                (Err(ours), Err(_)) => {
                    assert!(ours.did_not_run(), "{name}, {host}: {ours}");
                    refused += 1;
                }
                // Nothing of this file is for the host, so ssh is not asked.
                (Err(_), Ok(theirs)) => {
                    assert_eq!(theirs.address, host.to_lowercase(), "{name}: {ours:?}");
                }
                (Ok(_), Err(error)) => panic!("{name}, {host}: ssh refuses: {error}"),
            }
            compared += 1;
        }
    }
    assert!(compared > 130 && refused >= 8, "{compared} {refused}");
    assert!(plain < compared / 2, "{plain} of {compared} say nothing");
}

/// What this program alone does not know how to honour is refused with its place, and only where it counts.
#[tokio::test]
async fn what_is_not_known_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let refusal = async |text: &str, host: &str| {
        fs::write(&file, text).unwrap();
        let config = ClientConfig::read_by(ConfigFiles::File(file.clone()), Reader::Own);
        config
            .look_up(question(host))
            .await
            .map_err(|error| error.to_string())
    };
    for (text, line, part) in [
        (
            "Host a\n User u\nMatch exec \"true\"\n Port 3\n",
            3,
            "`Match exec`",
        ),
        (
            "Match localnetwork 10.0.0.0/8\n Port 3\n",
            1,
            "`Match localnetwork`",
        ),
        ("Match final all\n Port 3\n", 1, "`Match final`"),
        ("Match tagged x\n Port 3\n", 1, "`Match tagged`"),
        ("\nCanonicalizeHostname yes\n", 2, "`CanonicalizeHostname`"),
        ("Include /etc/%d\n", 1, "`Include /etc/%d`"),
        ("Include ~nobody/x\n", 1, "`Include ~nobody/x`"),
        ("Host a\nHots b\n", 2, "unknown keyword `hots`"),
        ("Host a\n Port many\n", 2, "`many` is not a port"),
        ("Host a\n Port 2 3\n", 2, "more than one value"),
    ] {
        let error = refusal(text, "a").await.unwrap_err();
        assert!(
            error.starts_with(&format!("{}:{line}: ", file.display())),
            "{error}"
        );
        assert!(error.contains(part), "{error}");
    }
    for (text, part) in [
        (
            "ProxyUseFdpass yes\nProxyCommand nc %h %p\n",
            "`ProxyUseFdpass`",
        ),
        ("IdentityFile ~nobody/key\n", "another user's home"),
        (
            "IdentityFile ${NO_SUCH_VARIABLE}/key\n",
            "`NO_SUCH_VARIABLE`",
        ),
        ("IdentityFile %C\n", "`%C`"),
        ("ProxyJump a@\n", "not a jump host"),
        ("RefuseConnection \"not today\"\n", "not today"),
    ] {
        let error = refusal(text, "a").await.unwrap_err();
        assert!(error.contains(part), "{error}");
        assert!(error.contains("config"), "{error}");
    }
    // What counts for other hosts only does no harm.
    for text in [
        "Match host b exec \"false\"\n Port 3\n",
        "Host b\n CanonicalizeHostname yes\n",
        "Host b\n ProxyUseFdpass yes\n ProxyCommand x\n",
        "Host b\n IdentityFile ~nobody/key\n",
    ] {
        refusal(text, "a").await.unwrap();
    }
    // What never ends is not read to its end.
    let endless = ConfigFiles::File(PathBuf::from("/dev/zero"));
    let error = ClientConfig::read_by(endless, Reader::Own)
        .look_up(question("a"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
    let missing = ConfigFiles::File(PathBuf::from("/no/such/config"));
    let error = ClientConfig::read_by(missing, Reader::Own)
        .look_up(question("a"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("/no/such/config"), "{error}");
    assert!(error.hint().unwrap().contains("--ssh-config none"));
}

/// Every process costs: one that is not needed is not started.
#[tokio::test(flavor = "multi_thread")]
async fn ssh_is_asked_as_rarely_as_possible() {
    if !server::is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let asked = async |text: &str| {
        fs::write(&file, text).unwrap();
        let config = ClientConfig::read_by(ConfigFiles::File(file.clone()), ssh());
        for number in 0..40 {
            let host = format!("web{number}");
            let settings = config.look_up(question(&host)).await.unwrap();
            if !text.contains("HostName") {
                assert_eq!(settings.address, host);
            }
        }
        config.questions()
    };
    assert_eq!(asked("").await, 0);
    assert_eq!(
        asked("Host *\n SendEnv LANG\n HashKnownHosts yes\n").await,
        0
    );
    assert_eq!(asked("Host bastion\n User u\n Port 7\n").await, 0);
    assert_eq!(asked("Host web*\n User u\n").await, 1);
    assert_eq!(asked("Host web1\n User one\nHost *\n Port 7\n").await, 2);
    assert_eq!(
        asked("Host web1* !web11\n User one\nHost *\n Port 7\n").await,
        2
    );
    assert_eq!(asked("Host *\n HostName %h.example.org\n").await, 40);
    assert_eq!(asked("Match exec \"true\"\n User u\n").await, 40);
    fs::write(&file, "Host *\n User u\n").unwrap();
    let none = ClientConfig::read_by(ConfigFiles::None, ssh());
    none.look_up(question("a")).await.unwrap();
    assert_eq!(none.questions(), 0);
}

/// What stands on the command line of ssh takes part in the question.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_goes_before_the_configuration() {
    if !server::is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    fs::write(
        &file,
        "Match user admin\n IdentityFile /of-admin\nHost a\n User u\n Port 7\n ProxyCommand nc %h %p %r\n ConnectTimeout 3\n",
    )
    .unwrap();
    for reader in [Reader::Own, ssh()] {
        let config = ClientConfig::read_by(ConfigFiles::File(file.clone()), reader);
        let mut asked = question("a");
        let plain = config.look_up(asked).await.unwrap();
        assert_eq!((plain.user.as_deref(), plain.port), (Some("u"), Some(7)));
        assert_eq!(plain.identity_files, None);
        assert_eq!(plain.route, Some(Route::Command("nc a 7 u".to_owned())));
        assert_eq!(plain.connect_timeout, Some(Duration::from_secs(3)));
        asked.user = Some("admin");
        asked.port = Some(9);
        let given = config.look_up(asked).await.unwrap();
        assert_eq!(
            (given.user.as_deref(), given.port),
            (Some("admin"), Some(9))
        );
        assert_eq!(
            given.identity_files.as_deref(),
            Some([Path::new("/of-admin").to_path_buf()].as_slice())
        );
        assert_eq!(given.route, Some(Route::Command("nc a 9 admin".to_owned())));
    }
}

/// A mistake that ssh finds is told in its words, with its place.
#[tokio::test(flavor = "multi_thread")]
async fn what_ssh_says_about_a_mistake_is_told() {
    if !server::is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    fs::write(&file, "Host a\n User u\n Prot 22\n").unwrap();
    let config = ClientConfig::read_by(ConfigFiles::File(file.clone()), ssh());
    let error = config.look_up(question("a")).await.unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
    assert!(error.to_string().contains("prot"), "{error}");
}
