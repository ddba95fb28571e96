//! PostgreSQL's own text of rarer types: WAL positions, transaction ids, snapshots, tuple ids, references to objects.

use std::io::Write as _;

use super::{ColumnType, Done, Fields, fixed};

/// `16/B374D848`
pub(super) fn lsn(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let lsn = u64::from_be_bytes(fixed(bytes, "pg_lsn")?);
    let _ = write!(out, "{:X}/{:X}", lsn >> 32, lsn as u32);
    Ok(())
}

/// `(0,1)`
pub(super) fn tid(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let mut fields = Fields::new(bytes, "tid");
    let _ = write!(out, "({},{})", u32::from_be_bytes(fields.array()?), fields.u16()?);
    fields.end()
}

/// `10:20:10,14`
pub(super) fn snapshot(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let mut fields = Fields::new(bytes, "snapshot");
    let count = fields.i32()?;
    let _ = write!(out, "{}:{}:", fields.i64()?, fields.i64()?);
    for place in 0..count {
        let _ = write!(out, "{}{}", if place == 0 { "" } else { "," }, fields.i64()?);
    }
    fields.end()
}

/// The name of what a `regclass` and its like refer to; its number where nothing is known of it.
pub(super) fn object(bytes: &[u8], kind: &ColumnType, out: &mut Vec<u8>) -> Done {
    let oid = u32::from_be_bytes(fixed(bytes, "reference to an object")?);
    match kind.objects.get(&oid) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None if oid == 0 => out.push(b'-'),
        None => {
            let _ = write!(out, "{oid}");
        }
    }
    Ok(())
}
