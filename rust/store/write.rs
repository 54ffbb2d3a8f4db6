// SPDX-License-Identifier: GPL-2.0

//! Reserving room and writing to it: for the network in softirq, for authors in process context.

use super::{
    arena::{
        Kind,
        Taken, //
    },
    index::{
        Entry,
        Key,
        Shard, //
    },
    policy::Class,
    read::{
        slot_place,
        slots_place,
        Found, //
    },
    recent::RecentObjects,
    segments::View,
    Charge,
    Extent,
    Full,
    Owner,
    Store,
    OBJECT_BYTES, //
};
use crate::mm::PAGE_SIZE;
use feed_core::{
    id::BlobName,
    object::ObjectKey, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::ordering::Relaxed,
        Arc, //
    }, //
};

/// How often an author's write is tried when others take the room that was made for it.
const TRIES: usize = 4;

impl Store {
    /// Reserves room for a window, in the cache. Context: any.
    pub(crate) fn blob_reserve(
        self: &Arc<Self>,
        blob: &BlobName,
        window: u16,
        len: u32,
        charge: Charge,
    ) -> Result<Extent, Full> {
        let key = Key::blob(blob, window);
        if key.stored_len() != len {
            return Err(Full);
        }
        let class = self.class(self.index.hash(&key));
        let taken = self.take(Kind::of_payload(len), class, len)?;

        Ok(Extent::new(
            self.clone(),
            taken,
            len,
            Some((*blob, window)),
            charge.public,
            None,
        ))
    }

    /// Stores one slot of an object, in the cache; with verified bytes only. Storing what is
    /// there already is not an error. Context: any.
    pub(crate) fn slot_put(
        self: &Arc<Self>,
        recent: &mut RecentObjects,
        key: &ObjectKey,
        slot: u8,
        bytes: &[u8],
        _charge: Charge,
    ) -> Result<(), Full> {
        let key = Key::object(key).ok_or(Full)?;
        let (offset, bit) = slot_place(slot, bytes.len()).ok_or(Full)?;
        recent.put(self, &key, bit, |hash, found| {
            let put = self.index.with(hash, |shard| {
                let put = self.put_here(shard, &key, hash, offset, bit, bytes);
                *found = shard.find(&key, hash, &self.segments).and_then(|entry| {
                    let (_, view) = self.segments.find(entry.segment())?;
                    Some(Found::new(entry, view))
                });
                put
            });
            self.after(put)
        })
    }

    /// Writes a slot of an object, which may be a new one. True if the shard is getting tight.
    fn put_here(
        self: &Arc<Self>,
        shard: &mut Shard,
        key: &Key,
        hash: u64,
        offset: u32,
        bit: u64,
        bytes: &[u8],
    ) -> Result<bool, Full> {
        match self.put_in_place(shard, key, hash, offset, bit, bytes, false)? {
            Put::Done => return Ok(false),
            Put::Absent(_) => {}
        }
        let taken = self.take(Kind::Object, self.class(hash), OBJECT_BYTES)?;
        let tight = self.put_new(shard, key, hash, &taken, offset, bit, bytes);
        self.give_back(&taken);
        tight
    }

    /// Empties a slot, if it is there: what is put next takes its place. Context: any.
    pub(crate) fn slot_clear(&self, recent: &mut RecentObjects, key: &ObjectKey, slot: u8) {
        let Some(key) = Key::object(key) else { return };
        recent.forget(&key);
        let Some((_, bit)) = slot_place(slot, 0) else { return };
        let hash = self.index.hash(&key);
        self.index.with(hash, |shard| {
            if let Some(entry) = shard.find(&key, hash, &self.segments) {
                entry.clear_info(bit);
            }
        });
    }

    /// As [`Store::slot_put`], for an author: what is written stays. `bytes` are those of slots of
    /// `len` bytes that follow each other from `first` on; of none of them, to have room for them
    /// later. EDQUOT and ENOSPC say that the user's or the store's limit is reached. Context: process,
    /// may sleep.
    pub(crate) fn pinned_slots_put(
        self: &Arc<Self>,
        key: &ObjectKey,
        first: u8,
        len: usize,
        bytes: &[u8],
        owner: Owner,
    ) -> Result {
        let key = Key::object(key).ok_or(EINVAL)?;
        let (offset, bits) = slots_place(first, len, bytes.len()).ok_or(EINVAL)?;
        let hash = self.index.hash(&key);
        for _ in 0..TRIES {
            let put = self.index.with(hash, |shard| {
                self.put_in_place(shard, &key, hash, offset, bits, bytes, true)
            });
            match put {
                Ok(Put::Done) => return Ok(()),
                Ok(Put::Absent(_)) => {}
                // The kernel is moving a folio; it will not be for long.
                Err(Full) => {
                    kernel::time::delay::fsleep(kernel::time::Delta::from_micros(100));
                    continue;
                }
            }
            // Room is made without the lock, so somebody may come first: look again.
            let mut taken = self.take_pinned(Kind::Object, OBJECT_BYTES, owner)?;
            let put = self.index.with(hash, |shard| {
                match self.put_in_place(shard, &key, hash, offset, bits, bytes, true)? {
                    Put::Done => return Ok(None),
                    Put::Absent(Some((before, view))) => {
                        if !self.copy_object(&before, view, &taken) {
                            shard.remove(&key, hash, before.place());
                        }
                    }
                    Put::Absent(None) => {}
                }
                self.put_new(shard, &key, hash, &taken, offset, bits, bytes)
                    .map(Some)
            });
            if matches!(put, Ok(Some(_))) {
                taken.keep();
            }
            self.give_back_pinned(&taken, owner);
            match put {
                Ok(tight) => return self.after(Ok(tight == Some(true))).map_err(|_| ENOSPC),
                Err(Full) => self.upkeep_now(),
            }
        }
        Err(ENOSPC)
    }

    /// Reserves room for `len` bytes of an author's payload, whose name is not known yet; see
    /// [`Extent::publish_as`]. A host may answer with it if `public`. EDQUOT and ENOSPC say that
    /// the user's or the store's limit is reached. Context: process, may sleep; so has dropping
    /// the extent.
    pub(crate) fn pinned_reserve(
        self: &Arc<Self>,
        len: u32,
        public: bool,
        owner: Owner,
    ) -> Result<Extent> {
        let taken = self.take_pinned(Kind::of_payload(len), len, owner)?;
        Ok(Extent::new(
            self.clone(),
            taken,
            len,
            None,
            public,
            Some(owner),
        ))
    }

    /// Whether a window is pinned already, so that an author need not store it again.
    /// Context: any.
    #[cfg(CONFIG_KUNIT = "y")]
    pub(crate) fn is_pinned(&self, blob: &BlobName, window: u16) -> bool {
        let key = Key::blob(blob, window);
        let hash = self.index.hash(&key);
        self.index.with(hash, |shard| {
            shard
                .find(&key, hash, &self.segments)
                .and_then(|entry| self.segments.find(entry.segment()))
                .is_some_and(|(_, view)| view.pinned())
        })
    }

    /// What is expected of a key: the policy remembers what it has evicted.
    fn class(&self, hash: u64) -> Class {
        self.policy.lock().admit(hash)
    }

    fn take(self: &Arc<Self>, kind: Kind, class: Class, len: u32) -> Result<Taken, Full> {
        let taken = self
            .cache
            .take(kind, class, len, false, &self.segments, |id, class| {
                self.seal(id, class);
            });
        if !matches!(taken, Ok((_, false))) {
            self.kick();
        }
        taken.map(|(taken, _)| taken)
    }

    /// Writes slots of an object that is there, if it may serve: one of the cache does not serve an
    /// author. What is written already stays, unless an author (`pinned`) writes something else.
    #[expect(clippy::too_many_arguments)]
    fn put_in_place(
        &self,
        shard: &mut Shard,
        key: &Key,
        hash: u64,
        offset: u32,
        bits: u64,
        bytes: &[u8],
        pinned: bool,
    ) -> Result<Put, Full> {
        let Some(entry) = shard.find(key, hash, &self.segments) else {
            return Ok(Put::Absent(None));
        };
        let Some((_, view)) = self.segments.find(entry.segment()) else {
            return Ok(Put::Absent(None));
        };
        if pinned && !view.pinned() {
            return Ok(Put::Absent(Some((*entry, view))));
        }
        let written = entry.info() & bits == bits;
        if bits == 0 || written && !pinned {
            return Ok(Put::Done);
        }
        let at = entry.place().offset + offset;
        let page = view.page() + (at as usize / PAGE_SIZE) as u64;
        let arena = self.arena(view.pinned());
        let Some(folio) = arena.mapping.get(page) else {
            // The kernel has taken it: an object anew.
            let place = entry.place();
            shard.remove(key, hash, place);
            return Ok(Put::Absent(None));
        };
        // Objects that are filled at the same time lie in the same folios.
        let _alone = arena.objects.lock();
        // The kernel may be copying the folio elsewhere, with its lock held; what is written
        // meanwhile would be lost, with its bit set.
        let Some(_lock) = folio.try_lock() else {
            self.counters.busy.add(1, Relaxed);
            return Err(Full);
        };
        let inside = (page - folio.index()) as usize * PAGE_SIZE + at as usize % PAGE_SIZE;
        if written && folio.lend(inside, bytes.len(), |held| held == bytes) == Some(true) {
            return Ok(Put::Done);
        }
        // An author writes a slot anew when an append before has failed half-way. No head covers
        // what it left, so nobody reads it.
        if !folio.write(inside, bytes) {
            return Err(Full);
        }
        // The lock of the shard publishes the bytes with the bit.
        entry.set_info(bits);
        Ok(Put::Done)
    }

    /// Writes slots of a new object and points the index at it. True if the shard is getting tight.
    #[expect(clippy::too_many_arguments)]
    fn put_new(
        &self,
        shard: &mut Shard,
        key: &Key,
        hash: u64,
        taken: &Taken,
        offset: u32,
        mut bits: u64,
        bytes: &[u8],
    ) -> Result<bool, Full> {
        if !taken
            .folios
            .write((taken.place.offset + offset) as usize, bytes)
        {
            return Err(Full);
        }
        if let Some(before) = shard.find(key, hash, &self.segments) {
            // Its slots were copied.
            bits |= before.info();
            let place = before.place();
            if shard.remove(key, hash, place) {
                if let Some((segment, _)) = self.segments.find(place.segment) {
                    segment.lose(OBJECT_BYTES);
                }
            }
        }
        let inserted = shard.insert(&Entry::new(key, hash, taken.place, bits), &self.segments);
        if inserted.is_err() {
            self.counters.index_full.add(1, Relaxed);
        } else if let Some((segment, _)) = self.segments.find(taken.place.segment) {
            segment.gain(OBJECT_BYTES);
        }
        inserted.map(|()| shard.is_tight())
    }

    /// Copies a cached object to where it will be pinned. False if the kernel has taken it.
    ///
    /// The shard's lock keeps writers out.
    fn copy_object(&self, before: &Entry, view: View, to: &Taken) -> bool {
        let at = before.place().offset as usize;
        let page = view.page() + (at / PAGE_SIZE) as u64;
        let Some(folio) = self.arena(view.pinned()).mapping.get(page) else {
            return false;
        };
        let inside = (page - folio.index()) as usize * PAGE_SIZE + at % PAGE_SIZE;
        folio
            .lend(inside, OBJECT_BYTES as usize, |bytes| {
                to.folios.write(to.place.offset as usize, bytes)
            })
            .unwrap_or(false)
    }

    fn after(self: &Arc<Self>, put: Result<bool, Full>) -> Result<(), Full> {
        if put != Ok(false) {
            self.kick();
        }
        put.map(|_| ())
    }
}

/// How writing to an object that may be there went.
enum Put {
    Done,
    /// There is none that serves; beside it one of the cache, whose slots are to be copied.
    Absent(Option<(Entry, View)>),
}
