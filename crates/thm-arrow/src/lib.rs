//! Arrow as this project uses it, under the paths of the crate `arrow`: arrays, types, IPC, rows, and the kernels that select,
//! compare and combine.
//!
//! The crate `arrow` has no features to leave out its casts, its number parsers and its string kernels. Nothing here needs
//! them (values change their type by Flink's rules, not by Arrow's), they are a tenth of the build, and a call of `cast`
//! brings every pair of types into the binary.

pub use arrow_buffer::buffer;
pub use arrow_ipc as ipc;
pub use arrow_row as row;

/// Arrays, their builders and what looks into them.
pub mod array {
    pub use arrow_array::builder::*;
    pub use arrow_array::cast::*;
    pub use arrow_array::*;
    pub use arrow_data::transform::{Capacities, MutableArrayData};
    pub use arrow_data::{ArrayData, ArrayDataBuilder};
    pub use arrow_ord::ord::{DynComparator, make_comparator};
}

/// The kernels.
pub mod compute {
    pub use arrow_ord::sort::SortOptions;
    pub use arrow_select::concat::concat;
    pub use arrow_select::filter::{filter, filter_record_batch};
    pub use arrow_select::interleave::interleave;
    pub use arrow_select::nullif::nullif;
    pub use arrow_select::take::{take, take_record_batch};

    /// The kernels by module.
    pub mod kernels {
        pub use arrow_arith::boolean;
        pub use arrow_ord::cmp;
        pub use arrow_select::zip;
    }
}

/// Logical types, and the marker types of primitive arrays.
pub mod datatypes {
    pub use arrow_array::types::*;
    pub use arrow_array::{ArrowNativeTypeOp, ArrowNumericType};
    pub use arrow_buffer::{ArrowNativeType, ToByteSlice, i256};
    pub use arrow_schema::{
        DataType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaBuilder, SchemaRef, TimeUnit,
    };
}

/// The error of every kernel.
pub mod error {
    pub use arrow_schema::ArrowError;
}
