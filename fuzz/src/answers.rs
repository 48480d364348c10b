//! Answers as a client reads them that takes nothing for granted: apart from the code under test.

/// An answer that has come whole.
pub struct Answer {
    /// Its head, without the empty line.
    pub head: String,
}

/// The whole answers in what a client got, less interim ones; what is not whole yet is left.
///
/// # Panics
/// Where the bytes are no answer, or have two lengths.
pub fn answers(mut bytes: &[u8]) -> impl Iterator<Item = Answer> {
    std::iter::from_fn(move || {
        loop {
            let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
            let status: u16 = status.and_then(|code| code.parse().ok()).expect("a status line");
            let body = length(status, &head, &bytes[end + 4..])?;
            bytes = &bytes[end + 4 + body..];
            if status >= 200 {
                return Some(Answer { head });
            }
        }
    })
}

/// Length of a body that has come whole.
fn length(status: u16, head: &str, body: &[u8]) -> Option<usize> {
    let field = |name: &str| {
        head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let (declared, coding) = (field("content-length"), field("transfer-encoding"));
    assert!(declared.is_none() || coding.is_none(), "two lengths: {head}");
    if status < 200 || status == 204 || status == 304 {
        return Some(0);
    }
    match (declared, coding) {
        (_, Some(_)) => chunks(body),
        (Some(length), _) => {
            let length: usize = length.parse().expect("a length in digits");
            (body.len() >= length).then_some(length)
        }
        // It goes on until the connection ends.
        (None, None) => None,
    }
}

/// Length of a chunked body once it is whole.
///
/// # Panics
/// Where it is no chunked body.
pub fn chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = memchr::memmem::find(&bytes[at..], b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).expect("a size in digits");
        let size = usize::from_str_radix(size, 16).expect("a size in digits");
        at += line + 2 + size;
        // Behind the last chunk it is the end of the trailers, of which there are none.
        assert_eq!(bytes.get(at..at + 2)?, b"\r\n", "a chunk ends with its line");
        at += 2;
        if size == 0 {
            return Some(at);
        }
    }
}
