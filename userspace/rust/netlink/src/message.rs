// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0
//! Messages of the family: a command and its attributes.

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, Nla, NlasIterator, Parseable, ParseableParametrized,
};
use netlink_packet_generic::{GenlFamily, GenlHeader};

use crate::spec;

/// A request to the kernel, or one of its answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) command: u8,
    pub(crate) attrs: Vec<DefaultNla>,
}

impl Message {
    pub(crate) fn new(command: impl Into<u8>) -> Message {
        Message {
            command: command.into(),
            attrs: Vec::new(),
        }
    }

    pub(crate) fn u32(self, kind: impl Into<u16>, value: u32) -> Message {
        self.bytes(kind, &value.to_ne_bytes())
    }

    pub(crate) fn u64(self, kind: impl Into<u16>, value: u64) -> Message {
        self.bytes(kind, &value.to_ne_bytes())
    }

    pub(crate) fn bytes(mut self, kind: impl Into<u16>, value: &[u8]) -> Message {
        self.attrs
            .push(DefaultNla::new(kind.into(), value.to_vec()));
        self
    }

    pub(crate) fn attrs(&self) -> Attrs {
        Attrs(
            self.attrs
                .iter()
                .map(|attr| (attr.kind(), value(attr)))
                .collect(),
        )
    }
}

fn value(attr: &DefaultNla) -> Vec<u8> {
    let mut bytes = vec![0; attr.value_len()];
    attr.emit_value(&mut bytes);
    bytes
}

impl GenlFamily for Message {
    fn family_name() -> &'static str {
        spec::FAMILY
    }

    fn command(&self) -> u8 {
        self.command
    }

    fn version(&self) -> u8 {
        spec::VERSION
    }
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        self.attrs.as_slice().buffer_len()
    }

    fn emit(&self, buffer: &mut [u8]) {
        self.attrs.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Message {
    fn parse_with_param(buf: &[u8], header: GenlHeader) -> Result<Message, DecodeError> {
        let attrs = NlasIterator::new(buf)
            .map(|attr| attr.and_then(|attr| DefaultNla::parse(&attr)))
            .collect::<Result<_, _>>()?;
        Ok(Message {
            command: header.cmd,
            attrs,
        })
    }
}

/// Attributes of an answer, by number. What is missing or of another size reads as absent: a newer
/// kernel may say more, an older one less.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Attrs(Vec<(u16, Vec<u8>)>);

impl Attrs {
    fn get(&self, kind: impl Into<u16>) -> Option<&[u8]> {
        let kind = kind.into();
        self.0
            .iter()
            .find(|(number, _)| *number == kind)
            .map(|(_, value)| value.as_slice())
    }

    pub(crate) fn array<const N: usize>(&self, kind: impl Into<u16>) -> Option<[u8; N]> {
        self.get(kind)?.try_into().ok()
    }

    pub(crate) fn u16(&self, kind: impl Into<u16>) -> Option<u16> {
        Some(u16::from_ne_bytes(self.array(kind)?))
    }

    pub(crate) fn u32(&self, kind: impl Into<u16>) -> Option<u32> {
        Some(u32::from_ne_bytes(self.array(kind)?))
    }

    /// A number of 32 or of 64 bits: the family's `uint`.
    pub(crate) fn uint(&self, kind: impl Into<u16>) -> Option<u64> {
        let kind = kind.into();
        self.array(kind)
            .map(u64::from_ne_bytes)
            .or_else(|| self.u32(kind).map(u64::from))
    }

    /// Whether a bit of an attribute is set.
    pub(crate) fn flag(&self, kind: impl Into<u16>, bit: u32) -> bool {
        self.u32(kind).is_some_and(|flags| flags & bit != 0)
    }

    pub(crate) fn text(&self, kind: impl Into<u16>) -> Option<String> {
        let bytes = self.get(kind)?;
        let text = bytes.split(|byte| *byte == 0).next()?;
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emitted(message: &Message) -> Vec<u8> {
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    #[test]
    fn message__round_trip() {
        let message = Message::new(3_u8)
            .u32(1_u16, 7)
            .u64(2_u16, 1 << 40)
            .bytes(3_u16, b"eth0\0");
        let bytes = emitted(&message);
        // Each attribute begins at a multiple of four.
        assert_eq!(bytes.len(), 8 + 12 + 12);
        let header = GenlHeader { cmd: 3, version: 1 };
        let parsed = Message::parse_with_param(&bytes, header).unwrap();
        assert_eq!(parsed, message);
        let attrs = parsed.attrs();
        assert_eq!(
            (attrs.u32(1_u16), attrs.uint(1_u16), attrs.uint(2_u16)),
            (Some(7), Some(7), Some(1 << 40))
        );
        assert_eq!(attrs.text(3_u16).as_deref(), Some("eth0"));
    }

    #[test]
    fn attrs__other_sizes_read_as_absent() {
        let attrs = Message::new(0_u8).bytes(1_u16, b"abc").attrs();
        assert_eq!(
            (attrs.u32(1_u16), attrs.array::<2>(1_u16), attrs.get(2_u16)),
            (None, None, None)
        );
    }

    #[test]
    fn message__truncated_attribute_is_refused() {
        let bytes = emitted(&Message::new(0_u8).bytes(1_u16, b"abcdefgh"));
        let header = GenlHeader { cmd: 0, version: 1 };
        assert!(Message::parse_with_param(&bytes[..bytes.len() - 4], header).is_err());
    }
}
