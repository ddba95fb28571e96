//! Statements → typed relations: scopes, types, coercion, Flink's words for what is wrong.

mod access;
pub(crate) mod call;
mod compare;
pub mod expr;
mod extent;
mod fold;
mod from;
mod interval;
mod json_call;
pub mod literal;
mod logic;
mod lookup;
mod lookup_hint;
pub mod query;
pub mod scope;
mod select;
pub mod subquery;
mod units;
mod words;

pub use lookup_hint::LookupHint;
