// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! One netlink socket: a request, and the answers until the kernel says that was all.

use std::io;

use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
    NlasIterator,
};
use netlink_packet_generic::ctrl::nlas::GenlCtrlAttrs;
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};

use netlink_packet_core::{Emitable, ParseableParametrized};
use netlink_packet_generic::GenlHeader;

use crate::error::{Error, Result};
use crate::message::Message;
use crate::spec;

/// Text of an extended acknowledgement.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Length of the request's header that an acknowledgement repeats.
const NLMSG_HDRLEN: usize = 16;

pub(crate) struct Connection {
    socket: Socket,
    family: u16,
    sequence: u32,
}

impl Connection {
    /// Finds the family `feed`.
    pub(crate) fn open() -> Result<Connection> {
        let mut socket = Socket::new(NETLINK_GENERIC).map_err(Error::Socket)?;
        socket.bind_auto().map_err(Error::Socket)?;
        socket
            .connect(&SocketAddr::new(0, 0))
            .map_err(Error::Socket)?;
        // Older kernels lack them and then only say less.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        let mut connection = Connection {
            socket,
            family: 0,
            sequence: 0,
        };
        connection.family = connection.resolve()?;
        Ok(connection)
    }

    fn resolve(&mut self) -> Result<u16> {
        let request = GenlCtrl {
            cmd: GenlCtrlCmd::GetFamily,
            nlas: vec![GenlCtrlAttrs::FamilyName(spec::FAMILY.to_owned())],
        };
        let answers = match self.exchange(request, NLM_F_ACK, "find the family") {
            Err(Error::Refused { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(Error::NoFamily);
            }
            answers => answers?,
        };
        let ids = answers
            .iter()
            .flat_map(|answer| &answer.nlas)
            .find_map(|attr| match attr {
                GenlCtrlAttrs::FamilyId(id) => Some(*id),
                _ => None,
            });
        ids.ok_or(Error::NoFamily)
    }

    /// Asks for a change or for one thing.
    pub(crate) fn request(
        &mut self,
        message: Message,
        doing: &'static str,
    ) -> Result<Option<Message>> {
        Ok(self.exchange(message, NLM_F_ACK, doing)?.into_iter().next())
    }

    /// Asks for all things of a kind.
    pub(crate) fn dump(&mut self, message: Message, doing: &'static str) -> Result<Vec<Message>> {
        self.exchange(message, NLM_F_DUMP, doing)
    }

    fn exchange<F>(&mut self, payload: F, flags: u16, doing: &'static str) -> Result<Vec<F>>
    where
        F: GenlFamily + Emitable + ParseableParametrized<[u8], GenlHeader> + std::fmt::Debug,
    {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = GenlMessage::from_payload(payload);
        message.set_resolved_family_id(self.family);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map_err(Error::Socket)?;

        let mut answers = Vec::new();
        loop {
            let (received, _) = self.socket.recv_from_full().map_err(Error::Socket)?;
            let mut rest = received.as_slice();
            while !rest.is_empty() {
                let answer = NetlinkMessage::<GenlMessage<F>>::deserialize(rest)?;
                let len = usize::try_from(answer.header.length).unwrap_or(rest.len());
                rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
                // An answer to a request that was given up earlier.
                if answer.header.sequence_number != self.sequence {
                    continue;
                }
                match answer.payload {
                    NetlinkPayload::InnerMessage(message) => answers.push(message.payload),
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        let source = io::Error::from_raw_os_error(-done.code);
                        return Err(Error::Refused {
                            doing,
                            source,
                            message: None,
                        });
                    }
                    NetlinkPayload::Done(_) => return Ok(answers),
                    NetlinkPayload::Error(error) => return ended(&error, doing).map(|()| answers),
                    _ => {}
                }
            }
        }
    }
}

/// An acknowledgement: of success when its code is zero.
fn ended(error: &ErrorMessage, doing: &'static str) -> Result<()> {
    let Some(code) = error.code else {
        return Ok(());
    };
    let source = io::Error::from_raw_os_error(code.get().saturating_neg());
    let extended = error.header.get(NLMSG_HDRLEN..).unwrap_or_default();
    let message = NlasIterator::new(extended)
        .filter_map(Result::ok)
        .find(|attr| attr.kind() == NLMSGERR_ATTR_MSG)
        .map(|attr| {
            String::from_utf8_lossy(attr.value())
                .trim_end_matches('\0')
                .to_owned()
        });
    Err(Error::Refused {
        doing,
        source,
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroI32;

    fn refusal(extended: &[u8]) -> String {
        let mut error = ErrorMessage::default();
        error.code = NonZeroI32::new(-libc::EINVAL);
        error.header = [&[0; NLMSG_HDRLEN][..], extended].concat();
        ended(&error, "add the port").unwrap_err().to_string()
    }

    #[test]
    fn refusal__without_words() {
        assert_eq!(
            refusal(&[]),
            "cannot add the port: Invalid argument (os error 22)"
        );
    }

    #[test]
    fn refusal__in_the_kernels_words() {
        assert_eq!(
            refusal(b"\x0c\0\x01\0too low\0"),
            "cannot add the port: too low"
        );
    }

    #[test]
    fn refusal__garbled_words_are_left_out() {
        assert_eq!(
            refusal(b"\xff\xff\x01\0x"),
            "cannot add the port: Invalid argument (os error 22)"
        );
    }

    #[test]
    fn acknowledgement__is_success() {
        assert!(ended(&ErrorMessage::default(), "x").is_ok());
    }
}
