//! Operations called by name, for suites of other programs' cases: those that take tensors alone, and reductions. What has
//! more arguments is in the suite that has such cases.

use gradus::{Result, Tensor, ops};

/// Calls an operation of tensors alone, if it is one of these.
pub(crate) fn plain(name: &str, x: &[Tensor]) -> Option<Result<Tensor>> {
    if let Some(row) = ops::BINARY.iter().find(|row| row.name == name) {
        return Some((row.apply)(&x[0], &x[1]));
    }
    Some(match name {
        "is_finite" => x[0].is_finite(),
        "is_inf" => x[0].is_inf(),
        "is_nan" => x[0].is_nan(),
        "signbit" => x[0].signbit(),
        "equal" => x[0].equal(&x[1]),
        "not_equal" => x[0].not_equal(&x[1]),
        "less" => x[0].less(&x[1]),
        "less_equal" => x[0].less_equal(&x[1]),
        "greater" => x[0].greater(&x[1]),
        "greater_equal" => x[0].greater_equal(&x[1]),
        "logical_and" => x[0].logical_and(&x[1]),
        "logical_or" => x[0].logical_or(&x[1]),
        "logical_xor" => x[0].logical_xor(&x[1]),
        "logical_not" => x[0].logical_not(),
        "choose" => x[0].choose(&x[1], &x[2]),
        "bitwise_and" => x[0].bitwise_and(&x[1]),
        "bitwise_or" => x[0].bitwise_or(&x[1]),
        "bitwise_xor" => x[0].bitwise_xor(&x[1]),
        "bitwise_not" => x[0].bitwise_not(),
        "left_shift" => x[0].left_shift(&x[1]),
        "right_shift" => x[0].right_shift(&x[1]),
        "gcd" => x[0].gcd(&x[1]),
        "lcm" => x[0].lcm(&x[1]),
        "isin" => x[0].isin(&x[1]),
        "det" => x[0].det(),
        "corrcoef" => x[0].corrcoef(),
        _ => return None,
    })
}

/// Calls a reduction over axes, if it is one of these.
pub(crate) fn reduced(name: &str, x: &Tensor, axes: &[isize], keepdims: bool) -> Option<Result<Tensor>> {
    Some(match name {
        "sum" => x.sum(axes, keepdims),
        "mean" => x.mean(axes, keepdims),
        "prod" => x.prod(axes, keepdims),
        "max" => x.max(axes, keepdims),
        "min" => x.min(axes, keepdims),
        "all" => x.all(axes, keepdims),
        "any" => x.any(axes, keepdims),
        "nansum" => x.nansum(axes, keepdims),
        "nanmean" => x.nanmean(axes, keepdims),
        "count_nonzero" => x.count_nonzero(axes, keepdims),
        "logsumexp" => x.logsumexp(axes, keepdims),
        _ => return None,
    })
}
