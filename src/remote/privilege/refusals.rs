//! Why sudo, su and doas did not run a command, in plain words: what each of them says, and what it means.

use super::Method;
use crate::connect::Output;
use crate::remote::wrap::last_line;

/// What a program may say, and what that means. The first one that fits counts.
struct Refusal {
    /// One of these is said. Nothing stands for whatever is said.
    words: &'static [&'static str],
    /// Whether a password was given, where that matters.
    given: Option<bool>,
    /// What it means. `{user}` is the user to become, `{said}` the last line that was said.
    reason: &'static str,
    /// What to do.
    hint: &'static str,
}

const fn refusal(
    words: &'static [&'static str],
    reason: &'static str,
    hint: &'static str,
) -> Refusal {
    Refusal {
        words,
        given: None,
        reason,
        hint,
    }
}

impl Refusal {
    const fn where_given(self, given: bool) -> Self {
        Self {
            given: Some(given),
            ..self
        }
    }
}

const NO_USER: &str = "there is no user `{user}` on the host";
const CORRECT_USER: &str = "correct the name of the user to become";

const OF_SUDO: &[Refusal] = &[
    refusal(
        &["sudo: not found", "sudo: command not found", "': No such file or directory"],
        "`sudo` is not installed",
        "install sudo on the host, or log in as root",
    ),
    refusal(
        &["you must have a tty"],
        "sudo wants a terminal (`requiretty`)",
        "take `Defaults requiretty` out of the host's sudoers, or add `Defaults:<user> !requiretty`",
    ),
    refusal(
        &["not in the sudoers file", "is not allowed to", "may not run sudo"],
        "the login user is not allowed to by sudoers",
        "add the user to the host's `sudo` or `wheel` group, or log in as another user",
    ),
    refusal(&["unknown user"], NO_USER, CORRECT_USER),
    refusal(
        &["must be owned by uid 0", "effective uid is not 0", "nosuid"],
        "sudo itself does not work: {said}",
        "repair sudo on the host, or log in as root",
    ),
    refusal(
        &["syntax error", "no valid sudoers sources", "parse error in"],
        "the host's sudoers cannot be read: {said}",
        "look at it with `visudo -c` on the host",
    ),
    refusal(
        &[
            "account validation failure",
            "account is locked",
            "ccount expired",
            "account has expired",
            "password is expired",
            "password has expired",
            "assword expired",
            "account management error",
        ],
        "the login user's account is locked or has expired: {said}",
        "unlock it on the host (`chage -l`, `passwd -S`), or give it a new password",
    ),
    refusal(
        &["a password is required", "a terminal is required", "no tty present"],
        "sudo asks for a password and none was given",
        "give the host a `become_password`, or `-K` to be asked for it, or allow the user `NOPASSWD` in sudoers",
    )
    .where_given(false),
    refusal(
        &[
            "incorrect password",
            "Sorry, try again",
            "no password was provided",
            "a password is required",
            "Authentication failure",
        ],
        "sudo did not take the password",
        "check the sudo password of this host; it is the login user's, not root's",
    ),
    refusal(&[], "{said}", "try `sudo -u {user} id` on the host"),
];

const OF_SU: &[Refusal] = &[
    refusal(
        &["su: not found", "su: command not found"],
        "`su` is not there",
        "correct `become_exe`, or use `become_method: sudo`",
    ),
    refusal(
        &["does not exist", "unknown user", "No passwd entry"],
        NO_USER,
        CORRECT_USER,
    ),
    refusal(
        &["account is currently not available", "nologin"],
        "`{user}` has no login shell",
        "give su one with `become_flags: -s /bin/sh`, or use `become_method: sudo`",
    ),
    refusal(
        &[
            "account has expired",
            "ccount expired",
            "password has expired",
            "account is locked",
        ],
        "the account of `{user}` is locked or has expired: {said}",
        "unlock it on the host (`chage -l`, `passwd -S`), or use `become_method: sudo`",
    ),
    refusal(
        &["Authentication failure", "incorrect password"],
        "su did not take the password",
        "check the password; for su it is that of `{user}`, and one that is locked takes none",
    )
    .where_given(true),
    refusal(
        &["Authentication failure", "incorrect password"],
        "su asks for a password and none was given",
        "give the password of `{user}` as `ansible_become_password` or with `-K`, or log in as root",
    ),
    refusal(
        &["Permission denied", "must be suid"],
        "the login user may not use su: {said}",
        "the host may allow it to a group only (`wheel`); or use `become_method: sudo`",
    ),
    refusal(&[], "{said}", "try `su {user} -c id` on the host"),
];

const OF_DOAS: &[Refusal] = &[
    refusal(
        &["doas: not found", "doas: command not found"],
        "`doas` is not installed",
        "install doas on the host, or use `become_method: sudo`",
    ),
    refusal(
        &[
            "not enabled",
            "not owned by root",
            "writable by group or other",
            "syntax error",
        ],
        "doas has no configuration that it trusts: {said}",
        "write `/etc/doas.conf` on the host, owned by root and writable by nobody else; `doas -C` checks it",
    ),
    refusal(
        &["setuid"],
        "doas itself does not work: {said}",
        "repair doas on the host, or log in as root",
    ),
    refusal(&["unknown user"], NO_USER, CORRECT_USER),
    refusal(
        &[
            "uthentication required",
            "uthorization required",
            "a tty is required",
            "uthentication failed",
        ],
        "doas asks for a password, which it reads from a terminal only",
        "allow the login user `nopass` in the host's `/etc/doas.conf`, or use `become_method: sudo`",
    ),
    refusal(
        &["Operation not permitted"],
        "the login user is not allowed to by doas.conf",
        "write `permit nopass <user> as {user}` into the host's `/etc/doas.conf`",
    ),
    refusal(&[], "{said}", "try `doas -u {user} id` on the host"),
];

/// Why a program did not run the command, and what to do.
pub(super) fn explain(
    method: Method,
    output: &Output,
    user: &str,
    password_given: bool,
) -> (String, String) {
    let table = match method {
        Method::Sudo => OF_SUDO,
        Method::Su => OF_SU,
        Method::Doas => OF_DOAS,
    };
    let stderr = output.stderr_text();
    // What stands for a login shell speaks on standard output.
    let text = match method {
        Method::Su => format!("{stderr}{}", output.stdout_text()),
        Method::Sudo | Method::Doas => stderr.clone(),
    };
    let code = output.status.code();
    // A login shell that su starts may say the same of something else.
    let is_missing = code == 127 && (method != Method::Su || text.contains("env: "));
    let said = match last_line(&stderr) {
        line if line.is_empty() => {
            format!(
                "{} ended with status {code} and said nothing",
                method.name()
            )
        }
        line => line,
    };
    let fits = |refusal: &Refusal| {
        let is_said =
            refusal.words.is_empty() || refusal.words.iter().any(|words| text.contains(words));
        is_said && refusal.given.is_none_or(|given| given == password_given)
    };
    let found = if is_missing {
        table.first()
    } else {
        table.iter().find(|refusal| fits(refusal))
    };
    let fill = |text: &str| text.replace("{user}", user).replace("{said}", &said);
    found.map_or_else(
        || (said.clone(), String::new()),
        |refusal| (fill(refusal.reason), fill(refusal.hint)),
    )
}
