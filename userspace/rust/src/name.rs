// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Names of feeds, addresses of entries, and the secret a feed is signed with.

use std::fmt;
use std::str::FromStr;

use feed_core::id::{self, FeedText};

use crate::error::{Error, Result};
use crate::sys;

/// A feed's name: its Ed25519 public key. As text `feed:` and 64 lower-case hex digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Name(pub [u8; 32]);

impl Name {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(
            &FeedText {
                name: id::Name(self.0),
                seq: None,
            },
            f,
        )
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse::<Address>()? {
            Address { name, seq: None } => Ok(name),
            _ => Err(Error::name(text)),
        }
    }
}

/// A feed, or one entry of it: `feed:HEX` or `feed:HEX/SEQ`.
///
/// ```
/// let text = format!("feed:{}/7", "0a".repeat(32));
/// let address: feed::Address = text.parse()?;
/// assert_eq!(address.seq, Some(7));
/// assert_eq!(address.to_string(), text);
/// # Ok::<(), feed::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Address {
    /// The feed.
    pub name: Name,
    /// The entry, if the text says one.
    pub seq: Option<u64>,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(
            &FeedText {
                name: id::Name(self.name.0),
                seq: self.seq,
            },
            f,
        )
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed: FeedText = text.parse().map_err(|_| Error::name(text))?;
        Ok(Address {
            name: Name(parsed.name.0),
            seq: parsed.seq,
        })
    }
}

/// An RFC 8032 seed: whoever has it can extend the feed. Overwritten when dropped.
pub struct Seed([u8; 32]);

impl Seed {
    /// A new one, from the kernel's random numbers.
    pub fn generate() -> Result<Seed> {
        let mut seed = Seed([0; 32]);
        sys::random(&mut seed.0).map_err(|error| Error::os("draw random bytes", error))?;
        Ok(seed)
    }

    /// Takes the 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Seed {
        Seed(bytes)
    }

    /// The 32 bytes. Keep them to yourself.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name of the feed that this seed signs, derived without the kernel.
    pub fn name(&self) -> Result<Name> {
        let seed = feed_core::sign::Seed::new(self.0).map_err(|_| Error::seed())?;
        Ok(Name(seed.public_key().0))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        sys::wipe(&mut self.0);
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        format!("feed:{}", "0123456789abcdef".repeat(4))
    }

    #[test]
    fn name__round_trip() {
        let name: Name = text().parse().unwrap();
        assert_eq!(
            name.0[..8],
            [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]
        );
        assert_eq!(name.to_string(), text());
    }

    #[test]
    fn name__refuses_an_entry() {
        assert!((text() + "/1").parse::<Name>().is_err());
        assert!((text() + "/1").parse::<Address>().is_ok());
    }

    #[test]
    fn name__refuses_what_is_no_name() {
        let upper = text().replace('a', "A");
        for bad in [
            "",
            "feed:",
            &text()[..68],
            &upper,
            &(text() + "0"),
            &(text() + "/"),
            &text()[5..],
        ] {
            let error = bad.parse::<Name>().unwrap_err();
            assert!(
                error.to_string().contains("64 lower-case hex digits"),
                "{bad}: {error}"
            );
        }
    }

    #[test]
    fn address__seq_has_one_text() {
        for bad in [
            "/01",
            "/+1",
            "/-1",
            "/ 1",
            "/1 ",
            "/68719476736",
            "/18446744073709551616",
        ] {
            assert!((text() + bad).parse::<Address>().is_err(), "{bad}");
        }
        assert_eq!(
            (text() + "/68719476735").parse::<Address>().unwrap().seq,
            Some(68_719_476_735)
        );
    }

    #[test]
    fn seed__name_is_rfc_8032_test_1() {
        let mut seed = [0; 32];
        let hex = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        for (byte, pair) in seed.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        }
        assert_eq!(
            Seed::from_bytes(seed).name().unwrap().to_string(),
            "feed:d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
    }

    #[test]
    fn seed__zeros_are_refused() {
        assert!(Seed::from_bytes([0; 32]).name().is_err());
    }

    #[test]
    fn seed__generated_ones_differ() {
        let (a, b) = (Seed::generate().unwrap(), Seed::generate().unwrap());
        assert_ne!(a.as_bytes(), b.as_bytes());
        assert_eq!(format!("{a:?}"), "Seed(..)");
    }
}
