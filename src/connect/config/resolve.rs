//! This program's own reading of the configuration, for machines without OpenSSH's client: strict, so that what it does
//! not know how to honour is refused with its file and line.

use super::settings::{HONOURED, HostSettings, Written};
use super::tree::{Item, Test, Tree, is_meant};
use super::{Mistake, Question, Surroundings};
use crate::connect::known_hosts::matches;

/// Keywords that change nothing about whom this program talks to and how it logs in, or whose absence makes it stricter.
const PASSED_OVER: &str = "addkeystoagent bindaddress bindinterface canonicaldomains canonicalizefallbacklocal \
    canonicalizemaxdots canonicalizepermittedcnames casignaturealgorithms challengeresponseauthentication \
    channeltimeout checkhostip ciphers clearallforwardings compression compressionlevel connectionattempts controlmaster \
    controlpath controlpersist dsaauthentication dynamicforward enableescapecommandline enablesshkeysign escapechar \
    exitonforwardfailure fallbacktorsh fingerprinthash forkafterauthentication forwardagent forwardx11 \
    forwardx11timeout forwardx11trusted gatewayports globalknownhostsfile2 gssapiauthentication \
    gssapiclientidentity gssapidelegatecredentials gssapikeyexchange gssapikexalgorithms gssapirenewalforcesrekey \
    gssapiserveridentity gssapitrustdns hashknownhosts hostbasedacceptedalgorithms hostbasedauthentication \
    hostbasedkeytypes hostkeyalgorithms ignoreunknown ipqos kbdinteractiveauthentication kbdinteractivedevices keepalive \
    kexalgorithms knownhostscommand localcommand localforward loglevel logverbose macs \
    nohostauthenticationforlocalhost numberofpasswordprompts obscurekeystroketiming passwordauthentication \
    permitlocalcommand permitremoteopen pkcs11provider preferredauthentications protocol \
    pubkeyacceptedalgorithms pubkeyacceptedkeytypes pubkeyauthentication rekeylimit remotecommand remoteforward \
    requesttty requiredrsasize rhostsrsaauthentication rsaauthentication securitykeyprovider sendenv sessiontype \
    setenv skeyauthentication smartcarddevice stdinnull streamlocalbindmask streamlocalbindunlink syslogfacility tag \
    tcpkeepalive tunnel tunneldevice updatehostkeys useprivilegedport userknownhostsfile2 useroaming usersh \
    verifyhostkeydns versionaddendum visualhostkey warnweakcrypto xauthlocation";

/// What the files say about a host.
pub(super) fn resolve(
    tree: &Tree,
    question: &Question<'_>,
    surroundings: &Surroundings,
) -> Result<HostSettings, Mistake> {
    let mut written = Written::default();
    let mut holds: Vec<bool> = vec![false; tree.conditions.len()];
    let mut ignored: Option<Vec<String>> = None;
    let mut last = None;
    for item in &tree.items {
        match item {
            Item::Enter(number) => {
                let Some(condition) = tree.conditions.get(*number) else {
                    continue;
                };
                let around = condition
                    .parent
                    .is_none_or(|parent| holds.get(parent).copied().unwrap_or(false));
                let own = match &condition.test {
                    Test::Always => true,
                    Test::Host(patterns) => is_meant(patterns, question.host),
                    Test::Match(criteria) => {
                        criteria_hold(criteria, &written, question, surroundings, around)
                            .map_err(|reason| condition.at.mistake(reason))?
                    }
                };
                if let Some(place) = holds.get_mut(*number) {
                    *place = around && own;
                }
            }
            Item::Setting(setting) => {
                let keyword = setting.keyword.as_str();
                let is_active = holds.get(setting.condition).copied().unwrap_or(false);
                if keyword == "ignoreunknown" {
                    if is_active && ignored.is_none() {
                        let lists = setting.words.iter().flat_map(|word| word.split(','));
                        ignored = Some(lists.map(str::to_ascii_lowercase).collect());
                    }
                    continue;
                }
                if !HONOURED.contains(&keyword) {
                    let is_known = PASSED_OVER.split_whitespace().any(|known| known == keyword);
                    let is_ignored = ignored
                        .iter()
                        .flatten()
                        .any(|pattern| matches(pattern, keyword));
                    if is_known || is_ignored {
                        continue;
                    }
                    return Err(setting.at.mistake(format!("unknown keyword `{keyword}`")));
                }
                Written::check(keyword, &setting.words)
                    .map_err(|reason| setting.at.mistake(reason))?;
                if !is_active {
                    continue;
                }
                if keyword == "canonicalizehostname"
                    && !setting
                        .words
                        .iter()
                        .any(|word| word == "no" || word == "false")
                {
                    return Err(setting.at.mistake(
                        "`CanonicalizeHostname` is known where OpenSSH's client is installed only",
                    ));
                }
                written.take(keyword, &setting.words, &setting.rest);
                last = Some(&setting.at);
            }
        }
    }
    written
        .settle(question, surroundings)
        .map_err(|reason| match last {
            Some(at) => Mistake(format!("{}: {reason}", at.file.display())),
            None => Mistake(reason),
        })
}

/// Whether all criteria of a `Match` line hold. `around` is whether the lines around it count at all.
fn criteria_hold(
    criteria: &[String],
    written: &Written,
    question: &Question<'_>,
    surroundings: &Surroundings,
    around: bool,
) -> Result<bool, String> {
    let host = match &written.host_name {
        Some(name) => name.replace("%h", question.host).replace("%%", "%"),
        None => question.host.to_owned(),
    };
    let user = question
        .user
        .or(written.user.as_deref())
        .unwrap_or(&surroundings.user);
    let mut holds = true;
    let mut words = criteria.iter();
    let mut count = 0;
    while let Some(word) = words.next() {
        let (is_negated, name) = match word.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, word.as_str()),
        };
        count += 1;
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (name, None),
        };
        let name = name.to_ascii_lowercase();
        if name == "all" {
            if count > 1 || words.next().is_some() {
                return Err("`Match all` cannot be combined with other criteria".to_owned());
            }
            return Ok(!is_negated);
        }
        if name == "canonical" {
            holds &= is_negated;
            continue;
        }
        if name == "final" && is_negated {
            continue;
        }
        let known = ["host", "originalhost", "user", "localuser"];
        if !known.contains(&name.as_str()) {
            // What does not count here anyway needs no answer.
            if around && holds {
                return Err(format!(
                    "`Match {name}` is known where OpenSSH's client is installed only"
                ));
            }
            return Ok(false);
        }
        let value = value
            .or_else(|| words.next().map(String::as_str))
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("`Match {name}` has no value"))?;
        let matched = match name.as_str() {
            "host" => in_list(value, &host, true),
            "originalhost" => in_list(value, question.host, true),
            "user" => in_list(value, user, false),
            _ => in_list(value, &surroundings.user, false),
        };
        holds &= matched != is_negated;
    }
    if count == 0 {
        return Err("`Match` has no criterion".to_owned());
    }
    Ok(holds)
}

/// Whether a list of patterns with commas between is about a text.
fn in_list(list: &str, text: &str, folds_case: bool) -> bool {
    let fold = |text: &str| {
        if folds_case {
            text.to_lowercase()
        } else {
            text.to_owned()
        }
    };
    let patterns: Vec<String> = list.split(',').map(fold).collect();
    is_meant(&patterns, &fold(text))
}
