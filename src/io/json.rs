//! Measures JSON texts before they are parsed, in one pass over the bytes and without memory, because a parser
//! allocates as it goes. Also refuses keys that occur twice, of which different parsers take different values.

use serde_json::Value;

/// The size of a JSON text. For text that is not JSON the values mean nothing, but then a parser will refuse it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// The deepest nesting of objects and arrays.
    pub(crate) depth: u64,
    /// Keys of the outermost object.
    pub(crate) keys: u64,
    /// Keys of all objects.
    pub(crate) all_keys: u64,
    /// Separators: at least the number of values minus the number of brackets.
    pub(crate) items: u64,
    /// Bytes of the longest string, as written, directly in the outermost object.
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
                out.all_keys += 1;
                out.keys += u64::from(depth == 1);
            }
            _ => {}
        }
    }
    out
}

/// Parses a text that was measured before.
pub(crate) fn parse(text: &[u8]) -> Result<Value, String> {
    fn keys(value: &Value) -> u64 {
        match value {
            Value::Object(map) => map.len() as u64 + map.values().map(keys).sum::<u64>(),
            Value::Array(list) => list.iter().map(keys).sum(),
            _ => 0,
        }
    }
    let value = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    match keys(&value) == outline(text).all_keys {
        true => Ok(value),
        false => Err("a key of its JSON is there twice".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_twice_is_an_error_at_any_depth() {
        for good in ["{}", r#"{"a":{"a":1},"b":[{"a":":"},{"a":2}]}"#, r#"[{"x\":":1,"x":"{\"y\":1}"}]"#] {
            assert!(parse(good.as_bytes()).is_ok(), "{good}");
        }
        for twice in [r#"{"a":1,"a":1}"#, r#"[0,{"b":{"c":[],"d":0,"c":[]}}]"#, r#"{"a":1,"\u0061":2}"#] {
            assert!(parse(twice.as_bytes()).unwrap_err().contains("twice"), "{twice}");
        }
    }

    #[test]
    fn measures_what_a_parser_would_build() {
        let text = br#"{"a":{"b":[1,2,"long:, \"x\" ]"]},"cde":"{[\\"}"#;
        let expected = Outline { depth: 3, keys: 2, all_keys: 3, items: 6, longest_key: 4, longest: 14 };
        assert!(serde_json::from_slice::<serde_json::Value>(text).is_ok());
        assert_eq!(outline(text), expected);
        assert_eq!(outline(b"]]]}\"open"), Outline::default());
    }
}
