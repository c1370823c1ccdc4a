//! Protocol buffers, as far as writing them goes: a message is its fields one after the other, each a number and a value.

/// A message as it grows. Fields that have their default value may be left out, and are not left out here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message(Vec<u8>);

/// How a value is written.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    EightBytes = 1,
    Counted = 2,
    FourBytes = 5,
}

impl Message {
    pub(crate) fn new() -> Message {
        Message::default()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Seven bits a byte, the lowest first; the eighth says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u32, wire: Wire) {
        self.varint(u64::from(field << 3 | wire as u32));
    }

    /// An integer, an enumeration or a truth value.
    pub(crate) fn int(mut self, field: u32, value: i64) -> Message {
        self.key(field, Wire::Varint);
        // Negative numbers are written as 64 bits of two's complement.
        self.varint(value as u64);
        self
    }

    pub(crate) fn double(mut self, field: u32, value: f64) -> Message {
        self.key(field, Wire::EightBytes);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn float(mut self, field: u32, value: f32) -> Message {
        self.key(field, Wire::FourBytes);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Bytes or text.
    pub(crate) fn blob(self, field: u32, value: impl AsRef<[u8]>) -> Message {
        let value = value.as_ref();
        let mut message = self.counted(field, value.len());
        message.0.extend_from_slice(value);
        message
    }

    /// The beginning of bytes, text or a message, of which this many bytes follow.
    pub(crate) fn counted(mut self, field: u32, length: usize) -> Message {
        self.key(field, Wire::Counted);
        self.varint(length as u64);
        self
    }

    /// The fields of both.
    #[cfg(feature = "onnx")]
    pub(crate) fn followed_by(mut self, more: &Message) -> Message {
        self.0.extend_from_slice(&more.0);
        self
    }

    /// A message in the message.
    pub(crate) fn message(self, field: u32, value: &Message) -> Message {
        self.blob(field, &value.0)
    }
}
