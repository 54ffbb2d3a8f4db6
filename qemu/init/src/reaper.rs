// SPDX-License-Identifier: GPL-2.0

//! Reaps every child of PID 1, the agent's commands and orphans alike.
//!
//! waitpid(-1) has no file descriptor to poll, so a thread blocks in it and
//! wakes the agent through a pipe.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus, wait};

pub struct Reaped {
    pub pid: i32,
    pub status: WaitStatus,
}

pub struct Reaper {
    pub ended: Receiver<Reaped>,
    /// Readable when `ended` may hold something.
    pub wake: OwnedFd,
    spawned: Arc<Spawned>,
}

/// Counts the agent's spawns. While there is no child at all, an orphan cannot
/// appear either: the thread then sleeps until the count moves.
#[derive(Default)]
struct Spawned {
    count: Mutex<u64>,
    moved: Condvar,
}

impl Reaper {
    pub fn start() -> io::Result<Self> {
        let (wake, waker) = rustix::pipe::pipe_with(
            rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK,
        )?;
        let (sender, ended) = mpsc::channel();
        let spawned = Arc::new(Spawned::default());
        let seen = Arc::clone(&spawned);
        thread::Builder::new()
            .name("reaper".into())
            .stack_size(64 << 10)
            .spawn(move || reap(&sender, waker.into(), &seen))?;
        Ok(Self {
            ended,
            wake,
            spawned,
        })
    }

    /// To be called after every spawn.
    pub fn spawned(&self) {
        *self
            .spawned
            .count
            .lock()
            .unwrap_or_else(PoisonError::into_inner) += 1;
        self.spawned.moved.notify_one();
    }
}

fn reap(sender: &Sender<Reaped>, mut waker: std::fs::File, spawned: &Spawned) {
    loop {
        let before = *spawned.count.lock().unwrap_or_else(PoisonError::into_inner);
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => {
                if sender
                    .send(Reaped {
                        pid: pid.as_raw_nonzero().get(),
                        status,
                    })
                    .is_err()
                {
                    return;
                }
                // A full pipe is as good as a byte: the agent is woken anyway.
                let _ = waker.write(&[0]);
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(_) => {
                let mut count = spawned.count.lock().unwrap_or_else(PoisonError::into_inner);
                while *count == before {
                    count = spawned
                        .moved
                        .wait(count)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}
