// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Words of the command line that are more than text: addresses, sizes, feeds.

use std::fmt;
use std::str::FromStr;

use feed::Name;
use feed_netlink::Which;

/// A hardware address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mac(pub [u8; 6]);

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Mac, String> {
        let wrong = || format!("{text:?} is no hardware address; write 02:00:00:00:00:01");
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let two_digits =
                |part: &&str| part.len() == 2 && part.bytes().all(|c| c.is_ascii_hexdigit());
            let part = parts.next().filter(two_digits).ok_or_else(wrong)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() {
            Err(wrong())
        } else {
            Ok(Mac(bytes))
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Bytes, written with or without K, M, G, T (powers of 1024).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let wrong = || format!("{text:?} is no size; write bytes, or 512K, 64M, 2G");
        let plain = text.trim_end_matches("iB").trim_end_matches('B');
        let digits = plain.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let shift = match plain.get(digits.len()..) {
            Some("") => 0,
            Some("K" | "k") => 10,
            Some("M" | "m") => 20,
            Some("G" | "g") => 30,
            Some("T" | "t") => 40,
            _ => return Err(wrong()),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        number.checked_mul(1 << shift).map(Size).ok_or_else(wrong)
    }
}

/// A feed by its name, or, where only its lookups were seen, by its id: `id:` and 64 hex digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FeedArg(pub Which);

impl FromStr for FeedArg {
    type Err = String;

    fn from_str(text: &str) -> Result<FeedArg, String> {
        match text.strip_prefix("id:") {
            // Both have the digits of a name.
            Some(digits) => format!("feed:{digits}")
                .parse::<Name>()
                .map(|id| FeedArg(Which::Id(id.0)))
                .map_err(|_| {
                    format!("{text:?} is no id; an id is id: and 64 lower-case hex digits")
                }),
            None => text
                .parse::<Name>()
                .map(|name| FeedArg(Which::Name(name.0)))
                .map_err(|e| e.to_string()),
        }
    }
}

/// Whose lookups a route is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RouteTarget {
    Default,
    Feed(FeedArg),
}

impl FromStr for RouteTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<RouteTarget, String> {
        match text {
            "default" => Ok(RouteTarget::Default),
            _ => text.parse().map(RouteTarget::Feed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac__text() {
        let mac: Mac = "02:aB:00:ff:10:09".parse().unwrap();
        assert_eq!(mac.to_string(), "02:ab:00:ff:10:09");
        for bad in [
            "",
            "02:ab:00:ff:10",
            "02:ab:00:ff:10:09:01",
            "2:ab:00:ff:10:09",
            "02-ab-00-ff-10-09",
            "+2:ab:00:ff:10:09",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn size__units() {
        let parse = |text: &str| text.parse::<Size>().ok().map(|size| size.0);
        assert_eq!(parse("4096"), Some(4096));
        assert_eq!(parse("512K"), Some(512 << 10));
        assert_eq!(parse("64M"), Some(64 << 20));
        assert_eq!(parse("64MiB"), Some(64 << 20));
        assert_eq!(parse("2g"), Some(2 << 30));
        for bad in ["", "K", "1.5G", "-1", "lots", "5X", "1KM", "99999999999T"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn feed_arg__name_or_id() {
        let digits = "ab".repeat(32);
        let parse = |text: String| text.parse::<FeedArg>();
        assert_eq!(
            parse(format!("feed:{digits}")),
            Ok(FeedArg(Which::Name([0xab; 32])))
        );
        assert_eq!(
            parse(format!("id:{digits}")),
            Ok(FeedArg(Which::Id([0xab; 32])))
        );
        for bad in [
            digits.clone(),
            format!("id:{digits}/1"),
            format!("feed:{digits}/1"),
            "id:".to_owned(),
        ] {
            assert!(parse(bad.clone()).is_err(), "{bad}");
        }
    }
}
