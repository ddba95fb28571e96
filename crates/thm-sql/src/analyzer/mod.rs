//! Statements → typed relations: scopes, types, coercion, Flink's words for what is wrong.

pub(crate) mod call;
pub mod expr;
pub mod literal;
mod lookup;
pub mod query;
pub mod scope;
