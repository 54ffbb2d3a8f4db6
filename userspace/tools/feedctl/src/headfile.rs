// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! KEY.head: the last head of a feed, kept beside its key.
//!
//! A node whose store knows nothing of a feed must not sign for it, or it would sign a second
//! history. The store does not outlive a power cut; this file does. So after each append the new
//! head is written here before the append counts as done, and it is given back before the next.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use feed::{Head, Name};

use crate::failure::{Failure, Result};

/// The head file of one key.
#[derive(Debug)]
pub struct HeadFile {
    path: PathBuf,
}

impl HeadFile {
    /// The head file that belongs to the key file `key`.
    pub fn beside(key: &Path) -> HeadFile {
        HeadFile {
            path: with_suffix(key, ".head"),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The head that was kept, if there is one. A file that holds anything but a genuine head of
    /// `name` is refused: to sign past it could make a second history.
    pub fn load(&self, name: Name) -> Result<Option<Head>> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Failure::file("read", &self.path, &e)),
        };
        let head = <&[u8; Head::LEN]>::try_from(bytes.as_slice())
            .ok()
            .and_then(|bytes| Head::from_bytes(bytes).ok())
            .filter(|head| head.name() == name && (head.epoch() != 0 || head.verify().is_ok()));
        match head {
            Some(head) => Ok(Some(head)),
            None => Err(Failure::Said(format!(
                "{} holds no genuine head of {name}; restore it from a copy (without it a second history \
                 could be signed)",
                self.path.display()
            ))),
        }
    }

    /// Keeps `head`. When this returns, it survives a power cut; at every moment the file holds
    /// the old head or the new one, whole.
    pub fn save(&self, head: &Head) -> Result<()> {
        let fresh = with_suffix(&self.path, ".new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)
            .map_err(|e| Failure::file("make", &fresh, &e))?;
        file.write_all(head.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|e| Failure::file("write", &fresh, &e))?;
        fs::rename(&fresh, &self.path).map_err(|e| Failure::file("replace", &self.path, &e))?;
        // The rename itself is durable only when its directory is.
        let dir = match self.path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|e| Failure::file("sync", dir, &e))
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = OsString::from(path);
    text.push(suffix);
    PathBuf::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use feed_core::head::Head as Statement;
    use feed_core::id::Hash;
    use feed_core::sign::Seed;

    fn head(seed: u8, n: u64) -> Head {
        let seed = Seed::new([seed; 32]).unwrap();
        let name = feed_core::id::Name(seed.public_key().0);
        let statement = Statement {
            flags: 0,
            epoch: 0,
            n,
            time: 5,
            next_by: 0,
            name,
            root: Hash([1; 32]),
        };
        Head::from_bytes(&statement.sign(&seed).unwrap().bytes).unwrap()
    }

    #[test]
    fn headfile__none_at_first_then_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let file = HeadFile::beside(&dir.path().join("a.key"));
        assert_eq!(file.path(), dir.path().join("a.key.head"));
        let name = head(3, 1).name();
        assert_eq!(file.load(name).unwrap(), None);
        for n in 1..4 {
            file.save(&head(3, n)).unwrap();
            assert_eq!(file.load(name).unwrap(), Some(head(3, n)));
        }
        // Nothing but the head itself is left behind.
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn headfile__a_torn_write_leaves_the_old_head() {
        let dir = tempfile::tempdir().unwrap();
        let file = HeadFile::beside(&dir.path().join("a.key"));
        file.save(&head(3, 1)).unwrap();
        // What a power cut in the middle of the next save leaves.
        fs::write(
            dir.path().join("a.key.head.new"),
            &head(3, 2).as_bytes()[..77],
        )
        .unwrap();
        assert_eq!(file.load(head(3, 1).name()).unwrap(), Some(head(3, 1)));
        file.save(&head(3, 2)).unwrap();
        assert_eq!(file.load(head(3, 1).name()).unwrap(), Some(head(3, 2)));
    }

    #[test]
    fn headfile__damaged_or_foreign_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = HeadFile::beside(&dir.path().join("a.key"));
        let good = head(3, 1);
        let mut flipped = *good.as_bytes();
        flipped[150] ^= 1;
        let foreign = head(4, 1);
        let cases: [&[u8]; 4] = [&[], &good.as_bytes()[..159], &flipped, foreign.as_bytes()];
        for bytes in cases {
            fs::write(file.path(), bytes).unwrap();
            let said = file.load(good.name()).unwrap_err().to_string();
            assert!(
                said.contains("a.key.head") && said.contains("restore"),
                "{said}"
            );
        }
    }
}
