// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! How property tests are run: each run has other cases, and one that fails says how to repeat it.

use std::hash::{BuildHasher, RandomState};

use proptest::test_runner::{Config, RngSeed};

/// `cases` cases, or as many as `PROPTEST_CASES` says, from a fresh seed or from
/// `PROPTEST_RNG_SEED`. The seed is printed: cargo shows it if the test fails.
pub fn property(cases: u32) -> Config {
    let mut config = Config::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => RandomState::new().hash_one(std::process::id()),
    };
    println!(
        "repeat with PROPTEST_RNG_SEED={seed} PROPTEST_CASES={}",
        config.cases
    );
    Config {
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..config
    }
}
