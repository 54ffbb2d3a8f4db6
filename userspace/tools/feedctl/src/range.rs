// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Which entries are meant: `SEQ`, `A..B`, `A..`, `..B`, with B left out as in Rust.

use std::str::FromStr;

/// A run of entries. `end` is the first that is not meant.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Range {
    pub start: u64,
    pub end: Option<u64>,
}

impl Range {
    /// The single entry `seq`.
    pub fn one(seq: u64) -> Range {
        Range {
            start: seq,
            end: seq.checked_add(1),
        }
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Range, String> {
        let wrong = || format!("{text:?} is no range; write SEQ, A..B, A.. or ..B (B is left out)");
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        let Some((start, end)) = text.split_once("..") else {
            return Ok(Range::one(number(text)?));
        };
        let range = Range {
            start: if start.is_empty() { 0 } else { number(start)? },
            end: if end.is_empty() {
                None
            } else {
                Some(number(end)?)
            },
        };
        match range.end {
            Some(end) if end < range.start => Err(wrong()),
            _ => Ok(range),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range__forms() {
        let parse = |text: &str| text.parse::<Range>().unwrap();
        assert_eq!(
            parse("7"),
            Range {
                start: 7,
                end: Some(8)
            }
        );
        assert_eq!(
            parse("2..5"),
            Range {
                start: 2,
                end: Some(5)
            }
        );
        assert_eq!(
            parse("2.."),
            Range {
                start: 2,
                end: None
            }
        );
        assert_eq!(
            parse("..5"),
            Range {
                start: 0,
                end: Some(5)
            }
        );
        assert_eq!(parse(".."), Range::default());
        assert_eq!(
            parse("3..3"),
            Range {
                start: 3,
                end: Some(3)
            }
        );
    }

    #[test]
    fn range__refuses() {
        for bad in [
            "",
            "x",
            "-1",
            "5..2",
            "1...3",
            "1..2..3",
            "1-3",
            "18446744073709551616",
        ] {
            assert!(bad.parse::<Range>().is_err(), "{bad}");
        }
    }
}
