//! Geometric types: structs with well-known binary (WKB), as Debezium shows them.
//!
//! ```text
//!   WKB: 1 (little endian) │ kind u32 (1 point, 2 line string, 3 polygon) │ counts u32 │ x f64, y f64 …
//! ```

use std::io::Write as _;

use thm_codec::debezium::write_base64;
use thm_codec::java_json::write_f64;

use super::basic::print_float8;
use super::{Cell, ColumnType, Done, Fields, ValueError};

type Points = Vec<(f64, f64)>;

fn points(fields: &mut Fields<'_>, count: usize) -> Result<Points, ValueError> {
    (0..count).map(|_| Ok((fields.f64()?, fields.f64()?))).collect()
}

fn counted(fields: &mut Fields<'_>) -> Result<Points, ValueError> {
    let count = usize::try_from(fields.i32()?).map_err(|_| ValueError("geometry"))?;
    if count > fields.rest.len() / 16 {
        return Err(ValueError("geometry"));
    }
    points(fields, count)
}

fn wkb(kind: u32, ring: bool, points: &[(f64, f64)]) -> Vec<u8> {
    let mut out = vec![1];
    out.extend(kind.to_le_bytes());
    if ring {
        out.extend(1_u32.to_le_bytes());
    }
    if kind != 1 {
        out.extend((points.len() as u32).to_le_bytes());
    }
    for (x, y) in points {
        out.extend(x.to_le_bytes());
        out.extend(y.to_le_bytes());
    }
    out
}

pub(super) fn write_point(out: &mut Vec<u8>, (x, y): (f64, f64)) {
    out.extend_from_slice(b"{\"x\":");
    write_f64(out, x);
    out.extend_from_slice(b",\"y\":");
    write_f64(out, y);
    out.extend_from_slice(b",\"wkb\":\"");
    write_base64(out, &wkb(1, false, &[(x, y)]));
    out.extend_from_slice(b"\",\"srid\":null}");
}

/// `{"wkb":…,"srid":null,"extensions":{"type":…}}`
pub(super) fn write_geometry(out: &mut Vec<u8>, points: &[(f64, f64)], ring: bool, extensions: &str) {
    out.extend_from_slice(b"{\"wkb\":\"");
    write_base64(out, &wkb(if ring { 3 } else { 2 }, ring, points));
    let _ = write!(out, "\",\"srid\":null,\"extensions\":{{{extensions}}}}}");
}

pub(super) fn write_circle(out: &mut Vec<u8>, center: (f64, f64), radius: f64) {
    out.extend_from_slice(b"{\"center\":");
    write_point(out, center);
    out.extend_from_slice(b",\"radius\":");
    write_f64(out, radius);
    out.push(b'}');
}

pub(super) fn write_line(out: &mut Vec<u8>, factors: [f64; 3]) {
    for (name, factor) in ["{\"a\":", ",\"b\":", ",\"c\":"].iter().zip(factors) {
        out.extend_from_slice(name.as_bytes());
        write_f64(out, factor);
    }
    out.push(b'}');
}

pub(super) fn point(bytes: &[u8], _: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let mut fields = Fields::new(bytes, "point");
    let at = (fields.f64()?, fields.f64()?);
    fields.end()?;
    cell.json(|out| {
        write_point(out, at);
        Ok(())
    })
}

pub(super) fn line(bytes: &[u8], _: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let mut fields = Fields::new(bytes, "line");
    let factors = [fields.f64()?, fields.f64()?, fields.f64()?];
    fields.end()?;
    cell.json(|out| {
        write_line(out, factors);
        Ok(())
    })
}

pub(super) fn circle(bytes: &[u8], _: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let mut fields = Fields::new(bytes, "circle");
    let (center, radius) = ((fields.f64()?, fields.f64()?), fields.f64()?);
    fields.end()?;
    cell.json(|out| {
        write_circle(out, center, radius);
        Ok(())
    })
}

/// The corners of a box's ring, from its two corners.
pub(super) fn ring_of_box((x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> [(f64, f64); 5] {
    [(x1, y1), (x1, y2), (x2, y2), (x2, y1), (x1, y1)]
}

/// box, lseg, path and polygon.
pub(super) fn shape(bytes: &[u8], kind: &ColumnType, cell: &mut Cell<'_>) -> Done {
    let mut fields = Fields::new(bytes, "geometry");
    cell.json(|out| {
        match kind.rule.name {
            "box" => {
                let corners = points(&mut fields, 2)?;
                write_geometry(out, &ring_of_box(corners[0], corners[1]), true, "\"type\":\"box\"");
            }
            "lseg" => write_geometry(out, &points(&mut fields, 2)?, false, "\"type\":\"lseg\""),
            "path" => {
                let closed = fields.u8()? != 0;
                let extensions = format!("\"type\":\"path\",\"closed\":\"{closed}\"");
                write_geometry(out, &counted(&mut fields)?, false, &extensions);
            }
            _ => {
                let mut ring = counted(&mut fields)?;
                if ring.len() >= 2 && ring.first() != ring.last() {
                    ring.push(ring[0]);
                }
                write_geometry(out, &ring, true, "\"type\":\"polygon\"");
            }
        }
        fields.end()
    })
}

/// PostgreSQL's text: `(1,2)`, `{1,2,3}`, `[(0,0),(1,1)]`, `(1,1),(0,0)`, `((0,0),(1,1))`, `<(0,0),2>`.
pub(super) fn print(bytes: &[u8], kind: &ColumnType, out: &mut Vec<u8>) -> Done {
    let mut fields = Fields::new(bytes, "geometry");
    let print_points = |out: &mut Vec<u8>, points: &[(f64, f64)]| {
        for (place, (x, y)) in points.iter().enumerate() {
            out.extend_from_slice(if place == 0 { b"(" } else { b",(" });
            print_float8(&x.to_be_bytes(), kind, out)?;
            out.push(b',');
            print_float8(&y.to_be_bytes(), kind, out)?;
            out.push(b')');
        }
        Ok::<(), ValueError>(())
    };
    let (open, points, close) = match kind.rule.name {
        "point" => ("", points(&mut fields, 1)?, ""),
        "box" => ("", points(&mut fields, 2)?, ""),
        "lseg" => ("[", points(&mut fields, 2)?, "]"),
        "path" if fields.u8()? == 0 => ("[", counted(&mut fields)?, "]"),
        "path" | "polygon" => ("(", counted(&mut fields)?, ")"),
        "circle" => ("<", points(&mut fields, 1)?, ","),
        _ => ("{", Vec::new(), ""),
    };
    out.extend_from_slice(open.as_bytes());
    print_points(out, &points)?;
    out.extend_from_slice(close.as_bytes());
    let numbers = fields.rest.chunks_exact(8);
    for (place, number) in numbers.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        print_float8(number, kind, out)?;
    }
    out.extend_from_slice(match kind.rule.name {
        "circle" => b">",
        "line" => b"}",
        _ => b"",
    });
    Ok(())
}
