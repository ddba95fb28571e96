//! CAST to DATE, TIME, TIMESTAMP, TIMESTAMP_LTZ. What has no zone is what the session's clocks show.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    Date32Type, Time32MillisecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType,
};

use super::{Context, text};
use crate::expr::{EvalError, Vector};
use crate::types::time::{self, Moment, Width};
use crate::types::{LogicalType, unit_for};

pub(super) fn to_time(value: &Vector, context: &Context<'_>) -> Result<ArrayRef, EvalError> {
    match context.to {
        LogicalType::Date => each::<Date32Type>(value, context, |row| date(value, row, context)),
        LogicalType::Time(_) => each::<Time32MillisecondType>(value, context, |row| time_of_day(value, row, context)),
        LogicalType::Timestamp(precision) | LogicalType::TimestampLtz(precision) => {
            let of = |row| timestamp(value, row, precision, context);
            match unit_for(precision) {
                TimeUnit::Microsecond => each::<TimestampMicrosecondType>(value, context, of),
                TimeUnit::Nanosecond => each::<TimestampNanosecondType>(value, context, of),
                _ => each::<TimestampMillisecondType>(value, context, of),
            }
        }
        other => Err(EvalError { message: format!("no cast from {} to {other}", context.from), row: 0 }),
    }
}

fn each<T: ArrowPrimitiveType>(
    value: &Vector,
    context: &Context<'_>,
    mut convert: impl FnMut(usize) -> Result<Option<T::Native>, EvalError>,
) -> Result<ArrayRef, EvalError> {
    let mut out = PrimitiveArray::<T>::builder(value.array.len());
    for row in 0..value.array.len() {
        if text::is_null(&value.array, row, context.from) {
            out.append_null();
        } else {
            out.append_option(convert(row)?);
        }
    }
    Ok(Arc::new(out.finish().with_data_type(context.to.to_arrow())))
}

fn unparsable<T>(word: &str, row: usize, context: &Context<'_>) -> Result<Option<T>, EvalError> {
    context.failed(row, || format!("Text '{word}' could not be parsed as {}", context.to))
}

fn date(value: &Vector, row: usize, context: &Context<'_>) -> Result<Option<i32>, EvalError> {
    if let LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) = context.from {
        return Ok(local(&value.array, row, p, context).day());
    }
    let word = value.array.as_string::<i32>().value(row);
    time::parse_date(word).map_or_else(|| unparsable(word, row, context), |day| Ok(Some(day)))
}

fn time_of_day(value: &Vector, row: usize, context: &Context<'_>) -> Result<Option<i32>, EvalError> {
    match context.from {
        LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) => {
            Ok(Some(local(&value.array, row, p, context).millis_of_day()))
        }
        LogicalType::Time(_) => Ok(Some(value.array.as_primitive::<Time32MillisecondType>().value(row))),
        _ => {
            let word = value.array.as_string::<i32>().value(row);
            time::parse_time(word).map_or_else(|| unparsable(word, row, context), |millis| Ok(Some(millis)))
        }
    }
}

fn timestamp(value: &Vector, row: usize, to: u8, context: &Context<'_>) -> Result<Option<i64>, EvalError> {
    let array = &value.array;
    let moment = match context.from {
        LogicalType::TimestampLtz(p) if matches!(context.to, LogicalType::TimestampLtz(_)) => {
            return Ok(text::moment(array, row, p).to(to, unit_for(to)));
        }
        LogicalType::Timestamp(p) | LogicalType::TimestampLtz(p) => Some(local(array, row, p, context)),
        LogicalType::Date => Some(Moment::midnight(array.as_primitive::<Date32Type>().value(row))),
        LogicalType::Time(_) => {
            let millis = i64::from(array.as_primitive::<Time32MillisecondType>().value(row));
            Some(Moment::of(millis, TimeUnit::Millisecond))
        }
        _ => {
            let word = array.as_string::<i32>().value(row);
            let found = time::parse_timestamp(word, b" ", Width::Any)
                .or_else(|| midnight_of(word))
                .and_then(|moment| utc(moment, context).to(to, unit_for(to)));
            return found.map_or_else(|| unparsable(word, row, context), |found| Ok(Some(found)));
        }
    };
    Ok(moment.and_then(|moment| utc(moment, context).to(to, unit_for(to))))
}

/// What clocks show at a TIMESTAMP or TIMESTAMP_LTZ.
fn local(array: &ArrayRef, row: usize, precision: u8, context: &Context<'_>) -> Moment {
    let moment = text::moment(array, row, precision);
    match context.from {
        LogicalType::TimestampLtz(_) => {
            Moment { seconds: moment.seconds + context.input.zone.offset_at(moment.seconds), nanos: moment.nanos }
        }
        _ => moment,
    }
}

/// A TIMESTAMP_LTZ from what clocks show.
fn utc(shown: Moment, context: &Context<'_>) -> Moment {
    match context.to {
        LogicalType::TimestampLtz(_) => {
            Moment { seconds: context.input.zone.to_utc(shown.seconds), nanos: shown.nanos }
        }
        _ => shown,
    }
}

/// A date alone is its midnight; unlike CAST to DATE all three parts are needed and no blanks.
fn midnight_of(word: &str) -> Option<Moment> {
    let whole = word.bytes().filter(|byte| *byte == b'-').count() == 2 && word.len() >= 8;
    let plain = word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if whole && plain { time::parse_date(word).map(Moment::midnight) } else { None }
}
