//! `password_hash`: passwords as `/etc/shadow` keeps them.

use base64::Engine as _;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use minijinja::value::Value;
use minijinja::{Error, State};
use rand::RngExt as _;

use super::call::Call;

/// The characters of salts and hashes, in their order.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The order in which bytes are written, three at a time.
const ORDER_256: [usize; 32] = [
    20, 10, 0, 11, 1, 21, 2, 22, 12, 23, 13, 3, 14, 4, 24, 5, 25, 15, 26, 16, 6, 17, 7, 27, 8, 28,
    18, 29, 19, 9, 30, 31,
];
const ORDER_MD5: [usize; 16] = [12, 6, 0, 13, 7, 1, 14, 8, 2, 15, 9, 3, 5, 10, 4, 11];

fn order_512() -> Vec<usize> {
    let mut order = Vec::with_capacity(64);
    for index in 0..21 {
        let mut triple = [index, index + 21, index + 42];
        triple.rotate_left(index % 3);
        order.extend(triple.iter().rev());
    }
    order.push(63);
    order
}

/// Writes bytes in an order, six bits a character.
fn written(bytes: &[u8], order: &[usize]) -> String {
    let mut text = String::new();
    for group in order.chunks(3) {
        let mut bits = 0_u32;
        for (place, index) in group.iter().enumerate() {
            bits |= u32::from(bytes.get(*index).copied().unwrap_or_default()) << (8 * place);
        }
        for place in 0..=group.len() {
            let index = (bits >> (6 * place) & 63) as usize;
            text.push(char::from(ALPHABET.get(index).copied().unwrap_or(b'.')));
        }
    }
    text
}

pub(super) fn password_hash(_: &mut State<'_, '_>, call: &Call) -> Result<Value, Error> {
    let password = call.value_as_text()?;
    if password.contains('\0') {
        return Err(call.error("a password has no null in it"));
    }
    let kind = call
        .text("hashtype")?
        .unwrap_or_else(|| "sha512".to_owned());
    let rounds = call.integer("rounds")?.filter(|rounds| *rounds != 0);
    Ok(Value::from(match kind.as_str() {
        "sha512" | "sha512_crypt" => {
            let rounds = sha_rounds(call, rounds, 656_000)?;
            let salt = salt(call, 16, false)?;
            let hash = sha_crypt::sha512_crypt(
                password.as_bytes(),
                salt.as_bytes(),
                parameters(call, rounds)?,
            );
            format!(
                "$6${}{salt}${}",
                named_rounds(rounds),
                written(&hash, &order_512())
            )
        }
        "sha256" | "sha256_crypt" => {
            let rounds = sha_rounds(call, rounds, 535_000)?;
            let salt = salt(call, 16, false)?;
            let hash = sha_crypt::sha256_crypt(
                password.as_bytes(),
                salt.as_bytes(),
                parameters(call, rounds)?,
            );
            format!(
                "$5${}{salt}${}",
                named_rounds(rounds),
                written(&hash, &ORDER_256)
            )
        }
        "md5" | "md5_crypt" => {
            if rounds.is_some() {
                return Err(call.error("md5 has no rounds"));
            }
            let salt = salt(call, 8, false)?;
            let hash = md5_crypt(password.as_bytes(), salt.as_bytes());
            format!("$1${salt}${}", written(&hash, &ORDER_MD5))
        }
        "blowfish" | "bcrypt" => bcrypt_hash(call, &password, rounds)?,
        other => {
            return Err(call.error(&format!(
                "`{other}` is no kind that is known: sha512, sha256, md5, blowfish"
            )));
        }
    }))
}

fn sha_rounds(call: &Call, rounds: Option<i64>, default: u32) -> Result<u32, Error> {
    match rounds {
        None => Ok(default),
        Some(rounds) => u32::try_from(rounds)
            .ok()
            .filter(|rounds| (1000..=999_999_999).contains(rounds))
            .ok_or_else(|| call.error("`rounds` goes from 1000 to 999999999")),
    }
}

/// The usual number of rounds is not written.
fn named_rounds(rounds: u32) -> String {
    if rounds == 5000 {
        String::new()
    } else {
        format!("rounds={rounds}$")
    }
}

fn parameters(call: &Call, rounds: u32) -> Result<sha_crypt::Params, Error> {
    sha_crypt::Params::new(rounds).map_err(|_| call.error("the number of rounds is out of range"))
}

/// The salt that was given, or one by chance.
fn salt(call: &Call, most: usize, is_exact: bool) -> Result<String, Error> {
    let given = call
        .optional("salt")?
        .map(super::python::text)
        .transpose()?;
    if let Some(salt) = given.filter(|salt| !salt.is_empty()) {
        if !salt.bytes().all(|byte| ALPHABET.contains(&byte)) {
            return Err(call.error("a salt has letters, digits, `.` and `/` only"));
        }
        if salt.len() > most || is_exact && salt.len() < most {
            let how = if is_exact { "exactly" } else { "at most" };
            return Err(call.error(&format!("the salt must have {how} {most} characters")));
        }
        return Ok(salt);
    }
    let length = call.count("salt_size", most)?;
    if length > most {
        return Err(call.error(&format!("the salt must have at most {most} characters")));
    }
    let mut random = rand::rng();
    let characters = (0..length).map(|_| {
        let index = random.random_range(0..ALPHABET.len());
        char::from(ALPHABET.get(index).copied().unwrap_or(b'.'))
    });
    Ok(characters.collect())
}

fn bcrypt_hash(call: &Call, password: &str, rounds: Option<i64>) -> Result<String, Error> {
    let version = match call.text("ident")?.as_deref().unwrap_or("2b") {
        "2b" | "$2b$" => bcrypt::Version::TwoB,
        "2a" | "$2a$" => bcrypt::Version::TwoA,
        "2y" | "$2y$" => bcrypt::Version::TwoY,
        other => return Err(call.error(&format!("`{other}` is no form of bcrypt: 2b, 2a, 2y"))),
    };
    let cost = match rounds {
        None => 12,
        Some(cost) => u32::try_from(cost)
            .ok()
            .filter(|cost| (4..=31).contains(cost))
            .ok_or_else(|| call.error("the cost of bcrypt goes from 4 to 31"))?,
    };
    let salt = salt(call, 22, true)?;
    let config = GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true);
    let salt = GeneralPurpose::new(&base64::alphabet::BCRYPT, config)
        .decode(&salt)
        .ok()
        .and_then(|salt| <[u8; 16]>::try_from(salt).ok())
        .ok_or_else(|| call.error("this is no salt of bcrypt"))?;
    bcrypt::hash_with_salt(password, cost, salt)
        .map(|parts| parts.format_for_version(version))
        .map_err(|error| call.error(&error.to_string()))
}

/// The old hash of BSD, a thousand rounds of MD5.
fn md5_crypt(password: &[u8], salt: &[u8]) -> [u8; 16] {
    let digest = |parts: &[&[u8]]| md5::compute(parts.concat()).0;
    let mut mixed = digest(&[password, salt, password]);
    let mut first: Vec<u8> = [password, b"$1$", salt].concat();
    let repeated = mixed.iter().cycle().take(password.len()).copied();
    first.extend(repeated.collect::<Vec<u8>>());
    let mut length = password.len();
    while length > 0 {
        first.push(if length & 1 == 1 {
            0
        } else {
            password.first().copied().unwrap_or_default()
        });
        length >>= 1;
    }
    mixed = digest(&[&first]);
    for round in 0..1000 {
        let is_odd = round % 2 == 1;
        let mut parts: Vec<&[u8]> = vec![if is_odd { password } else { &mixed }];
        if round % 3 != 0 {
            parts.push(salt);
        }
        if round % 7 != 0 {
            parts.push(password);
        }
        parts.push(if is_odd { &mixed } else { password });
        mixed = digest(&parts);
    }
    mixed
}
