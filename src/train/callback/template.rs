//! Names of files made of log values by Python's rules, `{epoch:02d}-{val_loss:.2f}`, as Keras users type them.

use crate::train::Logs;
use crate::train::figure::{fixed, scientific, shortest};
use crate::{Error, Result};

/// A path with fields, filled in. `{epoch}` counts from 1, and so does `{batch}`, which is there if a batch is given; all other fields
/// are figures.
pub(super) fn fill(template: &str, epoch: usize, batch: Option<usize>, logs: &Logs) -> Result<String> {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        // A brace that is meant is written twice.
        if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
            out.push_str(&from[..1]);
            rest = after;
            continue;
        }
        let field = from.strip_prefix('{').and_then(|f| f.split_once('}'));
        let Some((field, after)) = field else {
            return Err(Error::argument(
                "filepath",
                "fields in braces, as in {epoch:02d}",
                template.to_string(),
            ));
        };
        let (name, format) = field.split_once(':').unwrap_or((field, ""));
        let value = match (name, batch) {
            ("epoch", _) => Number::Whole(epoch + 1),
            ("batch", Some(batch)) => Number::Whole(batch + 1),
            (figure, _) => Number::Figure(logs.get(figure).ok_or_else(|| unknown(name, batch, logs))?),
        };
        out.push_str(&value.in_format(format).ok_or_else(|| wrong(field, &value))?);
        rest = after;
    }
    Ok(out + rest)
}

fn unknown(name: &str, batch: Option<usize>, logs: &Logs) -> Error {
    let batch = batch.map(|_| "batch");
    let names = std::iter::once("epoch").chain(batch).chain(logs.iter().map(|(name, _)| name));
    let expected = format!("fields among {}", names.collect::<Vec<_>>().join(", "));
    Error::argument("filepath", expected, format!("'{name}'"))
}

fn wrong(field: &str, value: &Number) -> Error {
    let expected = match value {
        Number::Whole(_) => "a format of whole numbers, as in {epoch:02d}",
        Number::Figure(_) => "a format of numbers, as in {val_loss:.2f} or {val_loss:.3e}",
    };
    Error::argument("filepath", expected, format!("{{{field}}}"))
}

enum Number {
    Whole(usize),
    Figure(f64),
}

impl Number {
    /// In one of Python's formats: `[0][width][.digits][d|f|e]`. Nothing if it is another.
    fn in_format(&self, format: &str) -> Option<String> {
        let digits = |s: &str| s.chars().take_while(char::is_ascii_digit).count();
        let (zeros, rest) = (format.starts_with('0'), format);
        let (width, rest) = rest.split_at(digits(rest));
        let (precision, kind) = match rest.strip_prefix('.') {
            Some(rest) => {
                let (precision, kind) = rest.split_at(digits(rest));
                (Some(precision.parse::<usize>().ok().filter(|p| *p <= MOST)?), kind)
            }
            None => (None, rest),
        };
        let width = if width.is_empty() { 0 } else { width.parse().ok().filter(|w| *w <= MOST)? };
        let text = match (self, kind) {
            (Number::Whole(n), "" | "d") if precision.is_none() => n.to_string(),
            (Number::Figure(v), "") if precision.is_none() => shortest(*v),
            (number, "f" | "F") => fixed(number.value(), precision.unwrap_or(6)),
            (number, "e" | "E") => scientific(number.value(), precision.unwrap_or(6)),
            _ => return None,
        };
        let text = if kind == "E" || kind == "F" { text.to_uppercase() } else { text };
        let (sign, bare) = text.strip_prefix('-').map_or(("", &*text), |bare| ("-", bare));
        let missing = width.saturating_sub(text.len());
        Some(match zeros {
            true => format!("{sign}{}{bare}", "0".repeat(missing)),
            false => format!("{}{text}", " ".repeat(missing)),
        })
    }

    fn value(&self) -> f64 {
        match self {
            Number::Whole(n) => *n as f64,
            Number::Figure(v) => *v,
        }
    }
}

/// No name of a file has more digits.
const MOST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_as_in_python() {
        let mut logs = Logs::new();
        logs.set("loss", 0.25);
        logs.set("val_loss", 1234.5678);
        logs.set("tiny", -1.5e-7);
        logs.set("bad", f64::NAN);
        let named = |template: &str| fill(template, 4, Some(9), &logs).map_err(|e| e.to_string());
        for (template, name) in [
            ("plain", "plain"),
            ("{epoch:02d}-{val_loss:.2f}.gradus", "05-1234.57.gradus"),
            ("{epoch}_{batch:04d}", "5_0010"),
            ("{epoch:4d}|{epoch:.1f}", "   5|5.0"),
            ("{loss}{{x}}", "0.25{x}"),
            ("{loss:08.3f}|{loss:8.3f}", "0000.250|   0.250"),
            ("{tiny}|{tiny:.2e}|{tiny:012.2e}|{tiny:E}", "-1.5e-07|-1.50e-07|-0001.50e-07|-1.500000E-07"),
            ("{bad}|{bad:.2f}", "nan|nan"),
        ] {
            assert_eq!(named(template), Ok(name.into()), "{template}");
        }
        let e = named("{acc:.2f}").unwrap_err();
        assert_eq!(e, "filepath: expected fields among epoch, batch, loss, val_loss, tiny, bad, got 'acc'");
        for wrong in ["{epoch:.2}", "{loss:d}", "{loss:x}", "{loss", "loss}", "{loss:.999f}"] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
        assert!(fill("{batch}", 0, None, &logs).is_err());
    }
}
