//! ARRAY, MAP and ROW: making them, reaching into them, and the functions of their elements.
//!
//! Results are gathered: a function says which elements of which argument each row's result is made of, and one gather
//! over all arguments' elements makes the array. NULL elements are values like others, equal to each other.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, UInt64Array, new_empty_array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType as ArrowType, Int32Type};

use super::bind::{strict, take};
use super::collection_types::*;
use super::{Call, Function};
use crate::expr::nested::{self, comparator};
use crate::expr::{EvalError, Vector};
use crate::types::LogicalType;
use crate::types::nested::{entry_fields, row_fields};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("ARRAY", "Write ARRAY[value, value, …].", bind_array, make_array).takes_null(),
    Function::new("MAP", "Write MAP[key, value, key, value, …].", bind_map, make_map).takes_null(),
    Function::new("ROW", "Write ROW(value, value, …).", bind_row, make_row).takes_null(),
    Function::new("ITEM", "Write array[position from 1] or map[key].", bind_item, item),
    Function::new("FIELD", "Write row.field.", |_| None, field),
    Function::new(
        "CARDINALITY",
        "Write CARDINALITY(array or map).",
        |a| strict(take(a, &["a", "m"])?, LogicalType::Int),
        |call| call.numbers::<Int32Type>(|row| Ok(i32::try_from(items(call, 0, row).len()).ok())),
    ),
    Function::new("ELEMENT", "Write ELEMENT(array of one).", bind_element, element),
    Function::new("ARRAY_CONTAINS", "Write ARRAY_CONTAINS(array, value).", bind_contains, contains).takes_null(),
    Function::new("ARRAY_POSITION", "Write ARRAY_POSITION(array, value).", bind_position, position).takes_null(),
    Function::new("ARRAY_DISTINCT", "Write ARRAY_DISTINCT(array).", same, |call| {
        chosen(call, |found| found.distinct())
    }),
    Function::new("ARRAY_REVERSE", "Write ARRAY_REVERSE(array).", same, |call| {
        chosen(call, |found| {
            found.places.reverse();
            Ok(())
        })
    }),
    Function::new("ARRAY_REMOVE", "Write ARRAY_REMOVE(array, value).", with_value, remove).takes_null(),
    Function::new("ARRAY_APPEND", "Write ARRAY_APPEND(array, value).", adding, |call| add(call, false)).takes_null(),
    Function::new("ARRAY_PREPEND", "Write ARRAY_PREPEND(array, value).", adding, |call| add(call, true)).takes_null(),
    Function::new("ARRAY_CONCAT", "Write ARRAY_CONCAT(array, array, …).", bind_arrays, |call| {
        combined(call, |_, _| Ok(()))
    }),
    Function::new("ARRAY_UNION", "Write ARRAY_UNION(array, array).", bind_arrays, |call| {
        combined(call, |found, _| found.distinct())
    }),
    Function::new("ARRAY_EXCEPT", "Write ARRAY_EXCEPT(array, array).", bind_arrays, |call| {
        combined(call, |found, first| {
            let others = found.places.split_off(first);
            found.only(&others, false)?;
            found.distinct()
        })
    }),
    Function::new("ARRAY_INTERSECT", "Write ARRAY_INTERSECT(array, array).", bind_arrays, |call| {
        combined(call, |found, first| {
            let others = found.places.split_off(first);
            found.only(&others, true)?;
            found.distinct()
        })
    }),
    Function::new("ARRAY_SLICE", "Write ARRAY_SLICE(array, first[, last]), positions from 1.", bind_slice, slice)
        .takes_null(),
    Function::new("ARRAY_MAX", "Write ARRAY_MAX(array).", bind_extreme, |call| extreme(call, Ordering::Greater)),
    Function::new("ARRAY_MIN", "Write ARRAY_MIN(array).", bind_extreme, |call| extreme(call, Ordering::Less)),
    Function::new("ARRAY_SORT", "Write ARRAY_SORT(array[, ascending[, nulls first]]).", bind_sort, sort).takes_null(),
    Function::new("ARRAY_JOIN", "Write ARRAY_JOIN(array of texts, separator[, text for NULL]).", bind_join, join)
        .takes_null(),
    Function::new("MAP_KEYS", "Write MAP_KEYS(map).", |a| bind_side(a, true), |call| side(call, 0)),
    Function::new("MAP_VALUES", "Write MAP_VALUES(map).", |a| bind_side(a, false), |call| side(call, 1)),
    Function::new("MAP_ENTRIES", "Write MAP_ENTRIES(map).", bind_entries, entries),
    Function::new("MAP_FROM_ARRAYS", "Write MAP_FROM_ARRAYS(keys, values).", bind_from_arrays, from_arrays),
    Function::new("MAP_UNION", "Write MAP_UNION(map, map, …).", bind_union, union),
];

fn failed(error: arrow::error::ArrowError) -> EvalError {
    EvalError { message: error.to_string(), row: 0 }
}

/// Elements of an ARRAY, or entries of a MAP, of a row.
fn items(call: &Call<'_>, argument: usize, row: usize) -> ArrayRef {
    let value = &call.values[argument];
    value.array.as_list::<i32>().value(value.at(row))
}

/// A list of the result's type.
fn list(call: &Call<'_>, values: ArrayRef, lengths: Vec<usize>, valid: Vec<bool>) -> Result<Vector, EvalError> {
    let ArrowType::List(item) = call.to.to_arrow() else {
        return Err(EvalError { message: format!("{} is no list", call.to), row: 0 });
    };
    let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
    let array = ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), values, nulls).map_err(failed)?;
    Ok(call.vector(array))
}

/// Values of arguments, one behind the other row by row: `a0 b0 a1 b1 …`.
fn interleaved(call: &Call<'_>, arguments: &[usize]) -> Result<ArrayRef, EvalError> {
    let columns: Vec<&dyn Array> = arguments.iter().map(|argument| call.values[*argument].array.as_ref()).collect();
    let places: Vec<(usize, usize)> = (0..call.count)
        .flat_map(|row| arguments.iter().enumerate().map(move |(column, argument)| (column, call.at(*argument, row))))
        .collect();
    arrow::compute::interleave(&columns, &places).map_err(failed)
}

fn make_array(call: &Call<'_>) -> Result<Vector, EvalError> {
    let all: Vec<usize> = (0..call.len()).collect();
    list(call, interleaved(call, &all)?, vec![call.len(); call.count], vec![true; call.count])
}

/// A later value of a key wins.
fn make_map(call: &Call<'_>) -> Result<Vector, EvalError> {
    let (even, odd): (Vec<usize>, Vec<usize>) = (0..call.len()).partition(|argument| argument % 2 == 0);
    let (keys, values) = (interleaved(call, &even)?, interleaved(call, &odd)?);
    let each = even.len();
    maps(call, &keys, &values, |row| Ok(Some((row * each..(row + 1) * each).collect())))
}

/// Maps of a result from the places of each row's keys and values.
fn maps(
    call: &Call<'_>,
    keys: &ArrayRef,
    values: &ArrayRef,
    mut places: impl FnMut(usize) -> Result<Option<Vec<usize>>, EvalError>,
) -> Result<Vector, EvalError> {
    let Some(entry) = call.to.entry() else { return Err(EvalError { message: "no map".to_owned(), row: 0 }) };
    let same = comparator(keys, keys)?;
    let (mut key_places, mut value_places, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for row in 0..call.count {
        let start = key_places.len();
        let found = places(row)?;
        valid.push(found.is_some());
        for place in found.unwrap_or_default() {
            match (start..key_places.len()).find(|at| same(key_places[*at], place) == Ordering::Equal) {
                Some(at) => value_places[at] = place,
                None => {
                    key_places.push(place);
                    value_places.push(place);
                }
            }
        }
        lengths.push(key_places.len() - start);
    }
    let columns = vec![gather(keys, &key_places)?, gather(values, &value_places)?];
    let entries = StructArray::try_new(entry_fields(entry), columns, None).map_err(failed)?;
    list(call, Arc::new(entries), lengths, valid)
}

fn gather(values: &ArrayRef, places: &[usize]) -> Result<ArrayRef, EvalError> {
    let indices: UInt64Array = places.iter().map(|place| u64::try_from(*place).ok()).collect();
    arrow::compute::take(values, &indices, None).map_err(failed)
}

fn make_row(call: &Call<'_>) -> Result<Vector, EvalError> {
    let LogicalType::Row(fields) = call.to else { return Err(EvalError { message: "no row".to_owned(), row: 0 }) };
    let columns = call.values.iter().map(|value| value.clone().into_column(call.count)).collect();
    let array = StructArray::try_new(row_fields(fields), columns, None).map_err(failed)?;
    Ok(call.vector(array))
}

/// The element at a position from 1, or the value of a key; NULL if there is none.
fn item(call: &Call<'_>) -> Result<Vector, EvalError> {
    let column = &call.values[0].array;
    let list = column.as_list::<i32>();
    let values = match call.kind(0).entry() {
        Some(_) => Arc::clone(list.values().as_struct().column(1)),
        None => Arc::clone(list.values()),
    };
    let mut places: Vec<Option<u64>> = Vec::with_capacity(call.count);
    for row in 0..call.count {
        let place = if call.is_null(0, row) { None } else { place(call, row)? };
        places.push(place.and_then(|place| u64::try_from(place).ok()));
    }
    let array = arrow::compute::take(&values, &UInt64Array::from(places), None).map_err(failed)?;
    Ok(Vector { array, scalar: call.scalar })
}

/// Where the wanted element stands among all elements of the column.
fn place(call: &Call<'_>, row: usize) -> Result<Option<usize>, EvalError> {
    let list = call.values[0].array.as_list::<i32>();
    let at = call.at(0, row);
    let start = usize::try_from(list.value_offsets()[at]).unwrap_or(0);
    let length = usize::try_from(list.value_length(at)).unwrap_or(0);
    if let Some(entry) = call.kind(0).entry() {
        let entries = list.value(at);
        let found =
            nested::find(entries.as_struct().column(0), &call.values[1].array, call.at(1, row), entry.key.kind)?;
        return Ok(found.map(|found| start + found));
    }
    if call.is_null(1, row) {
        return Ok(None);
    }
    let wanted = usize::try_from(call.int(1, row)).unwrap_or(0);
    Ok((1..=length).contains(&wanted).then(|| start + wanted - 1))
}

/// A field by its position, the second argument.
fn field(call: &Call<'_>) -> Result<Vector, EvalError> {
    let position = usize::try_from(call.int(1, 0)).unwrap_or(0);
    let rows = call.values[0].array.as_struct();
    let column = rows.column(position);
    let nulls = NullBuffer::union(column.logical_nulls().as_ref(), rows.nulls());
    let data = column.to_data().into_builder().nulls(nulls).build().map_err(failed)?;
    Ok(Vector { array: arrow::array::make_array(data), scalar: call.values[0].scalar })
}

fn element(call: &Call<'_>) -> Result<Vector, EvalError> {
    let list = call.values[0].array.as_list::<i32>();
    let mut places = Vec::with_capacity(call.count);
    for row in 0..call.count {
        let at = call.at(0, row);
        let length = if call.is_null(0, row) { 0 } else { list.value_length(at) };
        places.push(match length {
            0 => None,
            1 => u64::try_from(list.value_offsets()[at]).ok(),
            _ => call.failed(row, || "Array has more than one element.".to_owned())?,
        });
    }
    let array = arrow::compute::take(list.values(), &UInt64Array::from(places), None).map_err(failed)?;
    Ok(Vector { array, scalar: call.scalar })
}

fn contains(call: &Call<'_>) -> Result<Vector, EvalError> {
    let Some(of) = call.kind(0).element() else { return Err(EvalError { message: "no array".to_owned(), row: 0 }) };
    call.booleans_or_null(|row| {
        if call.is_null(0, row) {
            return Ok(None);
        }
        nested::find(&items(call, 0, row), &call.values[1].array, call.at(1, row), of.kind)
            .map(|found| Some(found.is_some()))
    })
}

fn position(call: &Call<'_>) -> Result<Vector, EvalError> {
    let Some(of) = call.kind(0).element() else { return Err(EvalError { message: "no array".to_owned(), row: 0 }) };
    call.numbers::<Int32Type>(|row| {
        let found = nested::find(&items(call, 0, row), &call.values[1].array, call.at(1, row), of.kind)?;
        Ok(Some(found.map_or(0, |place| i32::try_from(place + 1).unwrap_or(0))))
    })
}

/// Elements of a row's result while it is made: places in `pool`.
struct Chosen<'a> {
    pool: &'a ArrayRef,
    kind: LogicalType,
    places: Vec<usize>,
}

impl Chosen<'_> {
    fn same(&self, a: usize, b: usize) -> Result<bool, EvalError> {
        nested::equal(self.pool, a, self.pool, b, self.kind)
    }

    fn distinct(&mut self) -> Result<(), EvalError> {
        let mut kept: Vec<usize> = Vec::with_capacity(self.places.len());
        for place in std::mem::take(&mut self.places) {
            let mut known = false;
            for other in &kept {
                known = known || self.same(*other, place)?;
            }
            if !known {
                kept.push(place);
            }
        }
        self.places = kept;
        Ok(())
    }

    /// Keeps what is among `others`, or what is not.
    fn only(&mut self, others: &[usize], wanted: bool) -> Result<(), EvalError> {
        let mut kept = Vec::new();
        for place in std::mem::take(&mut self.places) {
            let mut known = false;
            for other in others {
                known = known || self.same(*other, place)?;
            }
            if known == wanted {
                kept.push(place);
            }
        }
        self.places = kept;
        Ok(())
    }
}

/// Arrays made of the first argument's elements.
fn chosen(call: &Call<'_>, change: impl Fn(&mut Chosen<'_>) -> Result<(), EvalError>) -> Result<Vector, EvalError> {
    gathered(call, &[0], |_, found, _| change(found))
}

/// Arrays made of the elements of all arguments; `change` also gets how many the first one has.
fn combined(
    call: &Call<'_>,
    change: impl Fn(&mut Chosen<'_>, usize) -> Result<(), EvalError>,
) -> Result<Vector, EvalError> {
    let all: Vec<usize> = (0..call.len()).collect();
    gathered(call, &all, |_, found, first| change(found, first))
}

fn gathered(
    call: &Call<'_>,
    arrays: &[usize],
    change: impl Fn(usize, &mut Chosen<'_>, usize) -> Result<(), EvalError>,
) -> Result<Vector, EvalError> {
    let Some(of) = call.to.element() else { return Err(EvalError { message: "no array".to_owned(), row: 0 }) };
    let lists: Vec<&ListArray> = arrays.iter().map(|argument| call.values[*argument].array.as_list::<i32>()).collect();
    let parts: Vec<&dyn Array> = lists.iter().map(|list| list.values().as_ref()).collect();
    let pool = if parts.is_empty() {
        new_empty_array(&of.kind.to_arrow())
    } else {
        arrow::compute::concat(&parts).map_err(failed)?
    };
    let (mut places, mut lengths, mut valid) =
        (Vec::new(), Vec::with_capacity(call.count), Vec::with_capacity(call.count));
    for row in 0..call.count {
        valid.push(!arrays.iter().any(|argument| call.is_null(*argument, row)));
        let mut found = Chosen { pool: &pool, kind: of.kind, places: Vec::new() };
        let mut first = 0;
        if valid.last() == Some(&true) {
            let mut base = 0;
            for (position, list) in lists.iter().enumerate() {
                let at = call.at(arrays[position], row);
                let start = base + usize::try_from(list.value_offsets()[at]).unwrap_or(0);
                found.places.extend(start..start + usize::try_from(list.value_length(at)).unwrap_or(0));
                base += list.values().len();
                if position == 0 {
                    first = found.places.len();
                }
            }
            change(row, &mut found, first)?;
        }
        lengths.push(found.places.len());
        places.extend(found.places);
    }
    list(call, gather(&pool, &places)?, lengths, valid)
}

fn remove(call: &Call<'_>) -> Result<Vector, EvalError> {
    gathered(call, &[0], |row, found, _| {
        let mut kept = Vec::with_capacity(found.places.len());
        for place in std::mem::take(&mut found.places) {
            if !nested::equal(found.pool, place, &call.values[1].array, call.at(1, row), found.kind)? {
                kept.push(place);
            }
        }
        found.places = kept;
        Ok(())
    })
}

fn add(call: &Call<'_>, before: bool) -> Result<Vector, EvalError> {
    let arrays = call.values[0].array.as_list::<i32>();
    let value = &call.values[1].array;
    let pool = arrow::compute::concat(&[arrays.values().as_ref(), value.as_ref()]).map_err(failed)?;
    let (mut places, mut lengths, mut valid) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..call.count {
        valid.push(!call.is_null(0, row));
        if call.is_null(0, row) {
            lengths.push(0);
            continue;
        }
        let at = call.at(0, row);
        let start = usize::try_from(arrays.value_offsets()[at]).unwrap_or(0);
        let length = usize::try_from(arrays.value_length(at)).unwrap_or(0);
        let added = arrays.values().len() + call.at(1, row);
        if before {
            places.push(added);
        }
        places.extend(start..start + length);
        if !before {
            places.push(added);
        }
        lengths.push(length + 1);
    }
    list(call, gather(&pool, &places)?, lengths, valid)
}

/// Positions from 1, from the end if negative; 0 is 1.
fn slice(call: &Call<'_>) -> Result<Vector, EvalError> {
    let outcome = gathered(call, &[0], |row, found, length| {
        let all = i64::try_from(length).unwrap_or(i64::MAX);
        let place = |at: i32| match i64::from(at) {
            0 => 1,
            at @ ..0 => all + at + 1,
            at => at,
        };
        if (1..call.len()).any(|argument| call.is_null(argument, row)) {
            found.places.clear();
            return Ok(());
        }
        let first = place(call.int(1, row));
        let last = if call.len() == 3 { place(call.int(2, row)) } else { all };
        let (first, last) = (first.max(1), last.min(all));
        found.places = if first > last {
            Vec::new()
        } else {
            let from = usize::try_from(first - 1).unwrap_or(0);
            found.places[from..usize::try_from(last).unwrap_or(0)].to_vec()
        };
        Ok(())
    })?;
    nulled(call, outcome)
}

/// NULL where any argument is.
fn nulled(call: &Call<'_>, value: Vector) -> Result<Vector, EvalError> {
    let valid: NullBuffer = (0..call.count).map(|row| !call.any_null(row)).collect();
    let nulls = NullBuffer::union(value.array.nulls(), Some(&valid));
    let data = value.array.to_data().into_builder().nulls(nulls).build().map_err(failed)?;
    Ok(Vector { array: arrow::array::make_array(data), scalar: value.scalar })
}

/// NULL elements do not count.
fn extreme(call: &Call<'_>, wanted: Ordering) -> Result<Vector, EvalError> {
    let list = call.values[0].array.as_list::<i32>();
    let values = list.values();
    let compare = comparator(values, values)?;
    let places: UInt64Array = (0..call.count)
        .map(|row| {
            let at = call.at(0, row);
            let start = usize::try_from(list.value_offsets()[at]).unwrap_or(0);
            let length = if call.is_null(0, row) { 0 } else { usize::try_from(list.value_length(at)).unwrap_or(0) };
            let mut given = (start..start + length).filter(|place| values.is_valid(*place));
            let first = given.next()?;
            let best = given.fold(first, |best, place| if compare(place, best) == wanted { place } else { best });
            u64::try_from(best).ok()
        })
        .collect();
    let array = arrow::compute::take(values, &places, None).map_err(failed)?;
    Ok(Vector { array, scalar: call.scalar })
}

/// Ascending with NULLs first, descending with NULLs last, unless said otherwise.
fn sort(call: &Call<'_>) -> Result<Vector, EvalError> {
    let list = call.values[0].array.as_list::<i32>();
    let compare = comparator(list.values(), list.values())?;
    let outcome = gathered(call, &[0], |row, found, _| {
        if (1..call.len()).any(|argument| call.is_null(argument, row)) {
            return Ok(());
        }
        let ascending = call.len() < 2 || call.boolean(1, row);
        let nulls_first = if call.len() == 3 { call.boolean(2, row) } else { ascending };
        found.places.sort_by(|a, b| match (found.pool.is_null(*a), found.pool.is_null(*b)) {
            (true, true) => Ordering::Equal,
            (true, false) => {
                if nulls_first {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (false, true) => {
                if nulls_first {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            _ if ascending => compare(*a, *b),
            _ => compare(*b, *a),
        });
        Ok(())
    })?;
    nulled(call, outcome)
}

/// NULLs are left out unless there is a text for them.
fn join(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.texts(|row, out| {
        let items = items(call, 0, row);
        let items = items.as_string::<i32>();
        let mut first = true;
        for item in items.iter() {
            let text = match item {
                Some(text) => text,
                None if call.len() == 3 => call.text(2, row),
                None => continue,
            };
            if !first {
                out.push_str(call.text(1, row));
            }
            first = false;
            out.push_str(text);
        }
        Ok(Some(()))
    })
}

/// Keys or values of maps, as arrays.
fn side(call: &Call<'_>, column: usize) -> Result<Vector, EvalError> {
    let maps = call.values[0].array.as_list::<i32>();
    let values = Arc::clone(maps.values().as_struct().column(column));
    same_lists(call, maps, values)
}

fn same_lists(call: &Call<'_>, lists: &ListArray, values: ArrayRef) -> Result<Vector, EvalError> {
    let ArrowType::List(item) = call.to.to_arrow() else {
        return Err(EvalError { message: format!("{} is no list", call.to), row: 0 });
    };
    let array = ListArray::try_new(item, lists.offsets().clone(), values, lists.nulls().cloned()).map_err(failed)?;
    Ok(Vector { array: Arc::new(array), scalar: call.values[0].scalar })
}

/// A map is a list of entries already.
fn entries(call: &Call<'_>) -> Result<Vector, EvalError> {
    let maps = call.values[0].array.as_list::<i32>();
    same_lists(call, maps, Arc::clone(maps.values()))
}

fn from_arrays(call: &Call<'_>) -> Result<Vector, EvalError> {
    let (keys, values) = (call.values[0].array.as_list::<i32>(), call.values[1].array.as_list::<i32>());
    // Values are brought in the order of the keys, so that one place stands for both.
    let (mut key_places, mut value_places, mut bounds) = (Vec::new(), Vec::new(), Vec::with_capacity(call.count));
    for row in 0..call.count {
        if call.any_null(row) {
            bounds.push(None);
            continue;
        }
        let (i, j) = (call.at(0, row), call.at(1, row));
        let (length, other) = (keys.value_length(i), values.value_length(j));
        if length != other {
            let message = || {
                format!(
                    "Invalid function MAP_FROM_ARRAYS call:\nThe length of the keys array {length} is not equal to the length of the values array {other}"
                )
            };
            bounds.push(call.failed::<std::ops::Range<usize>>(row, message)?);
            continue;
        }
        let start = key_places.len();
        let length = usize::try_from(length).unwrap_or(0);
        let from = |offset: i32| usize::try_from(offset).unwrap_or(0);
        key_places.extend(from(keys.value_offsets()[i])..from(keys.value_offsets()[i]) + length);
        value_places.extend(from(values.value_offsets()[j])..from(values.value_offsets()[j]) + length);
        bounds.push(Some(start..start + length));
    }
    let (keys, values) = (gather(keys.values(), &key_places)?, gather(values.values(), &value_places)?);
    maps(call, &keys, &values, |row| Ok(bounds[row].clone().map(Iterator::collect)))
}

/// Entries of later maps win.
fn union(call: &Call<'_>) -> Result<Vector, EvalError> {
    let lists: Vec<&ListArray> = call.values.iter().map(|value| value.array.as_list::<i32>()).collect();
    let parts: Vec<&dyn Array> = lists.iter().map(|list| list.values().as_ref()).collect();
    let pool = arrow::compute::concat(&parts).map_err(failed)?;
    let pool = pool.as_struct();
    maps(call, pool.column(0), pool.column(1), |row| {
        if call.any_null(row) {
            return Ok(None);
        }
        let (mut places, mut base) = (Vec::new(), 0);
        for (argument, list) in lists.iter().enumerate() {
            let at = call.at(argument, row);
            let start = base + usize::try_from(list.value_offsets()[at]).unwrap_or(0);
            places.extend(start..start + usize::try_from(list.value_length(at)).unwrap_or(0));
            base += list.values().len();
        }
        Ok(Some(places))
    })
}
