//! Permission bits as a user writes them: octal, or symbolic as for `chmod`. Pure.

/// What `umask` takes from a symbolic mode that names nobody, and from new files.
const UMASK: u32 = 0o022;

/// Permission bits that are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// These.
    Bits(u32),
    /// What these clauses make of the bits that are there.
    Symbolic(String),
    /// Those of the source.
    Preserve,
}

impl Mode {
    /// From an octal number, symbolic clauses or `preserve`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "preserve" {
            return Some(Self::Preserve);
        }
        let digits = text.trim_start_matches("0o");
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return (digits.len() <= 5)
                .then(|| u32::from_str_radix(digits, 8).ok())
                .flatten()
                .filter(|mode| *mode <= 0o7777)
                .map(Self::Bits);
        }
        symbolic(text, 0, false).map(|_| Self::Symbolic(text.to_owned()))
    }

    /// The text for `chmod`.
    pub(crate) fn as_chmod_takes_it(&self) -> String {
        match self {
            Self::Bits(bits) => format!("{bits:04o}"),
            Self::Symbolic(text) => text.clone(),
            Self::Preserve => String::new(),
        }
    }

    /// The bits for something that has these now.
    pub fn bits(&self, now: u32, is_folder: bool) -> u32 {
        match self {
            Self::Bits(bits) => *bits,
            Self::Symbolic(text) => symbolic(text, now, is_folder).unwrap_or(now),
            Self::Preserve => now,
        }
    }
}

/// What clauses make of permission bits; `None` when they are none.
fn symbolic(text: &str, now: u32, is_folder: bool) -> Option<u32> {
    let mut mode = now;
    for clause in text.split(',') {
        let start = clause.find(['+', '-', '='])?;
        let (who, mut actions) = clause.split_at(start);
        if !who.chars().all(|letter| "ugoa".contains(letter)) {
            return None;
        }
        let everybody = who.is_empty() || who.contains('a');
        let shifts: Vec<u32> = [('u', 6), ('g', 3), ('o', 0)]
            .into_iter()
            .filter(|(letter, _)| everybody || who.contains(*letter))
            .map(|(_, shift)| shift)
            .collect();
        while !actions.is_empty() {
            let operation = actions.chars().next()?;
            let rest = actions.get(1..)?;
            let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
            let (permissions, after) = rest.split_at(end);
            actions = after;
            mode = acted(mode, operation, permissions, &shifts, who, is_folder)?;
        }
    }
    Some(mode)
}

fn acted(
    mode: u32,
    operation: char,
    permissions: &str,
    shifts: &[u32],
    who: &str,
    is_folder: bool,
) -> Option<u32> {
    let mut wanted = 0;
    let mut special = 0;
    for letter in permissions.chars() {
        wanted |= match letter {
            'r' => 4,
            'w' => 2,
            'x' => 1,
            'X' => u32::from(is_folder || mode & 0o111 != 0),
            'u' => (mode >> 6) & 7,
            'g' => (mode >> 3) & 7,
            'o' => mode & 7,
            's' => {
                for (shift, bit) in [(6, 0o4000), (3, 0o2000)] {
                    if shifts.contains(&shift) {
                        special |= bit;
                    }
                }
                0
            }
            't' => {
                special |= 0o1000;
                0
            }
            _ => return None,
        };
    }
    let mut bits = shifts
        .iter()
        .fold(special, |bits, shift| bits | wanted << shift);
    if who.is_empty() {
        bits &= !UMASK;
    }
    Some(match operation {
        '+' => mode | bits,
        '-' => mode & !bits,
        _ => {
            let cleared = shifts.iter().fold(0, |bits, shift| {
                let special = match shift {
                    6 => 0o4000,
                    3 => 0o2000,
                    _ => 0o1000,
                };
                bits | 7 << shift | special
            });
            // `chmod` keeps the special bits of a folder that it is not told about.
            let cleared = if is_folder { cleared & 0o777 } else { cleared };
            mode & !cleared | bits
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbolic_modes_agree_with_chmod() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for text in [
            "u=rw,g=r,o=",
            "a+x",
            "u+x,g-r",
            "go=u",
            "ug=rwX",
            "o=g-w",
            "u+s",
            "a=rx,u+w",
            "g=rx",
            "u=rwx,go=rX",
        ] {
            for start in [0o644, 0o600, 0o755, 0o4711] {
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(start)).unwrap();
                let status = std::process::Command::new("chmod")
                    .arg(text)
                    .arg(&file)
                    .status()
                    .unwrap();
                assert!(status.success(), "{text}");
                let theirs = std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777;
                let mine = Mode::parse(text).unwrap().bits(start, false);
                assert_eq!(
                    format!("{mine:o}"),
                    format!("{theirs:o}"),
                    "{text} on {start:o}"
                );
            }
        }
        assert_eq!(Mode::parse("0644"), Some(Mode::Bits(0o644)));
        assert_eq!(Mode::parse("preserve"), Some(Mode::Preserve));
        assert_eq!(
            (Mode::parse("rw-r"), Mode::parse("u=q"), Mode::parse("")),
            (None, None, None)
        );
    }
}
