//! inet, cidr, macaddr: always texts.
//!
//! ```text
//!   inet, cidr: family (2: v4, 3: v6) │ bits │ is_cidr │ length │ address
//! ```

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{ColumnType, Done, Fields, ValueError};

pub(super) fn print_inet(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    let mut fields = Fields::new(bytes, "inet");
    let (family, bits, is_cidr, length) = (fields.u8()?, fields.u8()?, fields.u8()?, fields.u8()?);
    let address = fields.take(length.into())?;
    fields.end()?;
    let mut text = String::new();
    let all_bits = match (family, length) {
        (2, 4) => {
            let octets: [u8; 4] = address.try_into().map_err(|_| ValueError("inet"))?;
            let _ = write!(text, "{}", Ipv4Addr::from(octets));
            32
        }
        (3, 16) => {
            let octets: [u8; 16] = address.try_into().map_err(|_| ValueError("inet"))?;
            write_v6(&mut text, octets);
            128
        }
        _ => return Err(ValueError("inet")),
    };
    if is_cidr != 0 || bits != all_bits {
        let _ = write!(text, "/{bits}");
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// As PostgreSQL does: `::` for the longest run of zeros, v4 in dots where it is mapped or compatible.
fn write_v6(out: &mut String, octets: [u8; 16]) {
    let address = Ipv6Addr::from(octets);
    let groups = address.segments();
    let compatible = groups[..6] == [0; 6] && (groups[6] != 0 || groups[7] > 1);
    if compatible {
        let _ = write!(out, "::{}", Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]));
    } else {
        let _ = write!(out, "{address}");
    }
}

pub(super) fn print_mac(bytes: &[u8], _: &ColumnType, out: &mut Vec<u8>) -> Done {
    if !matches!(bytes.len(), 6 | 8) {
        return Err(ValueError("macaddr"));
    }
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 {
            out.push(b':');
        }
        super::basic::write_bytes(out, &[*byte], crate::options::BinaryMode::Hex);
    }
    Ok(())
}
