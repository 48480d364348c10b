//! What scripted peers understand of messages: where one ends, and what its chunks carry. Written
//! apart from the code under test, so that a mistake is not made twice.

/// Length of the first message in `bytes` once it is whole.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let fields = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    if fields.contains("transfer-encoding: chunked") {
        return Some(head + chunks(&bytes[head..])?.1);
    }
    let declared = fields.lines().find_map(|line| line.strip_prefix("content-length:"));
    let body = declared.map_or(0, |length| length.trim().parse().expect("a length in digits"));
    (bytes.len() >= head + body).then_some(head + body)
}

/// Head and payload of a message, whatever its framing is.
pub fn parts(message: &[u8]) -> (String, Vec<u8>) {
    let end = find(message, b"\r\n\r\n").expect("a whole head") + 4;
    let (head, body) = message.split_at(end);
    let head = String::from_utf8(head.to_vec()).expect("heads of tests are text");
    if !head.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return (head, body.to_vec());
    }
    let (payload, length) = chunks(body).expect("whole chunks");
    assert_eq!(length, body.len(), "nothing follows the last chunk");
    (head, payload)
}

/// Payload and length of a chunked body once it is whole.
fn chunks(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut payload, mut at) = (Vec::new(), 0);
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).expect("a size in digits");
        let size = size.split(';').next().unwrap_or(size);
        let size = usize::from_str_radix(size.trim(), 16).expect("a size in digits");
        at += line + 2;
        if size == 0 {
            // Trailers, then an empty line.
            let end = match bytes.get(at..)?.starts_with(b"\r\n") {
                true => 2,
                false => find(&bytes[at..], b"\r\n\r\n")? + 4,
            };
            return Some((payload, at + end));
        }
        payload.extend_from_slice(bytes.get(at..at + size)?);
        assert!(bytes.get(at + size..at + size + 2)? == b"\r\n", "a chunk ends with its line");
        at += size + 2;
    }
}

/// Length of the first FastCGI request once it is whole: up to the empty STDIN record.
pub fn fastcgi_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let header = bytes.get(at..at + 8)?;
        let content = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let end = at + 8 + content + usize::from(header[6]);
        if bytes.len() < end {
            return None;
        }
        if header[1] == 5 && content == 0 {
            return Some(end);
        }
        at = end;
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, what)
}
