//! MD5, SHA1, SHA224 … SHA512, SHA2: hexadecimal digests of bytes, or of a text's UTF-8.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::bind::{Bound, strict, take};
use super::{Call, Function};
use crate::expr::{EvalError, Expr, Vector};
use crate::types::LogicalType;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("MD5", "Write MD5(text).", |a| bind(a, 32), digest::<Md5>),
    Function::new("SHA1", "Write SHA1(text).", |a| bind(a, 40), digest::<Sha1>),
    Function::new("SHA224", "Write SHA224(text).", |a| bind(a, 56), digest::<Sha224>),
    Function::new("SHA256", "Write SHA256(text).", |a| bind(a, 64), digest::<Sha256>),
    Function::new("SHA384", "Write SHA384(text).", |a| bind(a, 96), digest::<Sha384>),
    Function::new("SHA512", "Write SHA512(text).", |a| bind(a, 128), digest::<Sha512>),
    Function::new(
        "SHA2",
        "Write SHA2(text, 224 | 256 | 384 | 512).",
        |a| strict(take(a, &["ti"])?, LogicalType::VarChar(128)),
        sha2,
    ),
];

fn bind(arguments: Vec<Expr>, length: u32) -> Bound {
    strict(take(arguments, &["x"])?, LogicalType::Char(length))
}

fn write<D: Digest>(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in D::digest(bytes).iter() {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

fn digest<D: Digest>(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.texts(|row, out| {
        write::<D>(out, call.bytes(0, row));
        Ok(Some(()))
    })
}

fn sha2(call: &Call<'_>) -> Result<Vector, EvalError> {
    call.texts(|row, out| {
        let bytes = call.bytes(0, row);
        match call.int(1, row) {
            224 => write::<Sha224>(out, bytes),
            256 => write::<Sha256>(out, bytes),
            384 => write::<Sha384>(out, bytes),
            512 => write::<Sha512>(out, bytes),
            _ => return call.failed(row, || "Unsupported algorithm.".to_owned()),
        }
        Ok(Some(()))
    })
}
