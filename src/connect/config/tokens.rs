//! What stands for something else in values: `%h` and its like, `~`, `${NAME}`.

use std::path::PathBuf;

use super::Surroundings;

/// What tokens stand for.
pub(super) struct Tokens<'a> {
    /// `%n`: the name as it was given.
    pub(super) given: &'a str,
    /// `%h`: the name or address that is connected to.
    pub(super) host: &'a str,
    /// `%k`: the name its key goes by.
    pub(super) key_name: &'a str,
    /// `%p`
    pub(super) port: u16,
    /// `%r`
    pub(super) user: &'a str,
    pub(super) surroundings: &'a Surroundings,
}

/// The tokens of `ProxyCommand`.
pub(super) const OF_COMMANDS: &str = "hnpr";

/// The tokens of paths.
pub(super) const OF_PATHS: &str = "dhikLlnpru";

impl Tokens<'_> {
    /// The text with the tokens of these letters replaced.
    pub(super) fn replace(&self, text: &str, allowed: &str) -> Result<String, String> {
        let mut replaced = String::with_capacity(text.len());
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                replaced.push(character);
                continue;
            }
            let letter = characters.next();
            match letter {
                Some('%') => replaced.push('%'),
                Some(letter) if allowed.contains(letter) => replaced.push_str(&self.value(letter)),
                _ => {
                    let shown = letter.map_or_else(String::new, String::from);
                    return Err(format!("`%{shown}` in `{text}` is not known here"));
                }
            }
        }
        Ok(replaced)
    }

    fn value(&self, letter: char) -> String {
        let around = self.surroundings;
        let node = around.node.as_str();
        match letter {
            'd' => around.home.display().to_string(),
            'h' => self.host.to_owned(),
            'i' => around.user_id.to_string(),
            'k' => self.key_name.to_owned(),
            'L' => node.split('.').next().unwrap_or_default().to_owned(),
            'l' => node.to_owned(),
            'n' => self.given.to_owned(),
            'p' => self.port.to_string(),
            'r' => self.user.to_owned(),
            'u' => around.user.clone(),
            _ => String::new(),
        }
    }

    /// A path with everything in it replaced.
    pub(super) fn path(&self, text: &str) -> Result<PathBuf, String> {
        let text = self.surroundings.tilde(text)?;
        let text = variables(&text)?;
        self.replace(&text, OF_PATHS).map(PathBuf::from)
    }
}

/// `${NAME}` replaced by the environment's value.
fn variables(text: &str) -> Result<String, String> {
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| format!("`${{` in `{text}` is not closed"))?;
        let value = std::env::var(name)
            .map_err(|_| format!("the variable `{name}` in `{text}` is not set"))?;
        replaced.push_str(before);
        replaced.push_str(&value);
        rest = after;
    }
    replaced.push_str(rest);
    Ok(replaced)
}

impl Surroundings {
    /// `~` and `~/…`.
    fn tilde(&self, text: &str) -> Result<String, String> {
        let Some(rest) = text.strip_prefix('~') else {
            return Ok(text.to_owned());
        };
        if !rest.is_empty() && !rest.starts_with('/') {
            return Err(format!("`{text}` names another user's home folder"));
        }
        Ok(format!("{}{rest}", self.home.display()))
    }
}
