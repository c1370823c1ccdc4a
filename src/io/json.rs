//! Why it exists: a parser allocates as it goes, so a text of JSON must be measured before it is parsed. One pass over
//! the bytes, no memory.

/// How large a JSON text is. For text that is not JSON the figures mean nothing, but then a parser will refuse it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// The deepest nesting of objects and arrays.
    pub(crate) depth: u64,
    /// Keys of the outermost object.
    pub(crate) keys: u64,
    /// Separators: at least the number of values less the number of brackets.
    pub(crate) items: u64,
    /// Bytes of the longest string, as it is written, inside of the outermost object alone.
    pub(crate) longest_key: u64,
    /// Bytes of the longest string anywhere.
    pub(crate) longest: u64,
}

/// Measures a text.
pub(crate) fn outline(text: &[u8]) -> Outline {
    let mut out = Outline::default();
    let mut depth = 0u64;
    let mut string: Option<u64> = None;
    let mut escaped = false;
    for &byte in text {
        if let Some(length) = string {
            if escaped {
                escaped = false;
            } else if byte == b'\\' {
                escaped = true;
            } else if byte == b'"' {
                string = None;
                out.longest = out.longest.max(length);
                if depth == 1 {
                    out.longest_key = out.longest_key.max(length);
                }
                continue;
            }
            string = Some(length + 1);
            continue;
        }
        match byte {
            b'"' => string = Some(0),
            b'{' | b'[' => {
                depth += 1;
                out.depth = out.depth.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => out.items += 1,
            b':' => {
                out.items += 1;
                out.keys += u64::from(depth == 1);
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_what_a_parser_would_build() {
        let text = br#"{"a":{"b":[1,2,"long:, \"x\" ]"]},"cde":"{[\\"}"#;
        let expected = Outline { depth: 3, keys: 2, items: 6, longest_key: 4, longest: 14 };
        assert!(serde_json::from_slice::<serde_json::Value>(text).is_ok());
        assert_eq!(outline(text), expected);
        assert_eq!(outline(b"]]]}\"open"), Outline::default());
    }
}
