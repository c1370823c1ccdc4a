//! Turns class names into layer names, by Keras's rule.

/// Converts `Dense` to `dense`, `Conv2D` to `conv2d`, `BatchNormalization` to `batch_normalization` (Keras's rule).
pub(crate) fn snake_case(class: &str) -> String {
    let c: Vec<char> = class.chars().collect();
    let mut out = String::new();
    for (i, &ch) in c.iter().enumerate() {
        let after_lower = i > 0 && (c[i - 1].is_ascii_lowercase() || c[i - 1].is_ascii_digit());
        let before_lower = i > 0 && c.get(i + 1).is_some_and(char::is_ascii_lowercase);
        if ch.is_ascii_uppercase() && (after_lower && !c[i - 1].is_ascii_digit() || before_lower) {
            out.push('_');
        }
        out.push(ch.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_follow_keras() {
        let cases = [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("LSTM", "lstm"),
            ("MaxPooling2D", "max_pooling2d"),
            ("MultiHeadAttention", "multi_head_attention"),
            ("PReLU", "p_re_lu"),
            ("RMSNormalization", "rms_normalization"),
        ];
        for (class, name) in cases {
            assert_eq!(super::snake_case(class), name);
        }
    }
}
