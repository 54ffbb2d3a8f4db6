// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Key files: a seed in hex, in a text file that only its owner can read.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use feed::Seed;
use serde::Serialize;

use crate::failure::{Failure, Result};
use crate::output::{Hex, Output};

/// A key file is a few lines; whatever is longer is something else.
const FILE_MAX: u64 = 4096;

#[derive(Serialize)]
struct Shown<'a> {
    feed: String,
    key: &'a Path,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.feed)
    }
}

/// `key new`: makes a key file and tells the name of its feed.
pub fn new(path: &Path, output: Output) -> Result<()> {
    let seed = Seed::generate()?;
    let feed = seed.name()?.to_string();
    write(path, &seed, &feed)?;
    output.show(&Shown { feed, key: path })
}

/// `key show`: tells the name of a key's feed.
pub fn show(path: &Path, output: Output) -> Result<()> {
    let feed = read(path)?.name()?.to_string();
    output.show(&Shown { feed, key: path })
}

fn write(path: &Path, seed: &Seed, feed: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        // Never over another key: that would take its feed away.
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| Failure::file("make the key file", path, &e))?;
    let text = format!(
        "# Secret key of a feed. Whoever reads this file can extend the feed.\n\
         # {feed}\n\
         {}\n",
        Hex(seed.as_bytes())
    );
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|e| Failure::file("write", path, &e))
}

/// Reads a key file. Refused when others could have read it too.
pub fn read(path: &Path) -> Result<Seed> {
    let file = File::open(path).map_err(|e| {
        let hint = if e.kind() == std::io::ErrorKind::NotFound {
            format!("; make one: feedctl key new {}", path.display())
        } else {
            String::new()
        };
        Failure::Said(format!(
            "cannot open the key file {}: {e}{hint}",
            path.display()
        ))
    })?;
    let mode = file
        .metadata()
        .map_err(|e| Failure::file("look at", path, &e))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(Failure::Said(format!(
            "the key file {0} can be used by others (mode {1:04o}); if nobody has read it: chmod 600 {0}",
            path.display(),
            mode & 0o7777
        )));
    }
    let mut text = String::new();
    file.take(FILE_MAX)
        .read_to_string(&mut text)
        .map_err(|e| Failure::file("read", path, &e))?;
    parse(&text).ok_or_else(|| {
        Failure::Said(format!(
            "{} is no key file: it must hold one line of 64 hex digits, and comments that begin with #",
            path.display()
        ))
    })
}

fn parse(text: &str) -> Option<Seed> {
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (digits, rest) = (lines.next()?, lines.next());
    if rest.is_some() || digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let digit = |c: u8| {
            char::from(c)
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        };
        *byte = match pair {
            [high, low] => digit(*high)? << 4 | digit(*low)?,
            _ => return None,
        };
    }
    Some(Seed::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const QUIET: Output = Output {
        json: false,
        quiet: true,
    };

    #[test]
    fn key__new_is_read_back_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        new(&path, QUIET).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o600
        );
        let name = read(&path).unwrap().name().unwrap().to_string();
        assert!(fs::read_to_string(&path).unwrap().contains(&name));
    }

    #[test]
    fn key__new_never_overwrites() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        new(&path, QUIET).unwrap();
        let before = fs::read(&path).unwrap();
        let said = new(&path, QUIET).unwrap_err().to_string();
        assert!(said.contains("File exists"), "{said}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn key__readable_by_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.key");
        new(&path, QUIET).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let said = read(&path).unwrap_err().to_string();
            assert!(said.contains("chmod 600"), "{said}");
        }
    }

    #[test]
    fn key__missing_says_how_to_make_one() {
        let said = read(Path::new("/nonexistent/k")).unwrap_err().to_string();
        assert!(said.ends_with("feedctl key new /nonexistent/k"), "{said}");
    }

    #[test]
    fn key__parse() {
        let digits = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        for good in [
            digits.to_owned(),
            format!("# c\n\n {digits} \n#d\n"),
            digits.to_uppercase(),
        ] {
            assert_eq!(
                parse(&good).unwrap().as_bytes()[..2],
                [0x9d, 0x61],
                "{good}"
            );
        }
        for bad in [
            "",
            "# only a comment",
            &digits[1..],
            &format!("{digits}\n{digits}"),
            &digits.replace('9', "g"),
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
