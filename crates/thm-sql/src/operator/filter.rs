//! WHERE.

use arrow::array::{AsArray, BooleanArray};

use super::{Operator, Rows, without};
use crate::expr::{EvalError, Expr, Input, truth};

/// Keeps rows for which a condition is TRUE.
///
/// A deleted row of which only the key is known passes: a delete of what is not there does no harm. An update that no
/// longer passes becomes a delete, unless its old row goes before it.
#[derive(Debug)]
pub struct Filter {
    condition: Expr,
    overflows: u64,
}

impl Filter {
    /// With a condition.
    #[must_use]
    pub const fn new(condition: Expr) -> Self {
        Self { condition, overflows: 0 }
    }
}

impl Operator for Filter {
    fn process(&mut self, _: usize, mut rows: Rows, out: &mut Vec<Rows>) -> Result<(), EvalError> {
        let input = Input::new(&rows.columns, rows.len());
        let deletes: Vec<bool> = rows.meta.iter().map(super::is_key_only).collect();
        let counted = BooleanArray::from(deletes.iter().map(|delete| !delete).collect::<Vec<_>>());
        let result = self.condition.eval(&input, Some(counted.values()))?.into_column(rows.len());
        self.overflows += input.overflows.get();
        let passes = truth(result.as_boolean());
        if passes.count_set_bits() == rows.len() {
            out.push(rows);
            return Ok(());
        }
        let mut keep = Vec::with_capacity(rows.len());
        for (row, meta) in rows.meta.iter_mut().enumerate() {
            let kept = if passes.value(row) { Some(*meta) } else { without(*meta) };
            keep.push(kept.is_some());
            *meta = kept.unwrap_or(*meta);
        }
        out.push(rows.filter(&BooleanArray::from(keep))?);
        Ok(())
    }

    fn take_overflows(&mut self) -> u64 {
        std::mem::take(&mut self.overflows)
    }
}
