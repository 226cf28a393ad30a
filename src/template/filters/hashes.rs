//! Filters that hash and encode.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use minijinja::value::Value;
use minijinja::{Error, State};
use sha1::Digest as _;

use super::call::{Call, Filter};
use super::python;

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "b64encode",
        parameters: &["encoding"],
        apply: encode,
    },
    Filter {
        name: "b64decode",
        parameters: &["encoding"],
        apply: decode,
    },
    Filter {
        name: "hash",
        parameters: &["hashtype"],
        apply: hash,
    },
    Filter {
        name: "md5",
        parameters: &[],
        apply: |_, call| hashed(call, "md5"),
    },
    Filter {
        name: "sha1",
        parameters: &[],
        apply: |_, call| hashed(call, "sha1"),
    },
    Filter {
        name: "checksum",
        parameters: &[],
        apply: |_, call| hashed(call, "sha1"),
    },
    Filter {
        name: "to_uuid",
        parameters: &["namespace"],
        apply: to_uuid,
    },
    Filter {
        name: "password_hash",
        parameters: &["hashtype", "salt", "salt_size", "rounds", "ident"],
        apply: super::passwords::password_hash,
    },
];

/// Encodings of texts.
#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Utf16 { is_big: bool, has_mark: bool },
    Latin1,
    Ascii,
}

impl Encoding {
    fn of(call: &Call) -> Result<Self, Error> {
        let name = call.text("encoding")?.unwrap_or_else(|| "utf-8".to_owned());
        let plain = name.to_lowercase().replace(['-', '_', ' '], "");
        let utf16 = |is_big, has_mark| Self::Utf16 { is_big, has_mark };
        Ok(match plain.as_str() {
            "utf8" | "u8" => Self::Utf8,
            "utf16" | "u16" => utf16(false, true),
            "utf16le" => utf16(false, false),
            "utf16be" => utf16(true, false),
            "latin1" | "iso88591" | "l1" => Self::Latin1,
            "ascii" | "usascii" => Self::Ascii,
            _ => return Err(call.error(&format!(
                "the encoding `{name}` is not known: utf-8, utf-16-le, utf-16-be, latin-1, ascii"
            ))),
        })
    }

    fn encode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Utf8 => Some(text.as_bytes().to_vec()),
            Self::Utf16 { is_big, has_mark } => {
                let mark = has_mark.then_some(0xfeff_u16);
                let units = mark.into_iter().chain(text.encode_utf16());
                Some(
                    units
                        .flat_map(|unit| {
                            if is_big {
                                unit.to_be_bytes()
                            } else {
                                unit.to_le_bytes()
                            }
                        })
                        .collect(),
                )
            }
            Self::Latin1 => text
                .chars()
                .map(|c| u8::try_from(u32::from(c)).ok())
                .collect(),
            Self::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec()),
        }
    }

    fn decode(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Utf8 => String::from_utf8(bytes.to_vec()).ok(),
            Self::Utf16 { is_big, has_mark } => {
                let mut units: Vec<u16> = Vec::new();
                for pair in bytes.chunks(2) {
                    let pair = <[u8; 2]>::try_from(pair).ok()?;
                    units.push(if is_big {
                        u16::from_be_bytes(pair)
                    } else {
                        u16::from_le_bytes(pair)
                    });
                }
                if has_mark && units.first() == Some(&0xfeff) {
                    units.remove(0);
                }
                String::from_utf16(&units).ok()
            }
            Self::Latin1 => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
            Self::Ascii => bytes
                .is_ascii()
                .then(|| String::from_utf8_lossy(bytes).into_owned()),
        }
    }
}

fn encode(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let bytes = Encoding::of(call)?.encode(&call.value_as_text()?);
    let bytes =
        bytes.ok_or_else(|| call.error("the text has a character that the encoding has not"))?;
    Ok(Value::from(
        base64::engine::general_purpose::STANDARD.encode(bytes),
    ))
}

/// Python passes over what is not of the alphabet, and ends at the padding.
fn decode(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true);
    let engine = GeneralPurpose::new(&ALPHABET, config);
    let text: String = call
        .value_as_text()?
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "+/=".contains(*c))
        .collect();
    let data = text.split_once('=').map_or(text.as_str(), |(data, _)| data);
    let padding = text.len() - data.len();
    let needed = (4 - data.len() % 4) % 4;
    if padding < needed {
        return Err(call.error("the padding at the end is wrong: this is no whole base64"));
    }
    let bytes = engine
        .decode(format!("{data}{}", "=".repeat(needed)))
        .map_err(|error| call.error(&format!("not base64: {error}")))?;
    Encoding::of(call)?
        .decode(&bytes)
        .map(Value::from)
        .ok_or_else(|| call.error("what is encoded is no text of this encoding"))
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hashed(call: &Call, kind: &str) -> Result<Value, Error> {
    let data = call.value_as_text()?;
    let data = data.as_bytes();
    let text = match kind {
        "md5" => format!("{:x}", md5::compute(data)),
        "sha1" => hexadecimal(&sha1::Sha1::digest(data)),
        "sha224" => hexadecimal(&sha2::Sha224::digest(data)),
        "sha256" => hexadecimal(&sha2::Sha256::digest(data)),
        "sha384" => hexadecimal(&sha2::Sha384::digest(data)),
        "sha512" => hexadecimal(&sha2::Sha512::digest(data)),
        "sha512_224" => hexadecimal(&sha2::Sha512_224::digest(data)),
        "sha512_256" => hexadecimal(&sha2::Sha512_256::digest(data)),
        other => {
            return Err(call.error(&format!(
                "`{other}` is no hash that is known: md5, sha1, sha224, sha256, sha384, sha512"
            )));
        }
    };
    Ok(Value::from(text))
}

fn hash(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let kind = call.text("hashtype")?.unwrap_or_else(|| "sha1".to_owned());
    hashed(call, &kind)
}

/// Ansible's own name space for [`to_uuid`].
const NAMESPACE: &str = "361e6d51-faec-444a-9079-341386da8e2e";

/// A UUID of version 5.
fn to_uuid(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let namespace = call
        .text("namespace")?
        .unwrap_or_else(|| NAMESPACE.to_owned());
    let digits = namespace
        .to_lowercase()
        .replace("urn:", "")
        .replace("uuid:", "");
    let digits: String = digits.chars().filter(|c| !"{}-".contains(*c)).collect();
    let bytes = u128::from_str_radix(&digits, 16)
        .ok()
        .filter(|_| digits.len() == 32)
        .ok_or_else(|| call.error(&format!("the name space `{namespace}` is no UUID")))?;
    let mut data = bytes.to_be_bytes().to_vec();
    data.extend(python::text(&call.value)?.as_bytes());
    let digest = sha1::Sha1::digest(&data);
    let mut uuid = [0_u8; 16];
    for (slot, byte) in uuid.iter_mut().zip(digest.iter()) {
        *slot = *byte;
    }
    let mut number = u128::from_be_bytes(uuid);
    number = number & !(0xf << 76) | 5 << 76;
    number = number & !(0b11 << 62) | 0b10 << 62;
    let text = format!("{number:032x}");
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    Ok(Value::from(format!(
        "{}-{}-{}-{}-{}",
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32)
    )))
}
