//! A reader of protocol buffers, for tests of files in that format. The writer is `src/io/proto.rs`; this one shares nothing
//! with it.

/// The value of a field.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(i64),
    Double(f64),
    Float(f32),
    Bytes(Vec<u8>),
}

/// A message as its fields, in order.
#[derive(Clone, Debug)]
pub(crate) struct Message(Vec<(u64, Value)>);

impl Message {
    pub(crate) fn read(mut bytes: &[u8]) -> Message {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let (mut value, mut shift) = (0, 0);
            loop {
                let byte = bytes[0];
                *bytes = &bytes[1..];
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    return value;
                }
                shift += 7;
            }
        }
        fn take<'a>(bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
            let (taken, rest) = bytes.split_at(n);
            *bytes = rest;
            taken
        }
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let value = match key & 7 {
                0 => Value::Int(varint(&mut bytes) as i64),
                1 => Value::Double(f64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
                2 => {
                    let n = varint(&mut bytes) as usize;
                    Value::Bytes(take(&mut bytes, n).to_vec())
                }
                5 => Value::Float(f32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap())),
                wire => panic!("no wire type {wire}"),
            };
            fields.push((key >> 3, value));
        }
        Message(fields)
    }

    pub(crate) fn all(&self, field: u64) -> Vec<&Value> {
        self.0.iter().filter(|(number, _)| *number == field).map(|(_, value)| value).collect()
    }
    pub(crate) fn bytes(&self, field: u64) -> Vec<Vec<u8>> {
        let bytes =
            |v: &&Value| if let Value::Bytes(b) = v { b.clone() } else { panic!("{v:?} is no bytes") };
        self.all(field).iter().map(bytes).collect()
    }
    pub(crate) fn texts(&self, field: u64) -> Vec<String> {
        self.bytes(field).into_iter().map(|b| String::from_utf8(b).unwrap()).collect()
    }
    pub(crate) fn messages(&self, field: u64) -> Vec<Message> {
        self.bytes(field).iter().map(|b| Message::read(b)).collect()
    }
    pub(crate) fn ints(&self, field: u64) -> Vec<i64> {
        let int = |v: &&Value| if let Value::Int(n) = v { *n } else { panic!("{v:?} is no whole number") };
        self.all(field).iter().map(int).collect()
    }
    /// The first whole number of a field, if there is one.
    pub(crate) fn int(&self, field: u64) -> Option<i64> {
        self.ints(field).first().copied()
    }
    /// The first text of a field.
    pub(crate) fn text(&self, field: u64) -> String {
        self.texts(field).into_iter().next().unwrap_or_else(|| panic!("no text {field} in {self:?}"))
    }
    /// The first message of a field.
    pub(crate) fn message(&self, field: u64) -> Message {
        self.messages(field).into_iter().next().unwrap_or_else(|| panic!("no field {field} in {self:?}"))
    }
}
