// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use feed::{Address, Name};

use crate::args::{FeedArg, Mac, RouteTarget, Size};
use crate::range::Range;

/// Append to feeds, read them, and set up a node of AF_FEED.
///
/// Commands may be shortened as long as they stay unique. See feedctl(8).
#[derive(Debug, Parser)]
#[command(
    name = "feedctl",
    version,
    infer_subcommands = true,
    max_term_width = 100
)]
pub struct Cli {
    /// Print JSON: one value on each line
    #[arg(short = 'j', long, global = true)]
    pub json: bool,

    /// Draw no progress bars
    #[arg(short = 'q', long, global = true)]
    pub quiet: bool,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key, or show the name of its feed
    #[command(subcommand)]
    Key(Key),
    /// Append files, lines, a directory or standard input to your feed
    Append(Append),
    /// Read entries
    Cat(Cat),
    /// Read the last entries, and with -f all that follow
    Tail(Tail),
    /// Show the signed head of a feed
    Head(Head),
    /// The feeds that this node knows
    #[command(infer_subcommands = true)]
    Feed {
        #[command(subcommand)]
        command: Option<Feed>,
    },
    /// The devices on which this node asks and answers
    #[command(infer_subcommands = true)]
    Port {
        #[command(subcommand)]
        command: Option<Port>,
    },
    /// Where lookups go that this node cannot answer
    #[command(infer_subcommands = true)]
    Route {
        #[command(subcommand)]
        command: Option<Route>,
    },
    /// What this node keeps
    #[command(infer_subcommands = true)]
    Store {
        #[command(subcommand)]
        command: Option<Store>,
    },
    /// Counters, one for each event and each reason to drop
    #[command(infer_subcommands = true)]
    Stats {
        #[command(subcommand)]
        command: Option<Stats>,
    },
    /// Whom this node answers: host (its own feeds only) or cache (everything)
    #[command(infer_subcommands = true)]
    Role {
        #[command(subcommand)]
        command: Option<Role>,
    },
    /// Feeds of others that a host answers for
    #[command(infer_subcommands = true)]
    Share {
        #[command(subcommand)]
        command: Option<Share>,
    },
    /// Print a completion script
    Completion { shell: Shell },
}

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a new key file; prints the name of its feed
    New {
        /// Written with mode 0600, never over another file
        #[arg(value_name = "KEY")]
        key: PathBuf,
    },
    /// Print the name of a key's feed
    Show {
        #[arg(value_name = "KEY")]
        key: PathBuf,
    },
}

#[derive(Args, Debug)]
pub struct Append {
    /// Key file of the feed; the last head is kept beside it in KEY.head
    #[arg(short, long, value_name = "KEY")]
    pub key: PathBuf,

    /// The feed has no entry anywhere yet
    #[arg(long)]
    pub new: bool,

    /// One entry for each line of standard input or of the files, without the newline
    #[arg(short, long, conflicts_with = "dir")]
    pub lines: bool,

    /// A whole directory: an entry that lists it, then one entry for each file
    #[arg(short, long, value_name = "DIR", conflicts_with = "files")]
    pub dir: Option<PathBuf>,

    /// Author's time of the entries: now, none, or milliseconds since 1970
    #[arg(long, value_name = "TIME", default_value = "now")]
    pub time: When,

    /// 16 bits of your own, kept with each entry
    #[arg(long, value_name = "BITS", default_value_t = 0)]
    pub bits: u16,

    /// Close the feed for ever afterwards
    #[arg(long = "final")]
    pub finish: bool,

    /// How long to wait for what KEY.head covers, if this node has lost it
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    pub timeout: u64,

    /// One entry for each file; without one, standard input is one entry
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// The author's time of an entry.
#[derive(Clone, Copy, Debug)]
pub enum When {
    Now,
    At(u64),
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<When, String> {
        match text {
            "now" => Ok(When::Now),
            "none" => Ok(When::At(0)),
            _ => text
                .parse()
                .map(When::At)
                .map_err(|_| "write now, none, or milliseconds since 1970".to_owned()),
        }
    }
}

#[derive(Args, Debug)]
pub struct Cat {
    /// feed:HEX, or feed:HEX/SEQ for one entry
    #[arg(value_name = "FEED")]
    pub feed: Address,

    /// SEQ, A..B, A.. or ..B; B is left out
    #[arg(value_name = "RANGE")]
    pub range: Option<Range>,

    /// Write files into DIR: those of a directory listing, other entries under their number
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<std::path::PathBuf>,

    /// One line of JSON for each entry (seq, hops, flags, bytes, ms) and one for the total, on
    /// standard error or into FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub stats: Option<Option<PathBuf>>,

    /// End each entry with a newline
    #[arg(short, long, conflicts_with = "out")]
    pub lines: bool,

    /// How long to wait for the network
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    pub timeout: u64,

    /// At the end of what is known, how long to wait for a newer head
    #[arg(long, value_name = "MS", default_value_t = 300)]
    pub wait: u64,
}

#[derive(Args, Debug)]
pub struct Tail {
    #[arg(value_name = "FEED")]
    pub feed: Name,

    /// Go on with every entry that is appended
    #[arg(short, long)]
    pub follow: bool,

    /// Begin with the last N entries
    #[arg(short, long, value_name = "N", default_value_t = 10)]
    pub number: u64,

    /// How long to wait for the network
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    pub timeout: u64,
}

#[derive(Args, Debug)]
pub struct Head {
    #[arg(value_name = "FEED")]
    pub feed: Name,

    /// Write the 160 bytes of the head to FILE
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,

    /// How long to wait for the network
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    pub timeout: u64,
}

#[derive(Debug, Subcommand)]
pub enum Feed {
    /// List them (the default)
    #[command(alias = "show", alias = "list")]
    Ls,
}

#[derive(Debug, Subcommand)]
pub enum Port {
    /// Ask and answer on DEV
    Add {
        #[arg(value_name = "DEV")]
        dev: String,
    },
    /// Leave DEV alone
    #[command(alias = "delete")]
    Del {
        #[arg(value_name = "DEV")]
        dev: String,
    },
    /// List ports (the default)
    #[command(alias = "ls", alias = "list")]
    Show,
}

#[derive(Debug, Subcommand)]
pub enum Route {
    /// Send lookups for a feed, or for all, to a port
    #[command(override_usage = "feedctl route add {FEED|default} dev DEV [via MAC] [cost N]")]
    Add(RouteArgs),
    /// Take a route away
    #[command(
        alias = "delete",
        override_usage = "feedctl route del {FEED|default} [dev DEV] [via MAC]"
    )]
    Del(RouteArgs),
    /// Take all routes away
    Flush,
    /// List routes (the default)
    #[command(alias = "ls", alias = "list")]
    Show,
}

#[derive(Args, Debug)]
pub struct RouteArgs {
    /// A feed (feed:HEX or id:HEX), or default for all
    #[arg(value_name = "FEED|default")]
    pub target: RouteTarget,

    /// dev DEV, via MAC, cost N, in any order
    #[arg(value_name = "WORDS", num_args = 0..)]
    pub words: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub enum Store {
    /// Figures of the store (the default)
    Show,
    /// Change the limit of this store, or the cap of those of all namespaces
    #[command(override_usage = "feedctl store set {limit|cap} SIZE")]
    Set {
        what: StoreSetting,
        /// Bytes, or with K, M, G
        #[arg(value_name = "SIZE")]
        size: Size,
    },
    /// Drop what is cached; your own feeds stay
    Flush,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StoreSetting {
    Limit,
    Cap,
}

#[derive(Debug, Subcommand)]
pub enum Stats {
    /// Show counters (the default)
    Show {
        /// Also those that are zero
        #[arg(short, long)]
        all: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Role {
    /// Show the role, and what the module was loaded with (the default)
    Show,
    /// Change the role
    Set { role: RoleName },
}

/// Whom a node answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum RoleName {
    /// Only its own feeds and those it shares
    Host,
    /// Everything it has, and it asks further for what it has not
    Cache,
}

#[derive(Debug, Subcommand)]
pub enum Share {
    /// Answer for FEED though it is somebody else's
    Add {
        #[arg(value_name = "FEED")]
        feed: FeedArg,
    },
    /// Stop answering for FEED
    #[command(alias = "delete")]
    Del {
        #[arg(value_name = "FEED")]
        feed: FeedArg,
    },
    /// List shared feeds (the default)
    #[command(alias = "ls", alias = "list")]
    Show,
}

/// The words after a route's target.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RouteWords {
    pub dev: Option<String>,
    pub via: Option<Mac>,
    pub cost: Option<u32>,
}

impl RouteWords {
    /// Reads `dev DEV`, `via MAC` and `cost N` in any order, each at most once.
    pub fn parse(words: &[String]) -> Result<RouteWords, String> {
        let mut out = RouteWords::default();
        for pair in words.chunks(2) {
            let [word, value] = pair else {
                return Err(format!(
                    "{:?} wants a value: dev DEV, via MAC, cost N",
                    pair.concat()
                ));
            };
            let again = match word.as_str() {
                "dev" => out.dev.replace(value.clone()).is_some(),
                "via" => out.via.replace(value.parse()?).is_some(),
                "cost" => {
                    let cost = value
                        .parse()
                        .map_err(|_| format!("cost is a number, not {value:?}"))?;
                    out.cost.replace(cost).is_some()
                }
                _ => return Err(format!("{word:?} is not one of: dev DEV, via MAC, cost N")),
            };
            if again {
                return Err(format!("{word} is given twice"));
            }
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn cli__is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn cli__accepts() {
        let feed = format!("feed:{}", "ab".repeat(32));
        for line in [
            "key new a.key",
            "append --key a.key --new a b",
            "append -k a.key --lines",
            "append -k a.key --dir d --final",
            "-j append -k a.key -",
            &format!("cat {feed}"),
            &format!("cat {feed}/3 --stats --out d"),
            &format!("cat {feed} 1..5 --stats=s.json"),
            &format!("tail -f -n 3 {feed}"),
            &format!("head -j {feed}"),
            "feed ls",
            "feed",
            "port add eth0",
            "port",
            "route add default dev eth0 via 02:00:00:00:00:01 cost 5",
            &format!("route del {feed}"),
            "rou a default dev eth0",
            "store set limit 64M",
            "stats show --all",
            "role set cache",
            &format!("share add {feed}"),
            "completion bash",
        ] {
            let line = format!("feedctl {line}");
            assert!(
                Cli::try_parse_from(line.split_whitespace()).is_ok(),
                "{line}"
            );
        }
    }

    #[test]
    fn cli__refuses() {
        let feed = format!("feed:{}", "ab".repeat(32));
        for line in [
            "".to_owned(),
            "append".to_owned(),
            "append -k k --lines --dir d".to_owned(),
            "append -k k --dir d file".to_owned(),
            "append -k k --time soon".to_owned(),
            format!("cat {feed} 5..2"),
            format!("cat {feed}x"),
            format!("tail {feed}/4"),
            "store set limit lots".to_owned(),
            "role set king".to_owned(),
            "route add feed:12 dev eth0".to_owned(),
        ] {
            let line = format!("feedctl {line}");
            assert!(
                Cli::try_parse_from(line.split_whitespace()).is_err(),
                "{line}"
            );
        }
    }

    #[test]
    fn route_words__any_order() {
        let parsed = RouteWords::parse(&words("cost 7 dev eth0 via 02:00:00:00:00:01")).unwrap();
        assert_eq!(parsed.dev.as_deref(), Some("eth0"));
        assert_eq!(parsed.via, Some(Mac([2, 0, 0, 0, 0, 1])));
        assert_eq!(parsed.cost, Some(7));
        assert_eq!(RouteWords::parse(&[]).unwrap(), RouteWords::default());
    }

    #[test]
    fn route_words__refuses() {
        for bad in [
            "dev",
            "dev a dev b",
            "via 1",
            "cost x",
            "metric 3",
            "dev a cost",
        ] {
            assert!(RouteWords::parse(&words(bad)).is_err(), "{bad}");
        }
    }
}
