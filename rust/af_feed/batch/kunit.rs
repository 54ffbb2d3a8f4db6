// SPDX-License-Identifier: GPL-2.0

//! Batches whose payloads find no place in the index: programs cannot fill it, for it grows as long as
//! there is memory.

use super::*;
use crate::store::kunit::Bench;

const LEN: u32 = 100;
const COUNT: u8 = 5;

fn unhashed(bench: &Bench, number: u8, len: u32) -> Result<Appended> {
    let mut extent = bench.store.pinned_reserve(len, true, Owner::of_current())?;
    let bytes = KVec::from_elem(number, len as usize, GFP_KERNEL)?;
    let payload = extent.write(0, &bytes).then_some(Payload::Unhashed(extent));
    Ok(Appended {
        payload: payload.ok_or(EINVAL)?,
        len,
        time: 0,
        flags: 0,
    })
}

/// What was sent is kept, and stored as soon as there is a place; what is not yet sent is refused.
fn no_place() -> Result {
    let bench = Bench::new()?;
    let mut batch = Batch::new();
    for number in 0..COUNT {
        batch.push(unhashed(&bench, number, LEN)?)?;
    }

    bench.jam()?;
    let refused = [
        store_payloads(&mut batch.entries),
        // More than a chunk, so it is stored at once.
        batch.push(unhashed(&bench, COUNT, CHUNK + 1)?),
    ];
    let is_kept = |entry: &Entry| matches!(entry.payload, Payload::Unhashed(_));
    let kept = batch.entries.iter().filter(|entry| is_kept(entry)).count();
    bench.clear_jam();
    if refused != [Err(ENOSPC); 2] || kept != batch.len() || kept != COUNT.into() {
        return Err(EINVAL);
    }

    store_payloads(&mut batch.entries)?;
    for entry in &batch.entries {
        let Payload::Stored(hash) = entry.payload else { return Err(EINVAL) };
        let blob = BlobName { hash, len: LEN };
        if !bench.store.is_pinned(&blob, 0) {
            return Err(ENOENT);
        }
    }
    drop(batch);
    bench.end()
}

#[kunit_tests(feed_author)]
mod tests {
    use super::*;

    #[test]
    fn no_place() -> Result {
        super::no_place()
    }
}
