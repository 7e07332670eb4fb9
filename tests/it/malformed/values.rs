//! What is odd, for wherever a value can stand.

/// Values as they stand in a query or form, encoded already or deliberately not.
pub(super) fn encoded() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        "",
        "%",
        "%%",
        "%zz",
        "%f",
        "%00",
        "a%00b",
        "%ff%fe",
        "%c0%80",
        "%ed%a0%80",
        "%F0%9D%92%B3%E2%80%AE",
        "+",
        "%20",
        "%0d%0aSet-Cookie:%20x=y",
        "0",
        "-1",
        "1e9",
        "NaN",
        "2147483648",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999999999999",
        "-9223372036854775809",
        "-009999-01-02T01:59:59Z",
        "-009999-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999999Z",
        "%2B275760-09-13T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "'%3B%20drop%20table%20events%3B--",
        "\"'`\\",
        "%25%5F",
        "%3C/script%3E%3Cscript%3E",
        "../../../../etc/passwd",
        "req_",
        "req_00000000-0000-0000-0000-000000000000",
        "agent_ffffffff-ffff-ffff-ffff-ffffffffffff",
        "ac_x.y.z",
        "rt_....",
        "a.b.c",
        "eyJhbGciOiJub25lIn0.e30.",
        "openid openid  openid",
        "https://a.example/%E2%80%AE",
        "{}",
        "[]",
        "null",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    values.push(b"\xff\xfe\x80".to_vec());
    values.push("\u{1f600}\u{202e}\u{feff}".as_bytes().to_vec());
    values.push(b"x".repeat(5_000));
    values.push(b"%41".repeat(3_000));
    values.push([b"a.".repeat(500), b"b".to_vec()].concat());
    values
}

/// Values as they stand in JSON.
pub(super) fn json() -> Vec<Vec<u8>> {
    let mut values: Vec<Vec<u8>> = [
        "null",
        "true",
        "0",
        "-1",
        "1e400",
        "-0.0",
        "18446744073709551616",
        "\"\"",
        "\" \"",
        "\"\\u0000\"",
        "\"a\\u0000b\"",
        "\"\\ud800\"",
        "\"\\u202e\\u200b\"",
        "\"\\n\\r\\t\"",
        "\"\\",
        "\"x",
        "[]",
        "[null]",
        "[[]]",
        "[\"\\u0000\"]",
        "[\"x\",\"x\"]",
        "{}",
        "{\"\":\"\"}",
        "{\"a\":{\"b\":{\"c\":[]}}}",
        "NaN",
        "'x'",
        "\"req_00000000-0000-0000-0000-000000000000\"",
        "\"https://a.example/\\u0000\"",
        "\"http://[::1]:99999/\"",
        "\"https://[x]/\"",
        "\"com.example:\"",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    values.push(b"\"\xff\xfe\"".to_vec());
    values.push([b"\"".to_vec(), b"x".repeat(60_000), b"\"".to_vec()].concat());
    values.push([b"[".repeat(10_000), b"]".repeat(10_000)].concat());
    values.push([b"{\"a\":".repeat(5_000), b"0".to_vec(), b"}".repeat(5_000)].concat());
    values.push([b"[".to_vec(), b"\"x\",".repeat(10_000), b"\"x\"]".to_vec()].concat());
    values
}

/// Whole bodies.
pub(super) fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "{",
        "}",
        "[]",
        "null",
        "7",
        "\"x\"",
        "{}{}",
        "{} x",
        "{\"a\":1,\"a\":2}",
        "{\"request_id\":\"a\",\"request_id\":\"b\"}",
        "{'a':1}",
        "{\"a\":1,}",
        "\u{feff}{}",
        "&",
        "&&&=",
        "=",
        "=x",
        "a&a&a",
        "%=%",
        "a=%00",
        "token=x&token=y",
        "grant_type=x&grant_type=y",
        "client_id=x&client_id=x",
        "\0",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    bodies.push(b"\xff\xfe\x00\x01".to_vec());
    bodies.push(b"{\"a\":\"\xff\"}".to_vec());
    bodies.push(b"[".repeat(30_000));
    bodies.push(b"{\"a\":".repeat(10_000));
    bodies.push(b"x".repeat(64 * 1024 + 1));
    bodies.push(b"x".repeat(16 * 1024 + 1));
    bodies.push(b"a=b&".repeat(10_000));
    bodies.push(b"x=".repeat(32_768));
    bodies.push([b"{\"a\":\"".to_vec(), b"x".repeat(70_000), b"\"}".to_vec()].concat());
    bodies
}

/// `Content-Type`.
pub(super) const MEDIA_TYPES: [&[u8]; 12] = [
    b"",
    b"x",
    b"/",
    b";",
    b"text/plain",
    b"application/json; charset=utf-16",
    b"APPLICATION/JSON",
    b"application/x-www-form-urlencoded;;;",
    b"multipart/form-data; boundary=x",
    b"application/json, application/json",
    b"\xff\xfe",
    b"application/jwt",
];

/// `Last-Event-ID`.
pub(super) const EVENT_IDS: [&[u8]; 12] = [
    b"",
    b"0",
    b"x",
    b"-1",
    b"1x",
    b"xx",
    b"99999999999999999999x",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775808",
    b"\xff",
    b"1 2",
];

/// `Cookie`, with `ID` for a request's id.
pub(super) const COOKIES: [&str; 12] = [
    "",
    "=",
    ";;;",
    "aa_=x",
    "aa_ID",
    "aa_ID=",
    "aa_ID=x; aa_ID=y",
    "aa_ID=\"x\"",
    "__Host-aa_ID=x",
    "aa_req_00000000-0000-0000-0000-000000000000=x",
    "aa_ID=%00%ff",
    "a=b; ; =c; d; \t; aa_ID=....",
];

/// `Authorization`.
pub(super) const AUTHORIZATIONS: [&[u8]; 20] = [
    b"",
    b" ",
    b"Bearer",
    b"Bearer ",
    b"Bearer  x",
    b"Bearer \xff\xfe",
    b"Bearer a.b.c",
    b"Bearer ..",
    b"Bearer eyJhbGciOiJub25lIn0.e30.",
    b"Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
    b"bearer x",
    b"Basic",
    b"Basic ",
    b"Basic !!!",
    b"Basic eA==",
    b"Basic Og==",
    b"Basic /////w==",
    b"Basic JTAwOiUwMA==",
    b"Basic JTolJWZm",
    b"Digest username=\"x\"",
];
