//! kcat, a client on librdkafka 2.0.

use crate::harness::{Server, kcat, output};

#[test]
fn lists_broker_and_topics_of_the_listener_it_asked() {
    let (server, _folder) = Server::fresh();
    kcat(&server, &["-P", "-t", "seen", "-K:"], "k:v\n");
    for listener in [0, 1] {
        let address = server.bootstrap(listener);
        let port = address.rsplit_once(':').unwrap().1;
        let listed = output("kcat", &["-b", &address, "-L"], "");
        assert!(listed.contains(&format!("broker 1 at localhost:{port}")), "{listed}");
        assert!(listed.contains("topic \"seen\" with 1 partitions"), "{listed}");
    }
}

#[test]
fn produces_with_every_codec_and_consumes_all() {
    let (server, _folder) = Server::fresh();
    let lines: String = (0..500).map(|number| format!("k{number}:value {number} {}\n", "x".repeat(100))).collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        kcat(&server, &["-P", "-t", "all", "-K:", "-z", codec], &lines);
    }
    let consumed = kcat(&server, &["-C", "-t", "all", "-o", "beginning", "-e", "-q", "-K:"], "");
    assert_eq!(consumed, lines.repeat(5));
    let last = kcat(&server, &["-C", "-t", "all", "-o", "-1", "-c", "1", "-q", "-f", "%o %k"], "");
    assert_eq!(last, "2499 k499");
}

#[test]
fn keeps_keys_headers_tombstones_and_timestamps() {
    let (server, _folder) = Server::fresh();
    kcat(&server, &["-P", "-t", "t", "-K:", "-Z", "-H", "a=1", "-H", "b=2"], "k1:v1\nk2:\n");
    let consumed = kcat(&server, &["-C", "-t", "t", "-e", "-q", "-f", "%k|%S|%h|%T\n"], "");
    let lines: Vec<_> = consumed.lines().collect();
    assert!(lines[0].starts_with("k1|2|a=1,b=2|1"), "{consumed}");
    assert!(lines[1].starts_with("k2|-1|a=1,b=2|1"), "{consumed}");
}

#[test]
fn finds_offsets_by_time() {
    let (server, _folder) = Server::fresh();
    kcat(&server, &["-P", "-t", "t"], "before\n");
    std::thread::sleep(std::time::Duration::from_millis(20));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    kcat(&server, &["-P", "-t", "t"], "after\n");
    let consumed = kcat(&server, &["-C", "-t", "t", "-o", &format!("s@{now}"), "-e", "-q"], "");
    assert_eq!(consumed, "after\n");
}

#[test]
fn a_group_goes_on_where_it_was_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    kcat(&server, &["-P", "-t", "t"], "one\ntwo\nthree\n");
    let group = ["-G", "readers", "-q", "-X", "auto.offset.reset=earliest"];
    let consumed = kcat(&server, &[&group[..], &["-c", "2", "t"]].concat(), "");
    assert_eq!(consumed, "one\ntwo\n");
    drop(server);
    let server = Server::start(folder.path());
    let consumed = kcat(&server, &[&group[..], &["-c", "1", "t"]].concat(), "");
    assert_eq!(consumed, "three\n");
}
