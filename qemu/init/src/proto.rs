// SPDX-License-Identifier: GPL-2.0

//! Frames on the channel between host and agent.
//!
//! ```text
//! length of payload: u32 BE | kind: u8 | stream: u32 BE | payload
//! ```
//!
//! A stream is one command; its number is chosen by the host. Stream 0 is the
//! machine itself. Output and input are both limited by credit, so a command
//! that nobody listens to stalls alone and never blocks the others.
//!
//! A serial line of User-Mode Linux needs more: its driver turns reading off
//! when the terminal layer has 4 KiB unread, and never on again. On such a
//! channel the host keeps fewer bytes in flight (`Hello::window`), and the
//! agent reports what it has RECEIVED.

use std::io;

use serde::Serialize;

pub const PROTOCOL: u32 = 2;

/// Comes before the first frame: whatever a console driver printed on the
/// channel earlier is skipped by the host.
pub const MAGIC: &[u8] = b"\nLAB-AGENT\n";

pub const HEADER_BYTES: usize = 9;

/// Far above what either side sends; a longer one means a broken channel.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// What may be in flight on a serial line: the terminal layer's buffer less the
/// 128 bytes at which it asks for a pause, and some room.
pub const LINE_WINDOW_BYTES: u32 = 3072;

/// Largest piece of output in one frame.
pub const CHUNK_BYTES: usize = 32 << 10;

/// Kinds that the host sends.
pub mod host {
    pub const CONFIGURE: u8 = b'C';
    pub const EXEC: u8 = b'X';
    pub const STDIN: u8 = b'I';
    pub const STDIN_END: u8 = b'Z';
    pub const CREDIT: u8 = b'W';
    pub const SIGNAL: u8 = b'K';
    pub const WINDOW: u8 = b'V';
    pub const POWER_OFF: u8 = b'Q';
}

/// Kinds that the agent sends.
pub mod agent {
    pub const HELLO: u8 = b'H';
    pub const CONFIGURED: u8 = b'R';
    pub const STDOUT: u8 = b'O';
    pub const STDERR: u8 = b'E';
    pub const STDIN_CREDIT: u8 = b'w';
    pub const EXIT: u8 = b'S';
    pub const RECEIVED: u8 = b'a';
}

pub struct Frame {
    pub kind: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> io::Result<T> {
        serde_json::from_slice(&self.payload).map_err(|error| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("message {}: {error}", char::from(self.kind)),
            )
        })
    }

    /// The payload of CREDIT and SIGNAL.
    pub fn number(&self) -> io::Result<u32> {
        match self.payload.as_slice().try_into() {
            Ok(bytes) => Ok(u32::from_be_bytes(bytes)),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "number of the wrong size",
            )),
        }
    }
}

/// Append one frame to `out`.
pub fn put(out: &mut Vec<u8>, kind: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.push(kind);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

pub fn put_json<T: Serialize>(
    out: &mut Vec<u8>,
    kind: u8,
    stream: u32,
    message: &T,
) -> io::Result<()> {
    put(out, kind, stream, &serde_json::to_vec(message)?);
    Ok(())
}

/// Take the first whole frame off `input`, if there is one.
pub fn take(input: &mut Vec<u8>) -> io::Result<Option<Frame>> {
    let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let &[l0, l1, l2, l3, kind, s0, s1, s2, s3] = header;
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    if length > PAYLOAD_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "frame from the host is too long",
        ));
    }
    let Some(payload) = rest.get(..length) else {
        return Ok(None);
    };
    let frame = Frame {
        kind,
        stream: u32::from_be_bytes([s0, s1, s2, s3]),
        payload: payload.to_vec(),
    };
    input.drain(..HEADER_BYTES + length);
    Ok(Some(frame))
}

#[cfg(test)]
#[allow(
    non_snake_case,
    clippy::unwrap_used,
    reason = "function__case names; a test may fail"
)]
mod tests {
    use super::*;

    #[test]
    fn take__split_anywhere() {
        let mut wire = Vec::new();
        put(&mut wire, host::STDIN, 7, b"abc");
        put(&mut wire, host::STDIN_END, 7, b"");
        for cut in 0..wire.len() {
            let mut input = wire[..cut].to_vec();
            let mut got = Vec::new();
            while let Some(frame) = take(&mut input).unwrap() {
                got.push(frame);
            }
            input.extend_from_slice(&wire[cut..]);
            while let Some(frame) = take(&mut input).unwrap() {
                got.push(frame);
            }
            assert!(input.is_empty());
            assert_eq!(got.len(), 2);
            assert_eq!(
                (got[0].kind, got[0].stream, got[0].payload.as_slice()),
                (host::STDIN, 7, &b"abc"[..])
            );
            assert_eq!((got[1].kind, got[1].payload.len()), (host::STDIN_END, 0));
        }
    }

    #[test]
    fn take__too_long() {
        let mut input = vec![0xff; HEADER_BYTES];
        assert!(take(&mut input).is_err());
    }
}
