//! What the text of a cell means. Each kind of cell has one grammar, which does not depend on any other parser:
//!
//! ```text
//! missing  =  "" | NA | N/A | n/a | #N/A | <NA> | NaN | nan | NULL | null | ?
//! integer  =  [+ | -] digits                                  within int64
//! number   =  [+ | -] (digits [. [digits]] | . digits) [(e | E) [+ | -] digits]    finite as float32
//! text     =  anything else, and anything in a column of texts
//! ```
//!
//! Spaces, tabs and line ends around a cell are not part of it, and quotes only mark where it ends.

/// Returns the cell without the blanks around it.
pub(super) fn trimmed(cell: &str) -> &str {
    cell.trim_matches([' ', '\t', '\n', '\r'])
}

/// Returns whether a cell, without blanks around it, stands for no value.
pub(super) fn is_missing(cell: &str) -> bool {
    matches!(cell, "" | "NA" | "N/A" | "n/a" | "#N/A" | "<NA>" | "NaN" | "nan" | "NULL" | "null" | "?")
}

/// Takes digits from the front; returns whether there were any.
fn digits(text: &mut &[u8]) -> bool {
    let n = text.iter().take_while(|b| b.is_ascii_digit()).count();
    *text = &text[n..];
    n > 0
}

fn take(text: &mut &[u8], any: &[u8]) -> bool {
    let found = text.first().is_some_and(|b| any.contains(b));
    *text = &text[usize::from(found)..];
    found
}

/// Returns whether a cell is written as a number.
pub(super) fn is_number(cell: &str) -> bool {
    let mut rest = cell.as_bytes();
    take(&mut rest, b"+-");
    let whole = digits(&mut rest);
    let fraction = take(&mut rest, b".") && digits(&mut rest);
    if !whole && !fraction {
        return false;
    }
    if take(&mut rest, b"eE") {
        take(&mut rest, b"+-");
        if !digits(&mut rest) {
            return false;
        }
    }
    rest.is_empty()
}

/// Returns the number in a cell, or what is wrong with it.
pub(super) fn number(cell: &str) -> Result<f32, String> {
    if !is_number(cell) {
        return Err(format!("expected a number, found '{}'", shown(cell)));
    }
    match cell.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("expected a number that float32 can hold (below 3.4e38), found '{}'", shown(cell))),
    }
}

/// Returns what to write instead of a cell that is not a number but was meant as one; `None` if it looks like text.
pub(super) fn meant(cell: &str) -> Option<String> {
    let point = cell.replacen(',', ".", 1);
    let bare = cell.trim_start_matches(['+', '-']).to_ascii_lowercase();
    match &bare[..] {
        "inf" | "infinity" | "nan" => {
            Some("numbers are finite, leave the cell empty where there is none".into())
        }
        _ if is_number(&point) && thousands(cell) => {
            let whole = cell.replace(',', "");
            Some(format!("write {point} if the comma is a decimal point, {whole} if it separates thousands"))
        }
        _ if is_number(&point) => Some(format!("write a decimal point, {point}")),
        _ if thousands(cell) => Some(format!("write numbers without separators, {}", cell.replace(',', ""))),
        _ if bare.ends_with('%') => Some("write shares as numbers without a percent sign".into()),
        _ if date(&bare) => Some(
            "dates are no numbers: leave the column out with .columns, or write days or years as numbers"
                .into(),
        ),
        _ if bare.starts_with(|c: char| c.is_ascii_digit()) => {
            Some("write numbers as 1000, 0.5 or 1e3".into())
        }
        _ => None,
    }
}

/// Whether digits stand in groups of three behind the first, as in `1,234,567`.
fn thousands(cell: &str) -> bool {
    let mut groups = cell.trim_start_matches(['+', '-']).split(',');
    let digits = |group: &str| !group.is_empty() && group.bytes().all(|b| b.is_ascii_digit());
    let first = groups.next().is_some_and(|group| digits(group) && group.len() <= 3);
    let rest: Vec<&str> = groups.collect();
    first && !rest.is_empty() && rest.iter().all(|group| digits(group) && group.len() == 3)
}

/// Whether it looks like a date or a time of day: `2020-01-31`, `31.1.2020`, `12:30`.
fn date(cell: &str) -> bool {
    let parts = |between: char| {
        let parts: Vec<&str> = cell.split(between).collect();
        let digits = |part: &&str| part.bytes().take(2).all(|b| b.is_ascii_digit()) && !part.is_empty();
        parts.len() >= if between == ':' { 2 } else { 3 } && parts.iter().all(digits)
    };
    ['-', '/', '.', ':'].into_iter().any(parts)
}

/// The integer that a cell is, if it is one.
pub(super) fn integer(cell: &str) -> Option<i64> {
    let mut rest = cell.as_bytes();
    take(&mut rest, b"+-");
    (digits(&mut rest) && rest.is_empty()).then(|| cell.parse().ok())?
}

/// Returns the first letters of a cell, for messages.
pub(super) fn shown(cell: &str) -> String {
    cell.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_alone_decides() {
        for (cell, value) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("+5", 5.0),
            ("007", 7.0),
            ("5.", 5.0),
            (".5", 0.5),
            ("-.5e-1", -0.05),
            ("1e5", 1e5),
            ("1E+05", 1e5),
            ("3.4028235e38", f32::MAX),
            ("1e-60", 0.0),
            ("16777217", 16_777_216.0),
        ] {
            assert_eq!(number(cell).map(f32::to_bits), Ok(f32::to_bits(value)), "{cell}");
        }
        for cell in [
            "inf",
            "-inf",
            "Infinity",
            "nan",
            "+nan",
            "NaN0",
            "0x10",
            "1_000",
            "1,000",
            "1e",
            "1e+",
            "e5",
            ".",
            "+",
            "-",
            "",
            "5..",
            "1.5.2",
            "1 000",
            "--1",
            "+-1",
            "1f",
            "1d5",
            "\u{661}",
            "5\u{a0}",
            "1e39",
            "-1e39",
            "3.5e38",
            "9e999999999999",
            "½",
            "True",
        ] {
            assert!(number(cell).is_err(), "{cell}");
        }
        for (cell, value) in [("5", 5), ("+5", 5), ("-9223372036854775808", i64::MIN), ("007", 7)] {
            assert_eq!(integer(cell), Some(value));
        }
        for cell in ["1e5", "5.", "5.0", "9223372036854775808", "0x10", "1_000", "", "-", "five"] {
            assert_eq!(integer(cell), None, "{cell}");
        }
    }

    proptest::proptest! {
        /// Whatever the grammar accepts, the parser of floats accepts, and the other way round except for names of
        /// NaN and infinity.
        #[test]
        fn it_is_that_of_decimal_numbers(cell in "[-+.eE0-9infaNI_x]{0,9}") {
            let rust = cell.parse::<f64>().is_ok();
            let letters = cell.to_lowercase();
            let named = letters.contains("inf") || letters.contains("nan");
            proptest::prop_assert_eq!(is_number(&cell), rust && !named, "{}", cell);
        }
    }
}
