//! Lines of an htpasswd file, as the distribution registry and nginx read them: bcrypt only.

use crate::secret::{Secret, SecretString};

/// What registries use; each step doubles the time of every login.
const COST: u32 = 10;

/// More bytes of a password are not looked at by bcrypt.
pub const LONGEST_PASSWORD: usize = 72;

/// A line `user:$2y$10$…` without a newline. Each call gives another line for the same password.
///
/// Fails, in words, on a user name or a password that the file cannot hold.
pub fn line(user: &str, password: &SecretString) -> Result<SecretString, String> {
    if user.is_empty() || user.contains(':') || user.chars().any(char::is_control) {
        return Err(format!(
            "the user name `{}` is empty or has a colon",
            user.escape_debug()
        ));
    }
    let password = password.expose();
    if password.is_empty() {
        return Err("the password is empty".to_owned());
    }
    if password.len() > LONGEST_PASSWORD {
        return Err(format!(
            "the password has more than {LONGEST_PASSWORD} bytes, of which bcrypt would ignore the rest"
        ));
    }
    if password.contains('\0') {
        return Err("the password has a zero byte, where bcrypt would end".to_owned());
    }
    let parts = bcrypt::hash_with_result(password, COST)
        .map_err(|error| format!("the password cannot be hashed: {error}"))?;
    Ok(Secret::new(format!(
        "{user}:{}",
        parts.format_for_version(bcrypt::Version::TwoY)
    )))
}

/// Whether a line is for this user and password, so that it can stay as it is.
pub fn verify(line: &str, user: &str, password: &SecretString) -> bool {
    line.trim_end().split_once(':').is_some_and(|(name, hash)| {
        name == user && bcrypt::verify(password.expose(), hash).unwrap_or(false)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_verifies_with_its_password_alone() {
        let password = Secret::new("p\u{e4}ss word'\"$".to_owned());
        let first = line("admin", &password).unwrap();
        let line = first.expose();
        assert!(line.starts_with("admin:$2y$10$"), "{line}");
        assert_eq!(line.len(), "admin:".len() + 60);
        assert!(verify(line, "admin", &password));
        assert!(verify(&format!("{line}\n"), "admin", &password));
        assert!(!verify(line, "admin2", &password));
        assert!(!verify(line, "admin", &Secret::new("other".to_owned())));
        assert!(!verify("admin:plain", "admin", &password));
    }

    #[test]
    fn what_cannot_be_held_is_refused() {
        let good = Secret::new("x".to_owned());
        for (user, password) in [
            ("a:b", good.clone()),
            ("", good.clone()),
            ("a\n", good),
            ("a", Secret::new(String::new())),
            ("a", Secret::new("x".repeat(73))),
            ("a", Secret::new("x\0y".to_owned())),
        ] {
            assert!(line(user, &password).is_err(), "{user}");
        }
        assert!(line("a", &Secret::new("x".repeat(72))).is_ok());
    }
}
