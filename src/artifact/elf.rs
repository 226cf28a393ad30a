//! Which hardware an executable is for, from the first bytes of it.

/// How many bytes [`architecture`] needs.
pub(super) const HEADER: usize = 20;

/// The architecture of an ELF executable: `amd64`, `arm64`, or another's name. `None` when it is no ELF file.
pub(super) fn architecture(head: &[u8]) -> Option<&'static str> {
    if head.get(..4)? != b"\x7fELF" {
        return None;
    }
    let pair = [*head.get(18)?, *head.get(19)?];
    let big_endian = *head.get(5)? == 2;
    let machine = if big_endian {
        u16::from_be_bytes(pair)
    } else {
        u16::from_le_bytes(pair)
    };
    Some(match (machine, big_endian) {
        (62, _) => "amd64",
        (183, false) => "arm64",
        (3, _) => "386",
        (40, _) => "arm",
        (21, false) => "ppc64le",
        (22, _) => "s390x",
        (243, _) => "riscv64",
        (258, _) => "loong64",
        _ => "unknown",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_for_this_machine() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let expected = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        assert_eq!(architecture(&own[..HEADER]), Some(expected));
    }

    #[test]
    fn short_and_foreign_bytes_are_none() {
        assert_eq!(architecture(b"\x7fELF"), None);
        assert_eq!(architecture(b"#!/bin/sh\nexec something"), None);
    }
}
