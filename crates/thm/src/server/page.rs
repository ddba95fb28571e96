//! The page, and the pages of the error codes. Files of the binary, no outside resources.

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

const PAGE: &str = include_str!("../../assets/index.html");
/// Name and Markdown of every page under `docs/errors/`, `README` among them.
const ERROR_PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/error_pages.rs"));
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:",
);

/// `GET /`
pub async fn index() -> Response {
    page(StatusCode::OK, PAGE.to_owned())
}

/// `GET /errors`: all codes.
pub async fn error_index() -> Response {
    let links = ERROR_PAGES.iter().filter(|(name, _)| name.starts_with("THM-")).map(|(name, text)| {
        let title = text.lines().next().unwrap_or(name).trim_start_matches(['#', ' ']);
        let title = escaped(title.strip_prefix(name).unwrap_or(title).trim_start_matches([':', ' ']));
        format!("<li><a href=\"/errors/{name}\">{name}</a> {title}</li>")
    });
    page(
        StatusCode::OK,
        document("Error codes", &format!("<h1>Error codes</h1><ul>{}</ul>", links.collect::<String>())),
    )
}

/// `GET /errors/{code}`: what it means and what to do.
pub async fn error_page(Path(code): Path<String>) -> Response {
    let code = code.trim_end_matches(".md");
    match ERROR_PAGES.iter().find(|(name, _)| *name == code) {
        Some((name, text)) => page(StatusCode::OK, document(name, &html(text))),
        None => page(StatusCode::NOT_FOUND, document("Unknown code", "<h1>There is no such code</h1>")),
    }
}

fn page(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_SECURITY_POLICY, POLICY)], Html(text)).into_response()
}

fn document(title: &str, body: &str) -> String {
    const STYLE: &str = "body{margin:0 auto;max-width:46rem;padding:1.5rem;font:16px/1.55 system-ui,sans-serif;\
        color-scheme:light dark;background:#fff;color:#1d2430}a{color:#2a6fdb}h1{font-size:1.4rem}h2{font-size:1.05rem}\
        pre,code{font-size:.9em;background:#8881;border-radius:4px;padding:.1em .3em}pre{padding:.8em;overflow-x:auto}\
        @media(prefers-color-scheme:dark){body{background:#11151b;color:#e6e9ef}a{color:#79a8ff}}";
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><p><a href=\"/\">← Thamanya</a> · <a href=\"/errors\">all codes</a></p>{body}</body></html>"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The Markdown that our pages use: headings, lists, code, paragraphs, tables as they stand.
fn html(text: &str) -> String {
    let (mut out, mut open, mut in_code) = (String::new(), "", false);
    // Blocks end where another begins.
    let turn = |out: &mut String, open: &mut &'static str, next: &'static str| {
        if *open != next {
            let end = if open.is_empty() { String::new() } else { format!("</{open}>") };
            let begin = if next.is_empty() { String::new() } else { format!("<{next}>") };
            *out += &(end + &begin);
            *open = next;
        }
    };
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
            turn(&mut out, &mut open, if in_code { "pre" } else { "" });
        } else if in_code {
            out += &format!("{}\n", escaped(line));
        } else if let Some(heading) = line.strip_prefix('#') {
            turn(&mut out, &mut open, "");
            let level = if heading.starts_with('#') { "h2" } else { "h1" };
            out += &format!("<{level}>{}</{level}>", inline(heading.trim_start_matches(['#', ' '])));
        } else if let Some(item) = line.strip_prefix("* ").or_else(|| line.strip_prefix("- ")) {
            turn(&mut out, &mut open, "ul");
            out += &format!("<li>{}", inline(item));
        } else if line.starts_with("    ") || line.starts_with('|') {
            let is_item = open == "ul" && !line.starts_with('|');
            turn(&mut out, &mut open, if is_item { "ul" } else { "pre" });
            let line = if is_item { inline(line.trim()) } else { escaped(line) };
            out += &format!("{line}\n");
        } else if line.trim().is_empty() {
            turn(&mut out, &mut open, "");
        } else {
            let next = if open == "ul" && line.starts_with(' ') { "ul" } else { "p" };
            turn(&mut out, &mut open, next);
            out += &format!("{} ", inline(line.trim()));
        }
    }
    turn(&mut out, &mut open, "");
    out
}

/// Code spans; the rest is text.
fn inline(text: &str) -> String {
    let parts = escaped(text);
    let parts: Vec<&str> = parts.split('`').collect();
    let whole = parts.len() % 2 == 1;
    let part = |(place, part): (usize, &&str)| match place % 2 {
        1 if whole => format!("<code>{part}</code>"),
        1 => format!("`{part}"),
        _ => part.replace("**", ""),
    };
    parts.iter().enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_page_in_the_binary() {
        for kind in thm_api::ErrorKind::ALL {
            let page = ERROR_PAGES.iter().find(|(name, _)| *name == kind.code());
            assert!(page.is_some_and(|(_, text)| html(text).contains(kind.code())), "{}", kind.code());
        }
    }

    #[test]
    fn markdown_becomes_html_and_nothing_in_it_is_obeyed() {
        let text =
            "# THM-X\n\n## What\nIt says `a < b`\nand <b>.\n\n* one `x`\n  more\n* two\n\n```\n<i>\n```\n    code\n";
        let expected = "<h1>THM-X</h1><h2>What</h2><p>It says <code>a &lt; b</code> and &lt;b&gt;. </p>\
            <ul><li>one <code>x</code>more <li>two</ul><pre>&lt;i&gt;\n</pre><pre>    code\n</pre>";
        assert_eq!(html(text), expected);
    }
}
