// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! feedctl: append to feeds, read them, and set up a node of AF_FEED.

#![forbid(unsafe_code)]
#![allow(unreachable_pub, reason = "a program has no outside")]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]
#![cfg_attr(test, allow(non_snake_case))]

mod append;
mod args;
mod cat;
mod cli;
mod control;
mod extract;
mod failure;
mod head;
mod headfile;
mod key;
mod listing;
mod output;
mod range;
mod reading;
mod tail;

use std::io;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command, Feed, Key, Port, Role, Route, Share, Stats, Store};
use failure::{Failure, Result};
use output::Output;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        // Whoever reads our output has had enough.
        Ok(()) | Err(Failure::Pipe) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("feedctl: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let output = Output {
        json: cli.json,
        quiet: cli.quiet,
    };
    match cli.command {
        Command::Key(Key::New { key }) => key::new(&key, output),
        Command::Key(Key::Show { key }) => key::show(&key, output),
        Command::Append(args) => append::run(&args, output),
        Command::Cat(args) => cat::run(&args, output),
        Command::Tail(args) => tail::run(&args, output),
        Command::Head(args) => head::run(&args, output),
        Command::Feed { command } => control::feeds(&command.unwrap_or(Feed::Ls), output),
        Command::Port { command } => control::port(&command.unwrap_or(Port::Show), output),
        Command::Route { command } => control::route(&command.unwrap_or(Route::Show), output),
        Command::Store { command } => control::store(&command.unwrap_or(Store::Show), output),
        Command::Stats { command } => {
            control::stats(&command.unwrap_or(Stats::Show { all: false }), output)
        }
        Command::Role { command } => control::role(&command.unwrap_or(Role::Show), output),
        Command::Share { command } => control::share(&command.unwrap_or(Share::Show), output),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "feedctl", &mut io::stdout());
            Ok(())
        }
    }
}
